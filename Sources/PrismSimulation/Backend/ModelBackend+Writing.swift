import PrismCore
import PrismWire

/// The one writer: what `GroupCommit` and `WriterQueue` decide, carried out on virtual time and made to fail.
extension ModelBackend {
    func submitWrite(_ work: WorkItem) {
        let reference = work.reference
        let admission: WriterQueue<RequestReference, TransactionReference, RequestReference>.Admission
        if work.kind == .begin {
            writeTransactions.insert(work.transaction)
            admission = queue.submitBegin(
                reference, id: reference, transaction: work.transaction, flow: work.flow,
                deadline: work.deadlineNanoseconds, now: now)
        } else {
            admission = queue.submitWrite(
                reference, id: reference, flow: work.flow, deadline: work.deadlineNanoseconds, now: now)
        }
        guard admission == .queued else {
            return fail(
                reference, admission == .late ? late : queueFull, effect: work.kind == .begin ? .ended : .unchanged)
        }
        if let expiry = queue.nextExpiryNanoseconds { scheduled.append((max(now, expiry), .expire)) }
        kickWriter()
    }

    func submitToHolder(_ work: WorkItem) {
        switch queue.submitRequest(work.reference, id: work.reference, transaction: work.transaction) {
        case .queued: kickWriter()
        case .full, .late: fail(work.reference, queueFull)
        case .notOpen: endWithoutTransaction(work.reference)
        }
    }

    // MARK: what next

    func kickWriter() {
        for reference in queue.expire(now: now) {
            let isBegin = tickets[reference]?.work.kind == .begin
            let failure = Failure(
                .resourceExhausted, at: .queue, "the writer was not free within the acquire timeout", isRetryable: true,
                retryAfterMicroseconds: 100_000)
            fail(reference, failure, effect: isBegin ? .ended : .unchanged)
        }
        if let expiry = queue.nextExpiryNanoseconds, case .idle = writer { scheduled.append((expiry, .expire)) }
        while case .idle = writer {
            if group.carriedCount > 0 {
                let capacity = group.startCapacity
                startGroup(capacity > 0 ? queue.takeWrites(max: capacity, now: now) : [])
                continue
            }
            switch queue.next(writesMax: max(group.startCapacity, 1), now: now) {
            case .none: return
            case .writes(let references): startGroup(references)
            case .begin(let transaction, let reference):
                guard take(reference) else {
                    finishTransaction(transaction)
                    continue
                }
                enter(.opening(transaction, reference))
            case .request(let transaction, let reference):
                guard take(reference) else {
                    queue.finished(transaction)
                    continue
                }
                if tickets[reference]?.work.kind == .commit, !isTransactionLost { seal(reference) }
                enter(.request(transaction, reference))
            case .abandon(let transaction): enter(.rollingBack(transaction))
            }
        }
    }

    /// Into work, unless its deadline has passed. False: it has been answered or is gone.
    private func take(_ reference: RequestReference) -> Bool {
        guard var ticket = tickets[reference] else { return false }
        if ticket.work.deadlineNanoseconds <= now, ticket.work.kind != .rollback {
            fail(reference, expired, effect: ticket.work.kind == .begin ? .ended : .unchanged)
            return false
        }
        ticket.state = .running
        ticket.started = now
        tickets[reference] = ticket
        return true
    }

    func seal(_ reference: RequestReference) {
        guard tickets[reference] != nil else { return }
        tickets[reference]?.state = .sealed
        ledger.sealed(tickets[reference]?.serial ?? 0)
    }

    private func enter(_ activity: WriterActivity) {
        writer = activity
        writerToken = token()
        let isCommit =
            switch activity {
            case .group(.commit): true
            case .request(_, let reference): tickets[reference]?.work.kind == .commit
            default: false
            }
        schedule(.writer(token: writerToken), isCommit: isCommit)
    }

    /// What is running has been told to stop: it ends soon, even if it hangs.
    func hurryWriter() {
        switch writer {
        case .idle: return kickWriter()
        case .group(.commit), .group(.begin), .group(.rollBack): return
        case .request(_, let reference) where tickets[reference]?.state == .sealed: return
        default: break
        }
        writerToken = token()
        scheduled.append((now + random.between(1_000, 1_000_000), .writer(token: writerToken)))
    }

