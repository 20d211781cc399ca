/// Deliberate faults, one a run: each proves that the oracle can fail. None is drawn from a seed.
public enum Sabotage: String, Sendable, CaseIterable {
    /// A final answer never reaches the wire.
    case dropAnswer
    /// A final answer reaches the wire twice.
    case answerTwice
    /// The backend says NOT_EXECUTED of a write that it has made durable.
    case denyExecuted
    /// The backend answers OK before COMMIT, and COMMIT then fails.
    case answerBeforeCommit
    /// The backend claims to have stopped what it then commits.
    case claimStopped
    /// The backend says UNKNOWN of what never ran.
    case unknownWithoutCause
    /// The backend answers one request with another's result.
    case crossAnswers
    /// The backend commits a group's members again when they had been committed.
    case executeTwice
    /// The clock of the timers runs ahead.
    case earlyDeadline
    /// Timers are looked at too late.
    case lateDeadline
    /// A closed connection is never reported.
    case leakConnection
    /// The backend forgets to give a transaction up.
    case leakTransaction
    /// Bytes are lost between the multiplexer and the client.
    case corruptOutput
    /// The drain machine is not asked.
    case stuckDrain
    /// One client's protocol error ends another's connection.
    case harmNeighbour
    /// A stream sends without waiting for credit.
    case ignoreCredit
    /// A cancel reaches its process once more when its call has long returned, where no fence can hold it.
    case repeatCancel
    /// A write on PostgreSQL is answered OK before its Sync.
    case answerBeforeSync
    /// NOT_EXECUTED is said of a write whose connection was lost in its commit.
    case denyLostCommit
    /// A write on PostgreSQL whose outcome is not known is sent again.
    case repeatWrite
    /// What a ROLLBACK should have undone is committed with what follows on the session.
    case mixTransactions
    /// An idempotency key is not kept with the change that it stands for.
    case forgetKey
    /// An execution of a Batch or Write is committed without the others.
    case tearRequest
    /// A member of a shared batch gets the rows of the one before it.
    case crossInBatch
    /// The transaction around a shared batch may write.
    case openBatch
    /// The rollback behind a statement does not put the session back.
    case keepSettings
    /// A statement that changes its session has a plan that does not tell.
    case trustPlan
    /// A cancel ends another read as well.
    case cancelNeighbour
    /// Another read is given the error of one.
    case crossErrors
    /// What has committed is run again, as members of a batch are.
    case rerunCommitted
}
