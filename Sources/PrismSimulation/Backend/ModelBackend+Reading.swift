import PrismCore
import PrismWire

/// Reads, streams and read-only transactions: a few at a time, first come, first served.
extension ModelBackend {
    func submitRead(_ reference: RequestReference) {
        if readQueue.count - readQueueHead >= behaviour.queueRequestsMax {
            return fail(reference, queueFull, effect: tickets[reference]?.work.kind == .begin ? .ended : .unchanged)
        }
        readQueue.append(reference)
        if let work = tickets[reference]?.work, work.kind != .begin, work.transaction != .none {
            readingOf[work.transaction] = reference
        }
        startReads()
    }

    var queueFull: Failure {
        Failure(
            .resourceExhausted, at: .queue, "the model backend's queue is full", isRetryable: true,
            retryAfterMicroseconds: 100_000)
    }

    private func startReads() {
        while busyReaders < behaviour.readers, readQueueHead < readQueue.count {
            let reference = readQueue[readQueueHead]
            readQueueHead += 1
            guard var ticket = tickets[reference], ticket.state == .queued else { continue }
            if ticket.work.deadlineNanoseconds <= now {
                fail(reference, expired, effect: ticket.work.kind == .begin ? .ended : .unchanged)
                continue
            }
            busyReaders += 1
            ticket.state = .running
            ticket.started = now
            ticket.token = token()
            tickets[reference] = ticket
            schedule(.read(reference, token: ticket.token))
        }
    }

    var expired: Failure {
        Failure(.deadlineExceeded, at: .queue, "the deadline passed in the queue", isRetryable: true)
    }

    func stopReading(_ ticket: Ticket) {
        if ticket.partsSent > 0 { ledger.coverage.saw(.streamCut) }
        busyReaders -= 1
        startReads()
    }

    func continueReading(_ ticket: Ticket) {
        let reference = ticket.work.reference
        if ticket.serial > 0, ticket.work.kind == .query,
            ticket.partsSent < ledger.requests[ticket.serial - 1].streamParts
        {
            return sendPart(ticket)
        }
        busyReaders -= 1
        if random.chance(behaviour.failChance), ticket.work.kind != .rollback {
            let failure = Failure(.unavailable, at: .execute, "the model backend failed while reading")
            fail(reference, failure, effect: ticket.work.kind == .begin ? .ended : .unchanged)
            return startReads()
        }
        switch ticket.work.kind {
        case .begin:
            if readTransactions.count < behaviour.readTransactionsMax {
                readTransactions.insert(ticket.work.transaction)
                succeed(reference)
            } else {
                fail(reference, queueFull, effect: .ended)
            }
        case .commit, .rollback:
            readTransactions.remove(ticket.work.transaction)
            ledger.sealed(ticket.serial)
            succeed(reference, effect: .ended)
        default:
            if ticket.partsSent > 0 { ledger.coverage.saw(.streamFinished) }
            succeed(reference)
        }
        startReads()
    }

    private func sendPart(_ ticket: Ticket) {
        var ticket = ticket
        let reference = ticket.work.reference
        if ticket.outstanding >= streamWindowBytes, sabotage != .ignoreCredit {
            ledger.coverage.saw(.streamWaitedForCredit)
            ticket.waitsForCredit = true
            tickets[reference] = ticket
            return
        }
        ticket.partsSent += 1
        var writer = ProtobufWriter()
        let filler = [UInt8](repeating: 0x62, count: ledger.requests[ticket.serial - 1].bodyBytes)
        writer.field(32) {
            $0.field(1) { $0.field(1, filler) }
            $0.field(3, "\(ticket.serial) \(ticket.partsSent)")
        }
        ticket.outstanding += writer.bytes.count
        tickets[reference] = ticket
        mailbox.append(
            (Completion(reference: reference, kind: .part, startedNanoseconds: ticket.started), writer.bytes))
        schedule(.read(reference, token: ticket.token))
    }
}
