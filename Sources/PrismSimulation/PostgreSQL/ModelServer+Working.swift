import PrismCore

/// What a session's process does, command by command.
extension ModelServer {
    /// Starts on the next command, if there is one and the client takes the answers.
    func kick(_ session: ModelSession) {
        guard session.token == 0, !session.isDead else { return }
        guard let command = session.commands.first else {
            if session.isOrphaned { end(session) }
            return
        }
        let mustWait = session.outbox.count >= Self.outboxMax && !session.isCancelled
        guard !mustWait || session.isOrphaned else { return }
        if session.rowsLeft == nil { takeSignal(session) }
        session.token = token()
        guard let time = duration(of: command, session) else { return ledger.coverage.saw(.backendHung) }
        scheduled.append((now + time, .work(session, token: session.token)))
    }

    /// An orphan has nothing more to do: the process ends.
    private func end(_ session: ModelSession) {
        session.rollBack()
        remove(session)
    }

    /// Nil: it never ends by itself.
    private func duration(of command: ModelSession.Command, _ session: ModelSession) -> UInt64? {
        if session.isSkipping || session.isCancelled { return 1_000 }
        if session.rowsLeft != nil { return random.between(1_000, max(1_000, behaviour.stepLow)) }
        if session.isCommit(command) {
            if random.chance(behaviour.standbyChance) { return waitForStandby(session) }
            return random.between(behaviour.stepLow, behaviour.stepHigh) * behaviour.commitFactor
        }
        switch command {
        case .execute(let name, _, _, _) where session.prepared[name]?.isWork == true: return behaviour.step(&random)
        case .execute(let name, _, _, _) where session.prepared[name]?.isTiming == true: return 1_000
        case .prepare(_, let statement) where statement.isClients: return behaviour.step(&random)
        default: return random.between(1_000, 1_000 + behaviour.stepLow / 4)
        }
    }

    /// The change is made here, and the standby does not confirm it.
    private func waitForStandby(_ session: ModelSession) -> UInt64? {
        session.isWaitingForStandby = true
        makeDurable(session)
        return random.chance(300) ? nil : random.spread(1_000_000, 10_000_000_000)
    }

    /// Its time has come: it does its command, and at once what costs next to nothing behind it.
    func work(_ session: ModelSession) {
        session.token = 0
        guard !session.commands.isEmpty else { return }
        guard !misfortune(session) else { return }
        if mustWaitForKey(session) {
            ledger.coverage.saw(.keyAwaited)
            // While it waits, the server looks whether its client is still there (client_connection_check_interval).
            if session.isOrphaned { return end(session) }
            session.token = token()
            return scheduled.append((now + random.between(100_000, 2_000_000), .work(session, token: session.token)))
        }
        finish(session)
        while let next = session.commands.first, isTrifle(next, session), session.outbox.count < Self.outboxMax,
            random.chance(900)
        {
            takeSignal(session)
            finish(session)
        }
        kick(session)
    }

    private func isTrifle(_ command: ModelSession.Command, _ session: ModelSession) -> Bool {
        if session.isSkipping { return true }
        if session.rowsLeft != nil || session.isCommit(command) { return false }
        switch command {
        case .execute(let name, _, _, _): return session.prepared[name]?.isWork != true
        case .prepare(_, let statement): return !statement.isClients
        default: return true
        }
    }

    /// Does the first command; of one that returns rows, some of them.
    func finish(_ session: ModelSession) {
        let command = session.commands[0]
        if session.rowsLeft == nil {
            carryOut(command, session)
        } else {
            sendRows(session)
        }
        session.isCancelled = false
        guard session.rowsLeft == nil else { return }
        session.isWaitingForStandby = false
        session.commands.removeFirst()
    }

    private func carryOut(_ command: ModelSession.Command, _ session: ModelSession) {
        if case .sync = command { return synchronize(session) }
        if session.isSkipping {
            say(session, .skipped)
            return say(session, .end)
        }
        if session.isCancelled { return fail(session, "57014", "canceling statement due to user request") }
        switch command {
        case .prepare(let name, let statement): prepare(name, statement, session)
        case .describe(let name):
            guard let statement = session.prepared[name] else { return fail(session, "26000", "no such statement") }
            say(
                session,
                .described(
                    parameters: statement.sql.contains("$1") ? [20] : [],
                    columns: statement.returnsRows ? ModelStatement.columns : []))
            say(session, .end)
        case .execute(let name, let values, let format, _): execute(name, values, format, session)
        case .statement(let sql): run(sql, session)
        case .sync: break
        }
    }

    // MARK: statements

    private func prepare(_ name: PreparedName, _ statement: ModelStatement, _ session: ModelSession) {
        if session.block == .failed { return failAborted(session) }
        if statement.isClients {
            let divisor = behaviour.typesRefusedDivisor
            if !statement.types.isEmpty, divisor > 0, statement.sql.utf8.count.isMultiple(of: divisor) {
                ledger.coverage.saw(.typesRefused)
                return fail(session, "42883", "function rows(bigint) does not exist")
            }
            if random.chance(behaviour.prepareFailsChance) { return fail(session, "55P03", "lock not available") }
        }
        session.prepared[name] = statement
        sayCompletion(session, nil, "")
        say(session, .end)
    }

