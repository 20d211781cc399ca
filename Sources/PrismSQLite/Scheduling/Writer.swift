internal import Glibc
internal import PrismCore
internal import PrismReactor
internal import PrismWire

/// The writer thread: commits plain writes in groups, lends itself to one interactive transaction at a time, sweeps when idle.
final class Writer {
    static let reopenNanoseconds: UInt64 = 500_000_000
    static let holdPollNanoseconds: UInt64 = 5_000_000

    struct Answer {
        var body: [UInt8] = []
        var failure: Failure?
    }

    let backend: SQLiteBackend
    let decoding: Arena
    let versions = VersionSource()
    var executor: Executor?
    var output = ByteQueue()
    private var openFailure: Failure?
    private var triedNanoseconds: UInt64 = 0
    private var sweptNanoseconds: UInt64 = 0
    private var answers: [RequestReference: Answer] = [:]
    private var groupFailure: Failure?
    private var startedNanoseconds: UInt64 = 0

    init(backend: SQLiteBackend) {
        self.backend = backend
        decoding = Arena(limitBytes: backend.settings.limits.decodeBytesMax)
    }

    func run(ready: DispatchlessGate) {
        _ = open(MonotonicClock.now())
        ready.open()
        var group = GroupCommit<WorkTicket>(limits: limits)
        var batch: [WorkTicket] = []
        while true {
            let mayWait = group.carriedCount == 0
            let deadline = mayWait ? MonotonicClock.now() + backend.options.sweepIntervalNanoseconds : 0
            guard backend.writes.take(max: group.startCapacity == 0 ? 1 : group.startCapacity, until: deadline, &batch)
            else { break }
            let now = MonotonicClock.now()
            if batch.isEmpty, mayWait {
                sweep(now)
                continue
            }
            carryOut(&batch, &group, now)
        }
        for ticket in batch { fail(ticket) }
        executor?.connection.close()
    }

    private var limits: GroupCommit<WorkTicket>.Limits {
        var limits = GroupCommit<WorkTicket>.Limits()
        limits.membersMax = backend.options.groupRequestsMax
        return limits
    }

    /// The writes up to the next Begin as one group; a Begin in front by itself.
    private func carryOut(_ batch: inout [WorkTicket], _ group: inout GroupCommit<WorkTicket>, _ now: UInt64) {
        if group.startCapacity == 0, let early = batch.popLast() { backend.writes.putBack(early) }
        let plain = Array(batch.prefix { $0.item.kind != .begin })
        for later in batch.dropFirst(plain.count).dropFirst(plain.isEmpty ? 1 : 0).reversed() {
            backend.writes.putBack(later)
        }
        let begin = plain.isEmpty && group.carriedCount == 0 ? batch.first : nil
        if begin == nil, plain.isEmpty, let first = batch.first { backend.writes.putBack(first) }
        batch.removeAll(keepingCapacity: true)
        guard let executor = open(now) else {
            for ticket in plain + group.dropCarried() + [begin].compactMap({ $0 }) { fail(ticket) }
            return
        }
        if let begin { return hold(begin, executor, now) }
        let members = plain.filter { backend.begin($0, now: now) }
        if let action = group.start(members) { drive(&group, action, executor, now) }
    }

    // MARK: groups

    private func drive(
        _ group: inout GroupCommit<WorkTicket>, _ first: GroupCommit<WorkTicket>.Action, _ executor: Executor,
        _ now: UInt64
    ) {
        answers.removeAll(keepingCapacity: true)
        groupFailure = nil
        startedNanoseconds = now
        var action = first
        while true {
            switch action {
            case .begin:
                do throws(Failure) {
                    try versions.begin(on: executor.connection)
                    action = group.began(true)
                } catch {
                    groupFailure = error
                    action = group.began(false)
                }
            case .run(let ticket):
                let end = run(ticket, executor)
                action = group.ran(end, isTransactionOpen: !executor.connection.isAutocommit)
            case .supply(let max):
                action = group.supply(more(max))
            case .commit:
                do throws(Failure) {
                    try executor.connection.commit()
                    action = group.committed(.committed)
                } catch {
                    groupFailure = error
                    action = group.committed(
                        error.outcome == .unknown
                            ? .unknown : .refused(isTransactionOpen: !executor.connection.isAutocommit))
                }
            case .rollBack:
                action = group.rolledBack((try? executor.connection.rollback()) != nil)
            case .settle(let settlements, let mustReopen):
                for settlement in settlements { settle(settlement.member, settlement.verdict) }
                if mustReopen { reopen() }
                return
            }
        }
    }

    /// What has arrived meanwhile joins, up to the next Begin.
    private func more(_ max: Int) -> [WorkTicket] {
        guard backend.writes.count > 0 else { return [] }
        var batch: [WorkTicket] = []
        _ = backend.writes.take(max: max, until: 0, &batch)
        let plain = Array(batch.prefix { $0.item.kind != .begin })
        for later in batch.dropFirst(plain.count).reversed() { backend.writes.putBack(later) }
        let now = MonotonicClock.now()
        return plain.filter { backend.begin($0, now: now) }
    }

