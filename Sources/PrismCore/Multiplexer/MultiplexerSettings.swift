public import PrismWire

/// What a multiplexer is told at its start. Limits are for one multiplexer: the shell divides what is for the process.
public struct MultiplexerSettings: Sendable {
    public var wire = WireLimits()
    public var connectionsMax = 16_384
    /// Of which each client class has its part; less than `connectionsMax` where other multiplexers have the rest.
    public var connectionsShared = 16_384
    public var inFlightPerConnectionMax = 1_024
    public var inFlightMax = 65_536
    public var bufferedBytesPerConnectionMax = 8 << 20
    public var bufferedBytesMax = 256 << 20
    /// How long a frame may come in while others wait for room.
    public var frameTimeoutNanoseconds: UInt64 = 10_000_000_000
    /// A frame up to this length, header included, is read without a reservation: a connection that waits for one holds as much.
    public var unreservedFrameBytes = Self.turnBytes
    public var transactionsMax = 1_024
    public var streamWindowBytes = 256 << 10
    /// How long a stream may wait until its client has read half of the window, while others wait for what it holds.
    public var streamStallNanoseconds: UInt64 = 1_000_000_000
    public var defaultTimeoutNanoseconds: UInt64 = 30_000_000_000
    public var maximumTimeoutNanoseconds: UInt64 = 3_600_000_000_000
    /// Requests that take longer are logged; 0: none.
    public var slowRequestNanoseconds: UInt64 = 1_000_000_000
    public var backends: [BackendDescription] = []
    public var access = AccessPolicy()
    public var statements = NamedStatements()
    public var serverVersion = ""

    public init() {}

    /// What a shell reads of a connection in one turn, but for the rest of a frame that has its room: of one that is alone,
    public static let turnBytes = 8 << 10
    /// of one beside others of its class,
    public static let turnBytesBesideConnections = 2 << 10
    /// and of one beside other classes.
    public static let turnBytesBesideClasses = 512

    /// What a client is told to wait when a limit of ours refuses it.
    public static let limitRetryMicroseconds: UInt64 = 50_000
    /// And when the sidecar is ending: by then another one may serve.
    public static let drainRetryMicroseconds: UInt64 = 1_000_000
    /// Above `bufferedBytesPerConnectionMax` times this, an answer is replaced by a small refusal.
    public static let outputOverrunFactor = 4
    /// Memory that a connection keeps for its next answer, bytes: what a short one takes.
    static let outputBytesKept = 256
}
