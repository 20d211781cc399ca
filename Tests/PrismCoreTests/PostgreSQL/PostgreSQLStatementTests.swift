import PrismCore
import Testing

@Suite("PostgreSQL statements") struct PostgreSQLStatementTests {
    @Test("every parameter has a declared type, and every type a parameter", arguments: PostgreSQLStatement.allCases)
    func types(statement: PostgreSQLStatement) {
        let used = Set(statement.sql.matches(of: /\$([0-9]+)/).compactMap { Int($0.output.1) })
        #expect(used == Set(1...statement.types.count))
    }

    @Test("an entry's version comes from the sequence again behind the lock, never from the row that was offered")
    func versions() {
        for statement in PostgreSQLStatement.allCases {
            #expect(!statement.sql.contains("excluded.version"), "\(statement)")
        }
    }

    @Test("every entry's operation takes namespace and key first, so that what explains it can have the same two")
    func addresses() {
        let onOne: [PostgreSQLStatement] = [
            .get, .currentVersion, .putAlways, .putIfAbsent, .putIfPresent, .putIfVersion, .delete, .deleteIfVersion,
            .tombstone, .tombstoneIfVersion, .increment, .touch,
        ]
        for statement in onOne { #expect(statement.types.starts(with: [25, 17]), "\(statement)") }
    }
}
