import PrismWire
import Testing

/// A client's session with writes of every sort. What each answer promises about the file is noted as a claim, to be held
/// against the file afterwards.
struct SweepScenario {
    struct Contents {
        var entries: [String: String]
        /// Of the table `row`: id and text.
        var rows: [Int64: String]
    }

    struct Claim {
        var what: String
        var outcome: Outcome
        var isApplied: (Contents) -> Bool
        var isUndone: (Contents) -> Bool
    }

    private(set) var claims: [Claim] = []
    private(set) var problems: [String] = []
    private(set) var versions: [UInt64] = []
    private let backend: TestBackend

    init(_ backend: TestBackend) { self.backend = backend }

    /// What the scenario starts from; through a healthy backend.
    static func prepare(_ directory: TemporaryDirectory) throws {
        let before = try TemporaryDirectory()
        let backend = try TestBackend(before)
        for key in ["d1", "d2", "kept"] { try backend.expect(.put(key, "0")) }
        try backend.expect(.query("CREATE TABLE row (id INTEGER PRIMARY KEY, v TEXT NOT NULL)"))
        try backend.expect(.query("INSERT INTO row VALUES (1, 'one')"))
        // With a log that must be recovered, as after a kill.
        try before.copyDatabase(to: directory)
    }

    mutating func run() throws {
        try put("a", "1")
        try readBack("a", "1")
        try transactionWithGroupBehindIt()
        claim("delete d1", try backend.call(.delete("d1")), { $0.entries["d1"] == nil }, { $0.entries["d1"] == "0" })
        claim(
            "write", try backend.call(.write([.put("w1", [0x31]), .put("w2", [0x32]), .delete("d2")])),
            { $0.entries["w1"] == "1" && $0.entries["w2"] == "2" && $0.entries["d2"] == nil },
            { $0.entries["w1"] == nil && $0.entries["w2"] == nil && $0.entries["d2"] == "0" })
        try idempotentIncrement()
        claim(
            "batch",
            try backend.call(.batch("INSERT INTO row VALUES ($1, 'batch')", sets: [[.integer(20)], [.integer(21)]])),
            { $0.rows[20] == "batch" && $0.rows[21] == "batch" }, { $0.rows[20] == nil && $0.rows[21] == nil })
        let big = String(repeating: "x", count: 60_000)
        try put("big", big)
        try put("small", "1")
        try readRows()
    }

    private mutating func put(_ key: String, _ value: String) throws {
        let answer = try backend.call(.put(key, value))
        if answer.isOK { versions.append(answer.version) }
        claim("put \(key)", answer, { $0.entries[key] == value }, { $0.entries[key] == nil })
    }

    private mutating func claim(
        _ what: String, _ answer: Answer, _ isApplied: @escaping (Contents) -> Bool,
        _ isUndone: @escaping (Contents) -> Bool
    ) {
        if !answer.isOK, answer.failure == nil { problems.append("\(what): a failure without a reason") }
        claims.append(Claim(what: what, outcome: answer.outcome, isApplied: isApplied, isUndone: isUndone))
    }

    /// A read after a write: right, or an error.
    private mutating func readBack(_ key: String, _ value: String) throws {
        let answer = try backend.call(.get(key))
        guard answer.isOK, let claim = claims.last else { return }
        let contents = Contents(entries: answer.entry.found ? [key: answer.entry.text] : [:], rows: [:])
        switch claim.outcome {
        case .executed where !claim.isApplied(contents): problems.append("a read missed \(claim.what)")
        case .notExecuted where !claim.isUndone(contents): problems.append("a read saw \(claim.what)")
        default: break
        }
    }

    private mutating func readRows() throws {
        let answer = try backend.call(.query("SELECT v FROM row WHERE id = 1"))
        if answer.isOK, answer.value != .text("one") { problems.append("a query read \(answer.rows)") }
        let scanned = try backend.call(.scan(Request.Range(prefix: "kept")))
        if scanned.isOK, scanned.entries.map(\.text) != ["0"] { problems.append("a scan read \(scanned.entries)") }
    }

