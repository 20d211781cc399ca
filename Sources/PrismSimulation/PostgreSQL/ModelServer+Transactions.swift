import PrismCore

/// Transactions of the model server, and what becomes durable.
extension ModelServer {
    /// All of a request at once, or nothing.
    func durable(_ marks: [SerialMark]) {
        var units: [Int: Int] = [:]
        for mark in marks {
            ledger.committed(mark, now)
            units[mark.serial, default: 0] += 1
        }
        for (serial, count) in units.sorted(by: { $0.key < $1.key }) {
            guard let request = ledger.request(serial), request.units != count, !request.mayCommitInParts else {
                continue
            }
            ledger.violation(now, "\(ledger.describe(serial)): a part of it is durable")
        }
    }

    func makeDurable(_ session: ModelSession) {
        if sabotage != .forgetKey { keys.merge(session.claims) { first, _ in first } }
        session.claims = [:]
        guard !session.staged.isEmpty else { return }
        trace(session, "makes durable \(session.staged.map(\.serial))")
        durable(session.staged)
        session.staged = []
    }

    /// The end of a batch: what no BEGIN holds is committed.
    func synchronize(_ session: ModelSession) {
        session.isSkipping = false
        if session.block == .none {
            if sabotage == .tearRequest, session.staged.count > 1 { session.staged.removeFirst() }
            if !session.staged.isEmpty, let refusal = refusalOfCommit(session) {
                say(session, .failed(refusal))
                say(session, .end)
                session.rollBack()
            }
            makeDurable(session)
            session.setBefore = session.setBy
            session.rollBack()
        }
        say(session, .synchronized(session.status))
    }

    /// A deferred constraint, a serialization failure, or a cancel that came in time.
    private func refusalOfCommit(_ session: ModelSession) -> ServerError? {
        if session.isCancelled {
            return ServerError(sqlState: "57014", message: "canceling statement due to user request")
        }
        guard random.chance(behaviour.commitRefusedChance) else { return nil }
        ledger.coverage.saw(.commitRefused)
        return random.chance(500)
            ? ServerError(sqlState: "23503", message: "violates a deferred foreign key constraint")
            : ServerError(sqlState: "40001", message: "could not serialize access")
    }

    /// A statement of Prism's own, by its text.
    func run(_ sql: String, _ session: ModelSession) {
        switch sql {
        case "COMMIT": return commit(session)
        case "ROLLBACK":
            if sabotage == .mixTransactions {
                session.block = .none
                session.savepoints = []
            } else {
                let setBy = session.setBy
                session.rollBack()
                if sabotage == .keepSettings { session.setBy = setBy }
            }
            return done(session, "ROLLBACK")
        case _ where sql.hasPrefix("ROLLBACK TO SAVEPOINT "): return rollBack(to: String(sql.dropFirst(22)), session)
        default: break
        }
        if session.block == .failed { return failAborted(session) }
        if sql.hasPrefix("BEGIN") {
            session.block = .open
            session.beganNanoseconds = now
            session.isReadOnlyBlock = sql.hasSuffix("READ ONLY") && sabotage != .openBatch
            done(session, "BEGIN")
        } else if sql.hasPrefix("EXPLAIN") {
            explain(sql, session)
        } else if sql.hasPrefix("WITH own") {
            askHidden(session)
        } else if sql.hasPrefix("SAVEPOINT ") {
            guard session.block == .open else { return fail(session, "25P01", "SAVEPOINT outside of a transaction") }
            session.savepoints.append((String(sql.dropFirst(10)), session.staged.count, session.claims))
            done(session, "SAVEPOINT")
        } else if sql.hasPrefix("RELEASE SAVEPOINT ") {
            let name = String(sql.dropFirst(18))
            guard let position = session.savepoints.lastIndex(where: { $0.name == name }) else {
                return fail(session, "3B001", "savepoint \(name) does not exist")
            }
            session.savepoints.removeLast(session.savepoints.count - position)
            done(session, "RELEASE")
        } else if sql.hasPrefix("DEALLOCATE ") {
            let name = sql.dropFirst(11)
            guard let known = session.prepared.keys.first(where: { $0.text == name }) else {
                return fail(session, "26000", "prepared statement \"\(name)\" does not exist")
            }
            session.prepared[known] = nil
            done(session, "DEALLOCATE")
        } else {
            done(session, "SELECT 0")
        }
    }

    private func done(_ session: ModelSession, _ tag: String) {
        sayCompletion(session, nil, tag)
        say(session, .end)
    }

    private func commit(_ session: ModelSession) {
        guard session.block != .failed else {
            session.rollBack()
            return done(session, "ROLLBACK")
        }
        if !session.isWaitingForStandby, let refusal = refusalOfCommit(session) {
            session.rollBack()
            return fail(session, refusal.sqlState, refusal.message)
        }
        if sabotage == .tearRequest, session.staged.count > 1 { session.staged.removeFirst() }
        makeDurable(session)
        session.setBefore = session.setBy
        session.rollBack()
        done(session, "COMMIT")
    }

    private func rollBack(to name: String, _ session: ModelSession) {
        guard let position = session.savepoints.lastIndex(where: { $0.name == name }) else {
            return fail(session, "3B001", "savepoint \(name) does not exist")
        }
        session.staged.removeLast(session.staged.count - session.savepoints[position].count)
        session.savepoints.removeLast(session.savepoints.count - position - 1)
        session.claims = session.savepoints[position].claims
        session.block = .open
        done(session, "ROLLBACK")
    }

    // MARK: key-value

    /// Rows of one of Prism's own statements, in binary. A version is the serial of the request that made it.
    func answer(_ own: PostgreSQLStatement, _ serial: Int, _ values: [[UInt8]?], _ session: ModelSession) {
        let version = Self.bytes(Int64(serial))
        let request = ledger.request(serial)
        var row: [[UInt8]?]?
        var tag = "SELECT 1"
        switch own {
        case .get:
            if serial % 3 != 0 { row = [version, nil, [UInt8](repeating: 0x61, count: request?.bodyBytes ?? 0)] }
        case .putAlways, .putIfAbsent, .putIfPresent, .putIfVersion, .touch, .currentVersion: row = [version]
        case .delete, .deleteIfVersion, .tombstone, .tombstoneIfVersion: row = [version]
        case .increment: row = [version, [0x32], [1]]
        case .claimKey, .findKey, .storeAnswer: row = answerKey(own, values, session)
        case .sweepEntries, .sweepKeys: tag = "DELETE \(random.below(behaviour.settings.sweepRows + 1))"
        default: break
        }
        let columns = row.map { row in
            ServerColumns(row.map { _ in ServerColumn(name: "c", type: 17) }, format: .binary)
        }
        if let row, let columns { sayRow(session, row, columns) }
        sayCompletion(session, columns, tag)
        say(session, .end)
    }
}
