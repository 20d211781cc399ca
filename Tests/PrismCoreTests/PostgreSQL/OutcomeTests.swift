import PrismWire
import Testing

@testable import PrismCore

@Suite("Outcomes, Documentation") struct OutcomeTests {
    private static func error(
        _ severity: ServerError.Severity, _ state: String = "XX000", routine: String = "ProcessInterrupts"
    ) -> Ending {
        .error(ServerError(severity: severity, sqlState: state, message: "m", routine: routine))
    }

    private static let endings: [(String, Ending)] = [
        ("ERROR", error(.error)), ("FATAL", error(.fatal)), ("PANIC", error(.panic)),
        ("a pooler's FATAL", error(.fatal, "08P01", routine: "")), ("lost", .connectionLost),
        ("answered early", .cancelledLate), ("standby wait cancelled", .replicationWaitCancelled),
    ]

    /// One letter an ending: N NOT_EXECUTED, U UNKNOWN.
    private static let table: [(CommitPosition, String, transactional: String, outside: String)] = [
        (.notBegun, "nothing that commits was sent", "NNNNNNN", "NNNNNNN"),
        (.readOnly, "held to reading by the server", "NNNNNNN", "NNNNNNN"),
        (.inTransaction, "in a transaction, before COMMIT", "NNNNNNU", "NNNNNNU"),
        (.running, "runs on its own", "NNUUUUU", "UUUUUUU"),
        (.complete, "has completed on its own, is being committed", "NUUUUUU", "UUUUUUU"),
        (.commitSent, "COMMIT was sent", "NUUUUUU", "NUUUUUU"),
    ]

    @Test("every combination of kind, position and ending has its outcome")
    func combinations() {
        #expect(Self.table.map(\.0).sorted { $0.rawValue < $1.rawValue } == CommitPosition.allCases)
        for (position, _, transactional, outside) in Self.table {
            for kind in StatementKind.allCases {
                let expected = kind == .notTransactional ? outside : transactional
                let found = Self.endings.map {
                    outcome(kind: kind, position: position, ending: $0.1) == .notExecuted ? "N" : "U"
                }
                #expect(found.joined() == expected, "\(kind) \(position)")
                for (_, ending) in Self.endings {
                    #expect([.notExecuted, .unknown].contains(outcome(kind: kind, position: position, ending: ending)))
                }
            }
        }
    }

    @Test("an error that says itself that nobody knows is UNKNOWN")
    func resolutionUnknown() {
        for state in ["08007", "40003"] {
            for position in [CommitPosition.running, .complete, .commitSent] {
                #expect(outcome(kind: .writing, position: position, ending: Self.error(.error, state)) == .unknown)
            }
            #expect(
                outcome(kind: .writing, position: .inTransaction, ending: Self.error(.error, state)) == .notExecuted)
        }
    }

    @Test("docs/errors.md has the outcomes as the program decides them")
    func documented() throws {
        var lines = [
            "| What it was doing | " + Self.endings.map(\.0).joined(separator: " | ") + " |",
            "|---|" + Self.endings.map { _ in "---|" }.joined(),
        ]
        for (position, words, _, _) in Self.table {
            let row = { (kind: StatementKind) in
                Self.endings.map { "`\(outcome(kind: kind, position: position, ending: $0.1).name)`" }.joined(
                    separator: " | ")
            }
            lines.append("| \(words) | \(row(.writing)) |")
            if row(.notTransactional) != row(.writing) {
                lines.append("| the same, for what stands outside of transactions | \(row(.notTransactional)) |")
            }
        }
        try DocumentTable.hold("docs/errors.md", "outcomes", lines.joined(separator: "\n") + "\n")
    }
}
