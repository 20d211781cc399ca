/// How fast a queue drains while something waits in it: the time from one departure to the next, nanoseconds.
///
/// Measured in windows over which the queue was never empty, so that idle time counts for nothing and a batch that leaves at
/// once counts for its whole interval. A window begins with a departure: what opening connections takes says nothing of what
/// follows. It is forgotten when nothing has been measured for a while, or the backend has nothing to do: an old measurement must not
/// refuse anyone.
struct DrainEstimate: Sendable {
    private static let windowNanoseconds: UInt64 = 50_000_000
    /// Fewer are chance.
    private static let departuresMin: UInt64 = 8
    private static let forgottenAfterNanoseconds: UInt64 = 1_000_000_000

    /// Nil: no window is open.
    private var windowBegan: UInt64?
    private var departures: UInt64 = 0
    private var gap: UInt64 = 0
    private var measuredAt: UInt64 = 0

    /// Nobody has waited until now.
    mutating func began() { windowBegan = nil }

    /// The backend has nothing to do: what held for a queue before it holds no longer.
    mutating func forget() {
        windowBegan = nil
        gap = 0
    }

    /// One has left for the backend.
    mutating func departed(now: UInt64) {
        guard let began = windowBegan else { return beginWindow(now) }
        departures += 1
        let elapsed = now - min(now, began)
        guard elapsed >= Self.windowNanoseconds, departures >= Self.departuresMin else { return }
        let sample = elapsed / departures
        // One slow statement must not count for all that follow: it rises slowly, and falls fast.
        if let known = gapNanoseconds(now: now) {
            gap = known / 2 + min(sample, saturatingSum(known, known)) / 2
        } else {
            gap = sample
        }
        measuredAt = now
        beginWindow(now)
    }

    private mutating func beginWindow(_ now: UInt64) {
        windowBegan = now
        departures = 0
    }

    /// Nil: nothing is known of late.
    func gapNanoseconds(now: UInt64) -> UInt64? {
        let (time, overflow) = gap.multipliedReportingOverflow(by: 2 * Self.departuresMin)
        let end = saturatingSum(measuredAt, max(Self.forgottenAfterNanoseconds, overflow ? .max : time))
        return gap > 0 && now < end ? gap : nil
    }
}
