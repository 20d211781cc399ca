/// Which request has which server connection, and when connections are opened and closed.
///
/// Idle connections are used again last in, first out, so that a surplus grows old and can be closed; requests wait in
/// the order of `FairQueue`. While the backend is down (a connect failed and no connection lives), nobody waits: requests are
/// refused at once, and one connection at a time probes. Time is CLOCK_MONOTONIC in nanoseconds and is passed in; it must not go back.
///
/// Belongs to one reactor. After each call its actions are to be carried out, in their order; calls with a reference that is
/// no longer valid change nothing.
public struct PoolScheduler: Sendable {
    public struct Limits: Sendable, Equatable {
        /// Kept open, and opened again when lost. At most `connectionsMax`.
        public var connectionsMin: Int
        /// Connecting, idle and leased ones together. At least 1.
        public var connectionsMax: Int
        /// Requests that wait for a connection.
        public var waitersMax: Int
        /// How long a request waits for a connection.
        public var acquireTimeoutNanoseconds: UInt64
        /// An unused connection above the minimum is closed after this.
        public var idleTimeoutNanoseconds: UInt64
        /// A connection is replaced at this age, 10% more or less for each, so that those opened together do not end together.
        public var lifetimeNanoseconds: UInt64
        /// Connects under way at the same time. At least 1.
        public var connectsAtOnceMax: Int
        /// Time to the next connect after one that failed; doubles with each failure. What is waited is between half and whole.
        public var backoffFirstNanoseconds: UInt64
        public var backoffMaxNanoseconds: UInt64

        public init(
            connectionsMin: Int = 5, connectionsMax: Int = 20, waitersMax: Int = 65_536,
            acquireTimeoutNanoseconds: UInt64 = 5_000_000_000, idleTimeoutNanoseconds: UInt64 = 600_000_000_000,
            lifetimeNanoseconds: UInt64 = 1_800_000_000_000, connectsAtOnceMax: Int = 4,
            backoffFirstNanoseconds: UInt64 = 50_000_000, backoffMaxNanoseconds: UInt64 = 10_000_000_000
        ) {
            self.connectionsMin = connectionsMin
            self.connectionsMax = connectionsMax
            self.waitersMax = waitersMax
            self.acquireTimeoutNanoseconds = acquireTimeoutNanoseconds
            self.idleTimeoutNanoseconds = idleTimeoutNanoseconds
            self.lifetimeNanoseconds = lifetimeNanoseconds
            self.connectsAtOnceMax = connectsAtOnceMax
            self.backoffFirstNanoseconds = backoffFirstNanoseconds
            self.backoffMaxNanoseconds = backoffMaxNanoseconds
        }
    }

    public enum Refusal: Sendable, Equatable {
        /// `waitersMax` requests wait already, or the flow has its part of them.
        case queueFull
        case acquireTimeout
        /// By estimate it could not be answered before its deadline.
        case late
        /// No connection lives and the last connect failed. Retry when the next probe is due; while one is under way,
        /// after the backoff that went before it.
        case backendDown(retryAfterNanoseconds: UInt64)
        case stopping
    }

    public enum Action: Sendable, Equatable {
        /// Report with `connected` or `connectFailed`.
        case connect(ServerConnectionReference)
        /// Let go of it, whatever it is doing; nothing is to be reported.
        case close(ServerConnectionReference)
        /// The connection is the request's until `release` or `lost`.
        case lease(RequestReference, ServerConnectionReference)
        case refuse(RequestReference, Refusal)
    }

    struct Waiter: Sendable {
        let reference: RequestReference
        let flow: Flow
        let deadline: UInt64
        let isTransaction: Bool
        /// Begun in its turn although it should be too slow.
        var isTrial = false
    }

    enum PlaceState: Sendable {
        /// In `freePlaces`.
        case free
        case connecting
        /// In the idle list.
        case idle
        case leased
    }

    struct Place: Sendable {
        var state = PlaceState.free
        var generation: UInt32 = 1
        /// Whose lease is under way, since when, and whether for a transaction, which says nothing of requests.
        var flow = Flow.own
        var leasedAt: UInt64 = 0
        var isTransaction = false
        /// For a client that is waited for: a transaction, a stream.
        var isHeld = false
        /// Its stream ends for others that wait.
        var isGivingWay = false
        /// Of the connect that is under way: how many failures had been counted when it began.
        var failuresBefore: UInt64 = 0
        var expiresAt: UInt64 = .max
        var idleSince: UInt64 = 0
        /// Neighbours in the idle list: towards its front, towards its back; -1: none.
        var previous = -1
        var next = -1
    }

