import Foundation
import PrismCore
import Testing

/// What each statement does when it is alone, against a real server.
@Suite("PostgreSQL statements: semantics") struct StatementSemanticsTests {
    private static let database: Result<StatementDatabase, any Error> = Result {
        try StatementDatabase("semantics")
    }

    private func session() throws -> Session { try Session(Self.database.get()) }

    /// An entry that expired long ago.
    private func expire(_ session: Session, _ key: String) throws {
        _ = try session.put(key, "gone")
        try session.execute("UPDATE prism.entry SET expires_at = 1 WHERE key = '\(key)'")
    }

    private func now(_ session: Session) throws -> Int64 {
        try #require(Int64(session.text("SELECT (date_part('epoch', clock_timestamp()) * 1000)::int8")))
    }

    private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    @Test("a put is found with its version, value and expiry, and replaces all three")
    func putAndGet() throws {
        let session = try session()
        let before = try now(session)
        let first = try #require(try session.put("put", "one", ttl: 60_000))
        let row = try #require(try session.one(.get, "put"))
        #expect(row.integer(0) == first)
        #expect(try before + 60_000...now(session) + 60_000 ~= #require(row.integer(1)))
        #expect(row[2] == bytes("one"))
        let second = try #require(try session.put("put", "", ttl: 0))
        #expect(second > first)
        let replaced = try #require(try session.one(.get, "put"))
        #expect(replaced == [replaced[0], nil, []])
        #expect(replaced.integer(0) == second)
        #expect(try session.one(.currentVersion, "put")?.integer(0) == second)
    }

    @Test("an expired entry is not there for anything that reads")
    func expired() throws {
        let session = try session()
        try expire(session, "unread")
        #expect(try session.one(.currentVersion, "unread") == [nil])
        for statement in [PostgreSQLStatement.get, .delete, .tombstone] {
            #expect(try session.one(statement, "unread") == nil, "\(statement)")
        }
        #expect(try session.one(.touch, "unread", 60_000) == nil)
        #expect(try session.one(.deleteIfVersion, "unread", 1) == nil)
    }

