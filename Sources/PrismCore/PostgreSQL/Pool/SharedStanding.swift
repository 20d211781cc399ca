/// Whether a statement goes into shared pipelines, by how it has run so far. Pure.
///
/// A statement is let in when it has run alone quickly, on a leased connection. What fails in a batch or holds one up has to prove
/// itself again; what fails more than once, or is slow then, more often. What runs well for long is forgiven. A large answer costs the
/// others nothing, so it takes several of them.
///
///     proving ──ran alone quickly, as often as required──> trusted ──failed, too slow, often too large──> proving
public struct SharedStanding: Sendable, Equatable {
    /// What takes longer alone, by the server's clock, is slow.
    static let slowNanoseconds: UInt64 = 4_000_000
    /// So many quick runs a slow one takes back. On a machine that has too much to do anything is slow now and then, and there
    /// sharing helps most: what is slow less often than that is let in.
    static let runsTakenBack: UInt8 = 4
    static let runsRequiredMax: UInt8 = 64
    /// Answers from batches after which half as many runs are required the next time.
    static let answersForgiven: UInt16 = 256
    /// What a large answer counts; each small one takes 1 from it in a batch, and alone `largeForgiven`. With more than `largeMax` it is
    /// not let in, which is when more than one in 17 is large.
    static let largeCost: UInt8 = 16
    static let largeForgiven: UInt8 = 4
    static let largeMax: UInt8 = 32

    public private(set) var isTrusted: Bool
    private var runsRequired: UInt8 = 1
    private var runs: UInt8 = 0
    /// Since it was trusted last it has been found slow: more than once says nothing more.
    private var isFoundSlow = false
    private var answers: UInt16 = 0
    private var large: UInt8 = 0

    public init(isTrusted: Bool) { self.isTrusted = isTrusted }

    /// It has run alone and succeeded.
    /// - Parameter isLarge: its answer was larger than a shared one may be.
    public mutating func ranAlone(isSlow: Bool, isLarge: Bool) {
        if isSlow {
            isTrusted = false
            runs -= min(runs, Self.runsTakenBack)
            guard !isFoundSlow else { return }
            isFoundSlow = true
            requireMore()
        } else if isLarge {
            wasLarge()
        } else if !isTrusted {
            large -= min(large, Self.largeForgiven)
            runs = min(runs + 1, Self.runsRequiredMax)
            guard runs >= runsRequired, large <= Self.largeMax else { return }
            isTrusted = true
            isFoundSlow = false
            runs = 0
        }
    }

    /// It was answered from a batch.
    public mutating func ranShared() {
        large -= min(large, 1)
        answers += 1
        guard answers >= Self.answersForgiven else { return }
        answers = 0
        runsRequired = max(1, runsRequired / 2)
    }

    /// A batch was held up while it ran.
    public mutating func mustProve() {
        isTrusted = false
        runs = 0
    }

    /// It failed in a batch, and those behind it had to run again.
    public mutating func failed() {
        mustProve()
        requireMore()
    }

    /// Its answer was too large for a batch.
    public mutating func wasLarge() {
        large = min(large + Self.largeCost, 2 * Self.largeMax)
        if large > Self.largeMax { isTrusted = false }
    }

    private mutating func requireMore() { runsRequired = min(runsRequired * 2, Self.runsRequiredMax) }
}
