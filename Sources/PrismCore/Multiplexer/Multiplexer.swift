import PrismWire

/// Everything that decides about client connections and their requests on one reactor: framing, admission, transactions,
/// deadlines, cancelling, draining, backpressure. Pure: events and the time go in, bytes and actions come out, and the
/// simulator drives the same code as the server.
///
/// After each event, or a batch of them, take the actions and carry them out in order. Not thread-safe: one reactor, one
/// multiplexer. Every complete frame read gets exactly one final answer while its connection lives and is not in error.
///
/// A class for its size: of a structure, the methods that only read would be passed a copy of all of it, kilobytes each time.
public final class Multiplexer {
    public let settings: MultiplexerSettings
    let reactor: UInt8
    let validation: RequestValidation
    let defaultBackend: Int

    var connections: Slab<Connection>
    var requests: Slab<RequestSlot>
    var transactions: Slab<TransactionSlot>
    var requestIndex = RequestIndex()
    var timers = TimerHeap()
    let arena: Arena
    /// Where bodies of our own are encoded before they are framed.
    var scratch = ByteQueue()
    /// Connections to be looked at again: reading may go on, or they are finished.
    var unsettled = Cells<Int32>()

    /// Bytes held for clients: input, output, and messages handed to backends.
    public private(set) var bufferedBytes = 0
    var clientClasses = ClientClasses()
    var frames = FrameTurns()
    /// For the oldest frame that has room, while others wait for some; -1: none.
    var frameTimer: Int32 = -1
    /// Something has been given back since those that wait for room were last looked at.
    var isRoomFreed = false
    /// The frame that is being taken had its room: it is not judged by bytes again.
    var hasFrameRoom = false
    public internal(set) var metrics: Metrics
    public internal(set) var phase: DrainState = .serving
    public internal(set) var report = DrainReport()
    var drainReason = ""

    /// What the shell must do. Take them with `takeAction`.
    var actions = MovingQueue<MultiplexerAction>()

    public init(settings: MultiplexerSettings, reactor: UInt8 = 0) {
        self.settings = settings
        self.reactor = reactor
        validation = RequestValidation(limits: settings.wire)
        defaultBackend = settings.backends.firstIndex { $0.isDefault } ?? -1
        connections = Slab(capacityMax: settings.connectionsMax)
        // What may go beyond `inFlightMax`: one request of each transaction, and its end.
        requests = Slab(
            capacityMax: min(
                settings.inFlightMax + Self.aboveLimitsMax * settings.transactionsMax, RequestReference.slotsMax))
        transactions = Slab(capacityMax: settings.transactionsMax)
        metrics = Metrics(backends: settings.backends.count)
        arena = Arena(limitBytes: settings.wire.decodeBytesMax)
    }

    /// The oldest action that has not been taken; nil: there is none. Carrying one out may lead to more.
    public func takeAction() -> MultiplexerAction? { actions.popFirst() }

    public var hasActions: Bool { !actions.isEmpty }

    /// When `advance` must be called at the latest; CLOCK_MONOTONIC nanoseconds.
    public var nextDeadline: UInt64 { timers.nextDeadline }

    public var activity: DrainMachine.Activity {
        DrainMachine.Activity(
            clients: connections.count, inFlight: requests.count,
            transactions: phase == .draining ? transactionsHeldByBackends : transactions.count,
            unflushed: phase == .cancelling ? unflushedConnections : 0)
    }

    /// Without those that ran out of their limits or were lost: rolled back already, they only wait for a Rollback that need
    /// not come.
    private var transactionsHeldByBackends: Int {
        var count = 0
        for index in 0..<transactions.endIndex where transactions.isLive(index) {
            if !transactions[index].hasEndedInBackend { count += 1 }
        }
        return count
    }

    private var unflushedConnections: Int {
        var count = 0
        for index in 0..<connections.endIndex where connections.isLive(index) {
            if !connections[index].output.isEmpty || connections[index].state == .open { count += 1 }
        }
        return count
    }

    // MARK: connections

    /// A client has connected. Nil: the table is full; close it. A peer that no rule admits is told so and closed.
    public func connectionOpened(peer: PeerCredentials, now: UInt64) -> ConnectionReference? {
        guard connections.count < connections.capacityMax else {
            countRefusedConnection()
            return nil
        }
        let match = settings.access.rule(for: peer)
        let (rule, identity) = match ?? (AccessPolicy.Rule(uid: peer.uid), ClientIdentity(uid: peer.uid))
        let label = metrics.clientLabel(rule.label.isEmpty ? "uid \(peer.uid)" : rule.label)
        let client = clientClasses.join(identity, weight: rule.weight)
        guard
            let index = connections.insert(
                Connection(peer: peer, rule: rule, client: client, clientLabel: label))
        else {
            clientClasses.leave(client)
            violated("a table with room took no connection")
            return nil
        }
        metrics.connectionsAccepted += 1
        let reference = self.reference(index)
        if match == nil {
            let message = "no rule admits uid \(peer.uid), gid \(peer.gid); see rules in the configuration"
            turnAway(index, Failure(.permissionDenied, at: .admission, message), now)
        } else if let name = limitOfConnections(client, rule) {
            turnAway(index, limit(name), now)
        } else if phase >= .cancelling {
            actions.append(.shutdownReading(reference))
        }
        return reference
    }

    private func turnAway(_ index: Int, _ failure: Failure, _ now: UInt64) {
        metrics.connectionsRefused += 1
        actions.append(.log(.connectionRefused(peer: connections[index].peer, message: failure.message)))
        endWithError(index, failure, now)
    }

