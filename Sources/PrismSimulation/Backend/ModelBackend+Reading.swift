import PrismCore
import PrismWire

/// Reads, streams and read-only transactions: what `LeaseScheduler` decides, carried out by a few workers on virtual time.
extension ModelBackend {
    typealias Readers = LeaseScheduler<RequestReference, TransactionReference, RequestReference>

    /// What a worker is doing; it ends when its step comes.
    enum ReadJob {
        /// What is left of a batch, the next one last.
        case pointReads([RequestReference], connection: Int)
        case lease(RequestReference, connection: Int)
        case begin(TransactionReference, RequestReference, connection: Int)
        case request(TransactionReference, RequestReference, connection: Int)
        case abandon(TransactionReference, connection: Int)
        case close(connection: Int)

        var reference: RequestReference? {
            switch self {
            case .pointReads(let references, _): references.last
            case .lease(let reference, _), .begin(_, let reference, _), .request(_, let reference, _): reference
            case .abandon, .close: nil
            }
        }
    }

    func submitRead(_ work: WorkItem) {
        let reference = work.reference
        let admission: Readers.Admission
        if work.kind == .begin {
            readTransactions.insert(work.transaction)
            admission = readers.submitBegin(
                reference, id: reference, transaction: work.transaction, flow: work.flow,
                deadline: work.deadlineNanoseconds, now: now)
        } else if work.transaction != .none {
            admission = readers.submitRequest(reference, id: reference, transaction: work.transaction)
        } else if work.kind == .get {
            admission = readers.submitPointRead(
                reference, id: reference, flow: work.flow, deadline: work.deadlineNanoseconds, now: now)
        } else {
            admission = readers.submitLease(
                reference, id: reference, flow: work.flow, deadline: work.deadlineNanoseconds, now: now)
        }
        switch admission {
        case .queued: break
        case .full: fail(reference, queueFull, effect: work.kind == .begin ? .ended : .unchanged)
        case .late: fail(reference, late, effect: work.kind == .begin ? .ended : .unchanged)
        case .notOpen: endWithoutTransaction(reference)
        }
        kickReaders()
        if let expiry = readers.nextExpiryNanoseconds { scheduled.append((max(now, expiry), .expire)) }
    }

    var queueFull: Failure { .queueFull(backend: "of the model", retryAfterNanoseconds: 100_000_000) }
    var late: Failure { .late(backend: "of the model", retryAfterNanoseconds: 100_000_000) }

    var expired: Failure {
        Failure(.deadlineExceeded, at: .queue, "the deadline passed in the queue", isRetryable: true)
    }

    // MARK: what next

    func kickReaders() {
        for reference in readers.expire(now: now) {
            let failure = Failure(
                .resourceExhausted, at: .queue, "no connection within the acquire timeout", isRetryable: true,
                retryAfterMicroseconds: 100_000)
            fail(reference, failure, effect: tickets[reference]?.work.kind == .begin ? .ended : .unchanged)
        }
        while idleReaders > 0 {
            switch readers.next(now: now, idleThreads: idleReaders - 1) {
            case .none:
                if let idle = readers.nextIdleNanoseconds { scheduled.append((max(now + 1, idle), .expire)) }
                return
            case .pointReads(let references, let connection):
                startReading(.pointReads(references.reversed(), connection: connection))
            case .lease(let reference, let connection): startReading(.lease(reference, connection: connection))
            case .begin(let transaction, let reference, let connection):
                startReading(.begin(transaction, reference, connection: connection))
            case .request(let transaction, let reference, let connection):
                startReading(.request(transaction, reference, connection: connection))
            case .resume(let reference, let connection):
                if let transaction = parkedIn.removeValue(forKey: reference) {
                    startReading(.request(transaction, reference, connection: connection))
                } else {
                    startReading(.lease(reference, connection: connection))
                }
            case .abandon(let transaction, let connection):
                startReading(.abandon(transaction, connection: connection))
            case .close(let connection): startReading(.close(connection: connection))
            }
        }
    }

    private func startReading(_ job: ReadJob) {
        idleReaders -= 1
        goOnReading(job)
    }

    private func goOnReading(_ job: ReadJob) {
        let token = token()
        if let reference = job.reference, var ticket = tickets[reference] {
            if ticket.state == .queued { ticket.started = now }
            ticket.state = .running
            ticket.token = token
            tickets[reference] = ticket
        }
        readJobs[token] = job
        schedule(.read(token: token))
    }

