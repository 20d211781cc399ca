/// Every status but OK: what failed, at which stage, what became of it, and what to do.
public struct Failure: Error, Sendable, Equatable {
    public var code: StatusCode
    public var stage: Stage
    public var outcome: Outcome
    public var message: String
    /// Whether the same request can succeed when it is sent again.
    public var isRetryable: Bool
    /// How long to wait before that.
    public var retryAfterMicroseconds: UInt64
    /// PostgreSQL's five characters, or empty.
    public var sqlState: String
    /// SQLite's extended result code, or 0.
    public var sqliteCode: Int32
    /// The entry's version when a condition did not hold; 0: it is not there.
    public var currentVersion: UInt64
    /// Which item of a `Write` or `Batch` failed, from 1; 0: none in particular.
    public var item: UInt32
    /// Position in the SQL text in characters, from 1; 0: unknown.
    public var position: UInt32
    public var detail: String
    public var hint: String

    public init(
        _ code: StatusCode, at stage: Stage, outcome: Outcome = .notExecuted, _ message: String,
        isRetryable: Bool = false, retryAfterMicroseconds: UInt64 = 0, sqlState: String = "", sqliteCode: Int32 = 0,
        currentVersion: UInt64 = 0, item: UInt32 = 0, position: UInt32 = 0, detail: String = "", hint: String = ""
    ) {
        self.code = code
        self.stage = stage
        self.outcome = outcome
        self.message = message
        self.isRetryable = isRetryable
        self.retryAfterMicroseconds = retryAfterMicroseconds
        self.sqlState = sqlState
        self.sqliteCode = sqliteCode
        self.currentVersion = currentVersion
        self.item = item
        self.position = position
        self.detail = detail
        self.hint = hint
    }
}
