internal import PrismCore
internal import PrismReactor
internal import PrismWire

/// The writer's queue and its thread: a lock around the pure queue that decides who has the writer next.
final class Writer: Sendable {
    typealias Queue = WriterQueue<RequestReference, TransactionReference, WorkTicket>

    struct State {
        var queue: Queue
        var isSleeping = false
        var isClosing = false
        var hasTriedToOpen = false
        var openFailure: Failure?
        /// The answer that is being streamed out of the writer's transaction.
        var stream = RequestReference.none
        /// Bytes of it that the client has not taken yet.
        var streamBytes = 0
    }

    let options: SQLiteBackend.Options
    let settings: SQLiteSettings
    let answers: Answers
    let state: Monitor<State>
    private let threads = ThreadGroup()

    /// Starts the thread, which opens the file.
    init(
        options: SQLiteBackend.Options, settings: SQLiteSettings, answers: Answers,
        opened: @escaping @Sendable () -> Void
    ) throws {
        self.options = options
        self.settings = settings
        self.answers = answers
        var limits = Queue.Limits()
        limits.requestsMax = options.queueRequestsMax
        limits.acquireTimeoutNanoseconds = options.acquireTimeoutNanoseconds
        state = Monitor(State(queue: Queue(limits: limits)))
        try threads.start("sqlite-writer") { [self] in WriterThread(writer: self).run(opened: opened) }
    }

    // MARK: other threads' side

    func submitWrite(_ ticket: WorkTicket, now: UInt64) -> Failure? {
        submit(now) {
            $0.submitWrite(
                ticket, id: ticket.reference, flow: ticket.flow, deadline: ticket.deadlineNanoseconds, now: now)
        }
    }

    func submitBegin(_ ticket: WorkTicket, now: UInt64) -> Failure? {
        submit(now) {
            $0.submitBegin(
                ticket, id: ticket.reference, transaction: ticket.transaction, flow: ticket.flow,
                deadline: ticket.deadlineNanoseconds, now: now)
        }
    }

    func submitRequest(_ ticket: WorkTicket, now: UInt64) -> Failure? {
        submit(now) { $0.submitRequest(ticket, id: ticket.reference, transaction: ticket.transaction) }
    }

    private func submit(_ now: UInt64, _ enter: (inout Queue) -> Queue.Admission) -> Failure? {
        let (admission, retryAfter) = change { state -> (Queue.Admission?, UInt64) in
            guard !state.isClosing else { return (nil, 0) }
            let admission = enter(&state.queue)
            return (admission, admission == .queued ? 0 : state.queue.retryAfterNanoseconds(now: now))
        }
        switch admission {
        case .queued?: return nil
        case .full?: return .queueFull(backend: options.name, retryAfterNanoseconds: retryAfter)
        case .late?: return .late(backend: options.name, retryAfterNanoseconds: retryAfter)
        case .notOpen?: return .transactionEnded
        case nil: return .stopping
        }
    }

    /// True: it was waiting and has been taken out.
    func remove(_ reference: RequestReference) -> Bool { state.withLock { $0.queue.remove(reference) != nil } }

    func credit(_ reference: RequestReference, bytes: Int) {
        change { state in
            if state.stream == reference { state.streamBytes = max(0, state.streamBytes - max(0, bytes)) }
        }
    }

    /// Lets the thread look again: something that it waits for may have been cancelled.
    func wake() { change { _ in } }

    func abandon(_ transaction: TransactionReference) {
        let left: [WorkTicket] = change { state in
            switch state.queue.abandon(transaction) {
            case .rollsBack(let tickets): tickets
            case .neverBegan(let ticket): [ticket]
            case .unknown: []
            }
        }
        let now = MonotonicClock.now()
        for ticket in left { answers.fail(ticket, .transactionEnded, effect: .ended, now: now) }
    }

    /// Those that have waited too long, and when they may come again.
    func expire(now: UInt64) -> (tickets: [WorkTicket], retryAfterNanoseconds: UInt64) {
        state.withLock { ($0.queue.expire(now: now), $0.queue.retryAfterNanoseconds(now: now)) }
    }

    var nextExpiryNanoseconds: UInt64 { state.withLock { $0.queue.nextExpiryNanoseconds ?? .max } }

    /// Changes the state and wakes the thread when it sleeps.
    func change<Result>(_ body: (inout State) -> Result) -> Result {
        let (result, mustWake) = state.withLock { state in
            let result = body(&state)
            defer { state.isSleeping = false }
            return (result, state.isSleeping)
        }
        if mustWake { state.notifyAll() }
        return result
    }

    // MARK: state and end

    var openFailure: Failure? { state.withLock { $0.openFailure } }
    var look: (waiting: Int, isOverloaded: Bool, late: UInt64) {
        state.withLock { ($0.queue.count, $0.queue.isOverloaded, $0.queue.lateTotal) }
    }

    func stop(deadlineNanoseconds: UInt64) {
        let left: [WorkTicket] = change { state in
            state.isClosing = true
            // The holder's requests too: abandon would hand those over a second way.
            let left = state.queue.removeAll()
            if let transaction = state.queue.holdingTransaction { _ = state.queue.abandon(transaction) }
            return left
        }
        let now = MonotonicClock.now()
        for ticket in left { answers.fail(ticket, .stopping, now: now) }
        threads.join(deadlineNanoseconds: deadlineNanoseconds)
    }
}
