import PrismWire

/// What all connections of one engine share. Belongs to the engine's thread.
final class EngineContext<Port: PostgreSQLPort> {
    let settings: EngineSettings
    let port: Port
    let sink: (Completion, UnsafeRawBufferPointer) -> Void
    /// What was learned of client statements, for all connections.
    var knowledge: StatementKnowledge
    var types = KnownTypes()
    /// The time of the event that is being handled, CLOCK_MONOTONIC nanoseconds.
    var now: UInt64 = 0
    var invariantViolations: UInt64 = 0
    /// When a plan was stale last: something has been defined anew.
    var doubtedAt: UInt64 = 0
    /// Why no statement on Prism's own tables may be sent; nil: it may.
    var ownTablesRefusal: String?
    private var scratch = ByteQueue()
    private var signature: [TypeOID] = []
    // How Prism's own reads have run.
    private var getStanding = SharedStanding(isTrusted: true)
    private var getManyStanding = SharedStanding(isTrusted: true)
    private var countStanding = SharedStanding(isTrusted: true)

    init(settings: EngineSettings, port: Port, sink: @escaping (Completion, UnsafeRawBufferPointer) -> Void) {
        self.settings = settings
        self.port = port
        self.sink = sink
        knowledge = StatementKnowledge(capacity: settings.knownStatementsMax)
    }

    /// Of a command's rows; nil: it has none.
    func describe(_ columns: ServerColumns?) -> ResultColumns {
        columns?.described ?? ResultColumns.of(columns, types: types)
    }

    // MARK: shared batches

    /// What is known of a client's statement that may share a pipeline; nil: it may not, or not yet.
    func sharedStatement(_ client: ClientStatement, _ job: Job) -> KnownStatement? {
        guard !client.hasNames, isSignatureKnown(client),
            let known = knowledge.find(sql: client.sql, signature: signature), known.certificate == true,
            known.standing.isTrusted, !known.areTypesInDoubt
        else { return nil }
        guard known.isCertificateDue(now: now, doubtedAt) else { return known }
        known.certificateBegun(now: now)
        job.isToLookAgain = true
        return nil
    }

    /// Its types are in `signature` then.
    private func isSignatureKnown(_ client: ClientStatement) -> Bool {
        do throws(Failure) { return try client.signature({ types.oid(named: $0) }, into: &signature) == nil } catch {
            return false
        }
    }

    /// Of one of Prism's own reads.
    func ownStanding(_ kind: OperationKind) -> SharedStanding? {
        switch kind {
        case .get: getStanding
        case .getMany: getManyStanding
        case .count: countStanding
        default: nil
        }
    }

    private func change(_ job: Job, _ body: (inout SharedStanding) -> Void) {
        switch job.item.kind {
        case .get: body(&getStanding)
        case .getMany: body(&getManyStanding)
        case .count: body(&countStanding)
        case .query: if let known = job.known, known.mayShare { body(&known.standing) }
        default: break
        }
    }

    /// A batch was held up by it.
    func mustProve(_ job: Job) { change(job) { $0.mustProve() } }

    /// It failed in a batch.
    func failedShared(_ job: Job) { change(job) { $0.failed() } }

    /// Its answer was too large for a batch. Of Prism's own reads that says nothing of the next one: they are everybody's.
    func wasLarge(_ job: Job) { if job.item.kind == .query { change(job) { $0.wasLarge() } } }

    func ranShared(_ job: Job, bytes: Int) {
        change(job) { $0.ranShared() }
        job.known?.answered(bytes: bytes)
    }

    /// It has been answered from a connection that it had alone.
    func ranAlone(_ job: Job, bytes: Int) {
        guard job.item.transaction == .none, job.item.isReadOnly || job.item.kind.isKeyValueRead else { return }
        let isLarge = job.item.kind == .query && (bytes > settings.sharedResultBytesMax || job.isStreaming)
        let time = job.serverNanoseconds ?? (now - min(now, job.unitsStartedNanoseconds))
        let isSlow = time > SharedStanding.slowNanoseconds
        change(job) { $0.ranAlone(isSlow: isSlow, isLarge: isLarge) }
    }

    // MARK: answers

    /// The final answer; nothing for a job that nobody waits for.
    func finish(
        _ job: Job, _ body: UnsafeRawBufferPointer, code: StatusCode = .ok, stage: Stage = .unspecified,
        effect: Completion.TransactionEffect = .unchanged
    ) {
        job.frame = nil
        guard !job.isDetached else { return }
        job.isDetached = true
        let started = job.startedNanoseconds
        sink(
            Completion(
                reference: job.reference, kind: .final, code: code, stage: stage, transactionEffect: effect,
                startedNanoseconds: started, backendNanoseconds: started == 0 ? 0 : now - min(now, started)), body)
    }

    /// OK without a payload.
    func finish(_ job: Job, effect: Completion.TransactionEffect = .unchanged) {
        finish(job, UnsafeRawBufferPointer(start: nil, count: 0), effect: effect)
    }

    func fail(_ job: Job, _ failure: Failure, effect: Completion.TransactionEffect = .unchanged) {
        guard !job.isDetached else { return }
        scratch.removeAll(keepingUpTo: 1 << 16)
        ResponseBody.append(failure, to: &scratch)
        finish(job, scratch.bytes, code: failure.code, stage: failure.stage, effect: effect)
    }

    /// One part of a streamed answer.
    func part(_ job: Job, _ body: UnsafeRawBufferPointer) {
        guard !job.isDetached else { return }
        sink(Completion(reference: job.reference, kind: .part), body)
    }
}

extension Failure {
    static let transactionEnded = Failure(.aborted, at: .execute, "the transaction has ended; begin again")
    static let stopping = Failure(
        .unavailable, at: .queue, "the sidecar is ending", isRetryable: true,
        retryAfterMicroseconds: MultiplexerSettings.drainRetryMicroseconds)

    /// Committed here; a standby may not have it. Where Prism's own cancel has broken the waiting off, whoever has asked for that
    /// is to hear of it: that is said by the code.
    static func replicationDoubt(_ job: Job) -> Failure {
        Failure(
            job.isCancelled ? .cancelled : .unavailable, at: .execute, outcome: .unknown,
            "it is committed here, but waiting for the standby was broken off")
    }

    static let columnsChanged = Failure(
        .aborted, at: .execute, "a table has changed under a statement that was known; send the request again",
        isRetryable: true)

    static func invalidSQL(_ message: String) -> Failure { Failure(.invalidArgument, at: .execute, message) }
}
