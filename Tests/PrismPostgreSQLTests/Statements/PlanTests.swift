import PrismCore
import Testing

/// How the server carries the statements out on a table of some size: by index, whether it plans for the values at hand or
/// once for all.
@Suite("PostgreSQL statements: plans") struct StatementPlanTests {
    private static let database: Result<StatementDatabase, any Error> = Result {
        let database = try StatementDatabase("plans")
        let session = try Session(database)
        try session.execute(
            """
            INSERT INTO prism.entry (namespace, key, value, version, expires_at)
            SELECT 'n' || i % 4, ('key-' || i)::bytea, repeat('v', 100)::bytea, i,
            CASE WHEN i % 10 = 0 THEN i WHEN i % 3 = 0 THEN 99999999999999 + i END FROM generate_series(1, 40000) AS i;
            INSERT INTO prism.idempotency (uid, key, fingerprint, created_at)
            SELECT i % 7, 'key-' || i, '', i FROM generate_series(1, 10000) AS i
            """)
        try session.execute("VACUUM ANALYZE")
        return database
    }

    /// As a sidecar's first minute leaves it: empty, vacuumed and analysed.
    private static let small: Result<StatementDatabase, any Error> = Result {
        let database = try StatementDatabase("small")
        let session = try Session(database)
        let swept = try session.changed(.sweepEntries) { $0.append(1_000) }
        #expect(swept == 256)
        let sweptKeys = try session.changed(.sweepKeys) {
            $0.append(0)
            $0.append(1_000)
        }
        #expect(sweptKeys == 256)
        try session.execute("INSERT INTO prism.entry (namespace, key, value, version) VALUES ('n1', 'a', '', 1)")
        try session.execute("VACUUM ANALYZE")
        return database
    }

    /// What EXPLAIN says of a statement with these values.
    private func plan(
        _ statement: PostgreSQLStatement, _ mode: String, _ values: String,
        on database: Result<StatementDatabase, any Error> = Self.database
    ) throws -> String {
        let session = try Session(database.get())
        try session.execute("SET plan_cache_mode = \(mode)")
        let types = try statement.types.map { try session.text("SELECT \($0)::regtype") }.joined(separator: ", ")
        try session.execute("PREPARE own (\(types)) AS \(statement.sql)")
        return try session.execute("EXPLAIN EXECUTE own (\(values))")
            .map { String(decoding: $0[0] ?? [], as: UTF8.self) }.joined(separator: "\n")
    }

    private static let address = "'n1', '\\x6b65792d35'"
    private static let onOne: [(PostgreSQLStatement, String)] = [
        (.get, address), (.currentVersion, address), (.delete, address), (.tombstone, address),
        (.deleteIfVersion, address + ", 1"), (.tombstoneIfVersion, address + ", 1"), (.touch, address + ", 1"),
        (.putIfPresent, address + ", '', 0"), (.putIfVersion, address + ", '', 0, 1"),
        (.getMany, "'n1', ARRAY['\\x6b65792d35', '\\x6b65792d36']::bytea[]"),
    ]
    private static let bounded: [(PostgreSQLStatement, String)] = [
        (.scanUpBelow, address + ", 11, '\\x6b65792d36'"), (.scanDownBelow, address + ", 11, '\\x6b65792d36'"),
        (.keysUpBelow, address + ", 11, '\\x6b65792d36'"), (.keysDownBelow, address + ", 11, '\\x6b65792d36'"),
        (.scanUp, address + ", 11"), (.scanDown, address + ", 11"),
        (.keysUp, address + ", 11"), (.keysDown, address + ", 11"),
    ]

    @Test("one entry is found by the primary key", arguments: onOne, ["force_generic_plan", "force_custom_plan"])
    func one(statement: (PostgreSQLStatement, String), mode: String) throws {
        let plan = try plan(statement.0, mode, statement.1)
        #expect(plan.contains("using entry_pkey on entry"), "\(plan)")
        #expect(!plan.contains("Seq Scan"), "\(plan)")
    }

    @Test(
        "a scan reads its range of the primary key in order, and sorts nothing", arguments: bounded,
        ["force_generic_plan", "force_custom_plan"])
    func range(statement: (PostgreSQLStatement, String), mode: String) throws {
        let plan = try plan(statement.0, mode, statement.1)
        #expect(plan.contains("using entry_pkey on entry"), "\(plan)")
        #expect(plan.contains("Index Cond: ((namespace = ") && plan.contains("(key >= "), "\(plan)")
        #expect(plan.contains("(key < ") == "\(statement.0)".hasSuffix("Below"), "\(plan)")
        #expect(!plan.contains("Sort"), "\(plan)")
    }

    @Test("sweepers find what has expired by its index", arguments: ["force_generic_plan", "force_custom_plan"])
    func sweep(mode: String) throws {
        let entries = try plan(.sweepEntries, mode, "100")
        #expect(entries.contains("using entry_expiry on entry") && entries.contains("Tid Scan"), "\(entries)")
        let keys = try plan(.sweepKeys, mode, "1, 100")
        #expect(keys.contains("using idempotency_age on idempotency") && keys.contains("Tid Scan"), "\(keys)")
    }

    @Test("a recorded key is found by the primary key", arguments: ["force_generic_plan", "force_custom_plan"])
    func keys(mode: String) throws {
        #expect(try plan(.findKey, mode, "1, 'key-1'").contains("using idempotency_pkey"))
        #expect(try plan(.storeAnswer, mode, "1, 'key-1', ''").contains("using idempotency_pkey"))
    }

    @Test(
        "on a table that is still small, the plan that is kept goes by index all the same", arguments: onOne + bounded)
    func small(statement: (PostgreSQLStatement, String)) throws {
        for mode in ["force_generic_plan", "force_custom_plan"] {
            let plan = try plan(statement.0, mode, statement.1, on: Self.small)
            #expect(plan.contains("entry_pkey") && !plan.contains("Seq Scan"), "\(plan)")
        }
    }

    @Test("so do a recorded key and the sweepers")
    func smallKeys() throws {
        let mode = "force_generic_plan"
        #expect(try !plan(.findKey, mode, "1, 'key-1'", on: Self.small).contains("Seq Scan"))
        #expect(try !plan(.storeAnswer, mode, "1, 'key-1', ''", on: Self.small).contains("Seq Scan"))
        #expect(try !plan(.sweepEntries, mode, "100", on: Self.small).contains("Seq Scan"))
        #expect(try !plan(.sweepKeys, mode, "1, 100", on: Self.small).contains("Seq Scan"))
    }
}
