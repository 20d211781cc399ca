import Testing

/// Query and Batch on SQLite (CONTRACT 3).
@Suite struct QueryTests {
    static func backend() throws -> TestBackend {
        let backend = try TestBackend()
        try backend.expect(.query("CREATE TABLE t (id INTEGER PRIMARY KEY, v)"))
        return backend
    }

    @Test("values of every kind go in and come out without loss") func values() throws {
        let backend = try Self.backend()
        let values: [Value] = [
            .null, .integer(.min), .integer(.max), .integer(0), .double(1.5), .double(-0.1), .text(""),
            .text("zero\u{0}inside, ünï"), .bytes([]), .bytes([0, 255]),
        ]
        for (id, value) in values.enumerated() {
            try backend.expect(.query("INSERT INTO t VALUES ($1, $2)", [.integer(Int64(id)), value]))
            #expect(try backend.expect(.query("SELECT v FROM t WHERE id = ?", [.integer(Int64(id))])).value == value)
        }
        try backend.expect(.query("INSERT INTO t VALUES (100, $1)", [.boolean(true)]))
        #expect(try backend.expect(.query("SELECT v FROM t WHERE id = 100")).value == .integer(1))
        // SQLite keeps any bytes as text; what is no UTF-8 travels as bytes.
        #expect(try backend.expect(.query("SELECT CAST(x'C328' AS TEXT)")).value == .bytes([0xC3, 0x28]))
    }

