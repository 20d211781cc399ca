/// What waits for a backend, in the order in which it is to be served. Decision record 8 has the reasons.
///
/// - Between flows: start-time fair queueing. The flow goes next that has had the least of the backend's time for its weight since it
///   became busy; one that becomes busy begins where the others are, so it is next, not behind their backlogs.
/// - Within a flow: first come, first served; newest first while the flow is overloaded.
/// - What by estimate cannot be served before its deadline is not let in.
///
/// Adding, taking and removing by identity cost no more than the logarithm of the number of busy flows, and allocate nothing once
/// the tables have grown. Time is CLOCK_MONOTONIC in nanoseconds, is passed in, and must not go back.
public struct FairQueue<ID: Hashable & Sendable, Element: Sendable>: Sendable {
    public enum Admission: Sendable, Equatable {
        case queued
        /// The queue is at its limit, or the flow at its part of it.
        case full
        /// It would be served too late.
        case late
    }

    struct Entry: Sendable {
        let id: ID
        let element: Element
    }

    struct Slot: Sendable {
        /// Nil: the slot is free.
        var entry: Entry?
        var lane = -1
        var since: UInt64 = 0
        /// When it has left the queue in any case.
        var end: UInt64 = 0
        /// Neighbours in its flow, in the order of arrival; of a free slot, `next` is the next free one. -1: none.
        var previous = -1
        var next = -1
        /// Neighbours among all, in the order of arrival.
        var older = -1
        var newer = -1
    }

    /// What is known of a flow, busy or not.
    struct Lane: Sendable {
        var flow: Flow
        var head = -1
        var tail = -1
        var count = 0
        /// What it had had of the backend, for its weight, when its next request begins; virtual nanoseconds.
        var start: UInt64 = 0
        /// Since when it waits for its turn; of equal starts the least goes first.
        var order: UInt64 = 0
        /// In `busy`.
        var position = 0
        /// Since when its oldest has waited too long; nil: it has not.
        var slowSince: UInt64?
        var isOverloaded = false
        /// What its requests have taken of late, nanoseconds; 0: unknown.
        var cost: UInt64 = 0
        /// Where it stood when its last request that was taken will be done.
        var finish: UInt64 = 0
    }

    public let requestsMax: Int
    private let acquireTimeoutNanoseconds: UInt64
    var slots: [Slot] = []
    private var slotByID = PlaceIndex()
    private var freeSlot = -1
    private var oldest = -1
    private var newest = -1
    var lanes: [Lane] = []
    var laneByFlow = PlaceIndex()
    var freeLanes: [Int] = []
    /// Lanes in which something waits: a heap, the next one first.
    var busy: [Int] = []
    /// Where the flows stand: the start of what was served last.
    var virtualTime: UInt64 = 0
    var latestFinish: UInt64 = 0
    var orders: UInt64 = 0
    /// What a request takes, of flows of which nothing is known.
    var typicalCost: UInt64 = QueueRules.unknownCostNanoseconds
    /// Of the flows in which something waits.
    var weights = 0
    private var overloadedLanes = 0
    public private(set) var count = 0
    private var drain = DrainEstimate()
    /// Not let in because they would have been late.
    public private(set) var lateTotal: UInt64 = 0

    /// - Parameters:
    ///   - requestsMax: elements that wait together.
    ///   - acquireTimeoutNanoseconds: how long one may wait, whatever its deadline; see `expired`.
    public init(requestsMax: Int, acquireTimeoutNanoseconds: UInt64) {
        self.requestsMax = requestsMax
        self.acquireTimeoutNanoseconds = acquireTimeoutNanoseconds
    }

    // MARK: Looks

    public var isEmpty: Bool { count == 0 }
    public func contains(_ id: ID) -> Bool { slot(of: id, slotByID.hash(of: id)) != nil }

    /// In some flow the newest are served first.
    public var isOverloaded: Bool { overloadedLanes > 0 }

    /// Since when the one has waited that has waited longest; nil: nobody waits.
    var oldestNanoseconds: UInt64? { oldest < 0 ? nil : slots[oldest].since }

    /// When the one that has waited longest has waited too long; nil: nobody waits.
    public var nextExpiryNanoseconds: UInt64? {
        oldestNanoseconds.map { saturatingSum($0, acquireTimeoutNanoseconds) }
    }

