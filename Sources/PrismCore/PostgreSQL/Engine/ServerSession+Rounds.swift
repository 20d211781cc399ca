import PrismWire

/// Carrying a job out, round by round.
extension ServerSession {
    /// Takes a job up. The connection is clear.
    func start(_ job: Job) {
        self.job = job
        job.startedNanoseconds = context.now
        if job.item.kind == .begin { transaction = job.item.transaction }
        guard job.item.deadlineNanoseconds > context.now else {
            job.startedNanoseconds = 0
            return stop(
                job, Failure(.deadlineExceeded, at: .queue, "the deadline passed in the queue", isRetryable: true))
        }
        do throws(Failure) {
            decoding.reset()
            guard let frame = job.frame, let request = RequestMessage(frame.bytes, in: decoding) else {
                throw Failure(
                    .resourceExhausted, at: .execute, "the request needs more memory than limits.decode_bytes")
            }
            self.request = request
            output.removeAll(keepingUpTo: 1 << 16)
            try plan(job, request)
            try proceed(job, request)
        } catch {
            stop(job, error)
        }
    }

    /// What kind of rounds it takes.
    private func plan(_ job: Job, _ request: RequestMessage) throws(Failure) {
        answer.reset()
        results = UnitResults()
        job.unitCount = 1
        job.usesTransaction = false
        switch job.item.kind {
        case .write:
            guard let message = request.write else { throw AnswerBuilder.outOfMemory }
            job.unitCount = message.n_items
            try planWrites(request)
            // One batch is atomic by itself, where nothing but the server decides.
            job.usesTransaction = !results.keyValue.cannotRefuse || !fitsOneRound(job)
        case .batch:
            guard let message = request.batch else { throw AnswerBuilder.outOfMemory }
            job.unitCount = message.n_parameter_sets > 0 ? message.n_parameter_sets : message.n_statements
            job.usesTransaction = true
        case .query: job.usesTransaction = job.item.isReadOnly
        default: try planWrites(request)
        }
        if hasKey(job, request) { job.usesTransaction = true }
        if job.item.transaction != .none { job.usesTransaction = false }
    }

    /// Whether a Write is surely sent with one Sync. The parameters are the frame's bytes, and of each item a few integers,
    /// zero bytes and the default namespace's name.
    private func fitsOneRound(_ job: Job) -> Bool {
        let bytes = (job.frame?.bytes.count ?? 0) + 64 * job.unitCount
        return job.unitCount <= settings.executionsPerRoundMax && bytes < settings.bytesPerRoundMax
    }

    /// Whether its effect and its key stand or fall together. The keys of reads are ignored.
    func hasKey(_ job: Job, _ request: RequestMessage) -> Bool {
        !request.idempotencyKey.isEmpty && !job.item.isReadOnly && !job.item.kind.isKeyValueRead
    }

    /// Sends the next round.
    func proceed(_ job: Job, _ request: RequestMessage) throws(Failure) {
        switch job.item.kind {
        case .begin: begin(job, request)
        case .commit: commit(job, request)
        case .rollback: control(job, "ROLLBACK")
        case .savepoint: control(job, "SAVEPOINT \(savepointName(request))")
        case .rollbackTo: control(job, "ROLLBACK TO SAVEPOINT \(savepointName(request))")
        default:
            if hasKey(job, request), !job.isKeyOurs { return try claimKey(job, request) }
            try runUnits(job, request)
        }
    }

    // MARK: executions

    private func runUnits(_ job: Job, _ request: RequestMessage) throws(Failure) {
        let first = job.unitsSent
        if first == 0 { job.unitsStartedNanoseconds = context.now }
        var bytes = 0
        if first == 0, job.item.kind != .query, isTimed(job) {
            job.hasBegun = true
            sendStatement(BatchFrame.begin, .control)
        }
        while job.unitsSent < job.unitCount, job.unitsSent - first < settings.executionsPerRoundMax,
            bytes < settings.bytesPerRoundMax
        {
            let unit = job.unitsSent
            do throws(Failure) {
                guard try sendUnit(unit, job, request) else {
                    if unit > first { break }
                    return
                }
            } catch {
                var failure = error
                failure.item = itemNumber(unit, job)
                guard unit > first || job.hasBegun else { throw failure }
                job.failure = job.failure ?? failure
                break
            }
            bytes += parameters.byteCount
            job.unitsSent += 1
        }
        job.stage = .running
        if job.unitsSent == job.unitCount, job.failure == nil, isTimed(job) {
            askForTiming()
            if job.item.kind != .query { sendStatement(BatchFrame.end, .control) }
        }
        if job.unitsSent == job.unitCount, job.failure == nil, commitsWithLastUnit(job, request) {
            job.hasSentCommit = true
            job.stage = .committing
            sendStatement("COMMIT", .commit)
        }
        sendSync(.jobSync)
        guard job.unitsSent == job.unitCount, !isInTransaction else { return }
        if job.usesTransaction {
            if job.item.isReadOnly { sendReset(rollsBack: true) }
        } else if isDirty {
            sendReset(rollsBack: false)
        }
    }

