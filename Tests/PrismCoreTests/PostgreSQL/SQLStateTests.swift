import PrismWire
import Testing

@testable import PrismCore

@Suite("SQLSTATE, Documentation") struct SQLStateTests {
    private func code(_ state: String, at stage: Stage = .execute) -> StatusCode {
        SQLStateMapping.code(of: ServerError(sqlState: state, message: "m"), at: stage)
    }

    @Test("docs/errors.md has every SQLSTATE as the program maps it")
    func documented() throws {
        var lines = ["| SQLSTATE | Condition | Status | Retry after | What to do |", "|---|---|---|---|---|"]
        for row in SQLStateTable.rows + [
            SQLStateTable.stalePlan, SQLStateTable.raised, SQLStateTable.notConnected, SQLStateTable.pooler,
        ] {
            let state = row.state.isEmpty ? "" : "`\(row.state)`"
            lines.append(
                "| \(state) | \(row.name) | `\(row.code.name)` | "
                    + "\(DocumentTable.duration(row.retryAfterMicroseconds)) | \(row.remedy) |")
        }
        try DocumentTable.hold("docs/errors.md", "sqlstate", lines.joined(separator: "\n") + "\n")
    }

    @Test("what a pooler says of a server that it has lost is not the client's mistake")
    func pooler() {
        let lost = ServerError(severity: .fatal, sqlState: "08P01", message: "server conn crashed?")
        #expect(SQLStateMapping.code(of: lost, at: .execute) == .unavailable)
        let mistaken = ServerError(sqlState: "08P01", message: "bind message supplies 1", routine: "exec_bind_message")
        #expect(SQLStateMapping.code(of: mistaken, at: .execute) == .invalidArgument)
    }

    @Test("docs/errors.md has every refusal of client SQL")
    func refusals() throws {
        var lines = ["| Status | Message |", "|---|---|"]
        for refusal in SQLRefusal.allCases {
            lines.append("| `\(refusal.failure.code.name)` | \(refusal.failure.message) |")
        }
        try DocumentTable.hold("docs/errors.md", "refusals", lines.joined(separator: "\n") + "\n")
    }

    /// Every class of errors in PostgreSQL's errcodes.txt.
    private static let classes = [
        "03", "08", "09", "0A", "0B", "0F", "0L", "0P", "0Z", "20", "21", "22", "23", "24", "25", "26", "27", "28",
        "2B", "2D",
        "2F", "34", "38", "39", "3B", "3D", "3F", "40", "42", "44", "53", "54", "55", "57", "58", "72", "F0", "HV",
        "P0", "XX",
    ]

    @Test("every class of errors has a row, every row a remedy, and no code two rows")
    func complete() {
        let states = SQLStateTable.rows.map(\.state)
        #expect(Set(states).count == states.count)
        #expect(states.filter { $0.count == 2 }.sorted() == Self.classes)
        for row in SQLStateTable.rows {
            #expect(row.state.count == 2 || row.state.count == 5 && states.contains(String(row.state.prefix(2))))
            #expect(row.remedy.count > 10 && row.code != .ok && row.code != .unknown, "\(row.state)")
        }
    }

    @Test(
        "the statuses that CONTRACT 2 fixes",
        arguments: [
            ("23505", StatusCode.alreadyExists), ("23503", .failedPrecondition), ("23502", .failedPrecondition),
            ("23P01", .failedPrecondition), ("23514", .failedPrecondition), ("40001", .aborted), ("40P01", .aborted),
            ("57014", .cancelled), ("53300", .resourceExhausted), ("53100", .resourceExhausted),
            ("57P01", .unavailable),
            ("57P02", .unavailable), ("57P03", .unavailable), ("08006", .unavailable), ("42501", .permissionDenied),
            ("42601", .invalidArgument), ("42P01", .invalidArgument), ("22003", .outOfRange),
            ("22012", .invalidArgument),
            ("22P02", .invalidArgument), ("25006", .invalidArgument), ("25P02", .failedPrecondition),
            ("25P03", .aborted),
            ("0A000", .invalidArgument), ("55P03", .aborted), ("XX000", .internal), ("XX001", .dataLoss),
            ("XX002", .dataLoss),
            ("P0001", .failedPrecondition), ("3B001", .notFound), ("AB123", .failedPrecondition),
            ("", .failedPrecondition),
            ("2", .failedPrecondition), ("22é", .invalidArgument),
        ])
    func fixed(state: String, expected: StatusCode) {
        #expect(code(state) == expected)
    }

    @Test("a server that lets nobody in is a backend that is away, except that it has no connection left")
    func connecting() {
        for state in ["28P01", "28000", "3D000", "42501", "57P03", "XX000", "0A000"] {
            #expect(code(state, at: .connect) == .unavailable, "\(state)")
        }
        #expect(code("53300", at: .connect) == .resourceExhausted)
        #expect(code("28P01") == .permissionDenied)
    }

    @Test("a failure carries what the server said, and what to do")
    func failure() {
        let error = ServerError(
            sqlState: "23505", message: "duplicate key", detail: "Key (a)=(1) already exists.", hint: "h", position: 7,
            constraint: "t_pkey")
        let failure = SQLStateMapping.failure(error, at: .stream, outcome: .notExecuted, item: 3)
        #expect(
            failure
                == Failure(
                    .alreadyExists, at: .stream, outcome: .notExecuted,
                    "duplicate key (t_pkey): a row with this key is already there", sqlState: "23505", item: 3,
                    position: 7,
                    detail: "Key (a)=(1) already exists.", hint: "h"))
        let named = ServerError(sqlState: "23505", message: "duplicate key of \"t_pkey\"", constraint: "t_pkey")
        #expect(
            SQLStateMapping.failure(named, at: .execute, outcome: .notExecuted).message.hasPrefix(
                "duplicate key of \"t_pkey\": "))
        let lost = SQLStateMapping.failure(
            ServerError(severity: .fatal, sqlState: "57P01", message: "m"), at: .execute, outcome: .unknown)
        #expect(lost.isRetryable && lost.retryAfterMicroseconds == 100_000 && lost.message.contains("not known"))
    }

    @Test("a plan is stale by the server's function or its untranslated words, and only as an error")
    func stale() {
        func isStale(_ state: String, _ message: String = "", _ routine: String = "", fatal: Bool = false) -> Bool {
            SQLStateMapping.isStalePlan(
                ServerError(severity: fatal ? .fatal : .error, sqlState: state, message: message, routine: routine))
        }
        #expect(isStale("26000") && isStale("0A000", "cached plan must not change result type"))
        #expect(isStale("0A000", "gecachter Plan …", "RevalidateCachedQuery"))
        #expect(!isStale("0A000", "cannot do this") && !isStale("42601") && !isStale("26000", fatal: true))
        let error = ServerError(sqlState: "0A000", message: "cached plan must not change result type")
        #expect(SQLStateMapping.code(of: error, at: .execute) == .aborted)
    }
}
