extension DrainMachine {
    /// What moves the machine on; the text is the reason that logs, `/status` and `Notice` give.
    public enum Cause: String, Sendable, CaseIterable {
        case drainRequested = "drain was requested"
        /// The first signal, if it was SIGTERM.
        case terminate = "SIGTERM"
        /// The first signal, if it was SIGINT.
        case interrupt = "SIGINT"
        case laterSignal = "another signal"
        case clientsGone = "the clients are gone"
        case idle = "nothing is in flight"
        case flushed = "everything is answered"
        case budget = "the state has used up its budget"
    }

    public struct Transition: Hashable, Sendable, CustomStringConvertible {
        public let mode: Mode
        public let from: DrainState
        public let cause: Cause
        public let to: DrainState

        public var description: String { "\(mode.rawValue): \(from.name) to \(to.name), \(cause.rawValue)" }
    }

    /// All there are. The documentation prints them, each has a unit test, and the simulator must have taken every one.
    public static let transitions: [Transition] = [
        .native(.serving, .drainRequested, .lameDuck),
        .native(.serving, .terminate, .draining),
        .native(.serving, .interrupt, .draining),
        .native(.lameDuck, .terminate, .draining),
        .native(.lameDuck, .interrupt, .draining),
        .native(.draining, .idle, .cancelling),
        .native(.draining, .budget, .cancelling),
        .native(.draining, .laterSignal, .cancelling),
        .native(.cancelling, .flushed, .stopped),
        .native(.cancelling, .budget, .stopped),
        .native(.cancelling, .laterSignal, .stopped),
        .classic(.serving, .drainRequested, .lameDuck),
        .classic(.serving, .terminate, .lameDuck),
        .classic(.serving, .interrupt, .draining),
        .classic(.lameDuck, .interrupt, .draining),
        .classic(.lameDuck, .laterSignal, .draining),
        .classic(.lameDuck, .clientsGone, .draining),
        .classic(.lameDuck, .budget, .draining),
        .classic(.draining, .idle, .cancelling),
        .classic(.draining, .budget, .cancelling),
        .classic(.draining, .interrupt, .cancelling),
        .classic(.draining, .laterSignal, .cancelling),
        .classic(.cancelling, .flushed, .stopped),
        .classic(.cancelling, .budget, .stopped),
        .classic(.cancelling, .interrupt, .stopped),
        .classic(.cancelling, .laterSignal, .stopped),
    ]
}

extension DrainMachine.Transition {
    fileprivate static func native(
        _ from: DrainState, _ cause: DrainMachine.Cause, _ to: DrainState
    ) -> Self { Self(mode: .native, from: from, cause: cause, to: to) }

    fileprivate static func classic(
        _ from: DrainState, _ cause: DrainMachine.Cause, _ to: DrainState
    ) -> Self { Self(mode: .classic, from: from, cause: cause, to: to) }
}
