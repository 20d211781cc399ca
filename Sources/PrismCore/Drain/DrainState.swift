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
