/// How fast a queue drains while something waits in it: the time from one departure to the next, nanoseconds.
///
/// Measured in windows over which the queue was never empty, so that idle time counts for nothing and a batch that leaves at
/// once counts for its whole interval. It is forgotten when nothing has been measured for a while: an old measurement must not
/// refuse anyone.
struct DrainEstimate: Sendable {
    private static let windowNanoseconds: UInt64 = 50_000_000
    private static let forgottenAfterNanoseconds: UInt64 = 1_000_000_000

    private var windowBegan: UInt64 = 0
    private var departures: UInt64 = 0
    private var gap: UInt64 = 0
    private var measuredAt: UInt64 = 0

    /// The first one waits.
    mutating func began(now: UInt64) {
        windowBegan = now
        departures = 0
    }

    /// One has left for the backend.
    mutating func departed(now: UInt64) {
        departures += 1
        let elapsed = now - min(now, windowBegan)
        guard elapsed >= Self.windowNanoseconds else { return }
        let sample = elapsed / departures
        // One slow statement must not count for all that follow: it rises slowly, and falls fast.
        if let known = gapNanoseconds(now: now) {
            gap = known / 2 + min(sample, saturatingSum(known, known)) / 2
        } else {
            gap = sample
        }
        measuredAt = now
        began(now: now)
    }

    /// Nil: nothing is known of late.
    func gapNanoseconds(now: UInt64) -> UInt64? {
        let isRecent = now < saturatingSum(measuredAt, max(Self.forgottenAfterNanoseconds, saturatingSum(gap, gap)))
        return gap > 0 && isRecent ? gap : nil
    }
}
