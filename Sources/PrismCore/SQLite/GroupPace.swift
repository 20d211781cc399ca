/// How many writes are taken for a group at a time, and when it has run for long enough.
///
/// Whoever comes while a group runs waits for its COMMIT, and what has been taken for it goes before him: a client whose writes take
/// long must not make that the time of a whole group of them. So a group takes a few at a time, fewer where they take longer, and
/// none after its time.
public struct GroupPace: Sendable {
    /// What the members of a group may take together before no more are taken. About an fsync of a slow disk: shorter groups would
    /// spend most of their time on COMMIT.
    public static let groupNanoseconds: UInt64 = 10_000_000
    /// Taking costs a lock.
    public static let takenAtOnceMax = 32

    /// Of a member, of late.
    private var mean: UInt64 = 0
    private var spent: UInt64 = 0

    public init() {}

    /// A group begins.
    public mutating func began() { spent = 0 }

    /// A member has run, for so long.
    public mutating func ran(in nanoseconds: UInt64) {
        let (sum, overflow) = spent.addingReportingOverflow(nanoseconds)
        spent = overflow ? .max : sum
        mean = mean - mean / 4 + nanoseconds / 4
    }

    /// No more are taken for this group.
    public var isOver: Bool { spent >= Self.groupNanoseconds }

    /// Members to be taken together; at least 1.
    public var takenAtOnce: Int {
        Int(min(UInt64(Self.takenAtOnceMax), max(1, Self.groupNanoseconds / max(1, mean))))
    }
}
