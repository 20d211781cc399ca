/// Whether a statement goes into shared pipelines, by how it has run so far. Pure.
///
/// A statement is let in when it has run alone quickly, on a leased connection. What fails in a batch, returns too much, or holds
/// one up has to prove itself again; one that is slow then, more often. What runs well for long is forgiven.
///
///     proving ──ran alone quickly, as often as required──> trusted ──failed, too large, too slow──> proving
public struct SharedStanding: Sendable, Equatable {
    /// What takes longer alone, by the server's clock, is slow.
    static let slowNanoseconds: UInt64 = 4_000_000
    /// So many quick runs a slow one takes back. On a machine that has too much to do anything is slow now and then, and there
    /// sharing helps most: what is slow less often than that is let in.
    static let runsTakenBack: UInt8 = 4
    static let runsRequiredMax: UInt8 = 64
    /// Answers from batches after which half as many runs are required the next time.
    static let answersForgiven: UInt16 = 256

    public private(set) var isTrusted: Bool
    private var runsRequired: UInt8 = 1
    private var runs: UInt8 = 0
    /// Since it was trusted last it has been found slow: more than once says nothing more.
    private var isFoundSlow = false
    private var answers: UInt16 = 0

    public init(isTrusted: Bool) { self.isTrusted = isTrusted }

    /// It has run alone and succeeded.
    /// - Parameter isLarge: its answer was larger than a shared one may be.
    public mutating func ranAlone(isSlow: Bool, isLarge: Bool) {
        if isLarge {
            isTrusted = false
        } else if isSlow {
            isTrusted = false
            runs -= min(runs, Self.runsTakenBack)
            guard !isFoundSlow else { return }
            isFoundSlow = true
            runsRequired = min(runsRequired * 2, Self.runsRequiredMax)
        } else if !isTrusted {
            runs += 1
            guard runs >= runsRequired else { return }
            isTrusted = true
            isFoundSlow = false
            runs = 0
        }
    }

    /// It was answered from a batch.
    public mutating func ranShared() {
        answers += 1
        guard answers >= Self.answersForgiven else { return }
        answers = 0
        runsRequired = max(1, runsRequired / 2)
    }

    /// Something went wrong in a batch because of it.
    public mutating func mustProve() {
        isTrusted = false
        runs = 0
    }
}
