import PrismCore

/// What befalls connections and the server, and cancels on their way.
extension ModelServer {
    // MARK: cancels

    /// A cancel names a process, not a statement: it hits what runs there when it arrives. Its call returns when the signal has
    /// been sent; the process takes the signal when it runs next, at the latest.
    func askToCancel(_ connection: ServerConnectionReference) {
        let arrives = now + random.spread(10_000, 5_000_000)
        var returns = arrives + random.between(1_000, 500_000)
        if random.chance(behaviour.cancelSlowChance) { returns += random.spread(100_000_000, 20_000_000_000) }
        scheduled.append((returns, .cancelReturned(connection)))
        if sabotage == .repeatCancel {
            scheduled.append((returns + random.spread(1_000_000, 100_000_000), .signal(connection)))
        }
        guard !random.chance(behaviour.cancelLostChance) else { return ledger.coverage.saw(.cancelLost) }
        guard random.chance(behaviour.cancelLateChance) else { return scheduled.append((arrives, .signal(connection))) }
        guard let session = session(connection) else { return }
        session.owesSignal = true
    }

    /// A cancel arrives.
    func signal(_ session: ModelSession) {
        // Between two commands it goes unnoticed.
        guard session.token != 0 || session.rowsLeft != nil else { return ledger.coverage.saw(.cancelMissed) }
        if session.isWaitingForStandby {
            ledger.coverage.saw(.standbyWaitCancelled)
            say(session, .standbyNotice)
        } else if session.isCommitting {
            // Before the commit record it is heeded, behind it is not.
            guard random.chance(500) else { return }
            session.isCancelled = true
        } else {
            guard !session.isSkipping else { return }
            session.isCancelled = true
            if case .statement("SELECT 1") = session.commands.first { ledger.coverage.saw(.cancelHitFence) }
        }
        session.token = token()
        scheduled.append((now + random.between(1_000, 100_000), .work(session, token: session.token)))
    }

    /// A signal that was on its way when its call returned: it is taken as the process begins on something.
    func takeSignal(_ session: ModelSession) {
        guard session.owesSignal, !session.commands.isEmpty else { return }
        session.owesSignal = false
        guard !session.isSkipping else { return }
        switch session.commands[0] {
        case .execute, .prepare, .statement:
            if case .statement("SELECT 1") = session.commands[0] { ledger.coverage.saw(.cancelHitFence) }
            session.isCancelled = true
        case .describe, .sync: break
        }
    }

    // MARK: connections

    /// Whether something happens to the connection instead of, or behind, what the process was about to do.
    func misfortune(_ session: ModelSession) -> Bool {
        guard !session.isOrphaned else { return false }
        let isLost = random.chance(behaviour.loseChance)
        guard isLost || random.chance(behaviour.freezeChance) else { return false }
        if let first = session.commands.first, session.isCommit(first) { ledger.coverage.saw(.lostInCommit) }
        if random.chance(500) { finish(session) }
        if isLost, random.chance(300), !session.commands.isEmpty {
            terminate(session)
        } else if isLost, random.chance(300) {
            die(session)
        } else {
            cut(session, isNoticed: isLost)
        }
        return true
    }

    /// By an administrator: the client is told, unless the word is lost.
    private func terminate(_ session: ModelSession) {
        ledger.coverage.saw(.sessionTerminated)
        trace(session, "is terminated")
        flush(session)
        session.outbox.append(
            .failed(
                ServerError(
                    severity: .fatal, sqlState: "57P01",
                    message: "terminating connection due to administrator command", routine: "ProcessInterrupts")))
        session.outbox.append(.lost("terminated by the administrator"))
        bury(session)
    }

    /// The process is gone without a word, and its transaction with it.
    func die(_ session: ModelSession) {
        trace(session, "dies")
        loseSomeWords(session)
        session.outbox.append(.lost("server closed the connection unexpectedly"))
        bury(session)
    }

    private func bury(_ session: ModelSession) {
        session.rollBack()
        session.held = []
        session.commands = []
        session.token = 0
        session.isDead = true
    }

    private func loseSomeWords(_ session: ModelSession) {
        session.outbox.removeLast(random.below(session.outbox.count + 1))
    }

    /// The connection is cut between the two: each goes on with what it has.
    /// - Parameter isNoticed: the client hears of it at once.
    func cut(_ session: ModelSession, isNoticed: Bool) {
        let end = ModelSession(session.reference)
        end.isDead = true
        end.isReading = session.isReading
        end.outbox = session.outbox
        end.sentPrepared = session.sentPrepared
        end.sentBegin = session.sentBegin
        end.sentSerials = session.sentSerials
        loseSomeWords(end)
        if isNoticed {
            end.outbox.append(.lost("connection reset by peer"))
        } else {
            ledger.coverage.saw(.connectionFrozen)
            scheduled.append((now + random.spread(100_000_000, 60_000_000_000), .foundLost(end)))
        }
        orphan(session)
        sessions.append(end)
    }

    /// The client's end is gone. The process does what has reached it, and rolls back what is open then.
    func orphan(_ session: ModelSession) {
        guard !session.isDead else { return remove(session) }
        session.isOrphaned = true
        session.outbox = []
        session.held = []
        let isBusy = session.token != 0 || session.rowsLeft != nil
        let arrived = random.below(session.commands.count + 1)
        session.commands.removeLast(session.commands.count - max(arrived, isBusy ? 1 : 0))
        kick(session)
    }

    // MARK: the server

    /// All sessions at once. What was committed is kept; a commit that is being made may be kept.
    func crash() {
        ledger.note(now, "server crashes")
        ledger.coverage.saw(.serverCrashed)
        for session in sessions where !session.isDead {
            if session.isCommitting {
                ledger.coverage.saw(.lostInCommit)
                if random.chance(500) { makeDurable(session) }
            }
            if session.isOrphaned { remove(session) } else { die(session) }
        }
        for connection in connecting { refuse(connection, "the database system is in recovery mode") }
        downUntil = now + behaviour.recoveryNanoseconds
    }
}
