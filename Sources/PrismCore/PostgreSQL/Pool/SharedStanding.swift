/// Whether a statement goes into shared pipelines, by how it has run so far. Pure.
///
/// A statement is let in when it has run alone quickly, on a leased connection. What fails in a batch, returns too much, or is
/// in one that takes too long, has to prove itself again; one that is found slow then, more and more often.
///
///     proving ──ran alone quickly, as often as required──> trusted ──failed, too large, in a slow batch──> proving
public struct SharedStanding: Sendable, Equatable {
    /// What takes longer alone is slow, nanoseconds.
    static let slowNanoseconds: UInt64 = 4_000_000
    static let runsRequiredMax: UInt8 = 64

    public private(set) var isTrusted: Bool
    private var runsRequired: UInt8 = 1
    private var runs: UInt8 = 0

    public init(isTrusted: Bool) { self.isTrusted = isTrusted }

    /// It has run alone and succeeded.
    /// - Parameter isLarge: its answer was larger than a shared one may be.
    public mutating func ranAlone(in nanoseconds: UInt64, isLarge: Bool) {
        guard nanoseconds <= Self.slowNanoseconds, !isLarge else {
            isTrusted = false
            runs = 0
            runsRequired = min(runsRequired * 2, Self.runsRequiredMax)
            return
        }
        guard !isTrusted else { return }
        runs += 1
        guard runs >= runsRequired else { return }
        isTrusted = true
        runs = 0
    }

    /// Something went wrong in a batch, perhaps because of it.
    public mutating func mustProve() {
        isTrusted = false
        runs = 0
    }
}
