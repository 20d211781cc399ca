import PrismWire

/// Short reads of several requests that are under way together on one connection, with one Sync.
///
/// Nothing of it is answered before its Sync has come and says that the connection stands as it should. No error is answered
/// from it either: who fails, and who was hit by what befell the batch, runs again alone.
struct SharedBatch {
    struct Member {
        let job: Job
        /// Of the client's statement; nil: one of Prism's own.
        var name: PreparedName?
        /// Its packed answer in the session's output; nil: it has none yet.
        var answer: Range<Int>?
        /// Its rows are dropped: it runs again alone.
        var isRefused = false

        /// It has gone on elsewhere, because the server does not stop the batch.
        var hasLeft = false

        /// Whether somebody waits for its answer from here.
        var isAttached: Bool { !hasLeft && !job.isDetached }
    }

    /// Which of the engine's runners has the connection; nil: it has been given up, the connection is as good as leased.
    var runner: Int?
    let startedNanoseconds: UInt64
    /// How long its members may be held back by each other.
    let guardNanoseconds: UInt64
    /// When that time is over; `.max`: nothing is to be done then.
    var guardAt: UInt64
    /// When its members go on elsewhere, although the server has not stopped it; `.max`: not yet known, or done.
    var leavesAt = UInt64.max
    var members: [Member] = []
    /// The member whose rows are coming.
    var current = -1
    /// How many have run to their end, all before the others: what fails in a batch fails behind them.
    var completed = 0
    /// It needs a transaction around it: there is client SQL in it.
    var isWrapped = false
    /// BEGIN has been sent, so what follows stands in a transaction that is rolled back.
    var hasBegun = false
    var isCancelled = false

    /// After the guard, a cancel has as long to be obeyed: then its members do not wait for it.
    static let stopNanoseconds: UInt64 = 100_000_000

    /// Of a member whose answer is wanted from here.
    func wantedJob(_ index: Int) -> Job? {
        guard !members[index].isRefused, members[index].isAttached else { return nil }
        return members[index].job
    }

    var attachedCount: Int { members.reduce(0) { $0 + ($1.isAttached ? 1 : 0) } }
}

/// How a member of a batch goes on.
struct Rerun {
    let job: Job
    /// On a leased connection; otherwise in another batch.
    var isAlone: Bool
}
