import PrismWire
import Testing

@testable import PrismTools

/// PostgreSQL's messages as the load generator writes and reads them (PostgreSQL documentation, 55.7).
@Suite struct LoadPeerTests {
    static func message(_ type: Character, _ body: [UInt8] = []) -> [UInt8] {
        let length = UInt32(body.count + 4)
        return [type.asciiValue ?? 0] + withUnsafeBytes(of: length.bigEndian) { Array($0) } + body
    }

    static func error(_ code: String, severity: String = "ERROR") -> [UInt8] {
        message("E", Array("S\(severity)\0V\(severity)\0C\(code)\0Mbroken C00000\0\0".utf8))
    }

    static let ready = message("Z", [UInt8(ascii: "I")])
    static let row = message("D", [0, 1, 0, 0, 0, 1, 0x5A])

    /// What a server sends for three requests, with what it may send at any time in between.
    static let answers =
        message("1") + message("2") + row + message("C", Array("SELECT 1\0".utf8)) + ready
        + message("N", Array("SNOTICE\0C00000\0Mhello\0\0".utf8)) + error("57014") + error("XX000") + ready
        + message("S", Array("TimeZone\0UTC\0".utf8)) + message("2") + row + row
        + message("C", Array("SELECT 2\0".utf8))
        + ready

    struct Answer: Equatable {
        var error: String?
        var rows: Int
    }

    static let expected = [
        Answer(error: nil, rows: 1), Answer(error: "SQLSTATE_57014", rows: 0), Answer(error: nil, rows: 2),
    ]

    /// Reads as the generator does: what is incomplete comes again with more behind it. Nil: malformed.
    static func read(_ parts: [[UInt8]]) -> [Answer]? {
        var reader = PeerAnswerReader()
        var found: [Answer] = []
        var pending: [UInt8] = []
        for part in parts {
            pending += part
            var isIncomplete = false
            while !isIncomplete {
                switch pending.withUnsafeBytes({ reader.read($0) }) {
                case .incomplete(let used):
                    pending.removeFirst(used)
                    isIncomplete = true
                case .answer(let error, let rows, let used):
                    pending.removeFirst(used)
                    found.append(Answer(error: error, rows: rows))
                case .malformed: return nil
                }
            }
        }
        return pending.isEmpty ? found : nil
    }

    @Test func answersAreReadHoweverTheyAreCut() {
        let bytes = Self.answers
        #expect(Self.read([bytes]) == Self.expected)
        for cut in 1..<bytes.count {
            #expect(Self.read([Array(bytes[..<cut]), Array(bytes[cut...])]) == Self.expected, "cut at \(cut)")
        }
        #expect(Self.read(bytes.map { [$0] }) == Self.expected)
    }

    @Test func anAnswerIsNotReportedBeforeItsReadyForQuery() {
        var reader = PeerAnswerReader()
        let bytes = Self.message("2") + Self.row + Self.error("22012", severity: "FATAL")
        #expect(bytes.withUnsafeBytes { reader.read($0) } == .incomplete(used: bytes.count))
        #expect(reader.error == "SQLSTATE_22012")
    }

    @Test func whatCannotComeIsMalformed() {
        for bytes in [
            Self.message("G", [0, 0, 0]), Self.message("R", [0, 0, 0, 0]), [0x44, 0, 0, 0, 3], [0x44, 0xFF, 0, 0, 0],
            [0x44, 0x7F, 0xFF, 0xFF, 0xFF], [0, 0, 0, 0, 4],
        ] {
            #expect(Self.read([bytes]) == nil, "\(bytes)")
        }
    }

