internal import PrismCore
internal import PrismReactor
internal import PrismWire

/// One interactive read-write transaction: the writer is its own until it ends. Its limits are the session's; they arrive as
/// an abandonment.
extension WriterThread {
    func begin(_ transaction: TransactionReference, _ ticket: WorkTicket, _ executor: Executor, _ now: UInt64) {
        guard answers.begin(ticket, now: now) else { return end(transaction) }
        executor.connection.request = ticket
        defer { executor.connection.request = nil }
        do throws(Failure) {
            try versions.begin(on: executor.connection)
        } catch {
            // Nothing may stay open without a holder.
            executor.connection.request = nil
            rollBack()
            end(transaction)
            // Reserving version numbers may be in doubt; nothing of this request is.
            var failure = error
            failure.outcome = .notExecuted
            answers.fail(ticket, failure, effect: .ended, now: MonotonicClock.now())
            if failure.condemnsConnection { reopen() }
            return
        }
        guard ticket.move(from: .running, to: .sealed) else {
            ticket.frame = nil
            rollBack()
            return end(transaction)
        }
        writer.state.withLock { $0.queue.finished(transaction) }
        answers.finish(ticket, now: MonotonicClock.now())
    }

    func request(_ transaction: TransactionReference, _ ticket: WorkTicket, _ now: UInt64) {
        guard let executor, !executor.connection.isAutocommit else {
            end(transaction)
            guard answers.begin(ticket, now: now) else { return }
            if ticket.kind == .rollback { return answers.finish(ticket, effect: .ended, now: now) }
            return answers.fail(ticket, .transactionEnded, effect: .ended, now: now)
        }
        guard answers.begin(ticket, now: now) else {
            return writer.state.withLock { $0.queue.finished(transaction) }
        }
        switch ticket.kind {
        case .commit: commit(ticket, transaction, executor)
        case .rollback:
            rollBack()
            end(transaction)
            answers.finish(ticket, effect: .ended, now: MonotonicClock.now())
        case .savepoint, .rollbackTo:
            let result = executor.setSavepoint(ticket)
            output.removeAll(keepingUpTo: ReaderThread.outputKeptBytes)
            complete(ticket, transaction, executor, result)
        default: complete(ticket, transaction, executor, run(ticket, executor))
        }
    }

    /// Inside a savepoint of its own, so that a failure leaves nothing.
    private func run(_ ticket: WorkTicket, _ executor: Executor) -> Result<Void, Failure> {
        let connection = executor.connection
        do throws(Failure) {
            try connection.savepoint()
            try execute(ticket, executor)
            guard ticket.move(from: .running, to: .sealed) else {
                undo(executor)
                return .failure(.stopping)  // told to nobody: it is cancelled
            }
            try connection.release()
            return .success(())
        } catch {
            undo(executor)
            return .failure(error)
        }
    }

    /// The request is done; the transaction goes on unless SQLite has ended it.
    private func complete(
        _ ticket: WorkTicket, _ transaction: TransactionReference, _ executor: Executor, _ result: Result<Void, Failure>
    ) {
        let isOpen = isTransactionOpen(executor)
        if isOpen { writer.state.withLock { $0.queue.finished(transaction) } } else { end(transaction) }
        let effect: Completion.TransactionEffect = isOpen ? .unchanged : .ended
        let now = MonotonicClock.now()
        switch result {
        case .success: answers.finish(ticket, output.bytes, effect: effect, now: now)
        case .failure(let failure): answers.fail(ticket, failure, effect: effect, now: now)
        }
    }

