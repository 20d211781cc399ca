import PrismWire

extension Multiplexer {
    /// The transaction that a client's handle names; nil unless it is this connection's.
    func openTransaction(_ handle: UInt64, of index: Int) -> Int? {
        let reference = TransactionReference(rawValue: handle)
        guard reference.reactor == reactor, transactions.isLive(reference.slot, generation: reference.generation),
            transactions[reference.slot].connection == Int32(index)
        else { return nil }
        return reference.slot
    }

    /// A place for the transaction that a `Begin` opens.
    func openTransaction(for begin: Int, of index: Int, isReadOnly: Bool) -> Int {
        let slot = TransactionSlot(connection: Int32(index), backend: requests[begin].backend, isReadOnly: isReadOnly)
        guard let transaction = transactions.insert(slot) else {
            preconditionFailure("admission checks the table first")
        }
        transactions[transaction].executing = Int32(begin)
        requests[begin].transaction = Int32(transaction)
        let first = connections[index].firstTransaction
        transactions[transaction].nextInConnection = first
        if first >= 0 { transactions[Int(first)].previousInConnection = Int32(transaction) }
        connections[index].firstTransaction = Int32(transaction)
        clientClasses[connections[index].client].transactions += 1
        return transaction
    }

    // MARK: the queue of one transaction

    func enqueue(_ slot: Int, in transaction: Int, _ now: UInt64) {
        let last = transactions[transaction].lastWaiting
        requests[slot].followsFailure = transactions[transaction].followsFailure
        transactions[transaction].followsFailure = false
        if last >= 0 {
            requests[Int(last)].nextInTransaction = Int32(slot)
        } else {
            transactions[transaction].firstWaiting = Int32(slot)
        }
        transactions[transaction].lastWaiting = Int32(slot)
        pump(transaction, now)
    }

    func dequeue(_ slot: Int, from transaction: Int) {
        var previous: Int32 = -1
        var current = transactions[transaction].firstWaiting
        while current >= 0, current != Int32(slot) {
            previous = current
            current = requests[Int(current)].nextInTransaction
        }
        guard current >= 0 else { return violated("a waiting request was not in its transaction's queue") }
        let next = requests[slot].nextInTransaction
        if previous >= 0 {
            requests[Int(previous)].nextInTransaction = next
        } else {
            transactions[transaction].firstWaiting = next
        }
        if next < 0 { transactions[transaction].lastWaiting = previous }
        requests[slot].nextInTransaction = -1
    }

    /// Carries out or answers what waits, as far as possible.
    private func pump(_ transaction: Int, _ now: UInt64) {
        while transactions[transaction].executing < 0 {
            let slot = Int(transactions[transaction].firstWaiting)
            guard slot >= 0 else {
                if transactions[transaction].followsFailure { markPoisoned(transaction) }
                transactions[transaction].followsFailure = false
                return armIdleTimer(transaction, now)
            }
            if requests[slot].followsFailure { markPoisoned(transaction) }
            dequeue(slot, from: transaction)
            let kind = requests[slot].kind
            if let refusal = requests[slot].refusal {
                finish(slot, refusal, now)
                markPoisoned(transaction)
            } else if kind == .rollback, transactions[transaction].hasEndedInBackend {
                let completion = Completion(reference: requestReference(slot), kind: .final)
                scratch.removeAll(keepingUpTo: 1 << 16)
                appendEmptyResult(.rollback)
                finish(slot, completion, body: scratch.bytes, now)
                return close(transaction, now)
            } else if let failure = obstacle(transaction, kind) {
                finish(slot, failure, now)
                markPoisoned(transaction)
            } else {
                submit(slot, in: transaction)
            }
        }
    }

    private func submit(_ slot: Int, in transaction: Int) {
        guard let work = requests[slot].work else { return violated("a waiting request without work") }
        requests[slot].work = nil
        requests[slot].state = .submitted
        transactions[transaction].executing = Int32(slot)
        disarmIdleTimer(transaction)
        actions.append(.submit(backend: Int(requests[slot].backend), work))
    }

    /// Why the state of the transaction keeps an operation from running; nil: it may.
    private func obstacle(_ transaction: Int, _ kind: OperationKind) -> Failure? {
        switch transactions[transaction].state {
        case .beginning: return Failure(.internal, at: .queue, "the transaction has not begun yet")
        case .open: return nil
        case .aborted:
            return kind == .rollback
                ? nil
                : Failure(
                    .aborted, at: .queue,
                    "the transaction ran out of its limits and is rolled back; send Rollback, then begin again",
                    isRetryable: true)
        case .poisoned:
            if kind == .rollback { return nil }
            if kind == .rollbackTo, !transactions[transaction].hasEndedInBackend { return nil }
            return Failure(
                .failedPrecondition, at: .queue,
                transactions[transaction].hasEndedInBackend
                    ? "an earlier request of the transaction failed and ended it; send Rollback"
                    : "an earlier request of the transaction failed; send Rollback, or RollbackTo a savepoint")
        }
    }

    // MARK: transitions

