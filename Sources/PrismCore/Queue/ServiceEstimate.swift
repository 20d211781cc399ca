/// The least that a backend takes for a request, nanoseconds: what has less time left than this is not worth starting.
///
/// The shortest time within an interval, so that slow statements do not count; a shorter one counts at once, a longer one only
/// after some intervals. It is forgotten when nothing has been measured for a while, and one that should be too slow is tried now
/// and then: what is never begun cannot show that it is faster. So it cannot lock a backend out.
struct ServiceEstimate: Sendable {
    private static let intervalNanoseconds: UInt64 = 100_000_000
    private static let forgottenAfterNanoseconds: UInt64 = 1_000_000_000
    /// From one trial to the next, times what it may take.
    private static let trialPauseFactor: UInt64 = 4

    private var least: UInt64 = 0
    private var leastOfInterval: UInt64 = .max
    private var intervalEnds: UInt64 = 0
    private var measuredAt: UInt64 = 0
    /// When the next one may be tried.
    private var trialAt: UInt64 = 0

    /// A request has been served.
    mutating func served(in time: UInt64, now: UInt64) {
        if leastNanoseconds(now: now) == 0 { trialAt = trial(after: time, now: now) }
        leastOfInterval = min(leastOfInterval, time)
        if time < leastNanoseconds(now: now) { least = time }
        guard now >= intervalEnds else { return }
        least = leastNanoseconds(now: now)
        least = least == 0 ? leastOfInterval : least + (leastOfInterval - min(leastOfInterval, least)) / 4
        leastOfInterval = .max
        measuredAt = now
        intervalEnds = saturatingSum(now, Self.intervalNanoseconds)
    }

    /// 0: nothing is known of late.
    func leastNanoseconds(now: UInt64) -> UInt64 {
        now < saturatingSum(measuredAt, Self.forgottenAfterNanoseconds) ? least : 0
    }

    /// Whether one that has less time left than the least may be begun all the same; then it is the only one for a while.
    mutating func mayTry(now: UInt64) -> Bool {
        guard now >= trialAt else { return false }
        trialAt = trial(after: least, now: now)
        return true
    }

    /// Trials that fail take a small part of one connection.
    private func trial(after time: UInt64, now: UInt64) -> UInt64 {
        let (pause, overflow) = time.multipliedReportingOverflow(by: Self.trialPauseFactor)
        return saturatingSum(now, max(Self.intervalNanoseconds, overflow ? .max : pause))
    }
}

/// The estimates of all flows: what one client's requests take says nothing of those of another.
struct ServiceEstimates: Sendable {
    private var estimates: [Flow: ServiceEstimate] = [:]

    mutating func served(_ flow: Flow, in time: UInt64, now: UInt64) {
        if estimates.count >= QueueRules.pastFlowsMax, estimates[flow] == nil {
            estimates.removeAll(keepingCapacity: true)
        }
        estimates[flow, default: ServiceEstimate()].served(in: time, now: now)
    }

    /// 0: nothing is known of late.
    func leastNanoseconds(of flow: Flow, now: UInt64) -> UInt64 {
        estimates[flow]?.leastNanoseconds(now: now) ?? 0
    }

    mutating func mayTry(_ flow: Flow, now: UInt64) -> Bool { estimates[flow]?.mayTry(now: now) ?? true }
}
