/// Which reader connection does what next: point reads in batches, queries and scans, streams that wait for their client,
/// read-only transactions. Worker threads ask it for work; a connection belongs to the thread that was given it until that
/// thread reports back.
///
/// A stream whose client does not keep up is parked: its connection stays bound, the thread goes on with others. A read-only
/// transaction keeps its connection between its requests. Both can hold a connection for long, so some connections are kept
/// for point reads: slow clients can use up the leases, never the gets of everybody else; and some leases for clients that hold
/// none (`HeldConnections`).
public struct LeaseScheduler<ID: Hashable & Sendable, Transaction: Hashable & Sendable, Item: Sendable>: Sendable {
    public struct Limits: Sendable, Equatable {
        /// Reader connections, opened on demand.
        public var connectionsMax = 20
        /// Of these, never given to queries, scans and transactions.
        public var connectionsForPointReads = 2
        /// Threads that may work on leases at the same time; the others are there for point reads.
        public var leaseWorkersMax = Int.max
        /// Requests waiting; apart from these as many of each transaction.
        public var requestsMax = 1_024
        /// Point reads that one thread takes at once; fewer when other threads are idle, so that all have some.
        public var pointReadsPerBatchMax = 32
        /// So few are not divided among threads: waking one costs more.
        public var pointReadsPerBatchMin = 8
        /// Time that a request may wait for a connection, nanoseconds.
        public var acquireTimeoutNanoseconds: UInt64 = 5_000_000_000
        /// An unused connection is closed after this, nanoseconds.
        public var idleTimeoutNanoseconds: UInt64 = 60_000_000_000
        /// Bytes of a stream that may be on their way to its client.
        public var streamWindowBytes = 256 << 10

        public init() {}

        var leasesMax: Int { max(1, connectionsMax - max(0, connectionsForPointReads)) }
    }

    public enum Admission: Sendable, Equatable {
        case queued
        /// The queue is at its limit, or the flow at its part of it.
        case full
        /// By estimate its turn would come after its deadline.
        case late
        /// No such transaction is open here.
        case notOpen
    }

    /// What a thread is to do, and on which connection (a number below `connectionsMax`; opened by the thread when it is not).
    public enum Work: Sendable {
        /// Report with `released`.
        case pointReads([Item], connection: Int)
        /// A query or scan; report with `sending` and `sent` for parts, at the end with `released`.
        case lease(Item, connection: Int)
        /// Report with `finished` when it is open, with `ended` when it failed.
        case begin(Transaction, Item, connection: Int)
        /// Report with `finished` or `ended`.
        case request(Transaction, Item, connection: Int)
        /// A parked stream may send again, or has been told to end.
        case resume(ID, connection: Int)
        /// Roll back; report with `ended`.
        case abandon(Transaction, connection: Int)
        /// Idle for too long, or no longer trusted; report with `released`.
        case close(connection: Int)
        case none
    }

    enum Slot: Sendable, Equatable {
        case closed
        case idle(sinceNanoseconds: UInt64)
        case working(isLease: Bool)
        /// Bound between two pieces of work: a parked stream, a transaction.
        case bound
    }

    struct Waiting: Sendable {
        let item: Item
        let begins: Transaction?
        let flow: Flow
    }

    struct Held: Sendable {
        let connection: Int
        var requests = RemovableQueue<ID, Item>()
        var isBusy = false
        var isAbandoned = false
    }

    struct Stream: Sendable {
        let connection: Int
        var outstandingBytes = 0
        var isParked = false
        /// It ends for others that wait.
        var isGivingWay = false
    }

    struct Lessee: Sendable {
        var flow: Flow
        var since: UInt64
        /// For a client that is waited for: a transaction, a stream.
        var isHeld: Bool
    }

    enum Runnable: Hashable, Sendable {
        case stream(ID)
        case transaction(Transaction)
    }

