import PrismCore
import PrismWire
import Testing

@Suite("PostgreSQL engine: key-value")
struct EngineKeyValueTests {
    private enum Condition {
        case absent, present
        case version(UInt64)

        var bytes: [UInt8] {
            switch self {
            case .absent: Pack.number(1, 1)
            case .present: Pack.number(2, 1)
            case .version(let version): Pack.number(3, version)
            }
        }
    }

    private static func put(_ key: String, _ condition: Condition? = nil) -> [UInt8] {
        Pack.data(2, key) + Pack.data(3, "v") + (condition.map { Pack.data(5, $0.bytes) } ?? [])
    }

    private static func delete(_ key: String, version: UInt64 = 0) -> [UInt8] {
        Pack.data(2, key) + (version > 0 ? Pack.data(3, Pack.number(3, version)) : [])
    }

    /// Items by their field numbers in WriteItem.
    private static func write(_ items: (UInt64, [UInt8])...) -> TestRequest { write(items) }

    private static func write(_ items: [(UInt64, [UInt8])]) -> TestRequest {
        TestRequest(id: 1, operation: 22, body: items.flatMap { Pack.data(1, Pack.data($0.0, $0.1)) })
    }

    private func statement(_ sql: String) -> PostgreSQLStatement? {
        PostgreSQLStatement.allCases.first { $0.sql == sql }
    }

    /// A server on which each statement answers what the test says.
    private func harness(
        _ reply: @escaping (PostgreSQLStatement) -> FakeServer.Reply,
        _ change: (inout EngineSettings) -> Void = { _ in }
    ) -> EngineHarness {
        let harness = EngineHarness(change)
        harness.server.reply = { sql in
            PostgreSQLStatement.allCases.first { $0.sql == sql }.map(reply) ?? .error("XX000")
        }
        return harness
    }

    /// The statements that were executed, when none was prepared before.
    private func prepared(_ harness: EngineHarness) -> [String] {
        harness.server.log.compactMap { line in
            guard line.hasPrefix("prepare ") else { return line == "execute" ? nil : line }
            let sql = line.dropFirst("prepare ".count)
            return PostgreSQLStatement.allCases.first { sql.hasPrefix($0.sql + " [") }.map { "\($0)" }
        }
    }

    /// The message that an answer carries, decoded.
    private func with<Result>(
        _ body: [UInt8]?, _ use: (Prism__V1__Response) throws -> Result
    ) throws -> Result {
        let arena = Arena(limitBytes: 1 << 20)
        let bytes = try #require(body)
        let response = try #require(prism__v1__response__unpack(arena.allocator, bytes.count, bytes))
        return try withExtendedLifetime(arena) { try use(response.pointee) }
    }

    private func integer(_ value: Int64) -> [UInt8] { withUnsafeBytes(of: value.bigEndian) { Array($0) } }

    @Test("A get is one statement in one round, and says what the row says")
    func get() throws {
        let harness = harness { _ in .values([[self.integer(7), nil, Array("value".utf8)]]) }
        harness.submit(.get(1))
        #expect(prepared(harness) == ["get", "sync"])
        harness.server.run()
        try with(harness.takeBodies().first) { answer in
            let get = try #require(answer.get?.pointee)
            #expect(get.found == 1 && get.version == 7 && get.expires_at_milliseconds == 0)
            #expect(get.value.string == "value")
        }
        harness.server.reply = { _ in .values([]) }
        harness.submit(.get(2))
        harness.server.run()
        try with(harness.takeBodies().first) { answer in
            #expect(answer.status == PRISM__V1__CODE__OK)
            #expect(answer.get?.pointee.found == 0)
        }
    }

    @Test("GetMany answers in the order asked, whatever order the rows come in")
    func getMany() throws {
        let rows: [[[UInt8]?]] = [(3, 30), (1, 10)].map { place, version in
            [integer(place), integer(version), integer(99), []]
        }
        let harness = harness { _ in .values(rows) }
        let keys = ["a", "b", "a"].flatMap { Pack.data(2, $0) }
        harness.submit(TestRequest(id: 1, operation: 17, body: keys))
        #expect(prepared(harness) == ["getMany", "sync"])
        harness.server.run()
        try with(harness.takeBodies().first) { answer in
            let many = try #require(answer.get_many?.pointee)
            let found = elements(many.entries, many.n_entries).map { $0?.pointee.version ?? 0 }
            #expect(found == [10, 0, 30])
        }
    }