    /// A request of the transaction has been answered.
    func transactionAdvanced(
        _ transaction: Int, _ kind: OperationKind, _ code: StatusCode, _ effect: Completion.TransactionEffect,
        _ now: UInt64
    ) {
        transactions[transaction].executing = -1
        // A stream had set it.
        disarmIdleTimer(transaction)
        if effect == .ended { transactions[transaction].hasEndedInBackend = true }
        switch kind {
        case .begin:
            guard code == .ok else { return close(transaction, now) }
            // A drain may have abandoned it meanwhile.
            guard transactions[transaction].state == .beginning else { break }
            transactions[transaction].state = .open
            let limits = limitsNanoseconds(transaction)
            transactions[transaction].totalTimer = timers.add(
                deadline: saturatingSum(now, limits.total), kind: .transactionTotal, index: transaction)
        case .commit, .rollback:
            if code == .ok { return close(transaction, now) }
            markPoisoned(transaction)
            // Its end was cut, and nothing else will end it.
            if phase == .cancelling { abort(transaction, now) }
        case .rollbackTo where code == .ok:
            if transactions[transaction].state == .poisoned { transactions[transaction].state = .open }
        default:
            if code != .ok { markPoisoned(transaction) }
        }
        pump(transaction, now)
    }

    /// A request of it is answered with a failure before its turn. It poisons what was sent behind it; what was sent before
    /// goes on, and a RollbackTo among that does not revive what it could not know of.
    /// - Parameter next: the waiting request sent behind it; -1: none.
    func poison(_ transaction: Int, behind next: Int32 = -1, _ now: UInt64) {
        if next >= 0 {
            requests[Int(next)].followsFailure = true
        } else {
            transactions[transaction].followsFailure = true
        }
        pump(transaction, now)
    }

    private func markPoisoned(_ transaction: Int) {
        if transactions[transaction].state == .open { transactions[transaction].state = .poisoned }
    }

    /// A limit is reached: the backend rolls back, and the handle answers ABORTED until Rollback.
    func abort(_ transaction: Int, _ now: UInt64) {
        let executing = Int(transactions[transaction].executing)
        if transactions[transaction].hasEndedInBackend { return }
        // A commit on its way is no longer idle or growing: its own deadline bounds it.
        if executing >= 0, requests[executing].kind == .commit || requests[executing].kind == .rollback { return }
        if phase >= .cancelling, transactions[transaction].state != .beginning { report.transactionsRolledBack += 1 }
        transactions[transaction].state = .aborted
        disarmIdleTimer(transaction)
        disarmTotalTimer(transaction)
        if executing >= 0, requests[executing].cancelReason != .drain { cancel(executing, .transactionLimit, now) }
        transactions[transaction].hasEndedInBackend = true
        actions.append(.abandon(backend: Int(transactions[transaction].backend), transactionReference(transaction)))
        pump(transaction, now)
    }

    /// The handle is gone; requests that were sent behind its end are answered.
    private func close(_ transaction: Int, _ now: UInt64) {
        while transactions[transaction].firstWaiting >= 0 {
            let slot = Int(transactions[transaction].firstWaiting)
            dequeue(slot, from: transaction)
            // What was refused when it came would not have run in any case.
            let failure =
                requests[slot].refusal
                ?? Failure(.notFound, at: .queue, "the transaction had ended before this request")
            finish(slot, failure, now)
        }
        release(transaction)
    }

    func abandonTransactions(of index: Int) {
        while connections[index].firstTransaction >= 0 {
            let transaction = Int(connections[index].firstTransaction)
            release(transaction)
        }
    }

    private func release(_ transaction: Int) {
        let index = Int(transactions[transaction].connection)
        if !transactions[transaction].hasEndedInBackend {
            actions.append(.abandon(backend: Int(transactions[transaction].backend), transactionReference(transaction)))
        }
        disarmIdleTimer(transaction)
        disarmTotalTimer(transaction)
        let next = Int(transactions[transaction].nextInConnection)
        let previous = Int(transactions[transaction].previousInConnection)
        if previous >= 0 {
            transactions[previous].nextInConnection = Int32(next)
        } else {
            connections[index].firstTransaction = Int32(next)
        }
        if next >= 0 { transactions[next].previousInConnection = Int32(previous) }
        clientClasses[connections[index].client].transactions -= 1
        transactions.remove(transaction)
    }

    // MARK: limits

    func limitsNanoseconds(_ transaction: Int) -> (idle: UInt64, total: UInt64) {
        let backend = settings.backends[Int(transactions[transaction].backend)]
        return transactions[transaction].isReadOnly
            ? (backend.readTransactionIdleNanoseconds, backend.readTransactionTotalNanoseconds)
            : (backend.writeTransactionIdleNanoseconds, backend.writeTransactionTotalNanoseconds)
    }

    func armIdleTimer(_ transaction: Int, _ now: UInt64) {
        guard transactions[transaction].idleTimer < 0, !transactions[transaction].hasEndedInBackend else { return }
        transactions[transaction].idleTimer = timers.add(
            deadline: saturatingSum(now, limitsNanoseconds(transaction).idle), kind: .transactionIdle,
            index: transaction)
    }

    private func disarmIdleTimer(_ transaction: Int) {
        let timer = transactions[transaction].idleTimer
        if timer >= 0 { timers.cancel(timer) }
        transactions[transaction].idleTimer = -1
    }

    private func disarmTotalTimer(_ transaction: Int) {
        let timer = transactions[transaction].totalTimer
        if timer >= 0 { timers.cancel(timer) }
        transactions[transaction].totalTimer = -1
    }
}
