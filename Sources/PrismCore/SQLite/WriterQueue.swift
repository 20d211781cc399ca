/// Who has the only writer next: the plain writes as groups, an interactive transaction by itself.
///
/// First come, first served. A transaction's Begin waits its turn and then holds the writer until it ends; everybody else's
/// writes wait meanwhile. Requests of the holder come one after another in the order sent. Removal by identity is O(1).
public struct WriterQueue<ID: Hashable & Sendable, Transaction: Hashable & Sendable, Item: Sendable>: Sendable {
    public struct Limits: Sendable, Equatable {
        /// Requests waiting; apart from these as many of the holder.
        public var requestsMax = 1_024
        /// Time that Begin and writes may wait for the writer, nanoseconds.
        public var acquireTimeoutNanoseconds: UInt64 = 5_000_000_000

        public init() {}
    }

    public enum Admission: Sendable, Equatable {
        case queued
        /// The queue is at its limit.
        case full
        /// No such transaction holds the writer, or it is ending.
        case notOpen
    }

    public enum Work: Sendable {
        /// Plain writes, to be committed together with whatever else comes up.
        case writes([Item])
        /// Open this transaction; report with `finished` or `ended`.
        case begin(Transaction, Item)
        /// The holder's next request; report with `finished` or `ended`.
        case request(Transaction, Item)
        /// The holder has been abandoned: roll it back; report with `ended`.
        case abandon(Transaction)
        case none
    }

    private struct Waiting: Sendable {
        let item: Item
        let begins: Transaction?
        let sinceNanoseconds: UInt64
    }

    private struct Holder: Sendable {
        let transaction: Transaction
        var requests = RemovableQueue<ID, Item>()
        var isBusy = true
        var isAbandoned = false
    }

    public let limits: Limits
    private var waiting = RemovableQueue<ID, Waiting>()
    private var holder: Holder?
    private var waitingBegins: [Transaction: ID] = [:]

    public init(limits: Limits = Limits()) { self.limits = limits }

    public var count: Int { waiting.count + (holder?.requests.count ?? 0) }
    /// The transaction that holds the writer, or is being opened or ended on it.
    public var holdingTransaction: Transaction? { holder?.transaction }
    public var isAbandoned: Bool { holder?.isAbandoned ?? false }
    /// Whether plain writes or a Begin wait: the sweeper makes way for them.
    public var hasWaiting: Bool { !waiting.isEmpty }

    // MARK: Events

    public mutating func submitWrite(_ item: Item, id: ID, now: UInt64) -> Admission {
        admit(item, id: id, begins: nil, now: now)
    }

    public mutating func submitBegin(_ item: Item, id: ID, transaction: Transaction, now: UInt64) -> Admission {
        admit(item, id: id, begins: transaction, now: now)
    }

    public mutating func submitRequest(_ item: Item, id: ID, transaction: Transaction) -> Admission {
        guard let holder, holder.transaction == transaction, !holder.isAbandoned else { return .notOpen }
        // Not together with what waits behind it: a full queue must not keep the holder from ending its transaction.
        guard holder.requests.count < limits.requestsMax else { return .full }
        self.holder?.requests.append(item, id: id)
        return .queued
    }

    /// Takes a waiting item out; nil: it does not wait here.
    public mutating func remove(_ id: ID) -> Item? {
        if let taken = waiting.remove(id) {
            if let transaction = taken.begins { waitingBegins[transaction] = nil }
            return taken.item
        }
        return holder?.requests.remove(id)
    }

    /// What the writer does now.
    public mutating func next(writesMax: Int) -> Work {
        if holder != nil { return nextOfHolder() }
        guard let front = waiting.first else { return .none }
        if let transaction = front.begins {
            guard let taken = popWaiting() else { return .none }
            holder = Holder(transaction: transaction)
            return .begin(transaction, taken.item)
        }
        let writes = takeWrites(max: writesMax)
        return writes.isEmpty ? .none : .writes(writes)
    }

    /// More plain writes for the group that is open; never past a waiting Begin, and none while a transaction holds the writer.
    public mutating func takeWrites(max: Int) -> [Item] {
        var writes: [Item] = []
        guard holder == nil else { return writes }
        while writes.count < max, let front = waiting.first, front.begins == nil, let taken = popWaiting() {
            writes.append(taken.item)
        }
        return writes
    }

    /// The holder's request, or its Begin, is done and the transaction is open.
    public mutating func finished(_ transaction: Transaction) {
        guard holder?.transaction == transaction else { return }
        holder?.isBusy = false
    }

    /// The transaction is gone: committed, rolled back or lost. Answers its requests that have not run.
    public mutating func ended(_ transaction: Transaction) -> [Item] {
        guard var ending = holder, ending.transaction == transaction else { return [] }
        holder = nil
        return ending.requests.removeAll()
    }

    public enum Abandonment: Sendable {
        /// It waits or works as the holder; its requests that have not run are handed over. `next` will say `abandon`.
        case rollsBack([Item])
        /// Its Begin was still waiting and has been taken out.
        case neverBegan(Item)
        case unknown
    }

    public mutating func abandon(_ transaction: Transaction) -> Abandonment {
        if holder?.transaction == transaction {
            holder?.isAbandoned = true
            return .rollsBack(holder?.requests.removeAll() ?? [])
        }
        guard let id = waitingBegins[transaction], let item = remove(id) else { return .unknown }
        return .neverBegan(item)
    }

    /// Those that have waited longer than the acquire timeout, taken out.
    public mutating func expire(now: UInt64) -> [Item] {
        var expired: [Item] = []
        while let front = waiting.first, now >= saturatingSum(front.sinceNanoseconds, limits.acquireTimeoutNanoseconds),
            let taken = popWaiting()
        {
            expired.append(taken.item)
        }
        return expired
    }

    /// When the longest waiting one has waited too long; nil: nobody waits.
    public var nextExpiryNanoseconds: UInt64? {
        waiting.first.map { saturatingSum($0.sinceNanoseconds, limits.acquireTimeoutNanoseconds) }
    }

    /// Everything that waits, taken out: the backend stops or its database is away.
    public mutating func removeAll() -> [Item] {
        waitingBegins.removeAll()
        return waiting.removeAll().map(\.item) + (holder?.requests.removeAll() ?? [])
    }

    // MARK: Decisions

    private mutating func admit(_ item: Item, id: ID, begins: Transaction?, now: UInt64) -> Admission {
        guard count < limits.requestsMax else { return .full }
        waiting.append(Waiting(item: item, begins: begins, sinceNanoseconds: now), id: id)
        if let begins { waitingBegins[begins] = id }
        return .queued
    }

    private mutating func popWaiting() -> Waiting? {
        guard let taken = waiting.popFirst() else { return nil }
        if let transaction = taken.begins { waitingBegins[transaction] = nil }
        return taken
    }

    private mutating func nextOfHolder() -> Work {
        guard let transaction = holder?.transaction, holder?.isBusy == false else { return .none }
        if holder?.isAbandoned == true {
            holder?.isBusy = true
            return .abandon(transaction)
        }
        guard let item = holder?.requests.popFirst() else { return .none }
        holder?.isBusy = true
        return .request(transaction, item)
    }
}