    /// When to come again after a refusal: by then half of what waits will have been served. 1 ms to 5 s.
    public func retryAfterNanoseconds(now: UInt64) -> UInt64 {
        guard let gap = drain.gapNanoseconds(now: now) else { return QueueRules.retryUnknownNanoseconds }
        let (time, overflow) = gap.multipliedReportingOverflow(by: UInt64(count / 2))
        return min(max(overflow ? .max : time, QueueRules.retryMinNanoseconds), QueueRules.retryMaxNanoseconds)
    }

    // MARK: Changes

    /// Puts an element at the end of its flow. One that waits already is not entered twice.
    /// - Parameters:
    ///   - deadline: when it must have been answered.
    ///   - serviceNanoseconds: what the backend takes for it at the least.
    public mutating func push(
        _ element: Element, id: ID, flow: Flow, deadline: UInt64 = .max, serviceNanoseconds: UInt64 = 0, now: UInt64
    ) -> Admission {
        let hash = slotByID.hash(of: id)
        guard slot(of: id, hash) == nil else { return .queued }
        let known = lane(of: flow)
        let own = known.map { lanes[$0].count } ?? 0
        guard hasRoom(for: flow, own: own, isNew: own == 0) else { return .full }
        let wait = estimatedWait(of: flow, own: own, isNew: own == 0, now: now)
        guard saturatingSum(saturatingSum(now, wait), serviceNanoseconds) <= deadline || isEmpty else {
            lateTotal += 1
            return .late
        }
        if isEmpty { drain.began() }
        let lane = known ?? remember(flow)
        if own == 0 { insertLane(lane, flow) }
        let end = min(deadline, saturatingSum(now, acquireTimeoutNanoseconds))
        if freeSlot < 0 { addSlot() }
        let index = freeSlot
        let previous = lanes.withPlaces { lanes in
            defer { lanes[lane].tail = index }
            if lanes[lane].tail < 0 { lanes[lane].head = index }
            lanes[lane].count += 1
            return lanes[lane].tail
        }
        slots.withPlaces { slots in
            freeSlot = slots[index].next
            slots[index] = Slot(
                entry: Entry(id: id, element: element), lane: lane, since: now, end: end, previous: previous,
                next: -1, older: newest, newer: -1)
            if previous >= 0 { slots[previous].next = index }
            if newest < 0 { oldest = index } else { slots[newest].newer = index }
        }
        newest = index
        slotByID.insert(index, hash: hash)
        count += 1
        return .queued
    }

    /// Takes the next to be served. Nil: nobody waits, or the next one does not fit; it then remains the next.
    public mutating func pop(now: UInt64, where fits: (Element) -> Bool = { _ in true }) -> Element? {
        busy.first.flatMap { pop($0, now, fits) }
    }

    /// Takes the next of those flows that may be served; the others keep their place. Nil: none of them waits.
    mutating func pop(now: UInt64, of mayBeServed: (Flow) -> Bool) -> Element? {
        next(of: mayBeServed).flatMap { pop($0, now) { _ in true } }
    }

    private mutating func pop(_ lane: Int, _ now: UInt64, _ fits: (Element) -> Bool) -> Element? {
        judge(lane, now)
        let index = lanes[lane].isOverloaded ? lanes[lane].tail : lanes[lane].head
        guard let element = slots[index].entry?.element, fits(element) else { return nil }
        charge(lane)
        drain.departed(now: now)
        remove(at: index)
        return element
    }

    /// The backend could do more than is asked for: with the queue, what is known of it has come to its end.
    public mutating func backendIsIdle() {
        if isEmpty { drain.forget() }
    }

    /// Takes the element with this identity, wherever it stands.
    @discardableResult
    public mutating func remove(_ id: ID) -> Element? {
        slot(of: id, slotByID.hash(of: id)).flatMap { take($0) }
    }

    private mutating func take(_ index: Int) -> Element? {
        let element = slots[index].entry?.element
        remove(at: index)
        return element
    }

    private mutating func remove(at index: Int) {
        slotByID.remove(index)
        count -= 1
        // At once: what an array asks at every change, whether it is shared, was a good part of a request's way through the queue.
        let (lane, previous, next) = slots.withPlaces { slots in
            let (previous, next) = (slots[index].previous, slots[index].next)
            let (older, newer) = (slots[index].older, slots[index].newer)
            if older < 0 { oldest = newer } else { slots[older].newer = newer }
            if newer < 0 { newest = older } else { slots[newer].older = older }
            if previous >= 0 { slots[previous].next = next }
            if next >= 0 { slots[next].previous = previous }
            slots[index].entry = nil
            slots[index].next = freeSlot
            return (slots[index].lane, previous, next)
        }
        freeSlot = index
        let isLast = lanes.withPlaces { lanes in
            if previous < 0 { lanes[lane].head = next }
            if next < 0 { lanes[lane].tail = previous }
            lanes[lane].count -= 1
            return lanes[lane].count == 0
        }
        if isLast { removeLane(lane) }
    }

