/// Where statements that were looked up lately stand in a connection's table, by what is known of them instead of by their texts. Of two
/// that meet in one place the later one stays; after any change of the table it begins anew.
struct RecentStatements: Sendable {
    static let statementsMax = 16

    private var statements: [KnownStatement?] = Array(repeating: nil, count: statementsMax)
    private var places: [Int] = Array(repeating: -1, count: statementsMax)
    private var changes: UInt64 = 0

    /// - Parameter changes: of the table.
    func place(of statement: KnownStatement, changes: UInt64) -> Int? {
        let index = Self.index(statement)
        guard changes == self.changes, statements[index] === statement else { return nil }
        return places[index]
    }

    mutating func keep(_ statement: KnownStatement, _ place: Int, changes: UInt64) {
        if changes != self.changes {
            for index in statements.indices { statements[index] = nil }
            self.changes = changes
        }
        let index = Self.index(statement)
        statements[index] = statement
        places[index] = place
    }

    /// Objects stand apart by their size at the least; it is kept from being freed here, so that no other has its address.
    private static func index(_ statement: KnownStatement) -> Int {
        mixedHash(UInt64(UInt(bitPattern: ObjectIdentifier(statement))), 0) & (statementsMax - 1)
    }
}