    public let limits: Limits
    let connectionsMin: Int
    let connectionsMax: Int
    let connectsAtOnceMax: Int

    var places: [Place]
    var freePlaces: [Int]
    /// The idle connection used last, and the one used longest ago; -1: none.
    var idleFirst = -1
    var idleLast = -1
    var idle = 0
    var leased = 0
    var connecting = 0
    var held: HeldConnections
    var givingWay = 0
    /// While a connection is idle only such as may not have it: see `HeldConnections`.
    var waiters: FairQueue<RequestReference, Waiter>
    var service = ServiceEstimates()
    var lateAtTheirTurn: UInt64 = 0

    /// Failed connects since the last that succeeded.
    var failures = 0
    /// Failed connects that counted, ever.
    var failuresEver: UInt64 = 0
    /// The last backoff drawn, and the time at which it ends; 0 while connects succeed.
    var backoff: UInt64 = 0
    var retryAt: UInt64 = 0
    var randomState: UInt64

    public private(set) var isStopping = false
    var actions: [Action] = []

    /// - Parameter seed: of the jitter of lifetimes and backoff; a different one for each reactor and process.
    public init(limits: Limits = Limits(), seed: UInt64) {
        self.limits = limits
        connectionsMax = max(1, limits.connectionsMax)
        connectionsMin = min(max(0, limits.connectionsMin), connectionsMax)
        connectsAtOnceMax = max(1, limits.connectsAtOnceMax)
        places = Array(repeating: Place(), count: connectionsMax)
        held = HeldConnections(maximum: connectionsMax)
        freePlaces = Array((0..<connectionsMax).reversed())
        waiters = FairQueue(
            requestsMax: limits.waitersMax, acquireTimeoutNanoseconds: limits.acquireTimeoutNanoseconds)
        randomState = seed
    }

    // MARK: Looks

    public var usage: (idle: Int, leased: Int, connecting: Int, waiting: Int) {
        (idle, leased, connecting, waiters.count)
    }

    /// A connect failed and no connection lives.
    public var isDown: Bool { failures > 0 && idle + leased == 0 }

    /// When the next connect may begin after one that failed, nanoseconds; nil: the last one succeeded.
    public var retryNanoseconds: UInt64? { failures > 0 ? retryAt : nil }

    /// In some flow the newest are served first.
    public var isOverloaded: Bool { waiters.isOverloaded }

    /// Refused because they would have been late.
    public var lateTotal: UInt64 { waiters.lateTotal + lateAtTheirTurn }

    /// When to come again after a refusal by the queue, nanoseconds.
    public func retryAfterNanoseconds(now: UInt64) -> UInt64 { waiters.retryAfterNanoseconds(now: now) }

    /// When `advance` has something to do; `.max`: never. 0 until the first call has filled the pool to its minimum.
    @inline(__always)
    public var nextDeadline: UInt64 {
        var earliest = waiters.nextExpiryNanoseconds ?? .max
        var index = idleFirst
        while index >= 0 {
            earliest = min(earliest, places[index].expiresAt)
            index = places[index].next
        }
        if idleLast >= 0, idle + leased > connectionsMin { earliest = min(earliest, idleEnd(idleLast)) }
        if connectsWanted > 0 { earliest = min(earliest, retryAt) }
        return earliest
    }

    public var hasActions: Bool { !actions.isEmpty }

    /// Takes what is to be done, in order.
    public mutating func takeActions() -> [Action] {
        var taken: [Action] = []
        swap(&taken, &actions)
        return taken
    }

    /// Takes what is to be done, in order, in place of what is in `taken`; both arrays keep their memory.
    public mutating func takeActions(into taken: inout [Action]) {
        taken.removeAll(keepingCapacity: true)
        swap(&taken, &actions)
    }

    // MARK: Requests

