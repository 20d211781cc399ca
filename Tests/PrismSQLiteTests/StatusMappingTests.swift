import CSQLite
import Testing

@testable import PrismSQLite

@Suite("SQLite status mapping, Documentation") struct StatusMappingTests {
    @Test("docs/errors.md has every result code as the program maps it")
    func documented() throws {
        var lines = ["| Result | Code | Status | Retry after | What to do |", "|---|---|---|---|---|"]
        for row in StatusMapping.rows + [StatusMapping.other] {
            let number = row.result == 0 ? "" : "\(row.result)"
            lines.append(
                "| \(row.result == 0 ? row.name : "`\(row.name)`") | \(number) | `\(row.code.name)` | "
                    + "\(DocumentTable.duration(row.retryAfterMicroseconds)) | \(row.remedy) |")
        }
        try DocumentTable.hold("docs/errors.md", "sqlite", lines.joined(separator: "\n") + "\n")
    }

    @Test("an extended code goes before its primary one, and no code stands twice")
    func lookup() {
        #expect(StatusMapping.meaning(of: 2_067).code == .alreadyExists)
        #expect(StatusMapping.meaning(of: 275).code == .failedPrecondition, "CONSTRAINT_CHECK")
        #expect(StatusMapping.meaning(of: 517).code == .aborted)
        #expect(StatusMapping.meaning(of: 261).code == .unavailable, "BUSY_RECOVERY")
        #expect(StatusMapping.meaning(of: SQLITE_MISUSE).code == .internal)
        #expect(Set(StatusMapping.rows.map(\.result)).count == StatusMapping.rows.count)
    }
}
