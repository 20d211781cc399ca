import PrismWire

extension Multiplexer {
    /// Time has passed: what is due is cancelled or ended. Deadlines are never early.
    public func advance(to now: UInt64) {
        while let due = timers.popDue(now: now) {
            switch due.kind {
            case .request:
                requests[due.index].timer = -1
                cancel(due.index, .deadline, now)
            case .transactionIdle:
                transactions[due.index].idleTimer = -1
                idleTimerFired(due.index, now)
            case .transactionTotal:
                transactions[due.index].totalTimer = -1
                abort(due.index, now)
            case .frame:
                frameTimer = -1
                endSlowFrames(now)
            case .linger:
                connections[due.index].lingerTimer = -1
                // The last answer was not taken in time.
                hold(-connections[due.index].output.count, for: due.index)
                connections[due.index].output.removeAll()
                requestSettling(due.index)
            case .stall:
                connections[due.index].stallTimer = -1
                stallTimerFired(due.index, now)
            }
        }
    }

    /// One mechanism for every reason (CONTRACT 4): deadline, the client's word, a limit of its transaction, drain.
    func cancel(_ slot: Int, _ reason: Metrics.CancelReason, _ now: UInt64) {
        switch requests[slot].state {
        case .waiting:
            metrics.cancelled[reason, default: 0] += 1
            requests[slot].isCut = reason == .drain
            let transaction = Int(requests[slot].transaction)
            let next = requests[slot].nextInTransaction
            dequeue(slot, from: transaction)
            finish(slot, requests[slot].refusal ?? failure(reason, at: .queue, .notExecuted), now)
            poison(transaction, behind: next, now)
        case .submitted:
            requests[slot].cancelReason = reason
            actions.append(.cancel(backend: Int(requests[slot].backend), requestReference(slot)))
        case .finishing:
            // Asked before, and too late to stop: only a deadline does not wait for the outcome.
            if reason == .deadline { finishUnknown(slot, reason, now) }
        }
    }

    /// What the backend said to a cancel. Called at once, before any other event.
    public func cancelled(_ reference: RequestReference, _ outcome: CancelOutcome, now: UInt64) {
        let slot = reference.slot
        guard requests.isLive(slot, generation: reference.generation) else { return }
        guard let reason = requests[slot].cancelReason else {
            return violated("a cancel was answered that nobody asked for")
        }
        metrics.cancelled[reason, default: 0] += 1
        switch outcome {
        case .tooLate:
            requests[slot].state = .finishing
            if reason == .deadline { finishUnknown(slot, reason, now) }
        case .removed: finishCancelled(slot, reason, at: .queue, .notExecuted, now)
        case .stopped: finishCancelled(slot, reason, at: .execute, .notExecuted, now)
        }
    }

    /// At its deadline a request is answered, whatever it is doing: what may still take effect is UNKNOWN.
    func finishUnknown(_ slot: Int, _ reason: Metrics.CancelReason, _ now: UInt64) {
        let outcome: Outcome = requests[slot].mayWrite ? .unknown : .notExecuted
        finishCancelled(slot, reason, at: .execute, outcome, now)
    }

    private func finishCancelled(
        _ slot: Int, _ reason: Metrics.CancelReason, at stage: Stage, _ outcome: Outcome, _ now: UInt64
    ) {
        let failure = failure(reason, at: stage, outcome)
        requests[slot].isCut = reason == .drain
        let transaction = Int(requests[slot].transaction)
        let kind = requests[slot].kind
        finish(slot, failure, now)
        if transaction >= 0 { transactionAdvanced(transaction, kind, failure.code, .unchanged, now) }
    }

    private func failure(_ reason: Metrics.CancelReason, at stage: Stage, _ outcome: Outcome) -> Failure {
        switch reason {
        case .deadline:
            Failure(
                .deadlineExceeded, at: stage, outcome: outcome,
                outcome == .unknown
                    ? "the deadline passed while the change was being made durable; repeat it with an idempotency key to learn"
                    : "the deadline passed in stage \(stage.name)", isRetryable: outcome == .notExecuted)
        case .request: Failure(.cancelled, at: stage, outcome: outcome, "cancelled by the client's Cancel")
        case .disconnect: Failure(.cancelled, at: stage, outcome: outcome, "the connection was closed")
        case .drain:
            Failure(
                .unavailable, at: stage, outcome: outcome, Self.cutByDrain, isRetryable: outcome == .notExecuted,
                retryAfterMicroseconds: outcome == .notExecuted ? MultiplexerSettings.drainRetryMicroseconds : 0)
        case .transactionLimit:
            Failure(
                .aborted, at: stage, outcome: outcome, "the transaction ran out of its limits and is rolled back",
                isRetryable: true)
        }
    }

    /// Cancels a connection's requests without answers: it is gone or in error.
    func dropRequests(of index: Int, _ reason: Metrics.CancelReason) {
        while connections[index].firstRequest >= 0 {
            let slot = Int(connections[index].firstRequest)
            let transaction = Int(requests[slot].transaction)
            metrics.cancelled[reason, default: 0] += 1
            if phase > .serving { report.disconnected += 1 }
            if requests[slot].state == .waiting {
                dequeue(slot, from: transaction)
            } else {
                actions.append(.cancel(backend: Int(requests[slot].backend), requestReference(slot)))
                if transaction >= 0 { transactions[transaction].executing = -1 }
            }
            free(slot)
        }
    }

    /// An invariant was found broken: counted and logged, never the end of the process.
    func violated(_ what: String) {
        metrics.invariantViolations += 1
        actions.append(.log(.invariantViolated(what)))
    }
}
