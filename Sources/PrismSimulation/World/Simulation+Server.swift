import PrismCore
import PrismWire

/// The shell of a run: does with simulated sockets what `Shard` does with real ones, and decides as little.
extension Simulation {
    static let readsPerTickMax = 4
    static let roundsPerTickMax = 3

    func tick() {
        for backend in backends { backend.deliver() }
        deliverCompletions()
        let signals = pendingSignals
        pendingSignals = []
        for signal in signals {
            ledger.note(now, "signal \(signal)")
            if machine.handle(signal, now: now) { announce() }
        }
        guard machine.state < .stopped else { return }
        if isListening { acceptAll() }
        let first = random.below(clients.count)
        for offset in clients.indices { serve(clients[(first + offset) % clients.count]) }
        endOfTick()
    }

    /// What the session is told in a backend's own turn: it is in the multiplexer then, and its actions wait.
    func hearTurns() {
        for case .postgreSQL(let backend) in backends {
            backend.told = { [unowned self, unowned backend] completion, bodyBytes in
                ledger.coverage.saw(.toldInTurn)
                if completion.kind == .part {
                    uncredited(completion.reference, bodyBytes, .postgreSQL(backend))
                }
            }
        }
    }

    /// - Returns: how many there were.
    @discardableResult
    func deliverCompletions() -> Int {
        var count = 0
        for backend in backends {
            while true {
                let batch = backend.takeCompletions()
                if batch.isEmpty { break }
                count += batch.count
                for (completion, body) in batch {
                    if completion.kind == .part { uncredited(completion.reference, body.count, backend) }
                    let late = multiplexer.metrics.lateCompletions
                    body.withUnsafeBytes { multiplexer.completed(completion, body: $0, now: now) }
                    if multiplexer.metrics.lateCompletions > late { ledger.coverage.saw(.lateCompletion) }
                    perform()
                }
            }
        }
        return count
    }

    /// A stream may be ahead of its client by the window and the part that passes it, never by more.
    private func uncredited(_ reference: RequestReference, _ bytes: Int, _ backend: SimulatedBackend) {
        let total = streamBytes[reference, default: 0] + bytes
        streamBytes[reference] = total
        if total < 0 { ledger.violation(now, "a stream was credited more than it had sent") }
        if total > scenario.settings.streamWindowBytes + backend.partBytesMax {
            ledger.violation(now, "a stream is \(total) bytes ahead of its client")
        }
    }

    private func endOfTick() {
        multiplexer.advance(to: sabotage == .earlyDeadline ? now + 20_000_000 : now)
        perform()
        settle()
        observeAll()
        if multiplexer.framesAwaitingRoom > 0 { ledger.coverage.saw(.frameAwaitedRoom) }
        if let problem = multiplexer.accountingProblem() { ledger.violation(now, problem) }
        for backend in backends { _ = backend.takeToldCount() }
        for backend in backends { backend.advance() }
        // As a shard does: they may have answered, and are asked again about what follows from it.
        for _ in 0..<Self.roundsPerTickMax {
            let told = backends.reduce(0) { $0 + $1.takeToldCount() }
            guard told + deliverCompletions() > 0 else { break }
            perform()
            settle()
            observeAll()
            for backend in backends { backend.advance() }
        }
        guard machine.state > .serving, sabotage != .stuckDrain || machine.state < .draining else { return }
        while machine.state < .stopped, machine.advance(now: now, activity: multiplexer.activity) { announce() }
    }

    private func settle() {
        for _ in 0..<3 {
            multiplexer.settle(now: now)
            perform()
            flushAll()
        }
        multiplexer.settle(now: now)
        perform()
    }

    private func announce() {
        let state = machine.state
        ledger.note(now, "drain: \(state.name), \(machine.reason)")
        ledger.mix(UInt64(state.rawValue) << 32)
        let left =
            machine.exitByNanoseconds == .max
            ? UInt64.max : machine.exitByNanoseconds - min(now, machine.exitByNanoseconds)
        judgeDrain(state)
        observeAll()
        if state == .cancelling {
            acceptAll()
            isListening = false
        }
        multiplexer.enter(state, reason: machine.reason, budgetLeftNanoseconds: left, now: now)
        perform()
        if state == .stopped {
            flushAll()
            var isMoving = true
            while isMoving {
                multiplexer.settle(now: now)
                perform()
                isMoving = !toFlush.isEmpty
                flushAll()
            }
        }
        observeAll()
    }