    public let limits: Limits
    private(set) var slots: [Slot]
    /// Slots that are `working(isLease: true)`.
    private(set) var leaseWorkers = 0
    var pointReads: FairQueue<ID, Waiting>
    var leases: FairQueue<ID, Waiting>
    var waitingBegins: [Transaction: ID] = [:]
    var transactions: [Transaction: Held] = [:]
    /// Where a transaction's waiting request stands.
    var transactionByRequest: [ID: Transaction] = [:]
    var streams: [ID: Stream] = [:]
    /// What has a connection already and can go on.
    var runnable = RemovableQueue<Runnable, Runnable>()
    var leased = 0
    /// Of each connection: whose the lease is.
    var lessees: [Lessee]
    var held: HeldConnections
    var givingWay = 0
    var prefersLease = false
    var prefersRunnable = true

    public init(limits: Limits = Limits()) {
        self.limits = limits
        slots = Array(repeating: .closed, count: max(1, limits.connectionsMax))
        lessees = Array(repeating: Lessee(flow: .own, since: 0, isHeld: false), count: slots.count)
        held = HeldConnections(maximum: limits.leasesMax)
        pointReads = FairQueue(
            requestsMax: limits.requestsMax, acquireTimeoutNanoseconds: limits.acquireTimeoutNanoseconds)
        leases = pointReads
    }

    // MARK: Looks

    /// Requests that wait for a connection or for their transaction's turn.
    public var count: Int { pointReads.count + leases.count + transactionByRequest.count }

    /// Of some flow the newest are served first.
    public var isOverloaded: Bool { pointReads.isOverloaded || leases.isOverloaded }
    /// Refused because they would have been late.
    public var lateTotal: UInt64 { pointReads.lateTotal + leases.lateTotal }
    /// When to come again after a refusal, nanoseconds.
    public func retryAfterNanoseconds(now: UInt64) -> UInt64 {
        max(pointReads.retryAfterNanoseconds(now: now), leases.retryAfterNanoseconds(now: now))
    }

    public struct Usage: Sendable, Equatable {
        public var idle = 0
        public var busy = 0
        public var leased = 0
    }

    public var usage: Usage {
        var usage = Usage()
        for slot in slots {
            switch slot {
            case .closed: break
            case .idle: usage.idle += 1
            case .working(isLease: false): usage.busy += 1
            case .working(isLease: true), .bound: usage.leased += 1
            }
        }
        return usage
    }

    /// Whether a thread that asks now would be given work that is not only housekeeping.
    public var hasWork: Bool {
        (mayWorkOnLeases && !runnable.isEmpty) || ((!pointReads.isEmpty || canLease) && freeSlot != nil)
    }

    /// When the longest waiting request has waited too long; nil: nobody waits.
    public var nextExpiryNanoseconds: UInt64? {
        guard let first = pointReads.nextExpiryNanoseconds else { return leases.nextExpiryNanoseconds }
        return min(first, leases.nextExpiryNanoseconds ?? .max)
    }

    /// When an idle connection is to be closed; nil: none is idle.
    public var nextIdleNanoseconds: UInt64? {
        var earliest: UInt64?
        for case .idle(let since) in slots {
            earliest = min(earliest ?? .max, saturatingSum(since, limits.idleTimeoutNanoseconds))
        }
        return earliest
    }

    // MARK: Requests

    public mutating func submitPointRead(
        _ item: Item, id: ID, flow: Flow = .own, deadline: UInt64 = .max, now: UInt64
    ) -> Admission {
        admit(Waiting(item: item, begins: nil, flow: flow), id, \.pointReads, deadline, now)
    }

    public mutating func submitLease(
        _ item: Item, id: ID, flow: Flow = .own, deadline: UInt64 = .max, now: UInt64
    ) -> Admission {
        admit(Waiting(item: item, begins: nil, flow: flow), id, \.leases, deadline, now)
    }

    public mutating func submitBegin(
        _ item: Item, id: ID, transaction: Transaction, flow: Flow = .own, deadline: UInt64 = .max, now: UInt64
    ) -> Admission {
        let admission = admit(Waiting(item: item, begins: transaction, flow: flow), id, \.leases, deadline, now)
        if admission == .queued { waitingBegins[transaction] = id }
        return admission
    }

