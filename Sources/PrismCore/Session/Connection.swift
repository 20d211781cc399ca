import PrismWire

/// One client connection. 10,000 idle ones cost their struct and nothing else: buffers exist while they hold bytes.
struct Connection: ~Copyable {
    enum State: Equatable {
        case open
        /// The client has ended its sending side: answers still go out, then the connection closes.
        case inputEnded
        /// A protocol error: the last answer is in the output; closes when that is flushed.
        case failing
    }

    /// Of `limits.buffered_bytes`, for a frame that comes in parts.
    enum Room: Equatable {
        /// Needs none.
        case none
        /// Not read until there is some.
        case awaited
        case reserved
        /// There was none: the frame is judged like any other when it is whole.
        case lent
    }

    let peer: PeerCredentials
    let rule: AccessPolicy.Rule
    /// Apart, because the rule is not to be copied for each request: what it limits …
    let ownLimits: AccessPolicy.Rule.Limits
    /// … and whether it forbids anything.
    let isRestricted: Bool
    let clientLabel: UInt8
    /// Place of its class in `ClientClasses`.
    let client: Int
    var state: State = .open
    /// Bytes that were read and not yet taken: a part of a frame, or whole frames while reading is paused.
    var input = ByteQueue()
    var output = ByteQueue()
    /// Requests in flight, newest first, linked through their slots; -1: none.
    var firstRequest: Int32 = -1
    var inFlight: Int32 = 0
    /// Open transactions, linked through their slots; -1: none.
    var firstTransaction: Int32 = -1
    var isReadingPaused = false
    var room = Room.none
    /// Bytes that are still to come of the frame that has room.
    var reservedBytes = 0
    /// What is taken now stands in `input`, and is counted there already.
    var isTakingInput = false
    var isFlushRequested = false
    var isSettleRequested = false
    /// A stream of this connection waits for credit.
    var hasStreamDebt = false
    /// While one waits: when it is looked at what the client has read.
    var stallTimer: Int32 = -1
    /// Bytes taken since that timer was set.
    var takenBytes = 0
    /// When bytes were taken last, or since when a stream waits for credit.
    var takenNanoseconds: UInt64 = 0
    /// Too little of its streams has been read for too long.
    var isStalled = false
    /// While it is failing: when it is closed whether or not the client has read its last answer.
    var lingerTimer: Int32 = -1
    /// When the last bytes arrived; a timeout counts from there, however long a frame then waits in `input`.
    var lastReadNanoseconds: UInt64 = 0
    var saidHello = false
    var clientName = ""
    var requestsTotal: UInt64 = 0

    init(peer: PeerCredentials, rule: AccessPolicy.Rule, client: Int, clientLabel: UInt8) {
        self.peer = peer
        self.client = client
        self.rule = rule
        ownLimits = rule.limits
        isRestricted = rule.isRestricted
        self.clientLabel = clientLabel
    }

    /// Messages that its requests in flight hold.
    var frameBytes = 0

    /// With those that are reserved.
    var bufferedBytes: Int { input.count + output.count + reservedBytes }
}