    func continueWriting() {
        let activity = writer
        switch activity {
        case .idle: return
        case .group(let action): return continueGroup(action)
        case .opening(let transaction, let reference): opened(transaction, reference)
        case .request(let transaction, let reference): ran(transaction, reference)
        case .rollingBack(let transaction): finishTransaction(transaction)
        }
        writer = .idle
        kickWriter()
    }

    // MARK: interactive transactions

    private func opened(_ transaction: TransactionReference, _ reference: RequestReference) {
        guard tickets[reference] != nil, !queue.isAbandoned else {
            fail(reference, Self.aborted, effect: .ended)
            return finishTransaction(transaction)
        }
        if random.chance(behaviour.beginFailsChance) {
            ledger.coverage.saw(.beginFailed)
            fail(reference, Failure(.unavailable, at: .execute, "BEGIN failed", isRetryable: true), effect: .ended)
            return finishTransaction(transaction)
        }
        staged = []
        savepoints = []
        isTransactionLost = false
        queue.finished(transaction)
        succeed(reference)
    }

    private func ran(_ transaction: TransactionReference, _ reference: RequestReference) {
        guard let ticket = tickets[reference] else {
            // It was stopped, and what it did is undone.
            if random.chance(behaviour.stopKillsChance) { isTransactionLost = true }
            return queue.finished(transaction)
        }
        if isTransactionLost {
            ledger.coverage.saw(.transactionLost)
            endWithoutTransaction(reference)
            return finishTransaction(transaction)
        }
        switch ticket.work.kind {
        case .commit: return commit(transaction, ticket)
        case .rollback:
            succeed(reference, effect: .ended)
            ledger.coverage.saw(.transactionRolledBack)
            return finishTransaction(transaction)
        case _ where queue.isAbandoned: fail(reference, Self.aborted, effect: .ended)
        case .savepoint:
            savepoints.append((ledger.requests[max(ticket.serial, 1) - 1].savepoint, staged.count))
            succeed(reference)
        case .rollbackTo:
            let name = ledger.requests[max(ticket.serial, 1) - 1].savepoint
            if let position = savepoints.lastIndex(where: { $0.name == name }) {
                staged.removeLast(staged.count - savepoints[position].count)
                savepoints.removeLast(savepoints.count - position - 1)
                succeed(reference)
            } else {
                fail(reference, Failure(.notFound, at: .execute, "there is no savepoint \(name)"))
            }
        default: runInTransaction(ticket)
        }
        queue.finished(transaction)
    }

    private func runInTransaction(_ ticket: Ticket) {
        let reference = ticket.work.reference
        if random.chance(behaviour.dieChance) {
            isTransactionLost = true
            fail(reference, Failure(.unavailable, at: .execute, "the transaction died with it"))
        } else if random.chance(behaviour.failChance) {
            fail(reference, Failure(.alreadyExists, at: .execute, "a unique violation"))
        } else {
            if ticket.serial > 0, ledger.requests[ticket.serial - 1].mayWrite { staged.append(ticket.serial) }
            seal(reference)
            succeed(reference)
        }
    }

    private func commit(_ transaction: TransactionReference, _ ticket: Ticket) {
        let reference = ticket.work.reference
        if random.chance(behaviour.commitRefusedChance) {
            ledger.coverage.saw(.commitRefused)
            fail(reference, Failure(.aborted, at: .execute, "COMMIT was refused; rolled back"), effect: .ended)
        } else if random.chance(behaviour.commitUnknownChance) {
            ledger.coverage.saw(.commitUnknown)
            if random.chance(500) { makeDurable(staged + [ticket.serial]) }
            fail(
                reference, Failure(.unavailable, at: .execute, outcome: .unknown, "COMMIT failed in fsync"),
                effect: .ended)
        } else {
            makeDurable(staged + [ticket.serial])
            succeed(reference, effect: .ended)
        }
        finishTransaction(transaction)
    }

    func makeDurable(_ serials: [Int]) {
        for serial in serials { ledger.committed(serial, now) }
        if sabotage == .executeTwice, let first = serials.first { ledger.committed(first, now) }
    }

    private func finishTransaction(_ transaction: TransactionReference) {
        staged = []
        savepoints = []
        isTransactionLost = false
        writeTransactions.remove(transaction)
        for reference in queue.ended(transaction) { endWithoutTransaction(reference) }
    }

    // MARK: groups

    private func startGroup(_ references: [RequestReference]) {
        let members = references.filter { take($0) }
        groupAnswers.removeAll()
        applied = []
        staged = []
        guard let action = group.start(members) else { return }
        enterGroup(action)
    }

