import PrismWire

/// What a read-only statement runs behind its text is looked at once, before it may share a pipeline with others.
extension ServerSession {
    func needsCertificate(_ known: KnownStatement, _ job: Job) -> Bool {
        known.mayShare && (job.isToLookAgain || known.isCertificateDue(now: context.now, context.doubtedAt))
            && !job.hasAskedForPlan && job.item.kind == .query && job.item.isReadOnly && job.item.transaction == .none
            && settings.sharedConnectionsMax > 0 && !settings.isPooled
    }

    /// Asks for the statement's plan, as it is for any parameters, and for what a plan does not show.
    func certify(_ client: ClientStatement, _ known: KnownStatement, _ job: Job) {
        job.stage = .certifying
        job.known = known
        job.hasAskedForPlan = true
        known.certificateBegun(now: context.now)
        plan.removeAll(keepingCapacity: true)
        let text = PlainText(client.sql)
        // The domain of a parameter has checks, which run when it is bound.
        isPlanPlain = text.isPlain && known.parameters.allSatisfy { $0 < PlainPlan.firstOwnObject }
        // What calls itself immutable runs when it is planned.
        readOnlyExecutions += 1
        sendStatement(BatchFrame.begin, .control)
        let name = prepared(client.sql, known)
        sendStatement("SET LOCAL plan_cache_mode TO force_generic_plan", .control)
        let arguments = Array(repeating: "NULL", count: known.parameters.count).joined(separator: ",")
        sendStatement(
            "EXPLAIN (VERBOSE, COSTS OFF) EXECUTE \(name.text)\(arguments.isEmpty ? "" : "(\(arguments))")", .plan)
        sendStatement(HiddenObjects.question(functions: text.functions, types: text.types), .hidden)
        sendStatement(BatchFrame.end, .control)
        sendSync(.jobSync)
    }

    /// A line of the plan. A text in it may go on in the next one, so all are judged together.
    func receivedPlan(_ row: ServerRow) {
        guard let line = row.values.first, isPlanPlain else { return }
        guard plan.count + line.count < PlainPlan.bytesMax else {
            isPlanPlain = false
            return
        }
        plan.append(contentsOf: line)
        plan.append(UInt8(ascii: "\n"))
    }

    /// - Parameter error: why the plan could not be had.
    func certified(_ job: Job, _ request: RequestMessage, _ error: ServerError?) throws(Failure) {
        if let error {
            // What is wrong with the statement stays; what befell the attempt may pass.
            let isPassing = ["40", "53", "55", "57", "58"].contains(error.sqlState.prefix(2))
            job.known?.certify(isPassing ? nil : false, now: context.now)
        } else {
            job.known?.certify(isPlanPlain && plan.withUnsafeBytes { PlainPlan.isPlain($0) }, now: context.now)
        }
        rollBackFailed()
        job.stage = .waiting
        try proceed(job, request)
    }

    /// What may share a pipeline is timed by the server: neither the way there nor a sidecar that has too much to do counts.
    func isTimed(_ job: Job) -> Bool {
        guard settings.sharedConnectionsMax > 0, job.item.transaction == .none else { return false }
        if job.item.kind != .query { return context.ownStanding(job.item.kind)?.isTrusted == false }
        guard job.item.isReadOnly, !settings.isPooled, let known = job.known else { return false }
        return known.mayShare && known.certificate == true
    }

    func askForTiming() { executeWithoutParameters(own: ServerTiming.number, { ServerTiming.sql }, .timing) }
}

/// The server's own measure of what the present transaction has taken.
enum ServerTiming {
    /// Among Prism's own prepared statements.
    static let number = BatchFrame.endNumber + 1
    /// In seconds, float8.
    static let sql = """
        SELECT pg_catalog.date_part('epoch', \
        pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) pg_catalog.transaction_timestamp())
        """

    /// Nil: it is no such value.
    static func nanoseconds(_ row: ServerRow) -> UInt64? {
        guard row.values.count == 1, row.values[0].count == 8 else { return nil }
        let bits = row.values[0].reduce(into: UInt64(0)) { $0 = $0 << 8 | UInt64($1) }
        let seconds = Double(bitPattern: bits)
        // A clock that was set back says nothing.
        guard seconds >= 0, seconds < 1e9 else { return nil }
        return UInt64(seconds * 1e9)
    }
}
