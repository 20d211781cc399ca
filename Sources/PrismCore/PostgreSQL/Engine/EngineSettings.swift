public import PrismWire

/// One PostgreSQL backend's settings, as one engine sees them. Every maximum has a line in docs/limits.md.
public struct EngineSettings: Sendable {
    public var name = "main"
    public var pool = PoolScheduler.Limits()
    public var limits = WireLimits()
    /// Client statements kept prepared on each connection.
    public var statementCacheMax = 256
    /// Client statements whose types are remembered for all connections.
    public var knownStatementsMax = 1_024
    /// Result rows of a statement that writes, and of a whole batch, are held back in memory up to here.
    public var resultBytesMax = 1 << 20
    /// A part of a streamed answer is sent when it has about this many bytes; one row is never divided.
    public var streamPartBytes = 32 << 10
    /// Bytes of parts that a client may leave unread before its connection to the server is not read any more.
    public var streamWindowBytes = 256 << 10
    public var idempotencyRetentionMilliseconds: UInt64 = 86_400_000
    /// Longer answers are not kept; a repetition is then answered OK without payload.
    public var idempotencyAnswerBytesMax = 64 << 10
    /// Between two rounds that remove expired entries and keys, nanoseconds; 0: this engine does not sweep.
    public var sweepIntervalNanoseconds: UInt64 = 1_000_000_000
    /// Rows that one round removes at most, of each table.
    public var sweepRows = 500
    /// How long one round may take.
    public var sweepTimeoutNanoseconds: UInt64 = 10_000_000_000
    /// How long a connection may take to come to rest after a cancel; then it is closed, and the server left to itself.
    public var cancelTimeoutNanoseconds: UInt64 = 10_000_000_000
    /// Behind a pooler in transaction mode: each batch may run on another session, so nothing is prepared by name and nothing
    /// in the session is relied on, or reset.
    public var isPooled = false
    /// Connections on which shared batches run at the same time; of `pool`, taken for one batch at a time. 0: every request has a
    /// connection alone.
    public var sharedConnectionsMax = 4
    /// Requests in one batch.
    public var sharedBatchMax = 64
    /// Of this many requests a batch is full enough: where several connections are free for batches, what waits is divided among
    /// them, but not into less; and while such a batch is under way, a smaller one waits for it (`SharedPipelines.heldUntil`).
    public var sharedBatchMin = 18
    /// A larger answer is made on a leased connection, bytes.
    public var sharedResultBytesMax = 64 << 10
    /// A batch that takes longer is cancelled, and its members run alone.
    public var sharedGuardNanoseconds: UInt64 = 20_000_000
    /// For jitter.
    public var seed: UInt64 = 1
    /// Executions sent before their results are waited for.
    public var executionsPerRoundMax = 128
    /// Parameters sent before results are waited for, bytes.
    public var bytesPerRoundMax = 1 << 20

    public init() {}
}
