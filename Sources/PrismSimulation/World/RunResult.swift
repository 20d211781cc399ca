/// A promise that a run has broken.
public struct Violation: Sendable, Equatable, CustomStringConvertible {
    /// Virtual time, nanoseconds since the run began.
    public let nanoseconds: UInt64
    public let message: String

    public var description: String { "\(formattedMilliseconds(nanoseconds)) ms: \(message)" }
}

/// What one run was and what it broke.
public struct RunResult: Sendable {
    public let seed: UInt64
    public let violations: [Violation]
    public let coverage: Coverage
    /// Of everything that happened, in order; equal for equal runs.
    public let digest: UInt64
    public let requests: Int
    public let answers: Int
    public let virtualNanoseconds: UInt64
}

/// Milliseconds with three digits behind the point.
public func formattedMilliseconds(_ nanoseconds: UInt64) -> String {
    let microseconds = nanoseconds / 1_000
    let rest = String(microseconds % 1_000)
    return "\(microseconds / 1_000)." + String(repeating: "0", count: 3 - rest.count) + rest
}
