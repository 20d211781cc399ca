public import PrismWire

/// One SQLite backend's settings. Every maximum has a line in docs/limits.md.
public struct SQLiteSettings: Sendable {
    public enum Synchronous: Sendable {
        /// A power loss may take the last commits with it; the file stays whole.
        case normal
        /// What was answered OK survives a power loss.
        case full
    }

    /// The database file. In-memory databases are refused: they have no write-ahead log and no second connection.
    public var path: String
    public var createIfMissing = true
    public var synchronous = Synchronous.full
    /// How long a connection waits for another process's lock; the stop check is polled meanwhile.
    public var busyTimeoutMilliseconds = 5_000
    /// Client statements kept prepared on each connection.
    public var statementCacheMax = 256
    /// Page cache of each connection.
    public var cacheSizeBytes = 16 << 20
    /// What a connection's client statements may take beyond that: sorts, groups, recursive WITH, compiled statements.
    public var statementMemoryBytes = 32 << 20
    /// 0: no memory mapping. Above 0 an I/O error of the disk arrives as SIGBUS and ends the process.
    public var mmapSizeBytes = 0
    /// The write-ahead log is checkpointed when it has this many pages.
    public var checkpointPages = 1_000
    /// A registered VFS other than the default; for tests.
    public var vfsName: String?
    public var limits = WireLimits()
    /// Result rows of a statement that writes, and of a whole batch, are held back in memory up to here.
    public var resultBytesMax = 1 << 20
    /// A part of a streamed answer is sent when it has about this many bytes; one row is never divided.
    public var streamPartBytes = 32 << 10
    public var idempotencyRetentionMilliseconds: UInt64 = 86_400_000
    /// Longer answers are not kept; a repetition is then answered OK without payload.
    public var idempotencyAnswerBytesMax = 64 << 10
    /// Rows that one call of the sweeper removes at most, of each table.
    public var sweepRows = 500
    /// Version numbers reserved at a time.
    public var versionBlock: UInt64 = 65_536

    public init(path: String) { self.path = path }
}
