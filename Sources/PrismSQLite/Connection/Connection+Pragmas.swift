internal import CSQLite
internal import PrismWire

extension Connection {
    /// The longest pattern of LIKE and GLOB, bytes.
    static let patternBytesMax = 1_000

    /// Enough for any of Prism's own statements, whatever clients may have: theirs are counted before they come here.
    static let ownParametersMax = 16

    /// Everything that a connection must be told after opening; nothing of it is remembered in the file but WAL.
    func configure() throws(Failure) {
        // Limits and switches first: they also bound what a hostile file's schema can do while it is read.
        let limits = settings.limits
        _ = sqlite3_limit(handle, SQLITE_LIMIT_ATTACHED, 0)
        let parametersMax = max(limits.parametersMax, Self.ownParametersMax)
        _ = sqlite3_limit(handle, SQLITE_LIMIT_VARIABLE_NUMBER, Int32(clamping: parametersMax))
        // A row that fits no frame could not be answered; some room for keys and headers. Never less than it is by default:
        // the schema has rows too, from a time with other settings. For the same reason SQLITE_LIMIT_SQL_LENGTH stays as it
        // is; `limits.sql_bytes` is judged before a text comes here.
        let rowBytesMax = max(limits.frameBytesMax, limits.valueBytesMax, WireLimits().frameBytesMax)
        _ = sqlite3_limit(handle, SQLITE_LIMIT_LENGTH, Int32(clamping: rowBytesMax + (64 << 10)))
        _ = sqlite3_limit(handle, SQLITE_LIMIT_WORKER_THREADS, 0)
        // LIKE and GLOB take time by the product of pattern and text, and a stack frame a wildcard; nothing can stop them.
        _ = sqlite3_limit(handle, SQLITE_LIMIT_LIKE_PATTERN_LENGTH, Int32(Self.patternBytesMax))
        for (option, value) in [
            (SQLITE_DBCONFIG_DEFENSIVE, 1), (SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0),
            (SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0), (SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, 0),
            (SQLITE_DBCONFIG_ENABLE_FKEY, 1),
        ] {
            let result = prism_sqlite3_db_switch(handle, option, Int32(value))
            guard result == SQLITE_OK else { throw failure(result, doing: "configuring SQLite") }
        }
        // A new file gets its write-ahead log through a rollback journal. Were the directory not synced when that is deleted, it
        // could be back after a power cut and undo everything that was written since.
        if role == .writer {
            try run(sql: "PRAGMA synchronous=EXTRA")
            try enterWriteAheadLog()
        }
        let synchronous = settings.synchronous == .full ? "FULL" : "NORMAL"
        try run(
            sql: """
                PRAGMA foreign_keys=ON;
                PRAGMA trusted_schema=OFF;
                PRAGMA temp_store=MEMORY;
                PRAGMA synchronous=\(synchronous);
                PRAGMA cache_size=-\(max(1, settings.cacheSizeBytes >> 10));
                PRAGMA mmap_size=\(max(0, settings.mmapSizeBytes));
                PRAGMA wal_autocheckpoint=\(max(1, settings.checkpointPages));
                """)
        if role == .reader {
            try run(sql: "PRAGMA query_only=ON")
            // Reads the header: what is no database is found now and not by the first request.
            _ = try integer("PRAGMA schema_version")
        }
    }

    private func enterWriteAheadLog() throws(Failure) {
        let statement = try prepareTrusted("PRAGMA journal_mode=WAL")
        // Another that opens the same new file may be doing the same.
        let result = StopState.retried(stop) {
            statement.reset()
            return step(statement)
        }
        guard result == SQLITE_ROW else { throw failure(result, doing: "opening \(settings.path)") }
        guard let mode = sqlite3_column_text(statement.handle, 0), String(cString: mode) == "wal" else {
            throw Failure(
                .failedPrecondition, at: .connect,
                "\(settings.path) cannot have a write-ahead log: use an ordinary file on a local volume that can be written"
            )
        }
        statement.reset()
    }

    /// One integer of a trusted statement; nil: no row.
    func integer(_ sql: String) throws(Failure) -> Int64? {
        let statement = try prepareTrusted(sql)
        let result = step(statement)
        switch result {
        case SQLITE_ROW: return statement.integer(0)
        case SQLITE_DONE: return nil
        default: throw failure(result, doing: "SQLite")
        }
    }
}
