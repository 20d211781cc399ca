internal import PrismCore
internal import PrismReactor
internal import PrismWire

/// The way back to the reactors. Any thread.
struct Answers: Sendable {
    let sinks: [CompletionSink]

    /// Takes a ticket into work. False: it was cancelled, or has just been answered because its deadline had passed.
    func begin(_ ticket: WorkTicket, now: UInt64) -> Bool {
        ticket.startedNanoseconds = now
        guard ticket.deadlineNanoseconds > now else {
            ticket.startedNanoseconds = 0
            fail(
                ticket, Failure(.deadlineExceeded, at: .queue, "the deadline passed in the queue", isRetryable: true),
                now: now)
            return false
        }
        if ticket.move(from: .queued, to: .running) { return true }
        ticket.frame = nil
        return false
    }

    /// The final answer; nothing when the ticket was cancelled.
    func finish(
        _ ticket: WorkTicket, _ body: UnsafeRawBufferPointer, code: StatusCode = .ok, stage: Stage = .unspecified,
        effect: Completion.TransactionEffect = .unchanged, now: UInt64
    ) {
        ticket.frame = nil
        ticket.heldAnswer = .none
        guard
            ticket.move(from: .running, to: .done) || ticket.move(from: .sealed, to: .done)
                || ticket.move(from: .queued, to: .done)
        else { return }
        let started = ticket.startedNanoseconds
        deliver(
            Completion(
                reference: ticket.reference, kind: .final, code: code, stage: stage, transactionEffect: effect,
                startedNanoseconds: started, backendNanoseconds: started == 0 ? 0 : now - min(now, started)), body)
    }

    /// OK without a payload.
    func finish(_ ticket: WorkTicket, effect: Completion.TransactionEffect = .unchanged, now: UInt64) {
        finish(ticket, UnsafeRawBufferPointer(start: nil, count: 0), effect: effect, now: now)
    }

    func fail(
        _ ticket: WorkTicket, _ failure: Failure, effect: Completion.TransactionEffect = .unchanged, now: UInt64
    ) {
        var body = ByteQueue()
        ResponseBody.append(failure, to: &body)
        finish(ticket, body.bytes, code: failure.code, stage: failure.stage, effect: effect, now: now)
    }

    /// One part of a streamed answer.
    func part(_ ticket: WorkTicket, _ body: UnsafeRawBufferPointer) {
        deliver(Completion(reference: ticket.reference, kind: .part), body)
    }

    private func deliver(_ completion: Completion, _ body: UnsafeRawBufferPointer) {
        let reactor = Int(completion.reference.reactor)
        if reactor < sinks.count { sinks[reactor](completion, body) }
    }
}

extension Failure {
    static let databaseNotOpen = Failure(
        .unavailable, at: .connect, "the database is not open", isRetryable: true, retryAfterMicroseconds: 100_000)
    static let transactionEnded = Failure(.aborted, at: .execute, "the transaction has ended; begin again")
    static let stopping = Failure(
        .unavailable, at: .queue, "the sidecar is ending", isRetryable: true,
        retryAfterMicroseconds: MultiplexerSettings.drainRetryMicroseconds)

    /// The disk or the file failed under the connection: do not go on with it.
    var condemnsConnection: Bool { StatusMapping.condemnsConnection(sqliteCode) }
}
