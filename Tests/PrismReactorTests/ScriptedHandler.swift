import PrismReactor

/// A handler made of closures. Ends a run that lost something instead of hanging: `timedOut` must be false afterwards.
final class ScriptedHandler: ReactorHandler {
    var onReady: (UInt64, Readiness) -> Void = { _, _ in }
    var onWokenUp: () -> Void = {}
    var onEndOfTick: (UInt64) -> UInt64 = { _ in .max }
    private(set) var timedOut = false

    private let reactor: Reactor
    /// Far beyond what any of these tests takes: a backstop, not a measurement.
    private let backstop = MonotonicClock.now() + 60_000_000_000

    init(_ reactor: Reactor) {
        self.reactor = reactor
    }

    func ready(token: UInt64, events: Readiness) { onReady(token, events) }

    func wokenUp() { onWokenUp() }

    func endOfTick(now: UInt64) -> UInt64 {
        if now >= backstop {
            timedOut = true
            reactor.stop()
        }
        return min(onEndOfTick(now), backstop)
    }
}
