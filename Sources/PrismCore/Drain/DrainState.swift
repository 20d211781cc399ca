/// The states of an ending (CONTRACT 6), in order; numbers as in `prism.v1.DrainState`.
public enum DrainState: UInt8, Sendable, CaseIterable, Comparable {
    case serving = 1
    case lameDuck = 2
    case draining = 3
    case cancelling = 4
    case stopped = 5

    public static func < (left: DrainState, right: DrainState) -> Bool { left.rawValue < right.rawValue }

    public var name: String {
        switch self {
        case .serving: "SERVING"
        case .lameDuck: "LAME_DUCK"
        case .draining: "DRAINING"
        case .cancelling: "CANCELLING"
        case .stopped: "STOPPED"
        }
    }
}

/// What an ending did: the last log line, and part of `/status`.
public struct DrainReport: Sendable, Equatable {
    /// Requests in flight on entering each state.
    public var inFlightAtLameDuck = 0
    public var inFlightAtDraining = 0
    public var inFlightAtCancelling = 0
    /// Since the end began.
    public var finished: UInt64 = 0
    public var refused: UInt64 = 0
    public var cancelled: UInt64 = 0
    public var transactionsRolledBack: UInt64 = 0
    /// Requests that were read and never answered on a connection not in error. Must be 0.
    public var unanswered: UInt64 = 0
    public var milliseconds: UInt64 = 0

    public init() {}

    /// Whether anything was cut: with `drain.strict_exit` the exit code is then 3.
    public var cutAnything: Bool { cancelled > 0 || transactionsRolledBack > 0 || unanswered > 0 }
}
