import PrismCore
import PrismWire

/// The clients' side of a run.
extension Simulation {
    func schedule(_ client: SimulatedClient, at time: UInt64) {
        guard !client.isStepScheduled, client.state != .ended else { return }
        client.isStepScheduled = true
        events.add(.client(client.number), at: time)
    }

    /// Something has changed at its socket.
    func wake(_ client: SimulatedClient) {
        schedule(client, at: now + client.random.between(client.profile.thinkLow, client.profile.thinkHigh))
    }

    func step(_ client: SimulatedClient, _ time: UInt64) {
        client.isStepScheduled = false
        switch client.state {
        case .ended: return
        case .notConnected: return connect(client, time)
        case .connected: break
        }
        if !client.profile.neverReads, !client.random.chance(client.profile.lazyChance) { read(client, time) }
        guard client.state == .connected else { return }
        if client.socket.serverHasClosed, client.socket.toClient.isEmpty || client.profile.neverReads {
            return leave(client, time)
        }
        write(client, time)
        guard client.state == .connected else { return }
        let wantsToRead = !client.socket.toClient.isEmpty && !client.profile.neverReads
        let canCreate = !client.hasFinishedSending && client.outstandingCount < client.profile.inFlightMax
        if wantsToRead || canCreate || (client.hasUnsent && client.socket.roomToServer > 0) {
            let sleeps = client.profile.steady == nil && client.random.chance(20)
            let pause =
                sleeps
                ? client.random.spread(10_000_000, 3_000_000_000)
                : client.random.between(client.profile.thinkLow, client.profile.thinkHigh)
            schedule(client, at: time + pause)
        }
    }

    private func connect(_ client: SimulatedClient, _ time: UInt64) {
        guard isListening else {
            client.state = .ended
            return
        }
        if machine.state > .serving { ledger.coverage.saw(.connectedWhileEnding) }
        client.state = .connected
        backlog.append(client.number)
        ledger.note(time, "client \(client.number) connects")
        schedule(client, at: time + client.random.between(0, 100_000))
    }

    private func leave(_ client: SimulatedClient, _ time: UInt64) {
        ledger.note(time, "client \(client.number) closes")
        client.state = .ended
        client.socket.clientIsGone = true
        guard client.reference != nil || !client.socket.serverHasClosed else { return }
        ledger.connections[client.number].isLost = true
        if client.outstandingCount > 0 { ledger.coverage.saw(.disconnectInFlight) }
        if client.view != nil { ledger.coverage.saw(.disconnectInTransaction) }
    }

    // MARK: writing

    private func write(_ client: SimulatedClient, _ time: UInt64) {
        let profile = client.profile
        let last =
            profile.steady.map { client.last($0, at: time - Scenario.start) }
            ?? min(profile.requests, profile.endsAfter)
        while !client.hasFinishedSending, client.created < last, client.outstandingCount < profile.inFlightMax {
            send(RequestFactory.make(client, ledger, now: time), client, time)
            if profile.steady == nil, !client.random.chance(700) { break }
        }
        if client.created >= last, !client.hasFinishedSending {
            if let fault = profile.fault, !client.hasDoneWrong { doWrong(client, fault, time) }
            switch profile.ending {
            case .vanish:
                _ = client.push()
                return leave(client, time)
            case .halfClose: client.hasFinishedSending = true
            case .close: if client.outstandingCount == 0 || client.hasDoneWrong { client.hasFinishedSending = true }
            }
        }
        _ = client.push()
        guard client.hasFinishedSending, !client.hasUnsent, !client.socket.clientHasEndedSending else { return }
        if profile.ending == .halfClose || client.hasDoneWrong {
            if client.outstandingCount > 0 { ledger.coverage.saw(.halfCloseInFlight) }
            ledger.note(time, "client \(client.number) ends its sending side")
            client.socket.clientHasEndedSending = true
        } else {
            leave(client, time)
        }
    }

