import PrismWire
import Testing

@testable import PrismCore

@Suite("SQL guard, any input") struct SQLGuardFuzzTests {
    private static let pieces = [
        "select", "begin", "BEGIN ATOMIC", "create", "temp", "table", "as", "execute", "explain", "(", ")", ";", "'",
        "\"",
        "$$", "$a$", "$", "$1", "E'", "\\", "U&\"", "u&'", "/*", "*/", "--", "\n", "\r", "\u{B}", " ", ".", ",", "into",
        "with",
        "analyze", "x'", "\u{E9}", "pg_temp", "_advisory", "case", "end", "1e", "0x", "function", "concurrently", "\0",
    ]

    private func steps(_ bytes: [UInt8]) -> Int {
        bytes.withUnsafeBytes { bytes in
            var reader = StatementReader(bytes)
            _ = reader.judge()
            return reader.scanner.bytesExamined
        }
    }

    @Test("random bytes and random pieces of SQL are judged, the same each time, looking at no byte too often")
    func random() {
        var random = SplitMix(11)
        for _ in 0..<20_000 {
            var bytes: [UInt8] = []
            for _ in 0..<random.below(24) {
                if random.chance(4) {
                    bytes.append(UInt8(truncatingIfNeeded: random.next()))
                } else {
                    bytes += Array(Self.pieces[random.below(Self.pieces.count)].utf8)
                    if random.chance(2) { bytes.append(UInt8(ascii: " ")) }
                }
            }
            let verdict = bytes.withUnsafeBytes { SQLGuard.judge($0) }
            #expect(verdict == bytes.withUnsafeBytes { SQLGuard.judge($0) })
            #expect(!verdict.sharesPipeline || verdict.refusal == nil && verdict.kind == .reading)
            let seen = steps(bytes)
            #expect(seen <= 16 * bytes.count, "\(bytes)")
        }
    }

    @Test("what precedes the first keyword never hides it")
    func prefixes() {
        let blanks = [
            " ", "\t", "\n", "\r", "\u{C}", "\u{B}", "-- x ' \" $$ /*\n", "-- x\r", "/* ' \" $$ -- */", "/*/**/*/", ";",
            "(", "/*\n--*/",
        ]
        var random = SplitMix(12)
        for _ in 0..<5_000 {
            let prefix = (0..<random.below(12)).map { _ in blanks[random.below(blanks.count)] }.joined()
            let text = prefix + ["begin", "SET x = 1", "Copy t to stdout", "execute a"][random.below(4)]
            #expect(SQLGuard.judge(text).refusal != nil, "\(text.debugDescription)")
            #expect(SQLGuard.judge(prefix + "select 1").refusal == nil, "\(prefix.debugDescription)")
        }
    }

    @Test("the work grows with the length, not faster, for texts made to be read again")
    func linear() {
        let patterns = [
            "$a$a", "$a", "$a$b$c", "$$a", "/*", "/*/", "*/", "E'\\''", "E'a'\n", "E'a' --\n", "into temp ",
            "create or replace ",
            "explain ", "explain (", "analyze ", "a$", "''", "\"\"", "((", "; ", "as execute ", "--\r", "u&\"a\" ",
            "1e$a$", "_advisor",
            "with a as (insert ",
        ]
        for pattern in patterns {
            for head in [
                "", "select ", "create table ", "explain ", "with ", "$" + String(repeating: "a", count: 30_000),
            ] {
                let bytes = Array((head + String(repeating: pattern, count: 100_000 / pattern.utf8.count)).utf8)
                let seen = steps(bytes)
                #expect(seen <= 16 * bytes.count, "\(head.prefix(8))\(pattern)")
            }
        }
    }
}
