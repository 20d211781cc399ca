import PrismCore

/// Whose statements stand together in one transaction of the model server, and what one of them may have changed for the others.
extension ModelServer {
    /// Requests whose statements may see each other's session: those of one transaction handle, or a single one.
    enum Owner: Hashable {
        case request(Int)
        case transaction(client: Int, handle: UInt64)
    }

    private func owner(_ mark: SerialMark) -> Owner? {
        guard let request = ledger.request(mark.serial) else { return nil }
        return request.transaction == 0
            ? .request(mark.serial) : .transaction(client: request.client, handle: request.transaction)
    }

    /// A statement of a request is about to run.
    /// - Returns: whose rows it gets.
    func judgeCompany(_ mark: SerialMark, _ statement: ModelStatement, _ session: ModelSession) -> SerialMark {
        guard let owner = owner(mark) else { return mark }
        if let setBy = session.setBy, setBy != owner {
            ledger.violation(now, "\(ledger.describe(mark.serial)) runs in a session that \(setBy) has changed")
        }
        let isAlone = session.company.allSatisfy { $0.owner == owner }
        session.company.append((owner, mark, statement.isClients))
        if statement.changesSession { session.setBy = owner }
        guard !isAlone else { return mark }
        ledger.coverage.saw(.batchShared)
        let hasSQL = session.company.contains { $0.isSQL }
        if hasSQL { ledger.coverage.saw(.batchSharedSQL) }
        if !statement.isRead || !session.staged.isEmpty {
            ledger.violation(now, "\(ledger.describe(mark.serial)) shares a transaction in which something is changed")
        } else if hasSQL, !session.isReadOnlyBlock {
            ledger.violation(now, "\(ledger.describe(mark.serial)) shares a transaction that may write")
        }
        guard sabotage == .crossInBatch, let neighbour = session.company.dropLast().last else { return mark }
        return neighbour.mark
    }

    // MARK: plans

    /// A row for the plan, or for what it hides, of a statement that changes its session.
    func explain(_ sql: String, _ session: ModelSession) {
        let words = sql.split { $0 == " " || $0 == "(" }
        let name = words.firstIndex(of: "EXECUTE").map { words[$0 + 1] } ?? ""
        let statement = session.prepared.first { $0.key.text == name }?.value
        session.hidesSomething = false
        var line = "Function Scan on pg_catalog.unnest rows"
        if statement?.changesSession == true, sabotage != .trustPlan {
            ledger.coverage.saw(.planRefused)
            if random.chance(500) { session.hidesSomething = true } else { line += "\n  Output: held(rows.*)" }
        }
        let columns = ServerColumns([ServerColumn(name: "QUERY PLAN", type: 25)], format: .text)
        for line in line.split(separator: "\n") { sayRow(session, [Array(line.utf8)], columns) }
        sayCompletion(session, columns, "EXPLAIN")
        say(session, .end)
    }

    /// The answer to what is asked behind an EXPLAIN.
    func askHidden(_ session: ModelSession) {
        let columns = ServerColumns([ServerColumn(name: "?column?", type: 23)], format: .text)
        if session.hidesSomething { sayRow(session, [Array("1".utf8)], columns) }
        sayCompletion(session, columns, session.hidesSomething ? "SELECT 1" : "SELECT 0")
        say(session, .end)
    }

    /// Seconds, as float8.
    func answerTiming(_ session: ModelSession) {
        let columns = ServerColumns([ServerColumn(name: "date_part", type: 701)], format: .binary)
        let seconds = Double(now - min(now, session.beganNanoseconds)) / 1e9
        sayRow(session, [Self.bytes(Int64(bitPattern: seconds.bitPattern))], columns)
        sayCompletion(session, columns, "SELECT 1")
        say(session, .end)
    }

    // MARK: what is on its way

    /// The server keeps what it has to say until a Sync, an error, or until its buffer is full.
    func say(_ session: ModelSession, _ reply: ModelSession.Reply) {
        guard !session.isOrphaned else { return }
        session.held.append(reply)
        switch reply {
        case .synchronized, .failed, .standbyNotice: flush(session)
        default: if session.held.count >= behaviour.heldRepliesMax { flush(session) }
        }
    }

    /// A row of the command that is being carried out.
    func sayRow(_ session: ModelSession, _ values: [[UInt8]?], _ columns: ServerColumns) {
        say(session, .row(values, columns, delivery(session)))
    }

    func sayCompletion(_ session: ModelSession, _ columns: ServerColumns?, _ tag: String) {
        say(session, .complete(columns, tag, delivery(session)))
    }

    /// Of the rows of the command that is being carried out.
    private func delivery(_ session: ModelSession) -> RowDelivery {
        if case .execute(_, _, _, let rows) = session.commands.first { rows } else { .oneByOne }
    }

    func flush(_ session: ModelSession) {
        session.outbox += session.held
        session.held = []
    }
}
