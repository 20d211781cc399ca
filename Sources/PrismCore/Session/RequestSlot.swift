import PrismWire

/// One request in flight: a plain value in a table, driven by events. No task, no continuation.
struct RequestSlot {
    enum State {
        /// Waits for its turn in its transaction; holds its work (or its refusal).
        case waiting
        /// With the backend.
        case submitted
        /// A cancel came too late to stop it; its answer is on its way.
        case finishing
    }

    let id: UInt64
    let kind: OperationKind
    let backend: Int16
    let isReadOnly: Bool
    let connection: Int32
    let arrived: UInt64
    let deadline: UInt64
    let frameBytes: Int32
    var state: State
    /// For the log; nil: the client sent none.
    var trace: TraceIdentifier?
    /// Index of its transaction; -1: none.
    var transaction: Int32 = -1
    /// Let in above a limit, because it goes on with a transaction.
    var isAboveLimit = false
    var timer: Int32 = -1
    /// Why the backend has been asked to cancel it.
    var cancelReason: Metrics.CancelReason?
    /// Its answer tells the client that the ending has cut it.
    var isCut = false
    /// Parts have been sent.
    var hasStreamed = false
    /// Bytes of parts that the client has not taken yet.
    var streamDebt: Int32 = 0
    /// Its backend has been told that it may end it for others.
    var isStalled = false
    var nextInConnection: Int32 = -1
    var previousInConnection: Int32 = -1
    var nextInTransaction: Int32 = -1
    /// While it waits: a request sent just before it has failed out of its turn, and poisons the transaction in its turn.
    var followsFailure = false
    /// While it waits; apart, because few do, and every slot is as long.
    var held: HeldRequest?

    /// While it waits: what will be submitted …
    var work: WorkItem? {
        get { held?.work }
        set { if newValue != nil || held != nil { held = HeldRequest(work: newValue, refusal: held?.refusal) } }
    }
    /// … or, instead, why it is refused when its turn comes.
    var refusal: Failure? {
        get { held?.refusal }
        set { if newValue != nil || held != nil { held = HeldRequest(work: held?.work, refusal: newValue) } }
    }

    /// Whether it may change anything: decides between NOT_EXECUTED and UNKNOWN when nobody can tell.
    var mayWrite: Bool {
        // They change what a later RollbackTo undoes, in read-only transactions as well.
        if kind == .savepoint || kind == .rollbackTo { return true }
        if isReadOnly { return false }
        return kind.isKeyValueWrite || kind == .query || kind == .batch || kind == .commit
    }
}

/// A request that waits for its turn in its transaction.
final class HeldRequest: Sendable {
    let work: WorkItem?
    let refusal: Failure?

    init(work: WorkItem?, refusal: Failure?) {
        self.work = work
        self.refusal = refusal
    }
}
