internal import Glibc
internal import PrismCore
internal import PrismPostgreSQL
internal import PrismReactor
internal import PrismWire

/// One reactor with its multiplexer: reads, writes and closes sockets as the multiplexer says, and decides nothing itself.
final class Shard: ReactorHandler, @unchecked Sendable {
    static let readBytes = 64 << 10
    /// Reads for one large request in one tick.
    static let readsPerTickMax = 4
    /// Turns of reading for each connection when the last state is entered.
    static let readsAtTheEndMax = 64
    static let acceptsPerTickMax = 32
    /// How often answers of backends on this thread are looked for in one tick; the rest comes in the next.
    static let roundsPerTickMax = 3
    static let acceptPauseNanoseconds: UInt64 = 100_000_000
    static let listenerToken: UInt64 = 1
    static let signalToken: UInt64 = 2

    let number: Int
    let reactor: Reactor
    let completions: CompletionMailbox
    let localAnswers: LocalAnswers
    let commands = Mailbox<ShardCommand>(maximumMessages: 1_024)
    /// Clients that the first shard has accepted for this one; apart from the commands, which they must not crowd out.
    let arrivals = Mailbox<CInt>(maximumMessages: 1_024)
    let activity = ShardActivity()
    let log: Log

    var backends: [Backend] = []
    /// Only on the first shard.
    var coordinator: DrainCoordinator?
    let multiplexer: Multiplexer
    let connectionBudget: ConnectionBudget
    /// On the first shard, set before `startListening`. It accepts for all: with one listener in several epolls the kernel
    /// gives nearly every client to the reactor that was idle last.
    var listener: CInt = -1
    /// On the first shard: all of them, itself included.
    var everyone: [Shard] = []
    var isListening = false
    var isCancelling = false
    var acceptPausedUntil: UInt64?
    /// Said once, until a client is accepted again.
    var isAcceptExhausted = false

    struct Channel {
        var descriptor: CInt = -1
        var generation: UInt32 = 0
        var isReading = true
        var isWaitingToWrite = false
    }