    @Test("a text is UTF-8 also where the file keeps it as UTF-16", arguments: ["UTF-16le", "UTF-16be"])
    func encodings(encoding: String) throws {
        let directory = try TemporaryDirectory()
        try PlainFile(directory).run(
            "PRAGMA encoding = '\(encoding)'; CREATE TABLE t (v TEXT); INSERT INTO t VALUES ('abc'), (''), ('ünï 😀')")
        let backend = try TestBackend(directory)
        try backend.expect(.query("INSERT INTO t VALUES ($1)", [.text("zero\u{0}inside, €")]))
        #expect(
            try backend.expect(.query("SELECT v FROM t ORDER BY rowid")).rows == [
                [.text("abc")], [.text("")], [.text("ünï 😀")], [.text("zero\u{0}inside, €")],
            ])
        #expect(
            try backend.expect(.query("SELECT 'x', upper('é' || 'b'), x'6100'")).rows == [
                [.text("x"), .text("éB"), .bytes([0x61, 0])]
            ])
    }

    @Test("parameters by number in any order, by question mark, by name; a wrong number is refused") func parameters()
        throws
    {
        let backend = try Self.backend()
        let (one, two): (Value, Value) = (.integer(1), .integer(2))
        #expect(try backend.expect(.query("SELECT $2, $1, $2", [one, two])).rows == [[two, one, two]])
        #expect(try backend.expect(.query("SELECT ?, ?", [one, two])).rows == [[one, two]])
        #expect(try backend.expect(.query("SELECT ?2, ?1", [one, two])).rows == [[two, one]])
        #expect(try backend.expect(.query("SELECT :b, @a", [one, two], names: ["a", "b"])).rows == [[two, one]])
        for request in [
            Request.query("SELECT $1", []), .query("SELECT $1", [one, two]), .query("SELECT 1", [one]),
            .query("SELECT $1, ?", [one, two]), .query("SELECT :a", [one], names: ["b"]), .query("SELECT :a", [one]),
        ] {
            let answer = try backend.call(request)
            #expect(answer.code == .invalidArgument && answer.outcome == .notExecuted)
        }
    }

    @Test("columns, tag and rows affected") func shape() throws {
        let backend = try Self.backend()
        let inserted = try backend.expect(.query("INSERT INTO t VALUES (1, 'a'), (2, 'b') RETURNING id, v AS value"))
        #expect(inserted.results.first?.columns == ["id", "value"])
        #expect(inserted.results.first?.tag == "INSERT")
        #expect(inserted.results.first?.rowsAffected == 2)
        #expect(inserted.rows == [[.integer(1), .text("a")], [.integer(2), .text("b")]])
        #expect(try backend.expect(.query("UPDATE t SET v = 'c'")).results.first?.rowsAffected == 2)
        #expect(try backend.expect(.query("DELETE FROM t WHERE id = 9")).results.first?.rowsAffected == 0)
        let selected = try backend.expect(.query("SELECT id FROM t WHERE id > 9"))
        #expect(selected.results.first?.columns == ["id"] && selected.rows.isEmpty)
        #expect(selected.results.first?.tag == "SELECT")
    }

    @Test("an error says what and where, and is NOT_EXECUTED") func errors() throws {
        let backend = try Self.backend()
        let syntax = try backend.call(.query("SELECT ü FROM t WHERE nothing = 1"))
        #expect(syntax.code == .invalidArgument && syntax.outcome == .notExecuted)
        let position = try backend.call(.query("SELEC 1"))
        #expect(position.code == .invalidArgument && position.failure?.position == 1)
        try backend.expect(.query("INSERT INTO t VALUES (1, 'a')"))
        let unique = try backend.call(.query("INSERT INTO t VALUES (1, 'b')"))
        #expect(unique.code == .alreadyExists && unique.failure?.sqliteCode == 1_555)
        try backend.expect(.query("CREATE TABLE c (a CHECK (a > 0), b NOT NULL)"))
        for sql in ["INSERT INTO c VALUES (0, 1)", "INSERT INTO c VALUES (1, NULL)"] {
            #expect(try backend.call(.query(sql)).code == .failedPrecondition)
        }
    }

    @Test("a large result is streamed in parts, complete and in order; the window bounds what is sent ahead")
    func stream() throws {
        let backend = try TestBackend(.init(streamWindowBytes: 100_000))
        let sql =
            "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 20000) SELECT x, hex(zeroblob(20)) FROM c"
        let pending = backend.submit(.query(sql))
        try backend.waitForPart(pending)
        // A second request is served while the first waits for its client.
        #expect(try backend.call(.get("a")).isOK)
        #expect(backend.bytesOfParts(pending) < 200_000)
        let answer = try backend.answer(pending)
        #expect(answer.isOK && answer.parts > 10)
        #expect(answer.rows.map(\.[0]) == (1...20_000).map { .integer($0) })
        #expect(answer.results.first?.columns.count == 2)
    }

    @Test("a row that fits into a frame alone comes behind others too") func longRowBehindShort() throws {
        let frame = 64 << 10
        let backend = try TestBackend(.init(settings: { $0.limits.frameBytesMax = frame }))
        var largest = 0
        for count in (frame - 100)...frame {
            let alone = try backend.call(.query("SELECT zeroblob($1)", [.integer(Int64(count))]))
            if alone.isOK { largest = count }
            for before in [1, 12, 20_000] {
                let answer = try backend.call(
                    .query(
                        "SELECT zeroblob($1) UNION ALL SELECT zeroblob($2) UNION ALL SELECT 7",
                        [.integer(Int64(before)), .integer(Int64(count))]))
                // Alone it has the columns beside it.
                #expect(answer.isOK || !alone.isOK, "\(count) behind \(before): \(answer.message)")
                guard answer.isOK else { continue }
                #expect(
                    answer.rows == [
                        [.bytes(Array(repeating: 0, count: before))], [.bytes(Array(repeating: 0, count: count))],
                        [.integer(7)],
                    ])
            }
        }
        #expect(largest > frame - 100 && largest < frame)
    }

    @Test("what a write returns is bounded; above that it is rolled back") func boundedWrite() throws {
        let backend = try TestBackend(.init(settings: { $0.resultBytesMax = 10_000 }))
        try backend.expect(.query("CREATE TABLE t (v)"))
        let answer = try backend.call(
            .query(
                "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 200) "
                    + "INSERT INTO t SELECT hex(zeroblob(500)) FROM c RETURNING v"))
        #expect(answer.code == .resourceExhausted && answer.outcome == .notExecuted, "\(answer.message)")
        #expect(try backend.expect(.query("SELECT count(*) FROM t")).value == .integer(0))
    }

    @Test("a value above the frame limit is RESOURCE_EXHAUSTED and harms nobody") func tooBig() throws {
        let backend = try Self.backend()
        let answer = try backend.call(.query("SELECT zeroblob(100000000)"))
        #expect(answer.code == .resourceExhausted, "\(answer.message)")
        #expect(try backend.call(.query("INSERT INTO t VALUES (1, zeroblob(100000000))")).code == .resourceExhausted)
        #expect(try backend.expect(.query("SELECT count(*) FROM t")).value == .integer(0))
    }

    @Test("a batch is atomic and says which statement failed") func batch() throws {
        let backend = try Self.backend()
        let answer = try backend.expect(
            .batch([
                .init("INSERT INTO t VALUES (1, 'a')"), .init("SELECT v FROM t WHERE id = $1", [.integer(1)]),
                .init("UPDATE t SET v = 'b'"),
            ]))
        #expect(answer.results.map(\.tag) == ["INSERT", "SELECT", "UPDATE"])
        #expect(answer.results[1].rows == [[.text("a")]])
        let failed = try backend.call(
            .batch([
                .init("INSERT INTO t VALUES (2, 'x')"), .init("INSERT INTO t VALUES (1, 'x')"), .init("DELETE FROM t"),
            ]))
        #expect(failed.code == .alreadyExists && failed.failure?.item == 2 && failed.outcome == .notExecuted)
        #expect(try backend.expect(.query("SELECT id FROM t")).rows == [[.integer(1)]])
        let sets = try backend.expect(
            .batch("INSERT INTO t VALUES ($1, $2)", sets: (10..<15).map { [.integer($0), .text("s\($0)")] }))
        #expect(sets.results.count == 5 && sets.results.allSatisfy { $0.rowsAffected == 1 })
        let halfBad = try backend.call(.batch("INSERT INTO t VALUES ($1, 0)", sets: [[.integer(20)], [.integer(10)]]))
        #expect(halfBad.failure?.item == 2)
        #expect(try backend.expect(.query("SELECT count(*) FROM t")).value == .integer(6))
    }

    /// SQLite compiles a kept statement again at its first step; what was asked of it before that is of the old schema.
    @Test(
        "a changed schema is noticed by statements kept compiled")
    func changedSchema() throws {
        let backend = try TestBackend(.init(readers: 2))
        try backend.expect(.query("CREATE TABLE t (a)"))
        try backend.expect(.query("INSERT INTO t VALUES (1)"))
        for _ in 0..<4 { #expect(try backend.expect(.query("SELECT * FROM t")).rows == [[.integer(1)]]) }
        try backend.expect(.query("ALTER TABLE t ADD COLUMN b DEFAULT 2"))
        for _ in 0..<4 {
            let answer = try backend.expect(.query("SELECT * FROM t"))
            #expect(answer.rows == [[.integer(1), .integer(2)]])
            #expect(answer.results.first?.columns == ["a", "b"])
        }
        try backend.expect(.query("DROP TABLE t"))
        #expect(try backend.call(.query("SELECT * FROM t")).code == .invalidArgument)
    }
}
