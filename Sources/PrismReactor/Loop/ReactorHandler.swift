/// What a reactor calls. All calls come on the thread that is in `Reactor.run`, one at a time.
///
/// The order inside a tick is fixed: `wokenUp` (results of other threads), `ready` for each descriptor, `endOfTick`
/// (deadlines). So a result and a deadline that fall into one tick are seen in that order.
///
/// **Tokens can be stale.** A tick hands out a batch that the kernel filled at one moment. If the handling of one event closes
/// the descriptor of a later one, that later event still comes, although its token was removed, and the descriptor's number or
/// the token's slot may by then belong to somebody else. So a token must carry a generation beside the slot, raised whenever
/// the slot is freed, and `ready` must ignore a token whose generation is not the slot's present one.
public protocol ReactorHandler: AnyObject {
    /// The descriptor registered under `token` is ready. See above about stale tokens.
    func ready(token: UInt64, events: Readiness)

    /// Somebody called `Reactor.wakeUp()` since the last call: drain the mailboxes. Many wake-ups may come as one.
    func wokenUp()

    /// All events of this tick are handled; flush what was collected, carry out what is due.
    ///
    /// - Parameter now: the tick's time, CLOCK_MONOTONIC nanoseconds (`Reactor.now`).
    /// - Returns: the next absolute deadline on that clock; `UInt64.max` for none. When nothing else happens, the next tick comes
    ///   at that time or later, never earlier. A deadline that has passed makes the next tick come at once.
    func endOfTick(now: UInt64) -> UInt64
}