    @Test func anErrorWithoutACodeIsAnErrorAllTheSame() {
        for body in [[], [0], Array("C\0".utf8), Array("Cabc12\0\0".utf8), Array("Mnothing\0\0".utf8)] as [[UInt8]] {
            #expect(
                Self.read([Self.message("E", body) + Self.ready]) == [Answer(error: "SQLSTATE_UNKNOWN", rows: 0)],
                "\(body)")
        }
    }

    // MARK: Requests

    func plan(_ statement: String?) -> LoadPlan {
        var plan = LoadPlan(workload: .sql, socketPath: "", run: "1a2b")
        plan.statement = statement
        plan.keys = 12_345
        return plan
    }

    /// The messages of one request, by type.
    func request(_ writer: inout PeerRequestWriter) throws -> [(type: Character, body: [UInt8])] {
        var output = ByteQueue()
        writer.append(to: &output)
        var rest = Array(output.bytes)[...]
        var found: [(Character, [UInt8])] = []
        while rest.count >= 5 {
            let header = Array(rest.prefix(5))
            let length = header[1...].reduce(0) { $0 << 8 | Int($1) }
            try #require(length >= 4 && rest.count > length, "a message is longer than the request")
            found.append((Character(Unicode.Scalar(header[0])), Array(rest.dropFirst(5).prefix(length - 4))))
            rest = rest.dropFirst(1 + length)
        }
        #expect(rest.isEmpty)
        return found
    }

    /// The number that a Bind of `statement` carries.
    func parameter(_ bind: [UInt8], of statement: String) throws -> Int {
        let head = [0] + Array(statement.utf8) + [0, 0, 0, 0, 1, 0, 0, 0] as [UInt8]
        try #require(Array(bind.prefix(head.count)) == head)
        let digits = bind.dropFirst(head.count + 1).dropLast(2)
        #expect(Int(bind[head.count]) == digits.count)
        #expect(bind.suffix(2) == [0, 0])
        return try #require(Int(String(decoding: digits, as: UTF8.self)))
    }

    @Test func aPreparedStatementIsBoundToChangingKeys() throws {
        var writer = PeerRequestWriter(plan: plan(nil), peer: LoadPeer(conninfo: ""), seed: 1)
        var keys: Set<Int> = []
        for _ in 0..<1_000 {
            let messages = try request(&writer)
            try #require(messages.map(\.type) == ["B", "E", "S"])
            let key = try parameter(messages[0].body, of: "prism_bench")
            #expect((0..<12_345).contains(key))
            keys.insert(key)
            #expect(messages[1].body == [0, 0, 0, 0, 0])
            #expect(messages[2].body == [])
        }
        #expect(keys.count > 900)
        #expect(keys.contains { $0 < 1_000 } && keys.contains { $0 > 9_999 })
    }

    @Test func anUnnamedStatementIsParsedEachTime() throws {
        var writer = PeerRequestWriter(plan: plan(nil), peer: LoadPeer(conninfo: "", isUnnamed: true), seed: 1)
        for _ in 0..<3 {
            let messages = try request(&writer)
            try #require(messages.map(\.type) == ["P", "B", "E", "S"])
            let sql = "select value from bench_rows_1a2b where id = $1"
            #expect(messages[0].body == [0] + Array(sql.utf8) + [0, 0, 0])
            _ = try parameter(messages[1].body, of: "")
        }
    }

    @Test func aStatementWithoutParametersGetsNone() throws {
        var writer = PeerRequestWriter(plan: plan("select 7"), peer: LoadPeer(conninfo: ""), seed: 1)
        let messages = try request(&writer)
        #expect(messages[0].body == [0] + Array("prism_bench".utf8) + [0, 0, 0, 0, 0, 0, 0])
    }

    @Test func aPeerAnswersInTheOrderAsked() {
        let connection = LoadConnection(descriptor: -1, slots: 3)
        for (time, slot) in [(10, 2), (20, 0), (30, 1)] as [(UInt64, Int)] {
            _ = connection.begin(slot: slot, now: time)
            connection.expectAnswer(slot: slot)
        }
        #expect(connection.endFirst()?.slot == 2)
        _ = connection.begin(slot: 2, now: 40)
        connection.expectAnswer(slot: 2)
        #expect(connection.endFirst()?.sentAt == 20)
        #expect(connection.endFirst()?.sentAt == 30)
        #expect(connection.endFirst()?.sentAt == 40)
        #expect(connection.endFirst() == nil)
        #expect(connection.inFlight == 0)
    }

    @Test func theSidecarGetsTheParameterOfAStatementThatNamesOne() throws {
        for (statement, count) in [("select value from t where id = $1", 1), ("select 7", 0)] {
            var writer = LoadRequestWriter(plan: plan(statement), seed: 1)
            try LoadTests().decode(&writer, id: 1) { request in
                #expect(request.query?.n_parameters == count)
                #expect(request.query?.sql.string == statement)
            }
        }
    }
}
