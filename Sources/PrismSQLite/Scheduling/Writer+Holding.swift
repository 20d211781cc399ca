internal import PrismCore
internal import PrismReactor
internal import PrismWire

/// One interactive read-write transaction: the writer is its own until it ends. Its limits are the session's; they arrive as
/// an abandonment.
extension Writer {
    func hold(_ begin: WorkTicket, _ executor: Executor, _ now: UInt64) {
        let transaction = begin.item.transaction
        guard backend.begin(begin, now: now) else { return backend.ended(transaction) }
        do throws(Failure) {
            try versions.begin(on: executor.connection)
        } catch {
            backend.ended(transaction)
            // Reserving version numbers may be in doubt; nothing of this request is.
            var failure = error
            failure.outcome = .notExecuted
            return backend.fail(begin, failure, started: now, effect: .ended)
        }
        guard begin.move(from: .running, to: .sealed) else {
            try? executor.connection.rollback()
            return backend.ended(transaction)
        }
        backend.finish(begin, UnsafeRawBufferPointer(start: nil, count: 0), started: now)
        var batch: [WorkTicket] = []
        while isHeld(by: transaction) {
            guard backend.held.take(max: 1, until: MonotonicClock.now() + Self.holdPollNanoseconds, &batch) else {
                break
            }
            guard let ticket = batch.popLast() else { continue }
            guard ticket.item.transaction == transaction else {
                endWithoutTransaction(ticket)
                continue
            }
            if !carryOut(ticket, executor) { break }
        }
        try? executor.connection.rollback()
        if !executor.connection.isAutocommit { reopen() }
        backend.ended(transaction)
        // What came in behind the end.
        while backend.held.count > 0, backend.held.take(max: 1, until: 0, &batch) {
            for ticket in batch { endWithoutTransaction(ticket) }
            batch.removeAll()
        }
    }

    private func isHeld(by transaction: TransactionReference) -> Bool {
        !backend.stopping.load(ordering: .relaxed) && !backend.abandoned.withLock { $0.contains(transaction) }
    }

    private func endWithoutTransaction(_ ticket: WorkTicket) {
        guard backend.begin(ticket, now: MonotonicClock.now()) else { return }
        if ticket.item.kind == .rollback {
            return backend.finish(ticket, UnsafeRawBufferPointer(start: nil, count: 0), started: 0, effect: .ended)
        }
        backend.fail(ticket, Failure(.aborted, at: .execute, "the transaction has ended; begin again"), effect: .ended)
    }

    /// One request of the transaction. False: it has ended.
    private func carryOut(_ ticket: WorkTicket, _ executor: Executor) -> Bool {
        let started = MonotonicClock.now()
        let connection = executor.connection
        guard backend.begin(ticket, now: started) else { return true }
        switch ticket.item.kind {
        case .rollback:
            try? connection.rollback()
            backend.finish(ticket, UnsafeRawBufferPointer(start: nil, count: 0), started: started, effect: .ended)
            return false
        case .commit:
            commit(ticket, executor, started)
            return false
        case .savepoint, .rollbackTo: setSavepoint(ticket, connection, started)
        default: runMember(ticket, executor, started)
        }
        return !connection.isAutocommit
    }

    private func runMember(_ ticket: WorkTicket, _ executor: Executor, _ started: UInt64) {
        let connection = executor.connection
        do throws(Failure) {
            try connection.savepoint()
            let body = try execute(ticket, executor)
            guard ticket.move(from: .running, to: .sealed) else { return try connection.rollbackToSavepoint() }
            try connection.release()
            body.withUnsafeBytes { backend.finish(ticket, $0, started: started) }
        } catch {
            if !connection.isAutocommit { try? connection.rollbackToSavepoint() }
            backend.fail(ticket, error, started: started, effect: connection.isAutocommit ? .ended : .unchanged)
        }
    }

    private func setSavepoint(_ ticket: WorkTicket, _ connection: Connection, _ started: UInt64) {
        decoding.reset()
        do throws(Failure) {
            guard let request = RequestMessage(ticket.item.frame.bytes, in: decoding) else {
                throw Failure(.resourceExhausted, at: .execute, "no memory to decode the request")
            }
            if let name = request.savepoint?.name.bytes { try connection.savepoint(named: name) }
            if let name = request.rollbackTo?.name.bytes { try connection.rollbackTo(named: name) }
            backend.finish(ticket, UnsafeRawBufferPointer(start: nil, count: 0), started: started)
        } catch {
            backend.fail(ticket, error, started: started, effect: connection.isAutocommit ? .ended : .unchanged)
        }
    }

    private func commit(_ ticket: WorkTicket, _ executor: Executor, _ started: UInt64) {
        let connection = executor.connection
        decoding.reset()
        do throws(Failure) {
            guard let request = RequestMessage(ticket.item.frame.bytes, in: decoding) else {
                throw Failure(.resourceExhausted, at: .execute, "no memory to decode the request")
            }
            let keys = IdempotencyKeys(
                connection: connection, uid: ticket.item.uid, wallMilliseconds: MonotonicClock.wallClockMilliseconds())
            if !request.idempotencyKey.isEmpty {
                if let answer = try keys.find(request.idempotencyKey, fingerprint: nil) {
                    try connection.rollback()
                    answer.withUnsafeBytes { backend.finish(ticket, $0, started: started, effect: .ended) }
                    return
                }
                try keys.record(request.idempotencyKey, fingerprint: nil, answer: [])
            }
            guard ticket.move(from: .running, to: .sealed) else { return try connection.rollback() }
            try connection.commit()
            backend.finish(ticket, UnsafeRawBufferPointer(start: nil, count: 0), started: started, effect: .ended)
        } catch {
            backend.fail(ticket, error, started: started, effect: .ended)
            try? connection.rollback()
            if error.outcome == .unknown { reopen() }
        }
    }
}