    /// False: something must be learned first; that has been sent.
    private func sendUnit(_ unit: Int, _ job: Job, _ request: RequestMessage) throws(Failure) -> Bool {
        switch job.item.kind {
        case .query, .batch: return try sendClientUnit(unit, job, request)
        default:
            try sendKeyValueUnit(unit, job, request)
            return true
        }
    }

    func beginIfNeeded(_ job: Job) {
        guard job.usesTransaction, !job.hasBegun else { return }
        job.hasBegun = true
        sendStatement(
            job.item.isReadOnly
                ? "BEGIN ISOLATION LEVEL READ COMMITTED, READ ONLY" : "BEGIN ISOLATION LEVEL READ COMMITTED",
            .begin)
    }

    /// Whether the success of all executions is known to the server alone, so that COMMIT may follow at once.
    private func commitsWithLastUnit(_ job: Job, _ request: RequestMessage) -> Bool {
        guard job.usesTransaction, !job.item.isReadOnly, !hasKey(job, request) else { return false }
        return job.item.kind == .batch || results.keyValue.cannotRefuse
    }

    /// For `Failure.item`: counted from 1; 0 where there is only one.
    func itemNumber(_ unit: Int, _ job: Job) -> UInt32 {
        switch job.item.kind {
        case .batch: UInt32(unit + 1)
        case .write: UInt32(results.keyValue.order.indices[unit] + 1)
        default: 0
        }
    }

    // MARK: the end of a round

    func roundEnded(_ job: Job, _ failure: (purpose: Purpose, error: ServerError)?) {
        guard let request else { return retire("a round ended without its request") }
        do throws(Failure) {
            if case .certifying = job.stage { return try certified(job, request, failure?.error) }
            if job.hasOtherColumns, failure == nil, !job.isStreaming { return try startAgain(job, request) }
            if let failure {
                if var own = job.failure {
                    // What was taken to stand has been refused at the commit.
                    if own.outcome == .executed {
                        own.outcome = outcome(of: job, .error(failure.error), at: position(of: job))
                    }
                    throw own
                }
                return try failed(job, request, failure)
            }
            switch job.stage {
            case .learning: try learned(job, request)
            case .namingTypes: try namedTypes(job, request)
            case .claimingKey:
                if job.isKeyOurs { try proceed(job, request) } else { fetchEarlierAnswer(job, request) }
            case .replaying: try replay(job)
            case .certifying: break
            case .control, .waiting: controlEnded(job)
            case .committing:
                // Committed, but what its executions returned cannot be answered.
                if var failure = job.failure {
                    if job.isReplicationDoubtful { failure.outcome = .unknown }
                    throw failure
                }
                try answerUnits(job)
            case .running:
                if job.failure == nil, job.unitsSent < job.unitCount { return try proceed(job, request) }
                try unitsEnded(job, request)
            }
        } catch {
            stop(job, error)
        }
    }

    private func unitsEnded(_ job: Job, _ request: RequestMessage) throws(Failure) {
        if let failure = job.failure { throw failure }
        guard job.unitsDone == job.unitCount else {
            throw Failure(.internal, at: .execute, outcome: .unknown, "an execution was not answered")
        }
        guard job.usesTransaction, !job.item.isReadOnly else { return try answerUnits(job) }
        if hasKey(job, request) { try storeAnswer(job, request) }
        job.hasSentCommit = true
        job.stage = .committing
        sendStatement("COMMIT", .commit)
        sendSync(.jobSync)
    }

    private func answerUnits(_ job: Job) throws(Failure) {
        if job.item.kind == .commit { return commitEnded(job) }
        if job.isReplicationDoubtful { throw .replicationDoubt(job) }
        do throws(Failure) {
            if output.isEmpty { try packUnits(job) }
        } catch {
            var failure = error
            if !isInTransaction, !job.item.isReadOnly, !job.item.kind.isKeyValueRead { failure.outcome = .executed }
            throw failure
        }
        context.ranAlone(job, bytes: output.count)
        context.finish(job, output.bytes)
    }

    // MARK: failures

