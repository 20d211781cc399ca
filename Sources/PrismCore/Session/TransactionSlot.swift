/// One interactive transaction, from its `Begin` to its last answer.
///
///     beginning ──OK──> open ──any other status──> poisoned ──RollbackTo──> open
///     open, poisoned ──limit──> aborted        open ──Commit, Rollback OK──> gone
///     poisoned, aborted ──Rollback──> gone     any ──connection closed──> gone
struct TransactionSlot {
    enum State {
        case beginning
        case open
        /// A request on it failed: only Rollback, or RollbackTo, is accepted.
        case poisoned
        /// It ran out of its limits and is rolled back: ABORTED until Rollback.
        case aborted
    }

    let connection: Int32
    let backend: Int16
    let isReadOnly: Bool
    var state: State = .beginning
    /// The backend holds nothing of it any more.
    var hasEndedInBackend = false
    /// The request being carried out; -1: none.
    var executing: Int32 = -1
    var firstWaiting: Int32 = -1
    /// Its requests in flight that were let in above a limit.
    var aboveLimits: Int32 = 0
    var lastWaiting: Int32 = -1
    /// A request that was sent behind all that are executing or waiting has failed.
    var followsFailure = false
    var idleTimer: Int32 = -1
    var totalTimer: Int32 = -1
    var nextInConnection: Int32 = -1
    var previousInConnection: Int32 = -1
}
