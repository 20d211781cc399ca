internal import CSQLite
internal import PrismWire

/// SQLite's result codes as the contract's statuses. The only place that knows both.
enum StatusMapping {
    struct Meaning {
        var code: StatusCode
        /// Whether the same request can succeed when it is sent again, and how long to wait first.
        var retryAfterMicroseconds: UInt64?
        var remedy: String
    }

    /// - Parameter extended: an extended result code other than OK, ROW and DONE.
    static func meaning(of extended: Int32) -> Meaning {
        switch extended {
        case 2_067, 1_555, 2_579:  // SQLITE_CONSTRAINT_UNIQUE, _PRIMARYKEY, _ROWID
            return Meaning(code: .alreadyExists, remedy: "a row with this key is already there")
        case 517:  // SQLITE_BUSY_SNAPSHOT
            return Meaning(
                code: .aborted, retryAfterMicroseconds: 1_000,
                remedy: "another writer was faster; run the transaction again")
        default: break
        }
        switch extended & 0xFF {
        case SQLITE_CONSTRAINT:
            return Meaning(code: .failedPrecondition, remedy: "the change would break a constraint of the schema")
        case SQLITE_ERROR, SQLITE_RANGE:
            return Meaning(code: .invalidArgument, remedy: "correct the SQL text or its parameters")
        case SQLITE_MISMATCH:
            return Meaning(code: .invalidArgument, remedy: "send a value of the column's type")
        case SQLITE_BUSY, SQLITE_LOCKED:
            return Meaning(
                code: .unavailable, retryAfterMicroseconds: 50_000,
                remedy: "another process holds the database's lock; try again")
        case SQLITE_SCHEMA:
            return Meaning(
                code: .unavailable, retryAfterMicroseconds: 1_000, remedy: "the schema has just changed; try again")
        case SQLITE_FULL:
            return Meaning(code: .resourceExhausted, remedy: "the disk is full; make room on the database's volume")
        case SQLITE_NOMEM:
            return Meaning(code: .resourceExhausted, remedy: "out of memory; ask for less at once")
        // A limit like any other: SQLITE_LIMIT_LENGTH is set from the frame limit, so it is no property of the value.
        case SQLITE_TOOBIG:
            return Meaning(code: .resourceExhausted, remedy: "a value or row is above the frame limit; divide it")
        case SQLITE_READONLY:
            return Meaning(
                code: .permissionDenied,
                remedy: "the database cannot be written; check the rights of the file and its directory")
        case SQLITE_AUTH, SQLITE_PERM:
            return Meaning(code: .permissionDenied, remedy: "this is not allowed here")
        case SQLITE_IOERR:
            return Meaning(
                code: .unavailable, retryAfterMicroseconds: 1_000_000, remedy: "the disk failed; see the sidecar's log")
        case SQLITE_CANTOPEN:
            return Meaning(
                code: .unavailable, retryAfterMicroseconds: 1_000_000,
                remedy: "the database file cannot be opened; check its path, directory and rights")
        case SQLITE_CORRUPT, SQLITE_NOTADB:
            return Meaning(
                code: .dataLoss, remedy: "the file is damaged or no SQLite database; restore it from a backup")
        case SQLITE_INTERRUPT, SQLITE_ABORT:
            return Meaning(code: .cancelled, remedy: "the statement was stopped")
        default:
            return Meaning(code: .internal, remedy: "this should not happen; please report it with the sidecar's log")
        }
    }

    /// Whether the disk or the file failed under the connection, so that a new one should be opened.
    static func condemnsConnection(_ extended: Int32) -> Bool {
        [SQLITE_IOERR, SQLITE_CORRUPT, SQLITE_NOTADB, SQLITE_CANTOPEN].contains(extended & 0xFF)
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
