import PrismWire

/// One request on its way through the engine.
final class Job {
    /// What the connection is doing for it.
    enum Stage {
        /// Nothing has been sent.
        case waiting
        /// The types of a client statement are being asked for.
        case learning(LearningStep)
        /// Names of types are being asked for.
        case namingTypes
        /// The plan of a client statement is being asked for.
        case certifying
        case claimingKey
        /// Executions are under way; more may follow.
        case running
        /// COMMIT has been sent, alone or behind the last execution.
        case committing
        /// The key belongs to an earlier request: its answer is being fetched.
        case replaying
        /// Begin, Savepoint, RollbackTo, Rollback.
        case control
    }

    enum LearningStep {
        /// With the types that the client's values declare.
        case declared
        /// All types left to the server.
        case inferred
    }

    /// Without its frame.
    let item: WorkItem
    /// Given up with the answer.
    var frame: FrameBox?
    var stage = Stage.waiting
    var startedNanoseconds: UInt64 = 0
    /// Nobody waits for an answer any more; nothing of it may take effect.
    var isDetached = false

    /// Somebody has asked to stop it, when it could no longer be said to have had no effect. Its parts may go nowhere: then
    /// nobody gives their window back.
    var isCancelled = false

    /// Executions of which it consists.
    var unitCount = 1
    /// Sent so far; all before it.
    var unitsSent = 0
    /// Answered so far.
    var unitsDone = 0
    /// Inside a BEGIN of its own.
    var usesTransaction = false
    var hasBegun = false
    var hasSentCommit = false
    /// An execution that commits by itself has been sent.
    var hasSentWrite = false
    /// How often it was begun again because a plan was stale.
    var restarts = 0
    /// Its rows have other columns than the statement was known to have: they cannot be read as they were asked for.
    var hasOtherColumns = false
    /// The first failure that is not the server's: a condition that does not hold, an answer too large.
    var failure: Failure?
    /// The server has acknowledged a commit, but a standby may not have it.
    var isReplicationDoubtful = false
    /// The claim of its idempotency key has answered: it is ours.
    var isKeyOurs = false
    /// The answer of an earlier request with its key.
    var replay: [UInt8]?
    var replayMismatch = false
    /// Whether any client SQL has been sent for it.
    var kind = StatementKind.writing

    /// Of the statement, once it is known.
    var known: KnownStatement?
    var unitsStartedNanoseconds: UInt64 = 0
    var hasAskedForPlan = false
    /// It has left a batch in order to look at its statement's plan again.
    var isToLookAgain = false
    /// What it took alone by the server's clock; nil: not asked for.
    var serverNanoseconds: UInt64?

    // In a shared batch.
    /// On which connection it is in one; -1: in none.
    var batchSlot = -1
    /// How many it has left without an answer.
    var batches = 0
    var keyCount = 0

    // Streams.
    var isStreaming = false
    var streamDebtBytes = 0
    /// The pool knows that its connection is held for its client.
    var isHeld = false
    var rowsAnswered: UInt64 = 0

    init(_ item: consuming WorkItem) {
        frame = item.takeFrame()
        self.item = consume item
    }

    var reference: RequestReference { item.reference }

    /// A shared batch has not answered it: it waits again.
    func leaveBatch() {
        batchSlot = -1
        batches += 1
        startedNanoseconds = 0
    }

    /// While tables are being changed, what only reads is tried a few times.
    var mayRestart: Bool { restarts < (item.isReadOnly ? 3 : 1) }

    /// Ready to run again from its beginning.
    func restart() {
        stage = .waiting
        unitsSent = 0
        unitsDone = 0
        hasBegun = false
        hasSentCommit = false
        hasSentWrite = false
        isKeyOurs = false
        serverNanoseconds = nil
        replay = nil
        hasOtherColumns = false
        restarts += 1
    }
}
