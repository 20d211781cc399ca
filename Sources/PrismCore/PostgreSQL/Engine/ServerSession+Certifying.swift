import PrismWire

/// What a read-only statement runs behind its text is looked at once, before it may share a pipeline with others.
extension ServerSession {
    func needsCertificate(_ known: KnownStatement, _ job: Job) -> Bool {
        known.mayShare && known.certificate == nil && job.item.kind == .query && job.item.isReadOnly
            && job.item.transaction == .none && settings.sharedConnectionsMax > 0 && !settings.isPooled
    }

    /// Asks for the statement's plan, as it is for any parameters.
    func certify(_ client: ClientStatement, _ known: KnownStatement, _ job: Job) {
        job.stage = .certifying
        job.known = known
        isPlanPlain = true
        let name = prepared(client.sql, known)
        sendStatement(BatchFrame.begin, .control)
        sendStatement("SET LOCAL plan_cache_mode TO force_generic_plan", .control)
        let arguments = Array(repeating: "NULL", count: known.parameters.count).joined(separator: ",")
        sendStatement(
            "EXPLAIN (VERBOSE, COSTS OFF) EXECUTE \(name.text)\(arguments.isEmpty ? "" : "(\(arguments))")", .plan)
        sendStatement(BatchFrame.end, .control)
        sendSync(.jobSync)
    }

    func receivedPlan(_ row: ServerRow) {
        guard let line = row.values.first, isPlanPlain else { return }
        isPlanPlain = PlainPlan.isPlain(line)
    }

    /// - Parameter isKnown: false: the plan could not be had.
    func certified(_ job: Job, _ request: RequestMessage, isKnown: Bool) throws(Failure) {
        job.known?.certificate = isKnown && isPlanPlain
        if status != .idle { sendStatement("ROLLBACK", .control) }
        job.stage = .waiting
        try proceed(job, request)
    }
}