    private func run(_ ticket: WorkTicket, _ executor: Executor) -> GroupCommit<WorkTicket>.RunEnd {
        guard ticket.reopen() else { return .cancelled }
        let connection = executor.connection
        do throws(Failure) {
            try connection.savepoint()
            let body = try execute(ticket, executor)
            // From here on a cancel is too late: the group's COMMIT may carry it.
            guard ticket.move(from: .running, to: .sealed) else {
                try connection.rollbackToSavepoint()
                return .cancelled
            }
            try connection.release()
            answers[ticket.item.reference] = Answer(body: body)
            return .applied(answerBytes: body.count)
        } catch {
            if !connection.isAutocommit { try? connection.rollbackToSavepoint() }
            guard !ticket.isCancelled else { return .cancelled }
            answers[ticket.item.reference] = Answer(failure: error)
            return .refused(answerBytes: 256)
        }
    }

    private func settle(_ ticket: WorkTicket, _ verdict: GroupCommit<WorkTicket>.Verdict) {
        switch verdict {
        case .held:
            let answer = answers[ticket.item.reference]
            if let failure = answer?.failure {
                backend.fail(ticket, failure, started: startedNanoseconds)
            } else if let body = answer?.body {
                body.withUnsafeBytes { backend.finish(ticket, $0, started: startedNanoseconds) }
            } else {
                backend.fail(
                    ticket, Failure(.internal, at: .execute, outcome: .unknown, "an answer was lost"),
                    started: startedNanoseconds)
            }
        case .notBegun, .commitRefused:
            var failure =
                groupFailure
                ?? Failure(.unavailable, at: .execute, "the transaction could not be committed", isRetryable: true)
            failure.outcome = .notExecuted
            backend.fail(ticket, failure, started: startedNanoseconds)
        case .unknown:
            var failure = groupFailure ?? Failure(.internal, at: .execute, "the group's state was lost")
            failure.outcome = .unknown
            failure.isRetryable = false
            failure.message += "; whether the change is durable is unknown: repeat it with an idempotency key to learn"
            backend.fail(ticket, failure, started: startedNanoseconds)
        }
    }

    // MARK: one request

    /// Runs a request inside its savepoint; the body that answers it.
    func execute(_ ticket: WorkTicket, _ executor: Executor) throws(Failure) -> [UInt8] {
        output.removeAll(keepingUpTo: 1 << 16)
        decoding.reset()
        guard let request = RequestMessage(ticket.item.frame.bytes, in: decoding) else {
            throw Failure(.resourceExhausted, at: .execute, "no memory to decode the request")
        }
        executor.connection.stopCheck = { ticket.isCancelled }
        defer { executor.connection.stopCheck = nil }
        let wall = MonotonicClock.wallClockMilliseconds()
        let keys = IdempotencyKeys(connection: executor.connection, uid: ticket.item.uid, wallMilliseconds: wall)
        let hasKey = !request.idempotencyKey.isEmpty && ticket.item.transaction == .none
        let fingerprint = hasKey ? RequestFingerprint(ticket.item.frame.bytes) : nil
        if hasKey, let answer = try keys.find(request.idempotencyKey, fingerprint: fingerprint) { return answer }
        let isStreamed = ticket.item.transaction != .none
        _ = try executor.execute(
            request, isReadOnly: ticket.item.isReadOnly, wallMilliseconds: wall,
            parts: isStreamed ? StreamSink(backend: backend, ticket: ticket) : nil, into: &output)
        let body = Array(output.bytes)
        if hasKey { try keys.record(request.idempotencyKey, fingerprint: fingerprint, answer: body) }
        return body
    }

    // MARK: the file

    private func open(_ now: UInt64) -> Executor? {
        if let executor { return executor }
        guard now >= triedNanoseconds + Self.reopenNanoseconds || triedNanoseconds == 0 else { return nil }
        triedNanoseconds = now
        do throws(Failure) {
            let connection = try Connection(role: .writer, settings: backend.settings)
            try Schema.apply(on: connection)
            executor = Executor(connection: connection, versions: versions)
            openFailure = nil
            backend.openFailure.withLock { $0 = nil }
            backend.problem.withLock { $0 = "" }
        } catch {
            openFailure = error
            backend.openFailure.withLock { $0 = error }
            let message = error.message
            backend.problem.withLock { $0 = message }
        }
        return executor
    }

    func reopen() {
        executor?.connection.close()
        executor = nil
        triedNanoseconds = 0
    }

    private func fail(_ ticket: WorkTicket) {
        let effect: Completion.TransactionEffect = ticket.item.kind == .begin ? .ended : .unchanged
        if ticket.item.kind == .begin { backend.ended(ticket.item.transaction) }
        var failure = openFailure ?? Failure(.unavailable, at: .connect, "the database is not open", isRetryable: true)
        failure.outcome = .notExecuted  // Whatever became of opening the file, this request never ran.
        backend.fail(ticket, failure, effect: effect)
    }

    /// Removes what has expired, a small batch at a time; another process's lock is not waited for.
    private func sweep(_ now: UInt64) {
        guard now >= sweptNanoseconds + backend.options.sweepIntervalNanoseconds, let connection = open(now)?.connection
        else { return }
        sweptNanoseconds = now
        let wall = MonotonicClock.wallClockMilliseconds()
        let retention = Int64(clamping: backend.settings.idempotencyRetentionMilliseconds)
        do throws(Failure) {
            for (which, before) in [(OwnStatement.sweepEntries, wall), (.sweepKeys, wall - retention)] {
                let statement = try connection.statement(which)
                statement.bind(1, integer: before)
                statement.bind(2, integer: Int64(backend.settings.sweepRows))
                try connection.run(statement)
            }
        } catch {
            try? connection.rollback()
        }
    }
}
