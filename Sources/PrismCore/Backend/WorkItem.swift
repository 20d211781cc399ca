public import PrismWire

/// What a session hands to a backend: one admitted request. Decoded and validated once already.
public struct WorkItem: Sendable {
    public let reference: RequestReference
    public let kind: OperationKind
    /// `Request.read_only`, or a request of a read-only transaction.
    public let isReadOnly: Bool
    /// Unmarked client SQL that may turn out to read only: worth trying on a reader.
    public let beginsLikeRead: Bool
    /// Not none: the request belongs to this transaction. For `Begin` it names the transaction to be opened.
    public let transaction: TransactionReference
    /// The peer's uid; scopes idempotency keys.
    public let uid: UInt32
    /// Whose turn it takes; decided when its client connected, never by what the client says.
    public let flow: Flow
    /// CLOCK_MONOTONIC nanoseconds; always set (`UInt64.max` at most).
    public let deadlineNanoseconds: UInt64
    /// When the session handed it over; CLOCK_MONOTONIC nanoseconds.
    public let submittedNanoseconds: UInt64
    /// The message, to be decoded with `RequestMessage`; nil once somebody else keeps it.
    public private(set) var frame: FrameBox?

    public init(
        reference: RequestReference, kind: OperationKind, isReadOnly: Bool, beginsLikeRead: Bool = false,
        transaction: TransactionReference, uid: UInt32, flow: Flow,
        deadlineNanoseconds: UInt64, submittedNanoseconds: UInt64,
        frame: consuming FrameBox
    ) {
        self.reference = reference
        self.kind = kind
        self.isReadOnly = isReadOnly
        self.beginsLikeRead = beginsLikeRead
        self.transaction = transaction
        self.uid = uid
        self.flow = flow
        self.deadlineNanoseconds = deadlineNanoseconds
        self.submittedNanoseconds = submittedNanoseconds
        self.frame = frame
    }

    /// The message, to be kept by somebody else.
    mutating func takeFrame() -> FrameBox? {
        var taken: FrameBox?
        swap(&taken, &frame)
        return taken
    }
}
