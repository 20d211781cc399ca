internal import PrismCore
internal import PrismReactor
internal import PrismWire

/// The reader threads and their connections: a lock around the scheduler that decides who does what.
final class ReaderPool: Sendable {
    typealias Scheduler = LeaseScheduler<RequestReference, TransactionReference, WorkTicket>

    struct State {
        var scheduler: Scheduler
        var idleThreads = 0
        /// A thread has been notified and has not looked yet.
        var isWakePending = false
        var isClosing = false
        var openFailure: Failure?
        /// Until then nobody tries to open the file again.
        var reopenNanoseconds: UInt64 = 0
    }

    static let reopenNanoseconds: UInt64 = 200_000_000
    /// How often a connection in use looks whether its file is still the one at the path.
    static let lookAgainNanoseconds: UInt64 = 100_000_000
    /// Connections that streams and transactions never get.
    private static let connectionsForPointReads = 2

    let settings: SQLiteSettings
    let answers: Answers
    let writer: Writer
    let state: Monitor<State>
    /// By number; each belongs to the thread that the scheduler has given it to.
    let connections: [ReaderConnection]
    private let backendName: String
    private let threads = ThreadGroup()

    init(options: SQLiteBackend.Options, settings: SQLiteSettings, answers: Answers, writer: Writer) throws {
        self.settings = settings
        self.answers = answers
        self.writer = writer
        backendName = options.name
        var limits = Scheduler.Limits()
        limits.connectionsMax = max(2, options.readerConnections)
        limits.connectionsForPointReads = min(Self.connectionsForPointReads, limits.connectionsMax / 2)
        limits.leaseWorkersMax = max(1, options.readers - 1)
        limits.requestsMax = options.queueRequestsMax
        limits.acquireTimeoutNanoseconds = options.acquireTimeoutNanoseconds
        limits.streamWindowBytes = options.streamWindowBytes
        connections = (0..<limits.connectionsMax).map { _ in ReaderConnection() }
        state = Monitor(State(scheduler: Scheduler(limits: limits)))
        for number in 0..<max(1, options.readers) {
            try threads.start("sqlite-read-\(number)") { [self] in ReaderThread(pool: self).run() }
        }
    }

    // MARK: the reactors' side

    func submitPointRead(_ ticket: WorkTicket, now: UInt64) -> Failure? {
        submit(now) {
            $0.submitPointRead(
                ticket, id: ticket.reference, flow: ticket.flow, deadline: ticket.deadlineNanoseconds, now: now)
        }
    }

    func submitLease(_ ticket: WorkTicket, now: UInt64) -> Failure? {
        submit(now) {
            $0.submitLease(
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

    private func submit(_ now: UInt64, _ enter: (inout Scheduler) -> Scheduler.Admission) -> Failure? {
        let (admission, retryAfter, mustWake) = state.withLock { state -> (Scheduler.Admission?, UInt64, Bool) in
            guard !state.isClosing else { return (nil, 0, false) }
            let admission = enter(&state.scheduler)
            let retryAfter = admission == .queued ? 0 : state.scheduler.retryAfterNanoseconds(now: now)
            return (admission, retryAfter, state.wantsWake())
        }
        if mustWake { state.notifyOne() }
        switch admission {
        case .queued?: return nil
        case .full?: return .queueFull(backend: backendName, retryAfterNanoseconds: retryAfter)
        case .late?: return .late(backend: backendName, retryAfterNanoseconds: retryAfter)
        case .notOpen?: return .transactionEnded
        case nil: return .stopping
        }
    }

    /// True: it was waiting and has been taken out.
    func remove(_ reference: RequestReference) -> Bool {
        state.withLock { $0.scheduler.remove(reference) != nil }
    }

    func credit(_ reference: RequestReference, bytes: Int) {
        change { $0.scheduler.credit(reference, bytes: bytes) }
    }

    /// Ends a stream that its client does not read, if others wait.
    func giveWay(_ reference: RequestReference) {
        change { $0.scheduler.giveWay(reference) }
    }

    /// Lets a parked stream see that it has been cancelled.
    func wake(_ reference: RequestReference) {
        change { $0.scheduler.wake(reference) }
    }

    func abandon(_ transaction: TransactionReference) {
        var left: [WorkTicket] = []
        change { state in
            switch state.scheduler.abandon(transaction) {
            case .rollsBack(let tickets): left = tickets
            case .neverBegan(let ticket): left = [ticket]
            case .unknown: break
            }
        }
        let now = MonotonicClock.now()
        for ticket in left { answers.fail(ticket, .transactionEnded, effect: .ended, now: now) }
    }

    /// Those that have waited too long, and when they may come again.
    func expire(now: UInt64) -> (tickets: [WorkTicket], retryAfterNanoseconds: UInt64) {
        state.withLock { ($0.scheduler.expire(now: now), $0.scheduler.retryAfterNanoseconds(now: now)) }
    }

    var nextExpiryNanoseconds: UInt64 { state.withLock { $0.scheduler.nextExpiryNanoseconds ?? .max } }

    func change(_ body: (inout State) -> Void) {
        let mustWake = state.withLock { state in
            body(&state)
            return state.wantsWake()
        }
        if mustWake { state.notifyOne() }
    }

    // MARK: state and end

    var openFailure: Failure? { state.withLock { $0.openFailure } }
    var look: (usage: Scheduler.Usage, waiting: Int, isOverloaded: Bool, late: UInt64) {
        state.withLock {
            ($0.scheduler.usage, $0.scheduler.count, $0.scheduler.isOverloaded, $0.scheduler.lateTotal)
        }
    }

    func stop(deadlineNanoseconds: UInt64) {
        let left = state.withLock { state in
            state.isClosing = true
            state.scheduler.endEverything()
            return state.scheduler.removeAllWaiting()
        }
        state.notifyAll()
        let now = MonotonicClock.now()
        for ticket in left { answers.fail(ticket, .stopping, now: now) }
        threads.join(deadlineNanoseconds: deadlineNanoseconds)
    }
}

extension ReaderPool.State {
    /// Whether a sleeping thread is to be notified: one at a time, and only for work that it would be given.
    mutating func wantsWake() -> Bool {
        guard idleThreads > 0, !isWakePending, scheduler.hasWork else { return false }
        isWakePending = true
        return true
    }
}

/// What belongs to one number of the scheduler: an open connection, and what is parked on it.
final class ReaderConnection: @unchecked Sendable {
    struct Parked {
        let stream: ReadStream
        let ticket: WorkTicket
    }

    /// Nil: closed.
    var executor: Executor?
    var parked: Parked?
    /// The disk or the file failed under it inside a transaction: closed when that ends.
    var isCondemned = false
    var lookAgainNanoseconds: UInt64 = 0
}