    /// A running read has been told to stop: it ends soon, even if it hangs; a parked stream wakes for it.
    func stopReading(_ ticket: Ticket) {
        if ticket.partsSent > 0 { ledger.coverage.saw(.streamCut) }
        readers.wake(ticket.work.reference)
        if let job = readJobs.removeValue(forKey: ticket.token) {
            let token = token()
            readJobs[token] = job
            scheduled.append((now + random.between(1_000, 1_000_000), .read(token: token)))
        }
        kickReaders()
    }

    // MARK: carrying out

    func continueReading(_ job: ReadJob) {
        switch job {
        case .pointReads(var references, let connection):
            if let reference = references.popLast() { answerRead(reference) }
            if !references.isEmpty { return goOnReading(.pointReads(references, connection: connection)) }
            readers.released(connection: connection, isUsable: isUsable, now: now)
        case .lease(let reference, let connection):
            switch streams(reference, connection) {
            case .goesOn: return goOnReading(job)
            case .parked: break
            case .over:
                if readers.isGivingWay(reference) {
                    ledger.coverage.saw(.streamGaveWay)
                    fail(reference, .streamStalled)
                }
                readers.streamEnded(reference)
                answerRead(reference)
                readers.released(connection: connection, isUsable: isUsable, now: now)
            }
        case .begin(let transaction, let reference, _):
            guard tickets[reference] != nil, !readers.isAbandoned(transaction), !failsReading(reference) else {
                fail(reference, Self.aborted, effect: .ended)
                endReading(transaction)
                break
            }
            readers.finished(transaction)
            succeed(reference)
        case .request(let transaction, let reference, let connection):
            switch streams(reference, connection) {
            case .goesOn: return goOnReading(job)
            case .parked: parkedIn[reference] = transaction
            case .over:
                readers.streamEnded(reference)
                runInReadTransaction(transaction, reference)
            }
        case .abandon(let transaction, _): endReading(transaction)
        case .close(let connection): readers.released(connection: connection, isUsable: false, now: now)
        }
        idleReaders += 1
        kickReaders()
    }

    private var isUsable: Bool { !random.chance(behaviour.dieChance) }

    private func failsReading(_ reference: RequestReference) -> Bool {
        guard let ticket = tickets[reference], random.chance(behaviour.failChance) else { return false }
        let failure = Failure(.unavailable, at: .execute, "the model backend failed while reading")
        fail(reference, failure, effect: ticket.work.kind == .begin ? .ended : .unchanged)
        return true
    }

    private func answerRead(_ reference: RequestReference) {
        guard let ticket = tickets[reference] else { return }
        if ticket.work.deadlineNanoseconds <= now, ticket.partsSent == 0 { return fail(reference, expired) }
        guard !failsReading(reference) else { return }
        if ticket.partsSent > 0 { ledger.coverage.saw(.streamFinished) }
        succeed(reference)
    }

    private func runInReadTransaction(_ transaction: TransactionReference, _ reference: RequestReference) {
        let kind = tickets[reference]?.work.kind
        if kind == .commit || kind == .rollback {
            ledger.sealed(tickets[reference]?.serial ?? 0)
            succeed(reference, effect: .ended)
            return endReading(transaction)
        }
        if !isUsable {
            ledger.coverage.saw(.transactionLost)
            fail(reference, Failure(.unavailable, at: .execute, "the connection was lost"), effect: .ended)
            return endReading(transaction)
        }
        answerRead(reference)
        readers.finished(transaction)
    }

    private func endReading(_ transaction: TransactionReference) {
        readTransactions.remove(transaction)
        for reference in readers.ended(transaction, isUsable: isUsable, now: now) { endWithoutTransaction(reference) }
    }

    // MARK: streams

    private enum Streaming {
        case goesOn
        case parked
        case over
    }

    /// Sends the next part, if there is one.
    private func streams(_ reference: RequestReference, _ connection: Int) -> Streaming {
        guard var ticket = tickets[reference], ticket.serial > 0, ticket.work.kind == .query,
            !readers.isGivingWay(reference)
        else { return .over }
        let record = ledger.requests[ticket.serial - 1]
        guard ticket.partsSent < record.streamParts else { return .over }
        ticket.partsSent += 1
        var writer = ProtobufWriter()
        writer.field(32) {
            $0.field(1) { $0.field(1, [UInt8](repeating: 0x62, count: record.bodyBytes)) }
            $0.field(3, "\(ticket.serial) \(ticket.partsSent)")
        }
        tickets[reference] = ticket
        if sabotage != .ignoreCredit { readers.sending(reference, bytes: writer.bytes.count, connection: connection) }
        mailbox.append(
            (Completion(reference: reference, kind: .part, startedNanoseconds: ticket.started), writer.bytes))
        if readers.sent(reference) { return .goesOn }
        ledger.coverage.saw(.streamWaitedForCredit)
        return .parked
    }
}
