/// Keeps a cancel to the batch that it is meant for. A cancel names a connection, not a statement: one that comes late hits
/// whatever runs there then. So after a cancel nothing is sent until its call has returned, the batch's Sync has come, and
/// an empty round of its own, the fence, has passed, which takes a cancel that is still on its way.
///
/// A cancel can be lost, for instance when it comes between two statements of a batch: it is repeated while the batch runs on.
///
///     none ──cancel──> requested ──cancelReturned──> returned ──synchronized──> fencing ──fenceSynchronized──> none
///                         │  ^                          │
///                         │  └────────── repeated ──────┘
///                         └──synchronized──> synchronized ──cancelReturned──> fencing
public struct CancelFence: Sendable, Equatable {
    /// What the caller has to do.
    public enum Step: Sendable, Equatable {
        case nothing
        /// Report with `cancelReturned`.
        case callCancel
        /// Send a statement without effect and a Sync; report with `fenceSynchronized` when the Sync has come. That the statement
        /// is cancelled is no failure.
        case sendFence
    }

    public enum State: Sendable, Equatable {
        case none
        /// The call has not returned, the batch has not come to its Sync.
        case requested
        /// The call has returned, the batch runs on.
        case returned
        /// The batch has come to its Sync, the call has not returned.
        case synchronized
        /// The fence has been sent.
        case fencing
    }

    /// From one call to the next, if the batch runs on; doubles each time.
    public static let repeatFirstNanoseconds: UInt64 = 100_000_000
    public static let repeatMaxNanoseconds: UInt64 = 5_000_000_000

    public private(set) var state = State.none
    private var repeatAt: UInt64 = .max
    private var delay: UInt64 = 0

    public init() {}

    /// Whether anything may be sent.
    public var isClear: Bool { state == .none }

    /// When `advance` has something to do; `.max`: never. CLOCK_MONOTONIC nanoseconds.
    public var nextDeadline: UInt64 { state == .returned ? repeatAt : .max }

    /// A request of the batch that is running is to be stopped. Nothing to do when one has been asked for already.
    public mutating func cancel(now: UInt64) -> Step {
        guard state == .none else { return .nothing }
        delay = Self.repeatFirstNanoseconds
        return call(now)
    }

    /// The call of cancel has returned, whether or not it reached the server.
    public mutating func cancelReturned() -> Step {
        switch state {
        case .requested:
            state = .returned
            return .nothing
        case .synchronized: return fence()
        case .none, .returned, .fencing: return .nothing
        }
    }

    /// Everything that was sent before the fence has been answered, to its last Sync.
    public mutating func synchronized() -> Step {
        switch state {
        case .requested:
            state = .synchronized
            return .nothing
        case .returned: return fence()
        case .none, .synchronized, .fencing: return .nothing
        }
    }

    /// The fence's Sync has come.
    public mutating func fenceSynchronized() {
        if state == .fencing { state = .none }
    }

    public mutating func advance(to now: UInt64) -> Step {
        guard state == .returned, now >= repeatAt else { return .nothing }
        delay = min(delay * 2, Self.repeatMaxNanoseconds)
        return call(now)
    }

    private mutating func call(_ now: UInt64) -> Step {
        state = .requested
        repeatAt = saturatingSum(now, delay)
        return .callCancel
    }

    private mutating func fence() -> Step {
        state = .fencing
        return .sendFence
    }
}