    /// Every state ends within its share of the budget, and stays until it may end.
    private func judgeDrain(_ state: DrainState) {
        let late = scenario.stallNanosecondsMax + 10_000
        let exitBy = machine.exitByNanoseconds
        let active = multiplexer.activity
        if let transition = machine.lastTransition, !ledger.coverage.took(transition) {
            ledger.violation(now, "there is no transition \(transition)")
        }
        let isNative = scenario.drain.mode == .native
        switch state {
        case .draining:
            if multiplexer.openTransactions > 0 { ledger.coverage.saw(.drainDuringTransaction) }
            if backends.contains(where: \.isCommitting) { ledger.coverage.saw(.drainDuringCommit) }
        case .cancelling:
            if active.inFlight > 0 { ledger.coverage.saw(.cutByCancelling) }
            if active.transactions > 0 {
                ledger.coverage.saw(isNative ? .nativeTransactionCut : .classicTransactionCut)
            }
            if now > exitBy - DrainMachine.drainingReserveNanoseconds + late {
                ledger.violation(now, "DRAINING has outlasted its budget")
            }
        case .stopped:
            if active.inFlight > 0 { ledger.coverage.saw(isNative ? .nativeHung : .classicHung) }
            if clients.contains(where: { $0.reference.flatMap { multiplexer.output($0)?.isEmpty } == false }) {
                ledger.coverage.saw(isNative ? .nativeUnread : .classicUnread)
            }
            if now > exitBy - DrainMachine.stoppedNanosecondsMax + late {
                ledger.violation(now, "CANCELLING has outlasted its budget")
            }
        default: break
        }
    }

    // MARK: sockets

    private func acceptAll() {
        for number in backlog {
            let client = clients[number]
            let peer = PeerCredentials(pid: Int32(number + 1), uid: client.profile.uid, gid: 100)
            guard let reference = multiplexer.connectionOpened(peer: peer, now: now) else {
                ledger.coverage.saw(.connectionsFull)
                ledger.connections[number].isClosed = true
                client.socket.serverHasClosed = true
                if multiplexer.clients < scenario.settings.connectionsMax {
                    ledger.violation(now, "client \(number) was turned away although there was room")
                }
                continue
            }
            client.reference = reference
            while clientAt.count <= Int(reference.index) { clientAt.append(-1) }
            clientAt[Int(reference.index)] = number
            perform()
        }
        backlog.removeAll()
    }

    private func client(_ reference: ConnectionReference) -> SimulatedClient? {
        let index = Int(reference.index)
        guard index < clientAt.count, clientAt[index] >= 0 else { return nil }
        let client = clients[clientAt[index]]
        return client.reference == reference ? client : nil
    }

    private func serve(_ client: SimulatedClient) {
        guard let reference = client.reference else { return }
        if client.socket.clientIsGone {
            if sabotage == .leakConnection {
                client.reference = nil
                return
            }
            return lost(reference)
        }
        if client.socket.isWritable { flush(reference) }
        for _ in 0..<Self.readsPerTickMax {
            guard client.reference != nil, client.socket.isReadable else { return }
            if client.socket.toServer.isEmpty {
                client.socket.hasSeenEnd = true
                client.socket.isReading = false
                multiplexer.inputEnded(reference, now: now)
                return perform()
            }
            read(client, reference)
            if random.chance(500) { return }
        }
    }

    private func read(_ client: SimulatedClient, _ reference: ConnectionReference) {
        let available = client.socket.toServer.count
        let count = random.chance(600) ? available : 1 + random.below(available)
        let bytes = Array(client.socket.toServer[..<count])
        client.socket.toServer.removeFirst(count)
        client.bytesReadByServer += count
        while client.boundariesPassed < client.boundaries.count,
            client.boundaries[client.boundariesPassed].end <= client.bytesReadByServer
        {
            let boundary = client.boundaries[client.boundariesPassed]
            client.boundariesPassed += 1
            if boundary.isFault { ledger.connections[client.number].mayFail = true }
            // After the connection has failed nothing more of it is read, whatever is taken from the socket.
            if boundary.serial > 0, !ledger.connections[client.number].hasFailed {
                ledger.arrived(boundary.serial, multiplexer.phase, now)
            }
        }
        let frameStart = client.boundariesPassed > 0 ? client.boundaries[client.boundariesPassed - 1].end : 0
        if client.boundariesPassed < client.boundaries.count, client.bytesReadByServer > frameStart {
            ledger.coverage.saw(.frameSplit)
        }
        bytes.withUnsafeBytes { multiplexer.received(reference, $0, now: now) }
        perform()
        if client.hasUnsent { wake(client) }
    }

    private func lost(_ reference: ConnectionReference) {
        // What was answered in this round still counts, although nobody reads it any more.
        observe(reference)
        multiplexer.connectionLost(reference, now: now)
        perform()
    }

    private func flushAll() {
        let batch = toFlush
        toFlush.removeAll(keepingCapacity: true)
        for reference in batch { flush(reference) }
    }

    private func flush(_ reference: ConnectionReference) {
        observe(reference)
        while let client = client(reference), let output = multiplexer.output(reference) {
            if output.isEmpty {
                client.socket.isWaitingToWrite = false
                return
            }
            if client.socket.clientIsGone { return lost(reference) }
            let room = client.socket.roomToClient
            guard room > 0 else {
                ledger.coverage.saw(.outputFull)
                client.socket.isWaitingToWrite = true
                return
            }
            let most = min(room, output.count)
            let count = random.chance(700) ? most : 1 + random.below(most)
            client.socket.toClient += output[..<count]
            if sabotage == .corruptOutput, count > 4 { client.socket.toClient[client.socket.toClient.count - 1] ^= 1 }
            client.bytesWritten += count
            multiplexer.wrote(reference, count: count, now: now)
            perform()
            wake(client)
        }
    }

