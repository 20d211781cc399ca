import PrismWire
import Testing

/// What one statement may take of the process: memory, and its thread's stack. At either limit it ends, and nothing else does.
@Suite struct StatementLimitTests {
    private static let counting = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 100000)"

    static let greedy = [
        "\(counting) SELECT randomblob(10000) AS r FROM n ORDER BY r",
        "\(counting) SELECT count(DISTINCT randomblob(10000)) FROM n",
        "WITH RECURSIVE n (i, b) AS (SELECT 1, x'' UNION SELECT i + 1, randomblob(10000) FROM n) SELECT count(*) FROM n",
        "\(counting) SELECT count(randomblob(10000)) OVER (ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) FROM n",
        "\(counting) INSERT INTO t SELECT randomblob(10000) FROM n ORDER BY random()",
    ]

    @Test(
        "a sort, a set or a recursion too large for memory is refused, again and again, and a small one is not",
        arguments: greedy)
    func memory(_ sql: String) throws {
        let backend = try TestBackend(.init(settings: { $0.statementMemoryBytes = 4 << 20 }))
        try backend.expect(.query("CREATE TABLE t (a)"))
        for _ in 0..<3 {
            let answer = try backend.call(.query(sql))
            #expect(answer.code == .resourceExhausted, "\(answer.message)")
            #expect(answer.outcome == .notExecuted)
            #expect(answer.message.contains("statement_memory"))
            let small = try backend.call(
                .query("\(Self.counting) SELECT DISTINCT i % 10 FROM n WHERE i < 1000 ORDER BY 1"))
            #expect(small.rows.count == 10, "\(small.message)")
            try backend.expect(.put("k", "v"))
        }
        #expect(try backend.call(.query("SELECT count(*) FROM t")).rows == [[.integer(0)]])
    }

    @Test("in a transaction, and beside others in a group, only the culprit fails")
    func memoryBesideOthers() throws {
        let backend = try TestBackend(.init(settings: { $0.statementMemoryBytes = 4 << 20 }))
        try backend.expect(.query("CREATE TABLE t (a)"))
        let group = try Group(backend, [.put("a", "1"), .query(Self.greedy[4]), .put("b", "1")])
        #expect(try group.answers().map(\.code) == [.ok, .resourceExhausted, .ok])
        for isReadOnly in [true, false] {
            let transaction = try backend.begin(readOnly: isReadOnly)
            let request = Request.query(Self.greedy[0])
            #expect(
                try backend.call(isReadOnly ? request.readOnly() : request, in: transaction).code == .resourceExhausted)
            try backend.expect(.rollback, in: transaction)
        }
        try backend.expect(.put("c", "1"))
    }

    @Test("many long statements do not fill the cache, nor the connection's memory")
    func longStatements() throws {
        let backend = try TestBackend(.init(settings: { $0.statementMemoryBytes = 4 << 20 }))
        for number in 0..<40 {
            let text = String(repeating: "x", count: 500_000)
            try backend.expect(.query("SELECT \(number) /* \(text) */"))
            try backend.expect(.query("CREATE TABLE IF NOT EXISTS t (a) /* \(text) */"))
            try backend.expect(.query("INSERT INTO t VALUES (\(number)) /* \(text) */"))
        }
    }

    @Test("a pattern is not matched down to the end of the stack", arguments: ["LIKE", "GLOB"])
    func patterns(_ operation: String) throws {
        let backend = try TestBackend()
        let wildcard = operation == "LIKE" ? "%a" : "*a"
        let pattern = String(repeating: wildcard, count: 20_000) + "b"
        let text = String(repeating: "a", count: 40_000)
        let answer = try backend.call(.query("SELECT '\(text)' \(operation) '\(pattern)'"))
        #expect(answer.code == .invalidArgument, "\(answer.message)")
        let short = try backend.call(.query("SELECT '\(text)' \(operation) '\(pattern.suffix(1_000).dropFirst())'"))
        #expect(short.rows == [[.integer(0)]], "\(short.message)")
    }

    @Test("compiling can be cancelled: it takes minutes for some texts") func compiling() throws {
        let backend = try TestBackend(.init(settings: { $0.statementMemoryBytes = 1 << 30 }))
        let links = (1..<30_000).map { "a\($0) AS (SELECT * FROM a\($0 - 1))" }
        let sql = "WITH a0 AS (SELECT 1 AS x), \(links.joined(separator: ", ")) SELECT * FROM a29999"
        for request in [
            Request.query(sql), .query("\(sql) WHERE x > 1").readOnly(), .query("CREATE TABLE t AS \(sql)"),
        ] {
            // Until a thread has taken it into work.
            while backend.cancel(backend.submit(request)) != .stopped {}
        }
        try backend.expect(.put("k", "v"))
        #expect(try backend.call(.query("SELECT 1")).rows == [[.integer(1)]])
        backend.stop()
    }

    @Test("a cancel stops a statement between two costly functions, of which one is a single operation")
    func costlyFunctions() throws {
        let backend = try TestBackend()
        // Some 300 ms each, none of them like another: equal constants are computed once.
        let calls = (0..<500).map { "instr(zeroblob(\(200_000 + $0)), zeroblob(20000) || x'01')" }
        let sql = calls.joined(separator: " + ")
        for request in [Request.query("SELECT \(sql)"), .query("CREATE TABLE t AS SELECT \(sql) AS a")] {
            while backend.cancel(backend.submit(request)) != .stopped {}
        }
        try backend.expect(.put("k", "v"))
        backend.stop()
    }

    @Test("a chain of cascading tables is not compiled down to the end of the stack")
    func chainOfCascades() throws {
        let backend = try TestBackend(.init(settings: { $0.statementMemoryBytes = 1 << 30 }))
        let count = 8_000
        try backend.expect(.query("CREATE TABLE t0 (id INTEGER PRIMARY KEY)"))
        for start in stride(from: 1, to: count, by: 1_000) {
            try PlainFile(backend.directory).run(
                (start..<min(start + 1_000, count)).map {
                    "CREATE TABLE t\($0) (id INTEGER PRIMARY KEY REFERENCES t\($0 - 1) ON DELETE CASCADE)"
                }.joined(separator: ";"))
        }
        let answer = try backend.call(.query("DELETE FROM t0"))
        #expect(answer.code == .resourceExhausted, "\(answer.message)")
        try backend.expect(.put("k", "v"))
    }
}