    public mutating func submitRequest(_ item: Item, id: ID, transaction: Transaction) -> Admission {
        guard let held = transactions[transaction], !held.isAbandoned else { return .notOpen }
        // Not together with what waits for a connection: a full queue must not keep a transaction from ending.
        guard held.requests.count < limits.requestsMax else { return .full }
        transactions[transaction]?.requests.append(item, id: id)
        transactionByRequest[id] = transaction
        if !held.isBusy { runnable.append(.transaction(transaction), id: .transaction(transaction)) }
        return .queued
    }

    /// Takes a waiting item out; nil: it does not wait here.
    public mutating func remove(_ id: ID) -> Item? {
        if let taken = pointReads.remove(id) { return taken.item }
        if let taken = leases.remove(id) {
            if let transaction = taken.begins { waitingBegins[transaction] = nil }
            return taken.item
        }
        guard let transaction = transactionByRequest.removeValue(forKey: id) else { return nil }
        let item = transactions[transaction]?.requests.remove(id)
        if let held = transactions[transaction], held.requests.isEmpty, !held.isAbandoned {
            runnable.remove(.transaction(transaction))
        }
        return item
    }

    public enum Abandonment: Sendable {
        /// Its requests that have not run are handed over; a thread will be told to `abandon` it.
        case rollsBack([Item])
        case neverBegan(Item)
        case unknown
    }

    public mutating func abandon(_ transaction: Transaction) -> Abandonment {
        if let id = waitingBegins[transaction], let item = remove(id) { return .neverBegan(item) }
        guard let held = transactions[transaction] else { return .unknown }
        let items = takeRequests(transaction)
        transactions[transaction]?.isAbandoned = true
        if !held.isBusy { runnable.append(.transaction(transaction), id: .transaction(transaction)) }
        return .rollsBack(items)
    }

    // MARK: Streams

    /// A part is about to be sent: counted before it is on its way, so that no credit can overtake it.
    public mutating func sending(_ id: ID, bytes: Int, connection: Int) {
        if !lessees[connection].isHeld {
            lessees[connection].isHeld = true
            held.hold(for: lessees[connection].flow)
        }
        streams[id, default: Stream(connection: connection)].outstandingBytes += bytes
    }

    /// The stream's client does not read: it is to end if a request waits for the connection. A thread that is asked to go on
    /// with it sees that by `isGivingWay`. As many end as requests wait.
    public mutating func giveWay(_ id: ID) {
        guard let stream = streams[id], !stream.isGivingWay, leases.count > givingWay, held.isScarce(leased: leased)
        else { return }
        streams[id]?.isGivingWay = true
        givingWay += 1
        wake(id)
    }

    public func isGivingWay(_ id: ID) -> Bool { streams[id]?.isGivingWay ?? false }

    /// The part is on its way. False: the window is used up, and the stream is parked until `credit` or `wake`; the thread
    /// must not touch its connection any more.
    public mutating func sent(_ id: ID) -> Bool {
        guard let stream = streams[id], stream.outstandingBytes >= limits.streamWindowBytes else { return true }
        streams[id]?.isParked = true
        set(stream.connection, .bound)
        return false
    }

    /// The client has taken so much; goes on when half of the window is free again.
    public mutating func credit(_ id: ID, bytes: Int) {
        guard var stream = streams[id] else { return }
        stream.outstandingBytes = max(0, stream.outstandingBytes - max(0, bytes))
        streams[id] = stream
        if stream.isParked, stream.outstandingBytes <= limits.streamWindowBytes / 2 { wake(id) }
    }

    /// Lets a parked stream go on whatever its window says: it has been cancelled and must be closed.
    public mutating func wake(_ id: ID) {
        guard streams[id]?.isParked == true else { return }
        streams[id]?.isParked = false
        runnable.append(.stream(id), id: .stream(id))
    }

    /// The stream is over; its connection is still the thread's.
    public mutating func streamEnded(_ id: ID) {
        if streams.removeValue(forKey: id)?.isGivingWay == true { givingWay -= 1 }
    }

    // MARK: Reports of threads

