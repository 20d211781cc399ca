/// Whether a backend that several engines serve can be reached: tells each change once.
public struct BackendHealth: Sendable, Equatable {
    public enum Change: Sendable, Equatable {
        /// No connection lives, and none can be opened; why.
        case down(reason: String)
        case up
    }

    private var isDown = false

    public init() {}

    /// - Parameter snapshots: one of each engine.
    /// - Returns: nil: no change.
    public mutating func update(_ snapshots: [EngineSnapshot]) -> Change? {
        let first = snapshots.first(where: \.isDown)
        guard isDown != (first != nil) else { return nil }
        isDown = first != nil
        return first.map { .down(reason: $0.problem) } ?? .up
    }
}
