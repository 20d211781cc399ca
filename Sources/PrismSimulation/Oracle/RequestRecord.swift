import PrismCore
import PrismWire

/// What is known of one request, on both sides of the wire.
struct RequestRecord {
    /// What the client has a right to be answered, were nothing to fail.
    enum Expectation: Equatable {
        case valid
        /// It must be refused with one of these codes, or with what the ending or a limit says.
        case refused([StatusCode])
    }

    let serial: Int
    let client: Int
    var id: UInt64
    let kind: OperationKind
    var expectation = Expectation.valid
    var isReadOnly = false
    var backend = 0
    var isOnPostgreSQL = false
    /// The handle it was sent with; 0: none.
    var transaction: UInt64 = 0
    var savepoint = ""
    var cancels: UInt64 = 0
    var timeoutMicroseconds: UInt64 = 0
    var deadlineNanoseconds: UInt64 = 0
    /// Its idempotency key; empty: none.
    var key = ""
    /// The request with the same key that this one repeats; 0: none. What it changes is that one's change.
    var repeats = 0
    /// Executions of which it consists: items of a Write, statements of a Batch.
    var units = 1
    /// Of SQL: one an execution, or one for all of them, with a set of parameters each.
    var statements: [String] = []
    /// Parts of a stream, or rows.
    var streamParts = 0
    var bodyBytes = 0

    /// When the server had read its last byte; nil: not yet.
    var arrived: UInt64?
    var phaseAtArrival = DrainState.serving
    var finalAnswers = 0
    var code = StatusCode.ok
    var stage = Stage.unspecified
    var outcome = Outcome.unspecified
    var answeredAt: UInt64 = 0
    var parts = 0
    /// Rows that its parts and its answer have carried.
    var rows = 0

    /// The backend's truth.
    var isSubmitted = false
    /// It had run and could become durable: from here on a cancel is too late.
    var wasSealed = false
    /// Its final completion has left the backend.
    var wasAnsweredByBackend = false
    /// The server has said since that it failed.
    var hasFailed = false
    /// The backend was asked to stop it.
    var wasCancelled = false
    var committedUnits: [Int] = []
    var isCommitted: Bool { !committedUnits.isEmpty }

    /// Whose change it makes.
    var effect: Int { repeats > 0 ? repeats : serial }

    /// An execution of it commits by itself, and may have before it failed.
    var mayCommitInParts: Bool {
        transaction == 0 && kind == .query && (statements.first.map { ModelStatement.commitsByItself($0) } ?? false)
    }

    var mayWrite: Bool {
        !isReadOnly && (kind.isKeyValueWrite || kind == .query || kind == .batch || kind == .commit)
    }

    /// When it must have been answered; nil before it has arrived.
    func deadline(_ settings: MultiplexerSettings) -> UInt64? {
        guard let arrived else { return nil }
        var deadline = UInt64.max
        if timeoutMicroseconds > 0 { deadline = arrived + timeoutMicroseconds * 1_000 }
        if deadlineNanoseconds > 0 { deadline = min(deadline, deadlineNanoseconds) }
        if deadline == .max { deadline = arrived + settings.defaultTimeoutNanoseconds }
        return min(deadline, arrived + settings.maximumTimeoutNanoseconds)
    }
}
