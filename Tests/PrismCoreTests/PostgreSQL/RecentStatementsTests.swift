import Testing

@testable import PrismCore

@Suite("PostgreSQL statements looked up lately") struct RecentStatementsTests {
    private func known(_ types: [TypeOID]) -> KnownStatement {
        KnownStatement(types: types, parameters: types, columns: [], format: .text, kind: .reading)
    }

    @Test("who is found without its text is who would be found by it, and as old", arguments: 0..<20 as Range<UInt64>)
    func agrees(seed: UInt64) {
        var random = SplitMix(seed)
        var fast = StatementCache(capacity: 12)
        var plain = StatementCache(capacity: 12)
        // More than there is room for in either, and of one text two with different types.
        var statements = (0..<30).map { (text: "select \($0 / 2)", known: known($0 % 2 == 0 ? [] : [25])) }
        for _ in 0..<4_000 {
            // Some much more often than others.
            let index = random.below(1 + random.below(statements.count))
            let (text, known) = statements[index]
            withText(text) { sql in
                let found = fast.find(known, sql: sql)
                #expect(found == plain.find(sql: sql, types: known.types))
                switch random.below(40) {
                // What was learned of it anew is another object, maybe at the same address.
                case 0: statements[index].known = self.known(known.types)
                case 1:
                    guard let found else { break }
                    fast.condemn(found)
                    plain.condemn(found)
                    #expect((fast.find(known, sql: sql), fast.takeCondemned()) == (nil, plain.takeCondemned()))
                default:
                    guard found == nil else { break }
                    #expect(fast.insert(sql: sql, types: known.types) == plain.insert(sql: sql, types: known.types))
                }
            }
        }
    }
}
