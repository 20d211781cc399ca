internal import CSQLite
internal import PrismWire

/// SQLite's result codes as the contract's statuses. The only place that knows both.
enum StatusMapping {
    struct Row: Sendable {
        /// As SQLite's documentation writes it, without SQLITE_.
        var name: String
        /// A primary result code, or an extended one, which then goes before its primary one.
        var result: Int32
        var code: StatusCode
        /// Nil: the same request fails again. Otherwise how long to wait first.
        var retryAfterMicroseconds: UInt64?
        var remedy: String

        init(_ name: String, _ result: Int32, _ code: StatusCode, retry: UInt64? = nil, _ remedy: String) {
            self.name = name
            self.result = result
            self.code = code
            retryAfterMicroseconds = retry
            self.remedy = remedy
        }
    }

    /// As docs/errors.md shows them; a test holds the page against these rows.
    static let rows: [Row] = [
        Row("CONSTRAINT_UNIQUE", 2_067, .alreadyExists, "a row with this key is already there"),
        Row("CONSTRAINT_PRIMARYKEY", 1_555, .alreadyExists, "a row with this key is already there"),
        Row("CONSTRAINT_ROWID", 2_579, .alreadyExists, "a row with this key is already there"),
        Row("CONSTRAINT", SQLITE_CONSTRAINT, .failedPrecondition, "the change would break a constraint of the schema"),
        Row("ERROR", SQLITE_ERROR, .invalidArgument, "correct the SQL text or its parameters"),
        Row("RANGE", SQLITE_RANGE, .invalidArgument, "correct the SQL text or its parameters"),
        Row("MISMATCH", SQLITE_MISMATCH, .invalidArgument, "send a value of the column's type"),
        Row("BUSY_SNAPSHOT", 517, .aborted, retry: 1_000, "another writer was faster; run the transaction again"),
        Row("BUSY", SQLITE_BUSY, .unavailable, retry: 50_000, "another process holds the database's lock; try again"),
        Row(
            "LOCKED", SQLITE_LOCKED, .unavailable, retry: 50_000, "another process holds the database's lock; try again"
        ),
        Row("SCHEMA", SQLITE_SCHEMA, .unavailable, retry: 1_000, "the schema has just changed; try again"),
        Row("FULL", SQLITE_FULL, .resourceExhausted, "the disk is full; make room on the database's volume"),
        Row("NOMEM", SQLITE_NOMEM, .resourceExhausted, "out of memory; ask for less at once"),
        // A limit like any other: SQLITE_LIMIT_LENGTH is set from the frame limit, so it is no property of the value.
        Row("TOOBIG", SQLITE_TOOBIG, .resourceExhausted, "a value or row is above the frame limit; divide it"),
        Row(
            "READONLY", SQLITE_READONLY, .permissionDenied,
            "the database cannot be written; check the rights of the file and its directory"),
        Row("AUTH", SQLITE_AUTH, .permissionDenied, "this is not allowed here"),
        Row("PERM", SQLITE_PERM, .permissionDenied, "this is not allowed here"),
        Row("IOERR", SQLITE_IOERR, .unavailable, retry: 1_000_000, "the disk failed; see the sidecar's log"),
        Row(
            "CANTOPEN", SQLITE_CANTOPEN, .unavailable, retry: 1_000_000,
            "the database file cannot be opened; check its path, directory and rights"),
        Row(
            "CORRUPT", SQLITE_CORRUPT, .dataLoss, "the file is damaged or no SQLite database; restore it from a backup"),
        Row("NOTADB", SQLITE_NOTADB, .dataLoss, "the file is damaged or no SQLite database; restore it from a backup"),
        Row("INTERRUPT", SQLITE_INTERRUPT, .cancelled, "the statement was stopped"),
        Row("ABORT", SQLITE_ABORT, .cancelled, "the statement was stopped"),
    ]

    static let other = Row(
        "any other", 0, .internal, "this should not happen; please report it with the sidecar's log")

    /// - Parameter extended: an extended result code other than OK, ROW and DONE.
    static func meaning(of extended: Int32) -> Row {
        rows.first { $0.result == extended } ?? rows.first { $0.result == extended & 0xFF } ?? other
    }

    /// SQLITE_READONLY_DBMOVED.
    static let readOnlyMoved: Int32 = 1_032

    /// Whether the disk or the file failed under the connection, so that a new one should be opened.
    static func condemnsConnection(_ extended: Int32) -> Bool {
        extended == readOnlyMoved
            || [SQLITE_IOERR, SQLITE_CORRUPT, SQLITE_NOTADB, SQLITE_CANTOPEN].contains(extended & 0xFF)
    }

    /// The failure of a statement that is going to be rolled back.
    static func failure(
        _ extended: Int32, message: String, at stage: Stage = .execute, outcome: Outcome = .notExecuted
    ) -> Failure {
        let meaning = meaning(of: extended)
        return Failure(
            meaning.code, at: stage, outcome: outcome, "\(message): \(meaning.remedy)",
            isRetryable: meaning.retryAfterMicroseconds != nil,
            retryAfterMicroseconds: meaning.retryAfterMicroseconds ?? 0, sqliteCode: extended)
    }
}
