import PrismWire
import Testing

/// What clients may not do in SQL, one row each (CONTRACT 3, ARCHITECTURE SQLite), on whichever connection it would run, alone,
/// in a batch and in a transaction; and what they may.
@Suite struct AuthorizerTests {
    struct Refused: Sendable, CustomTestStringConvertible {
        var sql: String
        var code: StatusCode
        /// A word of the remedy.
        var remedy: String
        var testDescription: String { sql }

        init(_ sql: String, _ code: StatusCode, _ remedy: String) {
            (self.sql, self.code, self.remedy) = (sql, code, remedy)
        }
    }

    static let transactionControl = [
        "BEGIN", "BEGIN IMMEDIATE", "begin exclusive transaction", "COMMIT", "END TRANSACTION", "ROLLBACK",
        "/* hidden */ BEGIN", "-- hidden\nCOMMIT",
    ].map { Refused($0, .invalidArgument, "Commit") }

    static let savepoints = ["SAVEPOINT s", "RELEASE s", "ROLLBACK TO s"].map {
        Refused($0, .invalidArgument, "RollbackTo")
    }

    static let attaching = ["ATTACH ':memory:' AS other", "ATTACH '/tmp/other.db' AS other", "DETACH main"].map {
        Refused($0, .invalidArgument, "another backend")
    }

    static let vacuuming = ["VACUUM", "VACUUM INTO '/tmp/prism-copy.db'", "/**/vacuum main"].map {
        Refused($0, .invalidArgument, "VACUUM")
    }

    static let pragmas = [
        "PRAGMA journal_mode = DELETE", "PRAGMA journal_mode", "PRAGMA synchronous = OFF", "PRAGMA foreign_keys = OFF",
        "PRAGMA writable_schema = ON", "PRAGMA trusted_schema = ON", "PRAGMA query_only = OFF",
        "PRAGMA wal_checkpoint(TRUNCATE)", "PRAGMA wal_autocheckpoint = 0", "PRAGMA locking_mode = EXCLUSIVE",
        "PRAGMA user_version = 7", "PRAGMA main.user_version(7)", "PRAGMA application_id = 7", "PRAGMA mmap_size = 1",
        "PRAGMA cache_size = 1", "PRAGMA temp_store_directory = '/'", "PRAGMA database_list",
        "SELECT * FROM pragma_database_list", "PRAGMA optimize", "PRAGMA incremental_vacuum",
        "PRAGMA case_sensitive_like = ON", "PRAGMA busy_timeout = 0", "PRAGMA secure_delete = OFF",
        "PRAGMA encoding = 'UTF-16'", "PRAGMA recursive_triggers = ON", "PRAGMA shrink_memory",
    ].map { Refused($0, .invalidArgument, "PRAGMA") }

    static let temporary = [
        "CREATE TEMP TABLE t (a)", "CREATE TABLE temp.t (a)", "CREATE VIEW temp.t AS SELECT 1",
        "CREATE VIRTUAL TABLE temp.t USING fts5(a)", "CREATE TABLE \"TEMP\".t AS SELECT 1",
        "CREATE TEMPORARY VIEW t AS SELECT 1",
        "CREATE TEMP TRIGGER t AFTER INSERT ON mine BEGIN SELECT 1; END", "CREATE TEMP TABLE t AS SELECT 1",
    ].map { Refused($0, .invalidArgument, "temporary") }