    private func enterGroup(_ action: GroupCommit<RequestReference>.Action) {
        switch action {
        case .settle(let settlements, _):
            for settlement in settlements { settle(settlement.member, settlement.verdict) }
            writer = .idle
            return
        case .supply(let max):
            let more = queue.takeWrites(max: max, now: now).filter { take($0) }
            return enterGroup(group.supply(more))
        case .run(let reference):
            if tickets[reference] != nil { tickets[reference]?.state = .running }
        default: break
        }
        enter(.group(action))
    }

    private func continueGroup(_ action: GroupCommit<RequestReference>.Action) {
        let next: GroupCommit<RequestReference>.Action
        switch action {
        case .begin:
            let fails = random.chance(behaviour.beginFailsChance)
            if fails { ledger.coverage.saw(.beginFailed) }
            next = group.began(!fails)
        case .run(let reference): next = runMember(reference)
        case .commit:
            if applied.count > 1 { ledger.coverage.saw(.groupOfMany) }
            next = commitGroup()
        case .rollBack:
            staged = []
            next = group.rolledBack(!random.chance(50))
        case .supply, .settle: return  // Carried out at once.
        }
        enterGroup(next)
        if case .idle = writer { kickWriter() }
    }

    private func runMember(_ reference: RequestReference) -> GroupCommit<RequestReference>.Action {
        let isStopped = tickets[reference] == nil
        if random.chance(isStopped ? behaviour.stopKillsChance : behaviour.dieChance) {
            ledger.coverage.saw(.groupDied)
            staged = []
            for member in applied where tickets[member] != nil { tickets[member]?.state = .carried }
            applied = []
            groupAnswers[reference] = (Failure(.unavailable, at: .execute, "the disk is full"), [])
            return group.ran(isStopped ? .cancelled : .refused(answerBytes: 256), isTransactionOpen: false)
        }
        guard let ticket = tickets[reference] else { return group.ran(.cancelled, isTransactionOpen: true) }
        if random.chance(behaviour.failChance) {
            groupAnswers[reference] = (Failure(.failedPrecondition, at: .execute, "a condition does not hold"), [])
            applied.append(reference)
            return group.ran(.refused(answerBytes: 256), isTransactionOpen: true)
        }
        staged.append(ticket.serial)
        applied.append(reference)
        seal(reference)
        let body = okBody(ticket)
        groupAnswers[reference] = (nil, body)
        if sabotage == .answerBeforeCommit { succeed(reference) }
        return group.ran(.applied(answerBytes: body.count), isTransactionOpen: true)
    }

    private func commitGroup() -> GroupCommit<RequestReference>.Action {
        if random.chance(behaviour.commitRefusedChance) {
            ledger.coverage.saw(.commitRefused)
            let isOpen = random.chance(500)
            if !isOpen { staged = [] }
            for member in applied where tickets[member] != nil { tickets[member]?.state = .carried }
            return group.committed(.refused(isTransactionOpen: isOpen))
        }
        if random.chance(behaviour.commitUnknownChance) {
            ledger.coverage.saw(.commitUnknown)
            if random.chance(500) { makeDurable(staged) }
            staged = []
            return group.committed(.unknown)
        }
        makeDurable(staged)
        staged = []
        return group.committed(.committed)
    }

    private func settle(_ reference: RequestReference, _ verdict: GroupCommit<RequestReference>.Verdict) {
        guard let ticket = tickets[reference] else { return }
        switch verdict {
        case .held:
            guard let answer = groupAnswers[reference] else {
                return ledger.violation(now, "\(ledger.describe(ticket.serial)): the group holds no answer of it")
            }
            if sabotage == .denyExecuted, answer.failure == nil {
                return fail(reference, Failure(.unavailable, at: .execute, "nothing has happened"))
            }
            if sabotage == .unknownWithoutCause, var failure = answer.failure {
                failure.outcome = .unknown
                return fail(reference, failure)
            }
            if let failure = answer.failure { return fail(reference, failure) }
            deliver(ticket, .ok, .unspecified, .unchanged, answer.body)
        case .notBegun:
            fail(reference, Failure(.unavailable, at: .execute, "BEGIN failed", isRetryable: true))
        case .commitRefused:
            fail(reference, Failure(.unavailable, at: .execute, "COMMIT was refused", isRetryable: true))
        case .unknown:
            fail(reference, Failure(.unavailable, at: .execute, outcome: .unknown, "COMMIT failed in fsync"))
        }
    }
}