    /// Asks for a connection: answered by exactly one `.lease` or `.refuse`, perhaps at once, unless it is withdrawn before.
    /// A request that waits already is not entered twice.
    /// - Parameters:
    ///   - deadline: when it must have been answered.
    ///   - isTransaction: it keeps the connection for more than itself.
    public mutating func acquire(
        _ reference: RequestReference, flow: Flow = .own, deadline: UInt64 = .max, isTransaction: Bool = false,
        now: UInt64
    ) {
        guard !isStopping else { return refuse(reference, .stopping) }
        var waiter = Waiter(reference: reference, flow: flow, deadline: deadline, isTransaction: isTransaction)
        if idleFirst >= 0, held.mayLease(flow, leased: leased) { return lease(takeIdle(idleFirst), to: waiter, now) }
        if isDown {
            refuse(reference, downRefusal(now))
        } else {
            waiter.isTrial = isTrialDue(waiter, now)
            let admission = waiters.push(
                waiter, id: reference, flow: flow, deadline: deadline,
                serviceNanoseconds: waiter.isTrial ? 0 : leastService(waiter, now), now: now)
            switch admission {
            case .queued: break
            case .full: refuse(reference, .queueFull)
            case .late: refuse(reference, .late)
            }
        }
        openConnections(now)
    }

    /// The request does not want a connection any more. False: it does not wait (any more); a lease for it may be among the
    /// actions.
    public mutating func withdraw(_ waiter: RequestReference) -> Bool { waiters.remove(waiter) != nil }

    /// A leased connection has begun to stream: its client decides from now on how long it is held.
    public mutating func hold(_ connection: ServerConnectionReference) {
        guard let index = place(of: connection), places[index].state == .leased, !places[index].isHeld else { return }
        places[index].isHeld = true
        held.hold(for: places[index].flow)
    }

    /// Whether a stream on this connection, whose client does not read, is to end because a request waits for the connection.
    /// As many end as requests wait.
    public mutating func givesWay(_ connection: ServerConnectionReference) -> Bool {
        guard let index = place(of: connection), places[index].state == .leased, !places[index].isGivingWay,
            waiters.count > givingWay, held.isScarce(leased: leased)
        else { return false }
        places[index].isGivingWay = true
        givingWay += 1
        return true
    }

    // MARK: Reports

    public mutating func connected(_ connection: ServerConnectionReference, now: UInt64) {
        guard let index = place(of: connection), places[index].state == .connecting else { return }
        connecting -= 1
        places[index].expiresAt = saturatingSum(now, drawLifetime())
        failures = 0
        backoff = 0
        retryAt = 0
        makeAvailable(index, now)
        settle(now)
    }

    /// The connect ended without a connection. There is nothing to close.
    public mutating func connectFailed(_ connection: ServerConnectionReference, now: UInt64) {
        guard let index = place(of: connection) else { return }
        guard places[index].state == .connecting else { return lost(connection, now: now) }
        let failuresBefore = places[index].failuresBefore
        vacate(index)
        countFailure(begunAfter: failuresBefore, now)
        settle(now)
    }

    /// A lease ends. A connection that is not reusable, or is past its lifetime, is closed.
    public mutating func release(_ connection: ServerConnectionReference, isReusable: Bool, now: UInt64) {
        guard let index = place(of: connection), places[index].state == .leased else { return }
        let time = now - min(now, places[index].leasedAt)
        waiters.served(places[index].flow, in: time)
        if !places[index].isTransaction { service.served(places[index].flow, in: time, now: now) }
        if isReusable, !isStopping, now < places[index].expiresAt {
            endLease(index)
            makeAvailable(index, now)
            serveIdle(now)
        } else {
            close(index)
            settle(now)
        }
    }

    /// An idle or leased connection broke. It is closed, and its place is free at once.
    public mutating func lost(_ connection: ServerConnectionReference, now: UInt64) {
        guard let index = place(of: connection) else { return }
        let wasConnecting = places[index].state == .connecting
        let failuresBefore = places[index].failuresBefore
        close(index)
        if wasConnecting { countFailure(begunAfter: failuresBefore, now) }
        settle(now)
    }

    // MARK: Time

    /// Refuses those that have waited too long, closes what is idle or alive for too long, opens what is due. An idle
    /// connection whose lifetime has ended may be leased once more before this comes to it.
    public mutating func advance(to now: UInt64) {
        while let waiter = waiters.popExpired(now: now) { refuse(waiter.reference, .acquireTimeout) }
        closeExpired(now)
        settle(now)
    }

    /// Nothing is opened or leased any more: those that wait are refused, connections that are not leased are closed, also
    /// those being opened; leased ones are closed as they come back.
    public mutating func stop(now: UInt64) {
        isStopping = true
        refuseAll(.stopping)
        for index in places.indices where places[index].state == .idle || places[index].state == .connecting {
            close(index)
        }
    }
}
