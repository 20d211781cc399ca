import PrismWire

/// The end of jobs, good and bad, and the way back to the pool.
extension ServerSession {
    // MARK: cancelling

    /// Asks that the job has no effect. The server is told; what follows is decided when everything has come back.
    func cancel(_ job: Job) -> CancelOutcome {
        let outcome: CancelOutcome
        switch position(of: job) {
        case .readOnly, .inTransaction, .notBegun: outcome = .stopped
        case .running, .complete, .commitSent: outcome = .tooLate
        }
        if outcome == .stopped {
            job.isDetached = true
            job.frame = nil
        }
        job.isCancelled = true
        setReading(true)
        if !expected.isEmpty { stopRunning() }
        settle()
        return outcome
    }

    /// Asks the server to stop what runs on the connection.
    func stopRunning() {
        guard fence.cancel(now: context.now) == .callCancel else { return }
        givesUpAt = saturatingSum(context.now, settings.cancelTimeoutNanoseconds)
        port.cancel(connection)
    }

    func cancelReturned() {
        perform(fence.cancelReturned())
        settle()
    }

    /// - Returns: when to call again at the latest.
    func advance() -> UInt64 {
        if sweep != .none, fence.isClear {
            guard context.now >= sweepEndsAt else { return sweepEndsAt }
            stopRunning()
        }
        guard !fence.isClear else { return min(guardBatch(), bearRest()) }
        // The server, or the network in between, does not answer any more: a new connection is better than none.
        guard context.now < givesUpAt else {
            conclude("the server did not stop in time")
            return .max
        }
        leaveBatchThatDoesNotStop()
        perform(fence.advance(to: context.now))
        return nextStep
    }

    /// Nobody waits for what is under way: a rollback, a reset. It has as long as a cancel has.
    /// - Returns: when to call again.
    private func bearRest() -> UInt64 {
        let isResting =
            batch == nil && sweep == .none && !expected.isEmpty && nextJob == nil && job?.isDetached != false
        guard isResting else {
            restEndsAt = .max
            return .max
        }
        if restEndsAt == .max { restEndsAt = saturatingSum(context.now, settings.cancelTimeoutNanoseconds) }
        guard context.now >= restEndsAt else { return restEndsAt }
        conclude("the server did not put the session back in time")
        return .max
    }

    private func perform(_ step: CancelFence.Step) {
        switch step {
        case .nothing: break
        case .callCancel: port.cancel(connection)
        case .sendFence:
            sendStatement("SELECT 1", .fence)
            sendSync(.fenceSync)
        }
    }

    // MARK: settling

    /// Looks what is to be done when nothing is being done.
    func settle() {
        if isRetired { return conclude() }
        guard expected.isEmpty else { return }
        if !fence.isClear {
            perform(fence.synchronized())
            guard fence.isClear, expected.isEmpty else { return }
        }
        if let job {
            guard job.isDetached else { return }
            leave(job)
        }
        if isInTransaction, !isAbandoned {
            guard let next = nextJob else { return }
            nextJob = nil
            return start(next)
        }
        if isInTransaction { transactionEnded() }
        if status != .idle || isDirty || mayHoldLocks { return sendReset() }
        giveBack(isReusable: true)
    }

    private func leave(_ job: Job) {
        self.job = nil
        request = nil
        setReading(true)
        answer.reset()
        output.removeAll(keepingUpTo: 1 << 16)
    }

    /// Whatever a client's statement may have changed in the session is put back (CONTRACT 3).
    /// - Parameter rollsBack: a transaction is open by then; nil: as the last Sync said.
    func sendReset(rollsBack: Bool? = nil) {
        if rollsBack ?? (status != .idle) { sendStatement("ROLLBACK", .reset(nil)) }
        parameters.removeAll()
        if isDirty {
            for index in SessionReset.statements.indices { sendReset(statement: index) }
        } else if mayHoldLocks {
            sendReset(statement: SessionReset.unlocking)
        }
        sendSync(.resetSync(clientExecutions, readOnly: readOnlyExecutions))
    }

    func sendReset(statement index: Int) {
        parameters.removeAll()
        execute(own: SessionReset.firstNumber + index, { SessionReset.statements[index] }, types: [], .reset(index))
    }

    /// The session holds the connection no more: it is closed, and who waits for it gets to know.
    func conclude(_ message: String? = nil) {
        isRetired = true
        batchLost()
        // What the server has said before counts: a statement that failed has left nothing, whatever became of its Sync.
        let ending = roundFailure.map { Ending.error($0.error) } ?? .connectionLost
        if let job, !job.isDetached {
            let outcome = outcome(of: job, ending, at: position(of: job))
            let text = message ?? retirement ?? "the connection to the database was lost"
            let failure = mapLoss(job, text, outcome)
            context.fail(job, failure, effect: isInTransaction || job.item.kind == .begin ? .ended : .unchanged)
        }
        job = nil
        request = nil
        transactionEnded()
        giveBack(isReusable: false)
    }

    private func mapLoss(_ job: Job, _ text: String, _ outcome: Outcome) -> Failure {
        // The server has said why, and then gone.
        if let error = roundFailure?.error, !mayInferInstead(job, error) {
            var failure = SQLStateMapping.failure(error, at: job.isStreaming ? .stream : .execute, outcome: outcome)
            if outcome == .unknown { failure.isRetryable = false }
            return failure
        }
        return Failure(
            .unavailable, at: job.isStreaming ? .stream : .execute, outcome: outcome,
            outcome == .unknown
                ? "\(text): it is not known whether the change was made; repeat it with an idempotency key to learn"
                : "\(text); nothing of the request remains, send it again", isRetryable: outcome == .notExecuted,
            retryAfterMicroseconds: outcome == .notExecuted ? 10_000 : 0)
    }
}

/// What puts a session back as it was made. Not DISCARD ALL, which drops the prepared statements.
enum SessionReset {
    /// Among Prism's own prepared statements.
    static let firstNumber = PostgreSQLStatement.allCases.count
    static let statements = [
        "RESET SESSION AUTHORIZATION", "RESET ALL", "UNLISTEN *", "CLOSE ALL",
        "SELECT pg_catalog.pg_advisory_unlock_all()", "DISCARD TEMP", "DISCARD SEQUENCES",
    ]

    /// Which of them a rollback does not do as well.
    static let unlocking = 4

    /// Whether it was this statement that has run, by the first word of its command tag.
    static func isTag(_ tag: String, of index: Int?) -> Bool {
        let statement = index.map { statements[$0] } ?? "ROLLBACK"
        return tag.prefix { $0 != " " } == statement.prefix { $0 != " " }
    }
}