    @Test("A put without a condition is one statement; the version comes from its row")
    func put() throws {
        let harness = harness { _ in .rows([12]) }
        harness.submit(.put(1))
        #expect(prepared(harness) == ["putAlways", "sync"])
        harness.server.run()
        try with(harness.takeBodies().first) { #expect($0.put?.pointee.version == 12) }
    }

    @Test("A condition that does not hold is explained in the same round, and nothing remains")
    func refused() throws {
        for (condition, name, current) in [
            (Condition.absent, "putIfAbsent", Int64(5)), (.present, "putIfPresent", 0),
            (.version(4), "putIfVersion", 5),
        ] {
            let harness = harness { statement in
                guard statement == .currentVersion else { return .values([]) }
                return current == 0 ? .values([[nil]]) : .rows([current])
            }
            harness.submit(TestRequest(id: 1, operation: 18, body: Self.put("k", condition)))
            #expect(prepared(harness) == [name, "currentVersion", "sync"])
            harness.server.run()
            #expect(harness.takeAnswers() == ["0 FAILED_PRECONDITION execute NOT_EXECUTED"])
            try with(harness.takeBodies().first) { answer in
                let failure = try #require(answer.failure?.pointee)
                #expect(failure.current_version == UInt64(current))
                #expect(failure.retryable == 0)
            }
            #expect(harness.engine.snapshot.idle == 1)
        }
    }

    @Test("A condition that holds by the time it is explained is a failure to be repeated")
    func refusedBefore() throws {
        let harness = harness { $0 == .currentVersion ? .values([[nil]]) : .values([]) }
        harness.submit(TestRequest(id: 1, operation: 18, body: Self.put("k", .absent)))
        harness.server.run()
        try with(harness.takeBodies().first) { #expect($0.failure?.pointee.retryable == 1) }
    }

    @Test("What explains a condition that holds is not looked at")
    func held() {
        let harness = harness { $0 == .currentVersion ? .rows([9]) : .rows([8]) }
        harness.submit(TestRequest(id: 1, operation: 18, body: Self.put("k", .present)))
        harness.server.run()
        #expect(harness.takeAnswers() == ["0 OK"])
    }

    @Test(
        "An increment of no number, and one that overflows, change nothing",
        arguments: [
            ("abc", "FAILED_PRECONDITION"), (nil, "FAILED_PRECONDITION"), ("9223372036854775807", "OUT_OF_RANGE"),
        ])
    func increment(value: String?, code: String) throws {
        let harness = harness { _ in .values([[self.integer(6), value.map { Array($0.utf8) }, [0]]]) }
        harness.submit(TestRequest(id: 1, operation: 20, body: Pack.data(2, "k") + Pack.number(3, 2)))
        harness.server.run()
        #expect(harness.takeAnswers() == ["0 \(code) execute NOT_EXECUTED"])
        try with(harness.takeBodies().first) { #expect($0.failure?.pointee.current_version == 6) }
    }

    @Test("A Write takes its locks in the order of keys, and answers in the order given")
    func write() throws {
        var version: Int64 = 100
        let harness = harness { _ in
            version += 1
            return .rows([version])
        }
        harness.submit(Self.write((1, Self.put("b")), (2, Self.delete("a")), (4, Self.delete("c")), (1, Self.put("a"))))
        // The delete of "a" is followed by a put of it: its row stays.
        #expect(prepared(harness) == ["tombstone", "putAlways", "touch", "sync"])
        harness.server.run()
        #expect(harness.takeAnswers() == ["0 OK"])
        try with(harness.takeBodies().first) { answer in
            let items = try #require(answer.write?.pointee)
            let results = elements(items.items, items.n_items).compactMap(\.self)
            // "a" twice, then "b", then "c".
            #expect(results[0].pointee.put?.pointee.version == 103)
            #expect(results[1].pointee.delete_?.pointee.found == 1)
            #expect(results[2].pointee.touch?.pointee.found == 1)
            #expect(results[3].pointee.put?.pointee.version == 102)
        }
    }

    @Test("A Write that needs more than one round runs in a transaction of its own")
    func largeWrite() {
        let harness = harness({ _ in .rows([1]) }, { $0.bytesPerRoundMax = 1_000 })
        let value = Pack.data(3, Array(repeating: 0x78, count: 600))
        harness.submit(Self.write(("abc").map { (1, Pack.data(2, String($0)) + value) }))
        harness.server.run()
        #expect(harness.takeAnswers() == ["0 OK"])
        let control = harness.server.log.filter { !$0.hasPrefix("prepare") && $0 != "execute" }
        #expect(control == ["BEGIN ISOLATION LEVEL READ COMMITTED", "sync", "COMMIT", "sync"])
    }

    @Test("Of several items that fail the first in the order given is reported, and nothing is committed")
    func writeFails() throws {
        let harness = harness { statement in
            switch statement {
            case .putIfPresent: .values([])
            case .currentVersion: .values([[nil]])
            default: .rows([1])
            }
        }
        harness.submit(
            Self.write(
                (1, Self.put("d")), (1, Self.put("c", .present)), (1, Self.put("b")), (1, Self.put("a", .present))))
        harness.server.run()
        #expect(harness.takeAnswers() == ["0 FAILED_PRECONDITION execute NOT_EXECUTED"])
        try with(harness.takeBodies().first) { #expect($0.failure?.pointee.item == 2) }
        #expect(!harness.server.log.contains("COMMIT"))
        #expect(harness.engine.snapshot.idle == 1)
    }

    @Test("A delete is real by itself, and leaves its row inside of a client's transaction")
    func tombstones() {
        let harness = harness { _ in .values([]) }
        harness.submit(TestRequest(id: 1, operation: 19, body: Self.delete("k")))
        #expect(prepared(harness) == ["delete", "sync"])
        harness.server.run()
        #expect(harness.takeAnswers() == ["0 OK"])
        let transaction = TransactionReference(reactor: 0, slot: 0, generation: 1)
        harness.submit(.begin(2), transaction: transaction)
        harness.server.run()
        harness.server.clearLog()
        harness.submit(TestRequest(id: 3, operation: 19, body: Self.delete("k")), transaction: transaction)
        #expect(prepared(harness) == ["tombstone", "sync"])
    }

    @Test("A scan is sent in parts, and its cursor stands on the last one when there is more")
    func scan() throws {
        let rows: [[[UInt8]?]] = ["a", "b", "c"].map { key in
            [Array(key.utf8), integer(1), nil, Array(repeating: 0x78, count: 100)]
        }
        let harness = harness({ _ in .values(rows) }, { $0.streamPartBytes = 200 })
        harness.submit(TestRequest(id: 1, operation: 23, body: Pack.number(5, 2)))
        #expect(prepared(harness) == ["scanUp", "sync"])
        harness.server.run()
        #expect(harness.takeAnswers() == ["0 part", "0 OK"])
        let bodies = harness.takeBodies()
        try with(bodies.first) { answer in
            let scan = try #require(answer.scan?.pointee)
            #expect(scan.n_entries == 2 && scan.cursor.isEmpty)
        }
        try with(bodies.last) { answer in
            let scan = try #require(answer.scan?.pointee)
            #expect(scan.n_entries == 0)
            #expect(ScanCursor(scan.cursor.bytes).map { Array($0.lastKey) } == [0x62])
        }
        // As many as the limit and none behind it: no cursor.
        harness.server.reply = { _ in .values(Array(rows.prefix(2))) }
        harness.submit(
            TestRequest(id: 2, operation: 23, body: Pack.number(5, 2) + Pack.number(4, 1) + Pack.number(3, 1)))
        harness.server.run()
        try with(harness.takeBodies().last) { #expect($0.scan?.pointee.cursor.isEmpty == true) }
    }

    @Test("An entry that fits into a frame alone is scanned behind others too")
    func longEntryBehindShort() throws {
        let rows: [[[UInt8]?]] = [10, 850, 10, 10, 850, 850].map { count in
            [Array("k".utf8), integer(1), nil, Array(repeating: 0x78, count: count)]
        }
        let harness = harness({ _ in .values(rows) }, { $0.limits.frameBytesMax = 1_000 })
        harness.submit(TestRequest(id: 1, operation: 23, body: []))
        harness.server.run()
        #expect(harness.takeAnswers() == ["0 part", "0 part", "0 part", "0 part", "0 OK"])
        let counts = try harness.takeBodies().map { body in
            try with(body) { answer in
                let scan = try #require(answer.scan?.pointee)
                return elements(scan.entries, scan.n_entries).map { $0?.pointee.value.len }
            }
        }
        #expect(counts == [[10], [850], [10, 10], [850], [850]])
    }

    @Test("Rows that Prism's statements cannot return are an internal failure, not a trap")
    func malformed() {
        let harness = harness { _ in .values([[[1, 2], nil]]) }
        harness.submit(.get(1))
        harness.submit(.put(2))
        harness.submit(TestRequest(id: 3, operation: 24, body: []))
        harness.submit(TestRequest(id: 4, operation: 23, body: []))
        harness.submit(TestRequest(id: 5, operation: 17, body: Pack.data(2, "a")))
        harness.server.run()
        let codes = harness.takeAnswers().map { $0.split(separator: " ")[1] }
        #expect(codes == Array(repeating: "INTERNAL", count: 5))
    }
}