    private func commit(_ ticket: WorkTicket, _ transaction: TransactionReference, _ executor: Executor) {
        let connection = executor.connection
        output.removeAll(keepingUpTo: ReaderThread.outputKeptBytes)
        var failed: Failure?
        do throws(Failure) {
            guard let frame = ticket.frame else { throw .databaseNotOpen }
            let request = try executor.decode(frame)
            let keys = IdempotencyKeys(
                connection: connection, uid: ticket.uid, wallMilliseconds: MonotonicClock.wallClockMilliseconds())
            var isReplayed = false
            if !request.idempotencyKey.isEmpty {
                if let answer = try keys.find(request.idempotencyKey, fingerprint: nil) {
                    answer.withUnsafeBytes { output.append($0) }
                    isReplayed = true
                } else {
                    try keys.record(request.idempotencyKey, fingerprint: nil, answer: [])
                }
            }
            if !isReplayed, ticket.move(from: .running, to: .sealed) { try connection.commit() }
        } catch {
            failed = error
        }
        // Does nothing after a COMMIT that has worked.
        if failed?.outcome == .unknown { reopen() } else { rollBack() }
        end(transaction)
        let now = MonotonicClock.now()
        if let failed {
            answers.fail(ticket, failed, effect: .ended, now: now)
        } else {
            answers.finish(ticket, output.bytes, effect: .ended, now: now)
        }
    }

    func rollBack() {
        guard let connection = executor?.connection else { return }
        if (try? connection.rollback()) == nil || !connection.isAutocommit { reopen() }
    }

    /// The writer is free again; answers what was sent behind the end.
    func end(_ transaction: TransactionReference) {
        let left = writer.state.withLock { $0.queue.ended(transaction) }
        let now = MonotonicClock.now()
        for ticket in left { answers.fail(ticket, .transactionEnded, effect: .ended, now: now) }
    }

    // MARK: one request

    /// Runs a request, its savepoint set; the body that answers it is then in the output.
    func execute(_ ticket: WorkTicket, _ executor: Executor) throws(Failure) {
        output.removeAll(keepingUpTo: ReaderThread.outputKeptBytes)
        guard let frame = ticket.frame else { throw .databaseNotOpen }
        executor.connection.request = ticket
        defer { executor.connection.request = nil }
        let request = try executor.decode(frame)
        let wall = MonotonicClock.wallClockMilliseconds()
        let isInTransaction = ticket.transaction != .none
        if !isInTransaction, !request.idempotencyKey.isEmpty {
            let keys = IdempotencyKeys(connection: executor.connection, uid: ticket.uid, wallMilliseconds: wall)
            let fingerprint = RequestFingerprint(frame.bytes)
            if let answer = try keys.find(request.idempotencyKey, fingerprint: fingerprint) {
                return answer.withUnsafeBytes { output.append($0) }
            }
            _ = try executor.start(
                request, isReadOnly: ticket.isReadOnly, wallMilliseconds: wall, mayStream: false, into: &output)
            return try keys.record(request.idempotencyKey, fingerprint: fingerprint, answer: Array(output.bytes))
        }
        let progress = try executor.start(
            request, isReadOnly: ticket.isReadOnly, wallMilliseconds: wall, mayStream: isInTransaction, into: &output)
        if case .streaming(let stream) = progress { try send(stream, ticket) }
    }

    /// Sends a stream's parts, waiting for its client. The last one stays in the output.
    private func send(_ stream: ReadStream, _ ticket: WorkTicket) throws(Failure) {
        defer {
            stream.close()
            writer.state.withLock { $0.stream = .none }
        }
        let window = writer.options.streamWindowBytes
        writer.state.withLock { state in
            state.stream = ticket.reference
            state.streamBytes = 0
        }
        var isLast = false
        while !isLast {
            let bytes = output.count
            writer.state.withLock { $0.streamBytes += bytes }
            answers.part(ticket, output.bytes)
            var mustWait = false
            let mayGoOn: Bool = writer.state.wait { state in
                state.isSleeping = false
                if ticket.isCancelled || state.isClosing || state.queue.isAbandoned { return .done(false) }
                // Once the window is used up, half of it must come free before more is sent.
                guard state.streamBytes > (mustWait ? window / 2 : window - 1) else { return .done(true) }
                mustWait = true
                state.isSleeping = true
                return .wait(untilNanoseconds: .max)
            }
            guard mayGoOn else {
                throw Failure(.cancelled, at: .stream, "cancelled while streaming")
            }
            output.removeAll(keepingUpTo: ReaderThread.outputKeptBytes)
            isLast = try stream.next(mayBeCut: true, into: &output)
        }
    }
}