    /// While a transaction has the writer, a group gathers behind it.
    private mutating func transactionWithGroupBehindIt() throws {
        let transaction = backend.newTransaction()
        var last = try backend.call(.begin, in: transaction)
        let group = (0..<5).map { ("g\($0)", backend.submit(.put("g\($0)", "1"))) }
        let refused = backend.submit(.put("refused", "1", condition: .version(999_999_999)))
        let inserted = backend.submit(.query("INSERT INTO row VALUES (10, 'group')"))
        let steps: [Request] = [
            .put("t1", "1"), .savepoint("s"), .put("t2", "1"), .rollbackTo("s"), .put("t3", "1"),
            .commit.idempotent("transaction"),
        ]
        for step in steps where last.isOK { last = try backend.call(step, in: transaction) }
        if !last.isOK, last.effect == .unchanged {
            let end = try backend.call(.rollback, in: transaction)
            if !end.isOK { problems.append("Rollback was refused: \(end.message)") }
        }
        claim(
            "transaction", last,
            { $0.entries["t1"] == "1" && $0.entries["t3"] == "1" && $0.entries["t2"] == nil },
            { $0.entries["t1"] == nil && $0.entries["t3"] == nil && $0.entries["t2"] == nil })
        for (key, pending) in group {
            let answer = try backend.answer(pending)
            if answer.isOK { versions.append(answer.version) }
            claim("group's \(key)", answer, { $0.entries[key] == "1" }, { $0.entries[key] == nil })
        }
        let refusal = try backend.answer(refused)
        if refusal.isOK { problems.append("a condition that cannot hold held") }
        claim("refused", refusal, { _ in true }, { $0.entries["refused"] == nil })
        claim("insert", try backend.answer(inserted), { $0.rows[10] == "group" }, { $0.rows[10] == nil })
    }

    /// Sent twice with the same key: once or not at all, never twice.
    private mutating func idempotentIncrement() throws {
        let request = Request.increment("n").idempotent("once")
        let answers = [try backend.call(request), try backend.call(request)]
        for answer in answers where answer.isOK && !answer.isEmpty && answer.integer != 1 {
            problems.append("the increment answered \(answer.integer)")
        }
        var sum = answers[1]
        if answers.contains(where: \.isOK) {
            sum = answers.first(where: \.isOK) ?? sum
        } else if answers.contains(where: { $0.outcome == .unknown }) {
            sum = answers.first { $0.outcome == .unknown } ?? sum
        }
        claim("increment", sum, { $0.entries["n"] == "1" }, { $0.entries["n"] == nil })
    }

    // MARK: afterwards

    /// With the fault gone, writes and reads work again.
    mutating func expectRecovery() throws {
        let written = try backend.callUntilOK(.put("after", "1"))
        if !written.isOK { problems.append("writes do not work again: \(written.message)") }
        if let last = versions.max(), written.isOK, written.version <= last {
            problems.append("version \(written.version) after \(last)")
        }
        let read = try backend.callUntilOK(.get("after"))
        if written.isOK, read.entry.text != "1" { problems.append("reads do not work again: \(read.message)") }
        let healthy = backend.backend.snapshot()
        if !healthy.isHealthy { problems.append("the snapshot still says \(healthy.problem)") }
        if Set(versions).count != versions.count { problems.append("a version was given twice") }
        if backend.answeredTwice > 0 { problems.append("\(backend.answeredTwice) requests were answered twice") }
    }

    /// Holds the claims against a file that nobody has open.
    /// - Parameter moment: what has happened to it.
    mutating func judge(_ directory: TemporaryDirectory, _ moment: String, hasRecovered: Bool) {
        let known = problems.count
        do { try judge(directory, hasRecovered: hasRecovered) } catch { problems.append("\(error)") }
        for index in known..<problems.count { problems[index] += " (\(moment))" }
    }

    private mutating func judge(_ directory: TemporaryDirectory, hasRecovered: Bool) throws {
        let file = try PlainFile(directory)
        let integrity = try file.rows("PRAGMA integrity_check")
        if integrity != [[.text("ok")]] { problems.append("integrity_check: \(integrity)") }
        var contents = Contents(entries: try file.entries(), rows: [:])
        for row in try file.rows("SELECT id, v FROM row") {
            if case .integer(let id) = row[0], case .text(let text) = row[1] { contents.rows[id] = text }
        }
        if contents.entries["kept"] != "0" || contents.rows[1] != "one" { problems.append("what was there is gone") }
        if hasRecovered, contents.entries["after"] != "1" {
            problems.append("what was written after the fault is gone")
        }
        for claim in claims {
            let (isApplied, isUndone) = (claim.isApplied(contents), claim.isUndone(contents))
            switch claim.outcome {
            case .executed where !isApplied: problems.append("\(claim.what) was answered OK and is not in the file")
            case .notExecuted where !isUndone: problems.append("\(claim.what) was NOT_EXECUTED and is in the file")
            case .unknown where !isApplied && !isUndone: problems.append("\(claim.what) is in the file in part")
            case .unspecified: problems.append("\(claim.what): no outcome")
            default: break
            }
        }
    }
}