    static let ownTables = [
        "SELECT * FROM prism_entry", "SELECT value FROM \"PRISM_ENTRY\"", "SELECT value FROM main.[prism_entry] AS e",
        "SELECT count(*) FROM prism_idempotency", "SELECT 1 WHERE EXISTS (SELECT 1 FROM prism_meta)",
        "WITH e AS (SELECT * FROM prism_entry) SELECT * FROM e", "EXPLAIN QUERY PLAN SELECT * FROM prism_entry",
        "SELECT * FROM view_of_entries", "CREATE TABLE copy AS SELECT * FROM prism_entry",
        "INSERT INTO mine SELECT 1, value FROM prism_entry", "INSERT INTO prism_entry VALUES ('n', 'k', 'v', 1, NULL)",
        "REPLACE INTO prism_meta VALUES ('next_version', 1)", "UPDATE prism_meta SET value = 0",
        "DELETE FROM prism_idempotency", "WITH x AS (SELECT 1) DELETE FROM prism_entry", "DROP TABLE prism_entry",
        "DROP INDEX prism_entry_expiry", "ALTER TABLE prism_entry RENAME TO stolen",
        "ALTER TABLE prism_entry ADD COLUMN extra", "CREATE INDEX mine_too ON prism_entry (version)",
        "CREATE TRIGGER t AFTER INSERT ON prism_entry BEGIN DELETE FROM mine; END", "CREATE TABLE prism_own (a)",
        "CREATE TABLE PRISM_OWN (a)", "CREATE VIEW prism_view AS SELECT 1", "CREATE INDEX prism_index ON mine (v)",
        "CREATE VIRTUAL TABLE prism_search USING fts5(a)", "UPDATE mine SET v = 'fires a trigger' WHERE id = 1",
        "SELECT sql FROM sqlite_stmt",
    ].map { Refused($0, .permissionDenied, "prism_") }

    static let extensions = [
        "SELECT load_extension('/tmp/x.so')", "SELECT Load_Extension('/tmp/x.so', 'y')",
        "SELECT hex(fts3_tokenizer('simple'))", "SELECT FTS3_Tokenizer('mine', x'4141414141414141')",
        "INSERT INTO mine SELECT 3, fts3_tokenizer('mine', x'4141414141414141')",
    ].map { Refused($0, .permissionDenied, "extensions") }

    static let all =
        transactionControl + savepoints + attaching + vacuuming + pragmas + temporary + ownTables + extensions

    static func backend() throws -> TestBackend {
        let directory = try TemporaryDirectory()
        try TestBackend(directory).expect(.put("secret", "of another client"))
        // What SQLite lets pass when it is created and must be stopped when it is used.
        try PlainFile(directory).run(
            """
            CREATE TABLE mine (id INTEGER PRIMARY KEY, v);
            INSERT INTO mine VALUES (1, 'x');
            CREATE VIEW view_of_entries AS SELECT * FROM prism_entry;
            CREATE TRIGGER thief AFTER UPDATE ON mine BEGIN DELETE FROM prism_entry; END;
            """)
        return try TestBackend(directory)
    }

    @Test(arguments: all) func isRefused(_ refused: Refused) throws {
        let backend = try Self.backend()
        func check(_ answer: Answer, item: UInt32 = 0) {
            #expect(answer.code == refused.code, "\(answer.message)")
            #expect(answer.outcome == .notExecuted)
            #expect(answer.message.contains(refused.remedy), "\(answer.message)")
            #expect(answer.failure?.item == item)
        }
        check(try backend.call(.query(refused.sql)))
        check(try backend.call(.query(refused.sql).readOnly()))
        check(
            try backend.call(.batch([.init("INSERT INTO mine VALUES (2, 'batch')"), .init(refused.sql)])), item: 2)
        for isReadOnly in [false, true] {
            let transaction = try backend.begin(readOnly: isReadOnly)
            let request = Request.query(refused.sql)
            check(try backend.call(isReadOnly ? request.readOnly() : request, in: transaction))
            try backend.expect(.rollback, in: transaction)
        }
        #expect(try backend.call(.get("secret")).entry.text == "of another client")
        #expect(try backend.call(.query("SELECT v FROM mine")).rows == [[.text("x")]])
        backend.stop()
        try PlainFile(backend.directory).expectIntact()
    }

    static let allowed = [
        "PRAGMA table_info(mine)", "PRAGMA user_version", "PRAGMA integrity_check", "PRAGMA foreign_key_check",
        "PRAGMA page_count", "PRAGMA encoding", "SELECT * FROM pragma_table_info('mine')",
        "SELECT name FROM sqlite_schema",
        "EXPLAIN SELECT * FROM mine", "WITH x(a) AS (VALUES (1)) SELECT a FROM x", "ANALYZE", "REINDEX",
        "CREATE TABLE IF NOT EXISTS mine (a)", "CREATE INDEX mine_v ON mine (v)",
        "CREATE VIRTUAL TABLE search USING fts5(a)", "ALTER TABLE mine ADD COLUMN w", "DROP VIEW view_of_entries",
        "DROP TRIGGER thief", "WITH x(a) AS (VALUES (5)) INSERT INTO mine SELECT a, 'cte' FROM x", "DROP TABLE mine",
        "CREATE TABLE prismatic (a)",
    ]