    /// Takes one that has waited longer than the acquire timeout. Nil: nobody has.
    public mutating func popExpired(now: UInt64) -> Element? {
        guard let end = nextExpiryNanoseconds, end <= now else { return nil }
        return popOldest()
    }

    /// Takes the one that has waited longest, of whatever flow.
    public mutating func popOldest() -> Element? { oldest < 0 ? nil : take(oldest) }

    /// Takes everything, in the order of arrival.
    public mutating func removeAll() -> [Element] {
        var all: [Element] = []
        all.reserveCapacity(count)
        while let element = popOldest() { all.append(element) }
        return all
    }

    // MARK: Admission
    //
    // Inlined: for a call that only reads, the compiler copies the whole queue's fields first.

    /// The first half is whoever's comes first; of the other half each flow has a part by its weight, and one that is alone
    /// leaves a sixteenth of the queue to those that come.
    @inline(__always)
    private func hasRoom(for flow: Flow, own: Int, isNew: Bool) -> Bool {
        guard count < requestsMax else { return false }
        let half = requestsMax / 2
        guard count >= half else { return true }
        let weight = Int(flow.weight)
        let all = weights + (isNew ? weight : 0)
        if all == weight { return own < requestsMax - requestsMax / 16 }
        return own < max(1, half * weight / all)
    }

    /// Until the flow's share of the departures has served those before it, but no longer than until all are served.
    @inline(__always)
    private func estimatedWait(of flow: Flow, own: Int, isNew: Bool, now: UInt64) -> UInt64 {
        guard !isEmpty, let gap = drain.gapNanoseconds(now: now) else { return 0 }
        let weight = Int(flow.weight)
        let before = min(count, own * (weights + (isNew ? weight : 0)) / weight)
        let (wait, overflow) = gap.multipliedReportingOverflow(by: UInt64(before))
        return overflow ? .max : wait
    }

    /// CoDel's test: a queue is overloaded when for an interval not even the shortest wait came down to the target. First
    /// come, first served, the shortest wait is that of the oldest.
    private mutating func judge(_ lane: Int, _ now: UInt64) {
        let (since, end) = (slots[lanes[lane].head].since, slots[lanes[lane].head].end)
        let target = max(QueueRules.targetNanoseconds, (end - min(end, since)) / 4)
        guard now >= saturatingSum(since, target) else {
            if lanes[lane].slowSince != nil { lanes[lane].slowSince = nil }
            return setOverloaded(lane, false)
        }
        let slowSince = lanes[lane].slowSince ?? now
        lanes[lane].slowSince = slowSince
        if now >= saturatingSum(slowSince, QueueRules.intervalNanoseconds) { setOverloaded(lane, true) }
    }

    mutating func setOverloaded(_ lane: Int, _ isOverloaded: Bool) {
        guard lanes[lane].isOverloaded != isOverloaded else { return }
        lanes[lane].isOverloaded = isOverloaded
        overloadedLanes += isOverloaded ? 1 : -1
    }

    // MARK: Tables

    @inline(__always)
    private func slot(of id: ID, _ hash: UInt32) -> Int? { slotByID.find(hash) { slots[$0].entry?.id == id } }

    @inline(never)
    private mutating func addSlot() {
        freeSlot = slots.count
        slots.append(Slot())
    }
}

/// What holds for every queue before a backend.
enum QueueRules {
    /// A wait of less is no overload; nor is a quarter of what the request may wait: then no deadline is in danger.
    static let targetNanoseconds: UInt64 = 5_000_000
    /// CoDel's interval: longer than a burst.
    static let intervalNanoseconds: UInt64 = 100_000_000
    static let retryMinNanoseconds: UInt64 = 1_000_000
    static let retryMaxNanoseconds: UInt64 = 5_000_000_000
    /// While nothing has been measured.
    static let retryUnknownNanoseconds: UInt64 = 100_000_000
    static let unknownCostNanoseconds: UInt64 = 1_000_000
    static let costMinNanoseconds: UInt64 = 1_000
    /// Flows that are remembered; one more, and all that are not busy begin anew.
    static let pastFlowsMax = 1_024
}
