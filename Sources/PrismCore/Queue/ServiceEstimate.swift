/// The least that a backend takes for a request, nanoseconds: what has less time left than this is not worth starting.
///
/// The shortest time within an interval, so that slow statements do not count; a shorter one counts at once, a longer one only
/// after some intervals. It is forgotten when nothing has been measured for a while, so that it cannot lock a backend out.
struct ServiceEstimate: Sendable {
    private static let intervalNanoseconds: UInt64 = 100_000_000
    private static let forgottenAfterNanoseconds: UInt64 = 1_000_000_000

    private var least: UInt64 = 0
    private var leastOfInterval: UInt64 = .max
    private var intervalEnds: UInt64 = 0
    private var measuredAt: UInt64 = 0

    /// A request has been served.
    mutating func served(in time: UInt64, now: UInt64) {
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
}