    @Test(arguments: allowed) func isAllowed(_ sql: String) throws {
        let backend = try Self.backend()
        try backend.expect(.query(sql))
        let transaction = try backend.begin()
        try backend.expect(.put("in", "transaction"), in: transaction)
        try backend.expect(.rollback, in: transaction)
    }

    @Test("a full-text table over Prism's own table shows nothing of it") func fullTextOverOwnTable() throws {
        let backend = try Self.backend()
        let made = try backend.call(
            .query("CREATE VIRTUAL TABLE spy USING fts5(value, content='prism_entry', content_rowid='version')"))
        guard made.isOK else { return #expect(made.outcome == .notExecuted) }
        for sql in ["INSERT INTO spy(spy) VALUES ('rebuild')", "SELECT value FROM spy", "SELECT * FROM spy('client')"] {
            let answer = try backend.call(.query(sql))
            #expect(!answer.isOK || answer.rows.isEmpty, "\(sql): \(answer.rows)")
        }
    }

    static let references = [
        "CREATE TABLE child (a REFERENCES prism_entry (value))",
        "CREATE TABLE child (a, b, FOREIGN KEY (a, b) REFERENCES Prism_Entry (namespace, key) ON DELETE CASCADE)",
        "ALTER TABLE mine ADD COLUMN version REFERENCES prism_meta (value)",
    ]

    /// SQLite does not tell the authorizer what it refers to. Without a row it would fail every write of Prism's.
    @Test("no foreign key refers to a table of Prism's", arguments: references)
    func foreignKeyToOwnTable(_ sql: String) throws {
        let backend = try Self.backend()
        func check(_ answer: Answer) throws {
            #expect(answer.code == .permissionDenied && answer.outcome == .notExecuted, "\(answer.message)")
            try backend.expect(.put("secret", "of another client"))
            try backend.expect(.delete("secret"))
        }
        try check(backend.call(.query(sql)))
        try check(backend.call(.batch([.init("CREATE TABLE other (a)"), .init(sql)])))
        let transaction = try backend.begin()
        #expect(try backend.call(.query(sql), in: transaction).code == .permissionDenied)
        try backend.expect(.rollback, in: transaction)
        try backend.expect(.query("CREATE TABLE child (a REFERENCES mine (id))"))
        try TestBackend(backend.directory).expect(.put("secret", "after a restart"))
    }

    /// SQLite does not tell the authorizer the new name.
    @Test(
        "a table cannot be renamed to a name of Prism's")
    func renameToOwnName() throws {
        let backend = try Self.backend()
        try PlainFile(backend.directory).run("DROP TRIGGER thief; DROP VIEW view_of_entries")
        let answer = try backend.call(.query("ALTER TABLE mine RENAME TO prism_mine"))
        #expect(answer.code == .permissionDenied)
        #expect(try backend.call(.query("SELECT v FROM mine")).rows == [[.text("x")]])
    }

    @Test("a client's foreign key on Prism's table cannot stop the key-value operations") func foreignKeyOnOwnTable()
        throws
    {
        let backend = try Self.backend()
        let made = try backend.call(
            .query(
                "CREATE TABLE leech (n TEXT, k BLOB, FOREIGN KEY (n, k) REFERENCES prism_entry (namespace, key) ON DELETE RESTRICT)"
            ))
        if made.isOK {
            let filled = try backend.call(.query("INSERT INTO leech VALUES ('default', CAST('secret' AS BLOB))"))
            #expect(!filled.isOK)
        }
        #expect(try backend.call(.delete("secret")).found)
    }

    @Test("one statement only") func severalStatements() throws {
        let backend = try Self.backend()
        for sql in ["SELECT 1; DROP TABLE mine", "SELECT 1; ;/**/ SELECT 2"] {
            #expect(try backend.call(.query(sql)).code == .invalidArgument)
        }
        for sql in ["  ", "-- nothing", ";"] {
            #expect(try backend.call(.query(sql)).code == .invalidArgument)
        }
        try backend.expect(.query("SELECT 1; -- and a remark"))
    }
}