    /// The connection is free again, or gone when it is not `isUsable`.
    public mutating func released(connection: Int, isUsable: Bool, now: UInt64) {
        if slots[connection] == .working(isLease: true) { leaseEnded(connection, now) }
        set(connection, isUsable ? .idle(sinceNanoseconds: now) : .closed)
    }

    /// The transaction's request, or its Begin, is done, and it is open.
    public mutating func finished(_ transaction: Transaction) {
        guard let held = transactions[transaction] else { return }
        transactions[transaction]?.isBusy = false
        set(held.connection, .bound)
        if held.isAbandoned || !held.requests.isEmpty {
            runnable.append(.transaction(transaction), id: .transaction(transaction))
        }
    }

    /// The transaction is gone. Answers its requests that have not run.
    public mutating func ended(_ transaction: Transaction, isUsable: Bool, now: UInt64) -> [Item] {
        let items = takeRequests(transaction)
        runnable.remove(.transaction(transaction))
        guard let held = transactions.removeValue(forKey: transaction) else { return items }
        leaseEnded(held.connection, now)
        set(held.connection, isUsable ? .idle(sinceNanoseconds: now) : .closed)
        return items
    }

    public func isAbandoned(_ transaction: Transaction) -> Bool { transactions[transaction]?.isAbandoned ?? false }

    // MARK: Work

    /// - Parameter idleThreads: others that could take a share of the point reads.
    public mutating func next(now: UInt64, idleThreads: Int = 0) -> Work {
        // In turns, so that neither streams nor new requests wait for all of the other.
        prefersRunnable.toggle()
        if prefersRunnable {
            if let work = nextRunnable() ?? nextFresh(idleThreads, now) { return work }
        } else {
            if let work = nextFresh(idleThreads, now) ?? nextRunnable() { return work }
        }
        if freeSlot != nil { pointReads.backendIsIdle() }
        if freeSlot != nil, leased < limits.leasesMax, mayWorkOnLeases { leases.backendIsIdle() }
        for (connection, slot) in slots.enumerated() {
            if case .idle(let since) = slot, now >= saturatingSum(since, limits.idleTimeoutNanoseconds) {
                set(connection, .working(isLease: false))
                return .close(connection: connection)
            }
        }
        return .none
    }

    /// Those that have waited for a connection longer than the acquire timeout, taken out.
    public mutating func expire(now: UInt64) -> [Item] {
        var expired: [Item] = []
        while let taken = pointReads.popExpired(now: now) { expired.append(taken.item) }
        while let taken = leases.popExpired(now: now) {
            if let transaction = taken.begins { waitingBegins[transaction] = nil }
            expired.append(taken.item)
        }
        return expired
    }

    /// Everything that waits, taken out: the backend stops or its database is away.
    public mutating func removeAllWaiting() -> [Item] {
        waitingBegins.removeAll()
        var items = pointReads.removeAll().map(\.item) + leases.removeAll().map(\.item)
        for transaction in transactions.keys { items += takeRequests(transaction) }
        return items
    }

    /// All that holds a connection between pieces of work, to be ended by the backend's stop.
    public mutating func endEverything() {
        for (id, stream) in streams where stream.isParked { wake(id) }
        for transaction in transactions.keys {
            guard transactions[transaction]?.isAbandoned == false else { continue }
            transactions[transaction]?.isAbandoned = true
            if transactions[transaction]?.isBusy == false {
                runnable.append(.transaction(transaction), id: .transaction(transaction))
            }
        }
    }

    /// One idle connection after another, to be closed.
    public mutating func takeIdle() -> Int? {
        for (connection, slot) in slots.enumerated() {
            if case .idle = slot {
                set(connection, .working(isLease: false))
                return connection
            }
        }
        return nil
    }

    /// Nothing is open any more.
    public var isAllClosed: Bool {
        slots.allSatisfy { if case .closed = $0 { true } else { false } }
    }

    mutating func set(_ connection: Int, _ slot: Slot) {
        if slots[connection] == .working(isLease: true) { leaseWorkers -= 1 }
        if slot == .working(isLease: true) { leaseWorkers += 1 }
        slots[connection] = slot
    }
}