    var channels: [Channel] = []
    private var toFlush: [ConnectionReference] = []
    private let readBuffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Shard.readBytes, alignment: 16)

    init(
        number: Int, settings: MultiplexerSettings, connectionBudget: ConnectionBudget, log: Log
    ) throws(SystemCallError) {
        self.number = number
        self.connectionBudget = connectionBudget
        self.log = log
        reactor = try Reactor()
        completions = CompletionMailbox(reactor: reactor, bytesMax: max(settings.bufferedBytesMax, 64 << 20))
        multiplexer = Multiplexer(settings: settings, reactor: UInt8(truncatingIfNeeded: number))
        let mailbox = completions
        localAnswers = LocalAnswers(multiplexer: multiplexer) { mailbox.deliver($0, body: $1) }
    }

    deinit { readBuffer.deallocate() }

    func startListening() throws(SystemCallError) {
        try reactor.add(listener, interest: .readable, token: Self.listenerToken)
        isListening = true
    }

    func post(_ command: ShardCommand) {
        if commands.append(command) == .becameNonEmpty { reactor.wakeUp() }
    }

    /// Another shard's thread brings a client. False: too many are waiting.
    func adopt(_ descriptor: CInt) -> Bool {
        switch arrivals.append(descriptor) {
        case .becameNonEmpty: reactor.wakeUp()
        case .alreadyNonEmpty: break
        case .full: return false
        }
        return true
    }

    // MARK: ReactorHandler

    func wokenUp() {
        let now = reactor.now
        for backend in backends { backend.takeReports(reactor: UInt8(number)) }
        takeCompletions(now)
        // Before a state that was announced after them.
        arrivals.drain { admit($0, now) }
        commands.drain { command in
            switch command {
            case .enter(let state, let reason, let left): enter(state, reason, left, now)
            case .drain: coordinator?.handle(.drainRequested, now: now)
            case .snapshot(let reply): reply(snapshot())
            }
        }
    }

    func ready(token: UInt64, events: Readiness) {
        let now = reactor.now
        if token == Self.listenerToken { return acceptClients(max: Self.acceptsPerTickMax, now) }
        if token == Self.signalToken {
            coordinator?.readSignals(now: now)
            return
        }
        if let token = BackendToken(rawValue: token) {
            if backends.indices.contains(token.backend) {
                localAnswers.duringTurn(now) { backends[token.backend].ready(token, events, reactor: UInt8(number)) }
            }
            return
        }
        guard let reference = reference(token), let channel = channel(reference) else { return }
        if events.contains(.hangUp) || events.contains(.error) { return lost(reference, now) }
        if events.contains(.writable) { flush(reference, now) }
        if channel.isReading, events.contains(.readable) || events.contains(.peerHalfClosed) { read(reference, now) }
    }

    /// - Returns: how many there were.
    @discardableResult
    private func takeCompletions(_ now: UInt64) -> Int {
        localAnswers.mailboxIsDrained()
        return completions.drain { completion, body in
            guard let completion else { return }
            multiplexer.completed(completion, body: body, now: now)
            perform(now)
        }
    }

    func endOfTick(now: UInt64) -> UInt64 {
        // Result first, then deadline: what is already here must not be answered UNKNOWN because its time is up.
        takeCompletions(now)
        multiplexer.advance(to: now)
        perform(now)
        settle(now)
        _ = localAnswers.takeCount()
        var next = advanceBackends(now)
        // Backends on this thread may have answered by then, and are to be asked again about what follows from it.
        var rounds = 0
        while rounds < Self.roundsPerTickMax, localAnswers.takeCount() + takeCompletions(now) > 0 {
            perform(now)
            settle(now)
            next = min(next, advanceBackends(now))
            rounds += 1
        }
        if localAnswers.takeCount() > 0 { next = now }
        if !toFlush.isEmpty { next = now }
        next = min(next, multiplexer.nextDeadline)
        if let until = acceptPausedUntil {
            if until <= now { resumeAccepting() } else { next = min(next, until) }
        }
        let changed = multiplexer.phase > .serving && activity.publish(multiplexer.activity, phase: multiplexer.phase)
        if let coordinator {
            next = min(next, coordinator.step(now: now))
        } else if changed {
            activityChanged?()
        }
        return completions.isEmpty ? next : now
    }

    private func settle(_ now: UInt64) {
        // Answers may let paused clients go on, whose requests may be answered at once: twice round is nearly always enough.
        for _ in 0..<3 {
            multiplexer.settle(now: now)
            perform(now)
            flushAll(now)
        }
        multiplexer.settle(now: now)
        perform(now)
    }

    private func advanceBackends(_ now: UInt64) -> UInt64 {
        var next = UInt64.max
        localAnswers.duringTurn(now) {
            for backend in backends { next = min(next, backend.advance(to: now, reactor: UInt8(number))) }
        }
        return next
    }

    var presentActivity: DrainMachine.Activity { multiplexer.activity }

    /// Tells the first shard; set on all others.
    var activityChanged: (() -> Void)?

    // MARK: drain

    func enter(_ state: DrainState, _ reason: String, _ budgetLeftNanoseconds: UInt64, _ now: UInt64) {
        if state == .cancelling {
            // Who has connected by now is still told, here: the others may be further.
            isCancelling = true
            while isListening, acceptOne(now) {}
            stopListening()
        }
        if state == .stopped { readWhatIsLeft(now) }
        multiplexer.enter(state, reason: reason, budgetLeftNanoseconds: budgetLeftNanoseconds, now: now)
        perform(now)
        if state == .stopped {
            flushAll(now)
            // As clients take their answers, what waited for room is taken up and refused, until nothing new comes out.
            var isMoving = true
            while isMoving {
                multiplexer.settle(now: now)
                perform(now)
                isMoving = !toFlush.isEmpty
                flushAll(now)
            }
            closeAll()
            reactor.stop()
        }
    }

    /// A signal may end CANCELLING before this reactor has come to read what clients had sent until reading was shut down. It is
    /// still refused, up to a bound.
    private func readWhatIsLeft(_ now: UInt64) {
        for index in channels.indices where channels[index].descriptor >= 0 {
            let reference = ConnectionReference(index: Int32(index), generation: channels[index].generation)
            for _ in 0..<Self.readsAtTheEndMax {
                guard let channel = channel(reference), channel.isReading else { break }
                read(reference, now)
            }
        }
    }

    private func closeAll() {
        for index in channels.indices where channels[index].descriptor >= 0 {
            reactor.remove(channels[index].descriptor)
            UnixSocket.close(channels[index].descriptor)
            channels[index].descriptor = -1
            connectionBudget.giveBack(number)
        }
    }

    func snapshot() -> ShardSnapshot {
        var report = multiplexer.report
        report.unanswered = multiplexer.metrics.unansweredAtClose
        return ShardSnapshot(
            metrics: multiplexer.metrics, clients: multiplexer.clients, clientList: multiplexer.clientList(),
            inFlight: multiplexer.inFlight, transactions: multiplexer.openTransactions,
            bufferedBytes: multiplexer.bufferedBytes, report: report)
    }

    // MARK: sockets

    private func channel(_ reference: ConnectionReference) -> Channel? {
        let index = Int(reference.index)
        guard index < channels.count, channels[index].descriptor >= 0,
            channels[index].generation == reference.generation
        else { return nil }
        return channels[index]
    }

    /// Bit 63 is never set: those are the tokens of backends. What is left of the generation tells uses apart well enough.
    func token(_ reference: ConnectionReference) -> UInt64 {
        UInt64(reference.generation & 0x7FFF_FFFF) << 32 | UInt64(UInt32(bitPattern: reference.index))
    }

    /// Nil: that place is used by another connection now.
    private func reference(_ token: UInt64) -> ConnectionReference? {
        let index = Int32(truncatingIfNeeded: token)
        guard channels.indices.contains(Int(index)) else { return nil }
        let reference = ConnectionReference(index: index, generation: channels[Int(index)].generation)
        return self.token(reference) == token ? reference : nil
    }

    private func read(_ reference: ConnectionReference, _ now: UInt64) {
        for _ in 0..<Self.readsPerTickMax {
            guard let channel = channel(reference), channel.isReading else { return }
            // A busy client comes again in the next tick, after the others.
            let turnBytes = multiplexer.turnBytes
            let room = min(max(turnBytes, multiplexer.bytesMissing(reference)), Self.readBytes)
            switch UnixSocket.read(
                channel.descriptor, into: UnsafeMutableRawBufferPointer(rebasing: readBuffer[..<room]))
            {
            case .bytes(let count):
                multiplexer.received(reference, UnsafeRawBufferPointer(rebasing: readBuffer[..<count]), now: now)
                perform(now)
                // What is left, epoll reports in the next tick.
                if count < room || multiplexer.bytesMissing(reference) <= turnBytes { return }
            case .wouldBlock: return
            case .closed:
                setReading(reference, false)
                multiplexer.inputEnded(reference, now: now)
                return perform(now)
            case .failed: return lost(reference, now)
            }
        }
    }

    private func flushAll(_ now: UInt64) {
        guard !toFlush.isEmpty else { return }
        let batch = toFlush
        toFlush.removeAll(keepingCapacity: true)
        for reference in batch { flush(reference, now) }
    }

    private func flush(_ reference: ConnectionReference, _ now: UInt64) {
        while let channel = channel(reference), let output = multiplexer.output(reference) {
            if output.isEmpty { return setWaitingToWrite(reference, false) }
            switch UnixSocket.write(channel.descriptor, from: output) {
            case .bytes(let count):
                multiplexer.wrote(reference, count: count, now: now)
                perform(now)
            case .wouldBlock: return setWaitingToWrite(reference, true)
            case .closed, .failed: return lost(reference, now)
            }
        }
    }

    func lost(_ reference: ConnectionReference, _ now: UInt64) {
        multiplexer.connectionLost(reference, now: now)
        perform(now)
    }

    private func setReading(_ reference: ConnectionReference, _ isReading: Bool) {
        guard let channel = channel(reference), channel.isReading != isReading else { return }
        channels[Int(reference.index)].isReading = isReading
        updateInterest(reference)
    }

    private func setWaitingToWrite(_ reference: ConnectionReference, _ isWaiting: Bool) {
        guard let channel = channel(reference), channel.isWaitingToWrite != isWaiting else { return }
        channels[Int(reference.index)].isWaitingToWrite = isWaiting
        updateInterest(reference)
    }

    private func updateInterest(_ reference: ConnectionReference) {
        guard let channel = channel(reference) else { return }
        var interest: Interest = channel.isReading ? [.readable, .peerHalfClose] : []
        if channel.isWaitingToWrite { interest.insert(.writable) }
        do { try reactor.modify(channel.descriptor, interest: interest, token: token(reference)) } catch {
            log.error("watch_failed", [("reason", .string("\(error)"))])
        }
    }

    // MARK: actions

    /// Carries out what the multiplexer has decided, and what that leads to.
    func perform(_ now: UInt64) {
        while let action = multiplexer.takeAction() { perform(action, now) }
    }

    private func perform(_ action: consuming MultiplexerAction, _ now: UInt64) {
        switch consume action {
        case .submit(let backend, let work): backends[backend].submit(work)
        case .cancel(let backend, let reference):
            multiplexer.cancelled(reference, backends[backend].cancel(reference), now: now)
        case .credit(let backend, let reference, let bytes): backends[backend].credit(reference, bytes: bytes)
        case .giveWay(let backend, let reference): backends[backend].giveWay(reference)
        case .abandon(let backend, let transaction): backends[backend].abandon(transaction)
        case .flush(let reference): toFlush.append(reference)
        case .pauseReading(let reference): setReading(reference, false)
        case .resumeReading(let reference): setReading(reference, true)
        case .shutdownReading(let reference):
            if let channel = channel(reference) { UnixSocket.shutdown(channel.descriptor, .read) }
        case .close(let reference):
            guard let channel = channel(reference) else { return }
            channels[Int(reference.index)].descriptor = -1
            reactor.remove(channel.descriptor)
            UnixSocket.close(channel.descriptor)
            connectionBudget.giveBack(number)
        case .log(let entry): write(entry)
        }
    }

    private func write(_ entry: MultiplexerLog) {
        switch entry {
        case .protocolError(_, let peer, let message):
            log.warning(
                "protocol_error",
                [("uid", .integer(Int(peer.uid))), ("pid", .integer(Int(peer.pid))), ("message", .string(message))])
        case .connectionRefused(let peer, let message):
            log.warning("connection_refused", [("uid", .integer(Int(peer.uid))), ("message", .string(message))])
        case .frameTimedOut(let peer, let message):
            log.warning(
                "frame_timeout",
                [("uid", .integer(Int(peer.uid))), ("pid", .integer(Int(peer.pid))), ("message", .string(message))])
        case .invariantViolated(let what): log.error("invariant_violated", [("what", .string(what))])
        case .slowRequest(_, let client, let backend, let operation, let code, let trace, let total, let queue):
            let traced = trace.map { [("trace_id", Log.Value.string($0.description))] } ?? []
            log.warning(
                "slow_request",
                traced + [
                    ("client", .string(client)), ("backend", .string(backend)), ("operation", .string(operation)),
                    ("status", .string(code)), ("total_ms", .integer(Int(total / 1_000_000))),
                    ("queue_ms", .integer(Int(queue / 1_000_000))),
                ])
        }
    }
}