    // MARK: actions

    func perform() {
        while let action = multiplexer.takeAction() { perform(action) }
    }

    private func perform(_ action: MultiplexerAction) {
        switch action {
        case .submit(let number, let work):
            backends[number].setNow(now)
            backends[number].submit(work)
        case .cancel(let number, let reference): cancel(number, reference)
        case .credit(let number, let reference, let bytes):
            uncredited(reference, -bytes, backends[number])
            backends[number].credit(reference, bytes: bytes)
        case .giveWay(let number, let reference):
            backends[number].setNow(now)
            backends[number].giveWay(reference)
        case .abandon(let number, let transaction): backends[number].abandon(transaction)
        case .flush(let reference): toFlush.append(reference)
        case .pauseReading(let reference):
            ledger.coverage.saw(.readingPaused)
            client(reference)?.socket.isReading = false
        case .resumeReading(let reference): client(reference)?.socket.isReading = true
        case .shutdownReading(let reference):
            guard let client = client(reference) else { return }
            client.socket.serverHasShutReading = true
            wake(client)
        case .close(let reference): close(reference)
        case .log(let entry):
            if case .invariantViolated(let what) = entry { ledger.violation(now, "invariant: \(what)") }
        }
    }

    private func cancel(_ number: Int, _ reference: RequestReference) {
        let ticket = backends[number].ticket(reference)
        ledger.askedToCancel(ticket?.serial ?? 0)
        let outcome = backends[number].cancel(reference)
        if outcome == .tooLate, let ticket, ticket.serial > 0, ticket.deadline > now {
            let isLost = ledger.connections[ledger.requests[ticket.serial - 1].client].isLost
            if isLost {
                ledger.coverage.saw(.disconnectDuringCommit)
            } else if multiplexer.phase < .cancelling {
                ledger.coverage.saw(.cancelDuringCommit)
            }
        }
        multiplexer.cancelled(reference, outcome, now: now)
    }

    private func close(_ reference: ConnectionReference) {
        guard let client = client(reference) else { return }
        client.reference = nil
        client.socket.serverHasClosed = true
        let connection = ledger.connections[client.number]
        ledger.connections[client.number].isClosed = true
        ledger.note(now, "client \(client.number) is closed")
        let mayClose =
            machine.state == .stopped || connection.isLost || connection.hasFailed || connection.isMutated
            || client.socket.hasSeenEnd
        if !mayClose {
            ledger.violation(now, "client \(client.number) did nothing wrong, and its connection was closed")
        }
        wake(client)
    }

    // MARK: what comes out

    private func observeAll() {
        for client in clients { if let reference = client.reference { observe(reference) } }
    }

    /// Reads what the multiplexer has added to a connection's output since it was looked at last.
    private func observe(_ reference: ConnectionReference) {
        guard let client = client(reference), let output = multiplexer.output(reference) else { return }
        let number = client.number
        let fresh = client.bytesWritten + output.count - ledger.connections[number].emitted.count
        guard fresh > 0 else { return }
        let bytes = Array(output[(output.count - fresh)...])
        ledger.connections[number].emitted += bytes
        bytes.withUnsafeBytes { bytes in
            var taken = 0
            while case .frame(let length) = Frame.scan(
                UnsafeRawBufferPointer(rebasing: bytes[taken...]), bytesMax: Frame.bytesMaxCeiling)
            {
                let start = taken + Frame.headerBytes
                taken = start + length
                let message = UnsafeRawBufferPointer(rebasing: bytes[start..<taken])
                guard let answer = Answer(message, in: arena) else {
                    ledger.violation(now, "client \(number): an answer cannot be decoded")
                    continue
                }
                judge(answer, of: client)
            }
            if taken != bytes.count { ledger.violation(now, "client \(number): half a frame came out") }
        }
    }

    private func judge(_ answer: Answer, of client: SimulatedClient) {
        let context = Ledger.Context(
            now: now, settings: scenario.settings, latenessMax: scenario.stallNanosecondsMax + 10_000,
            phase: multiplexer.phase)
        if sabotage == .dropAnswer, answer.id != 0, !answer.isPart, !hasSabotaged {
            hasSabotaged = true
            return
        }
        _ = ledger.emitted(answer, client: client.number, context)
        if multiplexer.phase > .serving { account.count(answer) }
        if sabotage == .answerTwice, answer.id != 0, !answer.isPart, !hasSabotaged {
            hasSabotaged = true
            _ = ledger.emitted(answer, client: client.number, context)
        }
        if sabotage == .harmNeighbour, answer.id == 0, answer.code != .ok,
            let neighbour = clients.first(where: { $0.reference != nil && $0.number != client.number })?.reference
        {
            lost(neighbour)
        }
    }
}