    private func failed(
        _ job: Job, _ request: RequestMessage, _ failure: (purpose: Purpose, error: ServerError)
    ) throws(Failure) {
        let (purpose, error) = failure
        if case .learning(let step) = job.stage, step == .declared, try inferInstead(job, request, error) { return }
        var isStale = false
        if SQLStateMapping.isStalePlan(error) { context.doubtedAt = context.now }
        if SQLStateMapping.isStalePlan(error), job.mayRestart {
            if case .unit(let unit) = purpose {
                forget(unit, job, request, isPrepared: error.sqlState != "26000")
                isStale = true
            }
            if case .deallocate = purpose { isStale = true }
        }
        let isLearning = if case .learning = job.stage { true } else { false }
        let failedUnit: Int? =
            switch purpose {
            case .unit(let unit): unit
            // In front of the unit that would have come next.
            case .prepare: isLearning ? learning.unit : job.unitsDone < job.unitCount ? job.unitsDone : nil
            case .describe: learning.unit
            default: nil
            }
        // A value is read as what its place was before the server looks whether it still is.
        let isUnreadable = SQLStateMapping.isUnreadableValue(error)
        if let failedUnit, !isLearning, isUnreadable || SQLStateMapping.isOfTypes(error) {
            doubtTypes(failedUnit, job, request, onlyInferred: isUnreadable)
        }
        if case .typeNumber = purpose, let unknown = unknownType(error) { throw unknown }
        if job.mayRestart, SQLStateMapping.isMissingType(error), namesTypes(request) {
            context.types.forgetAll()
            isStale = true
        }
        // What commits by itself may have done so before a statement inside of it failed like this: then it names another.
        if job.kind == .notTransactional, !error.message.contains(PreparedName.prefix) { isStale = false }
        // Inside the client's transaction everything before it is lost as well: that is the client's to repeat.
        if isStale, !isInTransaction { return try startAgain(job, request) }
        let outcome = outcome(of: job, .error(error), at: position(of: job))
        var mapped =
            isOwnTableMissing(job, error)
            ? Failure.schemaMissing(error, outcome: outcome)
            : SQLStateMapping.failure(error, at: .execute, outcome: outcome)
        if let failedUnit { mapped.item = itemNumber(failedUnit, job) }
        throw mapped
    }

    /// From the beginning, on the same connection: nothing of it has remained.
    private func startAgain(_ job: Job, _ request: RequestMessage) throws(Failure) {
        rollBackFailed()
        job.restart()
        answer.reset()
        results = UnitResults()
        try planWrites(request)
        try proceed(job, request)
    }

    /// Ends what a failure has left open, in front of the next round, which begins with no transaction.
    func rollBackFailed() {
        guard status != .idle else { return }
        sendStatement("ROLLBACK", .control)
        status = .idle
    }

    /// Whether a statement of Prism's own failed because its tables are not there, or not for this role.
    private func isOwnTableMissing(_ job: Job, _ error: ServerError) -> Bool {
        guard ["3F000", "42P01", "42501", "42704", "42703"].contains(error.sqlState) else { return false }
        switch job.stage {
        case .claimingKey, .replaying: return true
        default: return job.item.kind != .query && job.item.kind != .batch
        }
    }

    func position(of job: Job) -> CommitPosition {
        if job.item.isReadOnly || job.item.kind.isKeyValueRead { return .readOnly }
        switch job.item.kind {
        case .begin, .savepoint, .rollbackTo, .rollback: return .inTransaction
        case .commit: return job.hasSentCommit ? .commitSent : .inTransaction
        default: break
        }
        if isInTransaction { return .inTransaction }
        if job.usesTransaction { return job.hasSentCommit ? .commitSent : job.hasBegun ? .inTransaction : .notBegun }
        if !job.hasSentWrite { return .notBegun }
        return job.unitsDone == job.unitCount ? .complete : .running
    }

    func outcome(of job: Job, _ ending: Ending, at position: CommitPosition) -> Outcome {
        PrismCore.outcome(kind: job.kind, position: position, ending: ending)
    }

    /// The job fails; what it left behind on the connection is rolled back and reset by `settle`.
    func stop(_ job: Job, _ failure: Failure) {
        var failure = failure
        if job.isStreaming { failure.stage = .stream }
        let isOver = isRetired || job.item.kind == .begin || (job.item.kind == .commit && status == .idle)
        if isInTransaction, isOver { transactionEnded() }
        context.fail(job, failure, effect: job.item.transaction != .none && !isInTransaction ? .ended : .unchanged)
        settle()
    }
}

extension Failure {
    fileprivate static func schemaMissing(_ error: ServerError, outcome: Outcome) -> Failure {
        Failure(
            .failedPrecondition, at: .execute, outcome: outcome,
            "\(error.message): key-value and idempotency keys need Prism's tables, and rights to them; see prism schema apply",
            sqlState: error.sqlState)
    }
}
