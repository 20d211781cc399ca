/// Who has the only writer next: the plain writes as groups, an interactive transaction by itself.
///
/// In the order of `FairQueue`. A transaction's Begin waits its turn and then holds the writer until it ends; everybody else's
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
        /// The queue is at its limit, or the flow at its part of it.
        case full
        /// By estimate its turn would come after its deadline.
        case late
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
    }

    private struct Holder: Sendable {
        let transaction: Transaction
        var requests = RemovableQueue<ID, Item>()
        var isBusy = true
        var isAbandoned = false
    }

    public let limits: Limits
    private var waiting: FairQueue<ID, Waiting>
    private var holder: Holder?
    private var waitingBegins: [Transaction: ID] = [:]

    public init(limits: Limits = Limits()) {
        self.limits = limits
        waiting = FairQueue(
            requestsMax: limits.requestsMax, acquireTimeoutNanoseconds: limits.acquireTimeoutNanoseconds)
    }

    public var count: Int { waiting.count + (holder?.requests.count ?? 0) }
    /// The transaction that holds the writer, or is being opened or ended on it.
    public var holdingTransaction: Transaction? { holder?.transaction }
    public var isAbandoned: Bool { holder?.isAbandoned ?? false }
    /// Whether plain writes or a Begin wait: the sweeper makes way for them.
    public var hasWaiting: Bool { !waiting.isEmpty }
    /// Of some flow the newest are served first.
    public var isOverloaded: Bool { waiting.isOverloaded }
    /// Refused because they would have been late.
    public var lateTotal: UInt64 { waiting.lateTotal }
    /// When to come again after a refusal, nanoseconds.
    public func retryAfterNanoseconds(now: UInt64) -> UInt64 { waiting.retryAfterNanoseconds(now: now) }

    // MARK: Events

    public mutating func submitWrite(
        _ item: Item, id: ID, flow: Flow = .own, deadline: UInt64 = .max, now: UInt64
    ) -> Admission {
        admit(Waiting(item: item, begins: nil), id, flow, deadline, now)
    }

    public mutating func submitBegin(
        _ item: Item, id: ID, transaction: Transaction, flow: Flow = .own, deadline: UInt64 = .max, now: UInt64
    ) -> Admission {
        let admission = admit(Waiting(item: item, begins: transaction), id, flow, deadline, now)
        if admission == .queued { waitingBegins[transaction] = id }
        return admission
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
    public mutating func next(writesMax: Int, now: UInt64) -> Work {
        if holder != nil { return nextOfHolder() }
        if let taken = waiting.pop(now: now, where: { $0.begins != nil }), let transaction = taken.begins {
            waitingBegins[transaction] = nil
            holder = Holder(transaction: transaction)
            return .begin(transaction, taken.item)
        }
        let writes = takeWrites(max: writesMax, now: now)
        guard writes.isEmpty else { return .writes(writes) }
        waiting.backendIsIdle()
        return .none
    }

    /// More plain writes for the group that is open; never past a Begin whose turn it is, and none while a transaction holds the writer.
    public mutating func takeWrites(max: Int, now: UInt64) -> [Item] {
        var writes: [Item] = []
        guard holder == nil else { return writes }
        while writes.count < max, let taken = waiting.pop(now: now, where: { $0.begins == nil }) {
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
        while let taken = waiting.popExpired(now: now) {
            if let transaction = taken.begins { waitingBegins[transaction] = nil }
            expired.append(taken.item)
        }
        return expired
    }

    /// When the longest waiting one has waited too long; nil: nobody waits.
    public var nextExpiryNanoseconds: UInt64? { waiting.nextExpiryNanoseconds }

    /// Everything that waits, taken out: the backend stops or its database is away.
    public mutating func removeAll() -> [Item] {
        waitingBegins.removeAll()
        return waiting.removeAll().map(\.item) + (holder?.requests.removeAll() ?? [])
    }

    // MARK: Decisions

    private mutating func admit(
        _ waiter: Waiting, _ id: ID, _ flow: Flow, _ deadline: UInt64, _ now: UInt64
    ) -> Admission {
        switch waiting.push(waiter, id: id, flow: flow, deadline: deadline, now: now) {
        case .queued: .queued
        case .full: .full
        case .late: .late
        }
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