    private func execute(
        _ name: PreparedName, _ values: [[UInt8]?], _ format: ValueFormat, _ session: ModelSession
    ) {
        guard let statement = session.prepared[name] else { return fail(session, "26000", "no such statement") }
        if session.block == .failed, statement.sql != "ROLLBACK" { return failAborted(session) }
        if statement.isFrame { return run(statement.sql, session) }
        if statement.isTiming { return answerTiming(session) }
        if statement.sql == "RESET ALL" { session.setBy = nil }
        var mark = Self.mark(statement, values)
        if statement.isWork {
            trace(session, "executes \(statement.sql.prefix(30)) of serial \(mark.serial)")
            if random.chance(behaviour.staleChance) { return failAsStale(name, session) }
            if random.chance(behaviour.failChance) {
                // What commits by itself may have done so before.
                if statement.commitsByItself, session.block == .none, random.chance(500) { durable([mark]) }
                return failSomehow(mark, session)
            }
            let whose = judgeCompany(mark, statement, session)
            if statement.isRead { mark = whose } else { change(mark, statement, session) }
        }
        if let own = statement.own { return answer(own, mark.serial, values, session) }
        guard statement.returnsRows else {
            sayCompletion(session, nil, Self.tag(statement, rows: 1))
            return say(session, .end)
        }
        let request = ledger.request(mark.serial)
        session.rowsLeft = statement.isRead ? request?.streamParts ?? 0 : 1
        session.rowNumber = 0
        session.rowsFormat = format
        session.rowsMark = mark
        session.rowsFiller = request?.bodyBytes ?? 0
        if session.rowsLeft == 0 { sendRows(session) }
    }

    private func change(_ mark: SerialMark, _ statement: ModelStatement, _ session: ModelSession) {
        if statement.commitsByItself, session.block == .none { durable([mark]) } else { session.staged.append(mark) }
    }

    private static func tag(_ statement: ModelStatement, rows: Int) -> String {
        if statement.sql.hasPrefix("insert") { return "INSERT 0 \(rows)" }
        if statement.sql.hasPrefix("update") { return "UPDATE \(rows)" }
        if statement.sql.hasPrefix("call") { return "CALL" }
        return "SELECT \(rows)"
    }

    private func sendRows(_ session: ModelSession) {
        if session.isCancelled {
            session.rowsLeft = nil
            return fail(session, "57014", "canceling statement due to user request")
        }
        let columns = ServerColumns(ModelStatement.columns, format: session.rowsFormat)
        var left = session.rowsLeft ?? 0
        for _ in 0..<min(left, 1 + random.below(3)) {
            left -= 1
            session.rowNumber += 1
            let numbers = [session.rowsMark.number, Int64(session.rowNumber)].map { number in
                session.rowsFormat == .binary ? Self.bytes(number) : Array(String(number).utf8)
            }
            sayRow(session, numbers + [[UInt8](repeating: 0x62, count: session.rowsFiller)], columns)
        }
        session.rowsLeft = left
        guard left == 0 else { return }
        session.rowsLeft = nil
        guard case .execute(let name, _, _, _) = session.commands[0], let statement = session.prepared[name] else {
            return
        }
        sayCompletion(session, columns, Self.tag(statement, rows: session.rowNumber))
        say(session, .end)
    }

    // MARK: failures

    func fail(_ session: ModelSession, _ sqlState: String, _ message: String, routine: String = "") {
        trace(session, "fails: \(sqlState) \(message)")
        say(session, .failed(ServerError(sqlState: sqlState, message: message, routine: routine)))
        say(session, .end)
        session.isSkipping = true
        if session.block == .none { session.rollBack() } else { session.block = .failed }
    }

    func failAborted(_ session: ModelSession) {
        fail(session, "25P02", "current transaction is aborted, commands ignored until end of transaction block")
    }

    /// The message names the request.
    private func failSomehow(_ mark: SerialMark, _ session: ModelSession) {
        let whose = mark.serial > 0 ? " [serial \(mark.serial)]" : ""
        switch random.below(4) {
        case 0: fail(session, "40P01", "deadlock detected" + whose)
        case 1: fail(session, "40001", "could not serialize access" + whose)
        case 2: fail(session, "53200", "out of memory" + whose)
        default: fail(session, "23505", "duplicate key value violates unique constraint" + whose)
        }
    }

    private func failAsStale(_ name: PreparedName, _ session: ModelSession) {
        ledger.coverage.saw(.planStale)
        if random.chance(500) {
            session.prepared[name] = nil
            return fail(session, "26000", "prepared statement \"\(name.text)\" does not exist")
        }
        fail(session, "0A000", "cached plan must not change result type", routine: "RevalidateCachedQuery")
    }
}
