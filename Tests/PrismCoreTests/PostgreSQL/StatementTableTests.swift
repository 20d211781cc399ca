import Testing

@testable import PrismCore

@Suite("PostgreSQL statement table") struct StatementTableTests {
    @Test("statements whose hashes are the same are told apart by every byte and type, while they come and go")
    func collisions() throws {
        for mask in [0, 3] {
            var table = StatementTable<Int>(hashMask: mask)
            // Around the eight bytes that are compared at once: each differs from the first in one byte, or by one.
            var statements: [(sql: String, types: [TypeOID])] = [("", []), ("", [0]), ("", [0, 0]), ("", [1])]
            for length in [1, 7, 8, 9, 16, 17] {
                statements.append((String(repeating: "a", count: length), []))
                for place in 0..<length {
                    let sql =
                        String(repeating: "a", count: place) + "b" + String(repeating: "a", count: length - place - 1)
                    statements.append((sql, []))
                }
            }
            for (number, statement) in statements.enumerated() {
                let replaced = withText(statement.sql) { table.insert(number, sql: $0, types: statement.types) }
                try #require(replaced == nil, "\(statement) was taken for another")
            }
            for (number, statement) in statements.enumerated() {
                #expect(withText(statement.sql) { table.find(sql: $0, types: statement.types) } == number)
            }
            // Every third one out, from anywhere in the chains; the others stay.
            for (number, statement) in statements.enumerated() where number % 3 == 0 {
                #expect(withText(statement.sql) { table.remove(sql: $0, types: statement.types) } == number)
            }
            for (number, statement) in statements.enumerated() {
                let found = withText(statement.sql) { table.find(sql: $0, types: statement.types) }
                #expect(found == (number % 3 == 0 ? nil : number))
            }
            while table.removeOldest() != nil {}
            #expect(table.count == 0)
            #expect(table.bytes == 0)
        }
    }
}