    /// What keeps a class, its new connection counted, from having so many.
    private func limitOfConnections(_ client: Int, _ rule: AccessPolicy.Rule) -> Metrics.LimitName? {
        let own = clientClasses[client].connections
        if own > rule.limits.connections { return .ruleConnections }
        // How many there may be in all, others count: clients stand on the reactors nearly evenly, but not quite.
        return clientClasses.isAbovePart(
            client, own: own, total: connections.count, maximum: settings.connectionsShared) ? .connections : nil
    }

    /// A client was turned away before it became a connection here.
    public func countRefusedConnection() {
        metrics.connectionsRefused += 1
        metrics.limitsReached[.connections, default: 0] += 1
    }

    /// The connection is gone, in both directions: its requests are cancelled, its transactions rolled back.
    public func connectionLost(_ reference: ConnectionReference, now: UInt64) {
        guard let index = live(reference) else { return }
        dropRequests(of: index, .disconnect)
        forget(index)
    }

    /// The output of a connection, to be written to its socket. Valid until the next event.
    public func output(_ reference: ConnectionReference) -> UnsafeRawBufferPointer? {
        guard let index = live(reference) else { return nil }
        return connections[index].output.bytes
    }

    /// `count` bytes of the output have been written.
    public func wrote(_ reference: ConnectionReference, count: Int, now: UInt64) {
        guard let index = live(reference) else { return }
        let connection = connections.place(index)
        connection.pointee.isFlushRequested = false
        connection.pointee.output.consume(count, keepingUpTo: MultiplexerSettings.outputBytesKept)
        hold(-count, for: connection)
        metrics.bytesOut += UInt64(count)
        if connection.pointee.hasStreamDebt {
            if count > 0 {
                connection.pointee.takenBytes += count
                connection.pointee.takenNanoseconds = now
            }
            if connection.pointee.output.count <= settings.streamWindowBytes / 2 { creditStreams(index) }
        }
        requestSettling(index)
    }

    // MARK: bookkeeping shared by the extensions

    /// So many bytes more, or less, are held for a connection.
    func hold(_ bytes: Int, for index: Int) { hold(bytes, for: connections.place(index)) }

    @inline(__always)
    func hold(_ bytes: Int, for connection: UnsafeMutablePointer<Connection>) {
        bufferedBytes += bytes
        if bytes < 0 { isRoomFreed = true }
        clientClasses[connection.pointee.client].bufferedBytes += bytes
    }

    func reference(_ index: Int) -> ConnectionReference {
        ConnectionReference(index: Int32(index), generation: connections.generation(index))
    }

    func live(_ reference: ConnectionReference) -> Int? {
        connections.isLive(Int(reference.index), generation: reference.generation) ? Int(reference.index) : nil
    }

    func requestReference(_ slot: Int) -> RequestReference {
        RequestReference(reactor: reactor, slot: slot, generation: requests.generation(slot))
    }

    func transactionReference(_ index: Int) -> TransactionReference {
        TransactionReference(reactor: reactor, slot: index, generation: transactions.generation(index))
    }

    func requestFlush(_ index: Int) {
        let connection = connections.place(index)
        guard !connection.pointee.isFlushRequested else { return }
        connection.pointee.isFlushRequested = true
        actions.append(.flush(reference(index)))
    }

    func requestSettling(_ index: Int) {
        let connection = connections.place(index)
        guard !connection.pointee.isSettleRequested else { return }
        connection.pointee.isSettleRequested = true
        unsettled.append(Int32(index))
    }

    /// Looks again at connections whose load has changed: goes on reading, or closes what is finished. Call it after each
    /// batch of events, before the actions are taken.
    public func settle(now: UInt64) {
        var position = 0
        repeat {
            while position < unsettled.count {
                let index = Int(unsettled[position])
                position += 1
                guard connections.isLive(index) else { continue }
                connections[index].isSettleRequested = false
                if connections[index].isReadingPaused, connections[index].room != .awaited { resumeReading(index, now) }
                if connections.isLive(index) { closeIfFinished(index) }
            }
        } while grantFreedRoom(now)
        unsettled.removeAll(keepingUpTo: .max)
        watchOldestFrame()
    }

    private func closeIfFinished(_ index: Int) {
        switch connections[index].state {
        case .open: return
        case .failing:
            guard connections[index].output.isEmpty else { return }
        case .inputEnded:
            guard connections[index].inFlight == 0, connections[index].output.isEmpty,
                !connections[index].isReadingPaused
            else { return }
        }
        forget(index)
    }

    /// Rolls back what is open, closes the descriptor and frees the place.
    private func forget(_ index: Int) {
        if connections[index].state != .failing { metrics.unansweredAtClose += UInt64(connections[index].inFlight) }
        abandonTransactions(of: index)
        releaseRoom(index)
        if connections[index].lingerTimer >= 0 { timers.cancel(connections[index].lingerTimer) }
        disarmStallTimer(index)
        hold(-connections[index].bufferedBytes, for: index)
        clientClasses.leave(connections[index].client)
        isRoomFreed = true
        actions.append(.close(reference(index)))
        connections.remove(index)
    }

    private func creditStreams(_ index: Int) {
        connections[index].hasStreamDebt = false
        disarmStallTimer(index)
        var slot = Int(connections[index].firstRequest)
        while slot >= 0 {
            let debt = Int(requests[slot].streamDebt)
            if debt > 0 {
                requests[slot].streamDebt = 0
                actions.append(.credit(backend: Int(requests[slot].backend), requestReference(slot), bytes: debt))
            }
            slot = Int(requests[slot].nextInConnection)
        }
    }
}