    private func send(_ record: RequestRecord, _ client: SimulatedClient, _ time: UInt64) {
        ledger.requests.append(record)
        ledger.note(
            time,
            "send \(ledger.describe(record.serial)) transaction \(record.transaction) timeout \(record.timeoutMicroseconds) us"
        )
        client.created += 1
        client.outstanding[record.id, default: []].append(record.serial)
        client.outstandingCount += 1
        if record.kind == .begin { client.isBeginning = true }
        client.recent.append(record.id)
        if client.recent.count > 4 { client.recent.removeFirst() }
        client.queue(RequestFactory.frame(record), serial: record.serial)
    }

    private func doWrong(_ client: SimulatedClient, _ fault: ClientProfile.Fault, _ time: UInt64) {
        client.hasDoneWrong = true
        client.hasFinishedSending = true
        ledger.note(time, "client \(client.number) does wrong: \(fault)")
        switch fault {
        case .emptyFrame: client.queue([0, 0, 0, 0], isFault: true)
        case .longFrame: client.queue([0x7F, 0xFF, 0xFF, 0xFF], isFault: true)
        case .undecodable: client.queue([0, 0, 0, 2, 0x0F, 0x07], isFault: true)
        case .idZero: client.queue([0, 0, 0, 3, 0x8A, 0x03, 0x00], isFault: true)
        case .halfFrame: client.queue([0, 0, 1, 0, 1, 2, 3])
        case .random:
            ledger.connections[client.number].isMutated = true
            client.queue((0...client.random.below(60)).map { _ in UInt8(client.random.below(256)) }, isFault: true)
        case .mutated:
            ledger.connections[client.number].isMutated = true
            let record = RequestFactory.make(client, ledger, now: time)
            var frame = RequestFactory.frame(record, isKnown: false)
            for _ in 0...client.random.below(4) {
                frame[client.random.below(frame.count)] ^= UInt8(1 << client.random.below(8))
            }
            client.queue(frame, isFault: true)
            ledger.coverage.saw(.mutatedFrame)
        case .duplicate:
            ledger.coverage.saw(.duplicateID)
            let first = RequestFactory.make(client, ledger, now: time)
            send(first, client, time)
            var second = RequestFactory.make(client, ledger, now: time)
            second.id = first.id
            ledger.requests.append(second)
            client.outstanding[second.id, default: []].append(second.serial)
            client.outstandingCount += 1
            client.queue(RequestFactory.frame(second), serial: second.serial, isFault: true)
        }
        if fault != .duplicate, fault != .mutated, fault != .halfFrame { ledger.coverage.saw(.garbage) }
    }

    // MARK: reading

    private func read(_ client: SimulatedClient, _ time: UInt64) {
        let piece = client.pull(arena: arena) { answered(client, $0) }
        guard !piece.isEmpty else { return }
        let received = ledger.connections[client.number].received
        let emitted = ledger.connections[client.number].emitted
        if received + piece.count > emitted.count || emitted[received..<received + piece.count] != piece[...] {
            ledger.violation(time, "client \(client.number) got other bytes than were sent")
        }
        ledger.connections[client.number].received += piece.count
    }

    private func answered(_ client: SimulatedClient, _ answer: Answer) {
        guard answer.id != 0, !answer.isPart, let serial = client.outstanding[answer.id]?.first else { return }
        let rest = client.outstanding[answer.id]?.dropFirst() ?? []
        client.outstanding[answer.id] = rest.isEmpty ? nil : Array(rest)
        client.outstandingCount -= 1
        let request = ledger.requests[serial - 1]
        if request.kind == .begin {
            client.isBeginning = false
            if answer.code == .ok, client.view == nil {
                client.view = SimulatedClient.View(
                    handle: answer.transaction, isReadOnly: request.isReadOnly, backend: request.backend)
            }
        }
        guard let view = client.view, request.transaction == view.handle else { return }
        if answer.code != .ok {
            client.view?.hasFailed = true
        } else if request.kind == .rollbackTo {
            client.view?.hasFailed = false
        } else if request.kind == .rollback || request.kind == .commit {
            client.view = nil
        }
    }
}