    @Test("each condition of a put, on an entry that is live, expired and not there")
    func conditions() throws {
        let session = try session()
        for (statement, live, dead) in [
            (PostgreSQLStatement.putAlways, true, true), (.putIfAbsent, false, true), (.putIfPresent, true, false),
        ] {
            let old = try #require(try session.put("live", "old"))
            try expire(session, "expired")
            let put = try session.put(statement, "live", "new")
            #expect((put != nil) == live, "\(statement) on a live entry")
            if let put { #expect(put > old) }
            #expect(try session.one(.get, "live")?[2] == bytes(live ? "new" : "old"))
            #expect((try session.put(statement, "expired", "new") != nil) == dead, "\(statement) on an expired entry")
            #expect((try session.one(.get, "expired") != nil) == dead)
            #expect((try session.put(statement, "never-\(statement)", "new") != nil) == dead, "\(statement) on none")
        }
        let old = try #require(try session.put("live", "old"))
        #expect(try session.put(.putIfVersion, "live", "new", version: old + 1) == nil)
        #expect(try session.put(.putIfVersion, "live", "new", version: old) != nil)
        #expect(try session.put(.putIfVersion, "live", "new", version: old) == nil)
        #expect(try session.put(.putIfVersion, "nobody", "new", version: old) == nil)
    }

    @Test("a delete says the version it removed, with or without a condition; a tombstone is not there either")
    func delete() throws {
        let session = try session()
        for (plain, conditional) in [
            (PostgreSQLStatement.delete, PostgreSQLStatement.deleteIfVersion), (.tombstone, .tombstoneIfVersion),
        ] {
            let version = try #require(try session.put("delete", "x"))
            #expect(try session.one(conditional, "delete", version + 1) == nil)
            #expect(try session.one(conditional, "delete", version)?.integer(0) == version)
            #expect(try session.one(.get, "delete") == nil)
            let again = try #require(try session.put(.putIfAbsent, "delete", "y"))
            #expect(again > version)
            #expect(try session.one(plain, "delete")?.integer(0) == again)
            #expect(try session.one(plain, "delete") == nil)
            #expect(try session.put(.putIfPresent, "delete", "z") == nil)
        }
    }

    @Test("touch sets and removes the time to live, and leaves the version")
    func touch() throws {
        let session = try session()
        let version = try #require(try session.put("touch", "x"))
        #expect(try session.one(.touch, "touch", 60_000)?.integer(0) == version)
        #expect(try #require(session.one(.get, "touch")?.integer(1)) > now(session))
        #expect(try session.one(.touch, "touch", 0)?.integer(0) == version)
        #expect(try session.one(.get, "touch")?[1] == nil)
    }

    @Test("an increment keeps the time to live that is there and sets one only on creation")
    func incrementExpiry() throws {
        let session = try session()
        #expect(try session.increment("counter", 5, ttl: 60_000).value == bytes("5"))
        let expiry = try #require(try session.one(.get, "counter")?.integer(1))
        #expect(try session.increment("counter", -7, ttl: 1).value == bytes("-2"))
        #expect(try session.one(.get, "counter")?.integer(1) == expiry)
        #expect(try session.increment("endless").done)
        #expect(try session.increment("endless", 1, ttl: 60_000).done)
        #expect(try session.one(.get, "endless")?[1] == nil)
        try expire(session, "restarted")
        let restarted = try session.increment("restarted", 3, ttl: 60_000)
        #expect(restarted.value == bytes("3") && restarted.done)
        #expect(try #require(session.one(.get, "restarted")?.integer(1)) > now(session))
    }

    @Test("an increment takes as a number what Swift takes, stores it in canonical form, and changes nothing otherwise")
    func incrementNumbers() throws {
        let session = try session()
        var texts = [
            "", "+", "-", "0", "-0", "+0", "007", "+5", "--5", "1 ", " 1", "1\n", "\n1", "1.0", "1e3", "0x10", "abc",
            "٣",
            "1\0", "\\061", "9223372036854775807", "9223372036854775808", "-9223372036854775808",
            "-9223372036854775809",
            "99999999999999999999", "00000000000000000007", "000000000000000000007", "NaN", "Infinity", "1_000",
        ]
        var generator = SplitMix(seed: 7)
        let alphabet = Array("0123456789+- .e\\")
        for _ in 0..<300 {
            let length = Int.random(in: 0...22, using: &generator)
            texts.append(String((0..<length).map { _ in alphabet[Int.random(in: 0..<13, using: &generator)] }))
        }
        var numbers = 0
        for (index, text) in texts.enumerated() {
            let delta = [1, -1, Int64.max, Int64.min, 0][index % 5]
            let old = try #require(try session.put("number", text))
            let found = try session.increment("number", delta)
            let number = text.utf8.count <= 20 ? Int64(text) : nil
            let sum = number.map { $0.addingReportingOverflow(delta) }
            if let sum, !sum.overflow {
                numbers += 1
                #expect(found.done && found.value == bytes(String(sum.partialValue)), "\(text) + \(delta)")
                #expect(try #require(found.version) > old)
            } else {
                #expect(!found.done && found.version == old, "\(text) + \(delta)")
                #expect(found.value == (text.utf8.count <= 20 ? bytes(text) : nil))
                #expect(try session.one(.get, "number")?[2] == bytes(text))
            }
        }
        #expect(numbers > 30)
        // Bytes that are no text at all.
        for value in ["\\xff", "\\x31ff", "\\xc3"] {
            try session.execute("UPDATE prism.entry SET value = '\(value)' WHERE key = 'number'")
            #expect(try !session.increment("number").done)
        }
    }

    @Test("getMany says the place of each key that is there, of repeated ones each")
    func getMany() throws {
        let session = try session()
        _ = try session.put("many-a", "A")
        _ = try session.put("many-b", "B")
        try expire(session, "many-x")
        let rows = try session.run(.getMany) {
            $0.append(text: Session.namespace)
            $0.append(byteStrings: ["many-b", "many-x", "many-a", "none", "", "many-b"].map { Array($0.utf8) })
        }
        let found = rows.map { "\($0.integer(0) ?? 0) \(String(decoding: $0[3] ?? [], as: UTF8.self))" }.sorted()
        #expect(found == ["1 B", "3 A", "6 B"])
        let none = try session.run(.getMany) {
            $0.append(text: Session.namespace)
            $0.append(byteStrings: [[UInt8]]())
        }
        #expect(none.isEmpty)
    }

    @Test("scans go in the order of bytes, both ways, from the lower bound to below the upper, up to the limit")
    func scans() throws {
        let session = try session()
        try session.execute(
            """
            INSERT INTO prism.entry (namespace, key, value, version, expires_at)
            SELECT n, k::bytea, k::bytea || '\\x21', nextval('prism.version'), e
            FROM (VALUES ('scan', 'a', NULL), ('scan', 'a%', NULL), ('scan', 'b', 1), ('scan', '\\x00', NULL), ('scan', '\\xff', NULL),
            ('scan', 'B', 99999999999999), ('scan-2', 'a', NULL)) AS v (n, k, e)
            """)
        func keys(_ statement: PostgreSQLStatement, _ lower: [UInt8], _ limit: Int64, _ upper: [UInt8]? = nil) throws
            -> [[UInt8]]
        {
            let rows = try session.run(statement) { parameters in
                parameters.append(text: "scan")
                lower.withUnsafeBytes { parameters.append(binary: $0) }
                parameters.append(limit)
                upper?.withUnsafeBytes { parameters.append(binary: $0) }
            }
            for row in rows where row.count == 4 { #expect(row[3] == row[0].map { $0 + [0x21] }) }
            return rows.compactMap { $0[0] }
        }
        let all: [[UInt8]] = [[0], bytes("B"), bytes("a"), bytes("a%"), [0xFF]]
        #expect(try keys(.scanUp, [], 0) == all)
        #expect(try keys(.keysUp, [], 2) == Array(all.prefix(2)))
        #expect(try keys(.scanDown, [], 0) == all.reversed())
        #expect(try keys(.keysDown, bytes("a"), 1) == [[0xFF]])
        #expect(try keys(.scanUpBelow, bytes("a"), 0, bytes("b")) == [bytes("a"), bytes("a%")])
        #expect(try keys(.keysUpBelow, bytes("B"), 0, bytes("a")) == [bytes("B")])
        #expect(try keys(.scanDownBelow, bytes("B"), 2, bytes("b")) == [bytes("a%"), bytes("a")])
        #expect(try keys(.keysDownBelow, [], 0, [0]) == [])
        func count(_ statement: PostgreSQLStatement, _ lower: [UInt8], _ upper: [UInt8]? = nil) throws -> Int64? {
            try session.run(statement) { parameters in
                parameters.append(text: "scan")
                lower.withUnsafeBytes { parameters.append(binary: $0) }
                upper?.withUnsafeBytes { parameters.append(binary: $0) }
            }.first?.integer(0)
        }
        #expect(try count(.count, []) == 5)
        #expect(try count(.countBelow, bytes("a"), [0xFF]) == 2)
    }

    @Test("an idempotency key is claimed once within its retention, and again after it")
    func claims() throws {
        let session = try session()
        func claim(_ retention: Int64) throws -> Bool {
            try session.run(.claimKey) {
                $0.append(1_000)
                $0.append(text: "clé")
                $0.append(bytes: "print")
                $0.append(retention)
            }.first == [[1]]
        }
        func find() throws -> Session.Row? {
            try session.run(.findKey) {
                $0.append(1_000)
                $0.append(text: "clé")
            }.first
        }
        #expect(try find() == nil)
        #expect(try claim(60_000))
        #expect(try find() == [bytes("print"), nil])
        let stored = try session.changed(.storeAnswer) {
            $0.append(1_000)
            $0.append(text: "clé")
            $0.append(bytes: "answer")
        }
        #expect(stored == 1)
        #expect(try !claim(60_000))
        #expect(try find() == [bytes("print"), bytes("answer")])
        try session.execute("UPDATE prism.idempotency SET created_at = created_at - 60001")
        #expect(try claim(60_000))
        #expect(try find() == [bytes("print"), nil])
    }

    @Test("sweepers remove what has expired, the oldest first, and nothing else")
    func sweep() throws {
        // Of its own: what the other tests have made to expire is theirs.
        let session = try Session(StatementDatabase("sweep"))
        try session.execute("DELETE FROM prism.entry; DELETE FROM prism.idempotency")
        try session.execute(
            """
            INSERT INTO prism.entry (namespace, key, value, version, expires_at) SELECT 'sweep', i::text::bytea, '', i,
            CASE WHEN i <= 10 THEN i WHEN i <= 15 THEN 99999999999999 END FROM generate_series(1, 20) AS i
            """)
        try session.execute(
            """
            INSERT INTO prism.idempotency (uid, key, fingerprint, created_at)
            SELECT 1, i, '', (date_part('epoch', clock_timestamp()) * 1000)::int8 - i * 1000000 FROM generate_series(1, 4) AS i
            """)
        #expect(try session.changed(.sweepEntries) { $0.append(4) } == 4)
        #expect(try session.text("SELECT min(version) FROM prism.entry") == "5")
        #expect(try session.changed(.sweepEntries) { $0.append(100) } == 6)
        #expect(try session.changed(.sweepEntries) { $0.append(100) } == 0)
        #expect(try session.text("SELECT count(*) FROM prism.entry") == "10")
        func sweepKeys() throws -> Int {
            try session.changed(.sweepKeys) {
                $0.append(2_500_000)
                $0.append(1)
            }
        }
        #expect(try (0..<3).map { _ in try sweepKeys() } == [1, 1, 0])
        #expect(try session.text("SELECT max(key) FROM prism.idempotency") == "2")
    }
}

/// Vigna's splitmix64: the same texts in every run.
struct SplitMix: RandomNumberGenerator {
    var seed: UInt64

    mutating func next() -> UInt64 {
        seed &+= 0x9E37_79B9_7F4A_7C15
        var mixed = seed
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
