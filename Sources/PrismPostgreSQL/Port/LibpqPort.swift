internal import Glibc
public import PrismCore
public import PrismReactor

/// The connections of one backend on one reactor: carries out what the engine asks of them with libpq, and tells it what
/// becomes of them. The reactor's thread only.
///
/// A tick: `takeReports` when woken up, `ready` for each of its tokens, `resume`, `flush`.
public final class LibpqPort: PostgreSQLPort {
    /// Results of one connection that are delivered in one tick; the rest comes in the next, after the others.
    public static let resultsPerTickMax = 256

    private enum State {
        case free
        case connecting(HelperTicket)
        case open(LibpqConnection)
    }

    private struct Slot {
        var generation: UInt32 = 0
        var state = State.free
        /// Under which epoll watches it; -1: it does not.
        var watched: Int32 = -1
        var interest: Interest = []
        var isReading = true
        var isWaitingToWrite = false
        /// Stands in `toFlush`.
        var isToFlush = false
        /// Stands in `toResume`.
        var isToResume = false
        var cancel: HelperTicket?
    }

    private let backend: Int
    private let reactor: Reactor
    private let connector: Connector
    private let canceller: Canceller
    private let inbox: HelperInbox
    private var slots: [Slot] = []
    /// What has been sent to in this tick.
    private var toFlush: [ServerConnectionReference] = []
    /// What libpq may have more results of without another word from epoll.
    private var toResume: [ServerConnectionReference] = []

    /// - Parameter backend: the backend's number in tokens, below `BackendToken.backendsMax`.
    public init(backend: Int, reactor: Reactor, connector: Connector, canceller: Canceller) {
        self.backend = backend
        self.reactor = reactor
        self.connector = connector
        self.canceller = canceller
        inbox = HelperInbox(reactor: reactor)
    }

    // MARK: PostgreSQLPort

    public func connect(_ connection: ServerConnectionReference) {
        precondition(connection.slot >= 0 && connection.slot < BackendToken.slotsMax, "a place outside of the table")
        while slots.count <= connection.slot { slots.append(Slot()) }
        if case .free = slots[connection.slot].state {
        } else {
            close(ServerConnectionReference(slot: connection.slot, generation: slots[connection.slot].generation))
        }
        let ticket = HelperTicket(connection)
        slots[connection.slot] = Slot(generation: connection.generation, state: .connecting(ticket))
        connector.connect(ticket, reportingTo: inbox)
    }

    public func close(_ connection: ServerConnectionReference) {
        guard isPresent(connection) else { return }
        let slot = slots[connection.slot]
        slots[connection.slot].state = .free
        slots[connection.slot].watched = -1
        slots[connection.slot].cancel = nil
        slot.cancel?.abandon()
        switch slot.state {
        case .free: break
        case .connecting(let ticket): ticket.abandon()
        case .open(let libpq):
            libpq.isClosed = true
            // Before PQfinish: the kernel would give the number to somebody else while it is watched. Not if libpq has closed it.
            if slot.watched >= 0, libpq.socket == slot.watched { reactor.remove(slot.watched) }
        }
    }

    /// All of them.
    public func closeAll() {
        for (index, slot) in slots.enumerated() {
            close(ServerConnectionReference(slot: index, generation: slot.generation))
        }
    }

    public func sendPrepare(
        _ connection: ServerConnectionReference, name: PreparedName, sql: UnsafeRawBufferPointer, types: [TypeOID]
    ) {
        sending(connection)?.sendPrepare(name: name, sql: sql, types: types)
    }

    public func sendDescribe(_ connection: ServerConnectionReference, name: PreparedName) {
        sending(connection)?.sendDescribe(name: name)
    }

    public func sendExecute(
        _ connection: ServerConnectionReference, name: PreparedName, parameters: borrowing ParameterList,
        results: ValueFormat, rows: RowDelivery
    ) {
        sending(connection)?.sendExecute(name: name, parameters: parameters, results: results, rows: rows)
    }

    public func sendStatement(_ connection: ServerConnectionReference, sql: String) {
        sending(connection)?.sendStatement(sql)
    }

    public func sendSync(_ connection: ServerConnectionReference) { sending(connection)?.sendSync() }

    /// While one is under way, another is the same one.
    public func cancel(_ connection: ServerConnectionReference) {
        guard let libpq = open(connection), slots[connection.slot].cancel == nil else { return }
        let ticket = HelperTicket(connection)
        slots[connection.slot].cancel = ticket
        canceller.cancel(libpq.handle.cancel, ticket, reportingTo: inbox)
    }

    public func keepsLargeMessage(_ connection: ServerConnectionReference) -> Bool {
        open(connection)?.keepsLargeMessage ?? false
    }

    public func setReading(_ connection: ServerConnectionReference, _ isReading: Bool) {
        guard open(connection) != nil, slots[connection.slot].isReading != isReading else { return }
        slots[connection.slot].isReading = isReading
        updateInterest(connection)
        if isReading { resumeLater(connection) }
    }

    // MARK: A tick

    /// What helper threads have reported. Called when the reactor was woken up.
    public func takeReports<Events: ServerConnectionEvents>(_ events: Events) {
        inbox.drain { report in
            switch report {
            case .connected(let ticket, let handle, let facts): connected(ticket, handle, facts, events)
            case .connectFailed(let ticket, let message):
                guard isWaiting(ticket) else { return }
                slots[ticket.connection.slot].state = .free
                events.connectFailed(ticket.connection, message: message, now: reactor.now)
            case .cancelReturned(let ticket):
                guard let slot = present(ticket.connection), slot.cancel === ticket else { return }
                slots[ticket.connection.slot].cancel = nil
                events.cancelReturned(ticket.connection, now: reactor.now)
            }
        }
    }

    /// A token with bit 63 and this backend's number.
    public func ready<Events: ServerConnectionEvents>(
        _ token: BackendToken, _ readiness: Readiness, _ events: Events
    ) {
        let connection = ServerConnectionReference(slot: token.slot, generation: token.generation)
        guard let libpq = open(connection) else { return }
        if readiness.contains(.writable) { flush(connection, libpq) }
        guard slots[connection.slot].isReading else {
            // Its last results are held back until somebody reads again; until then epoll would report it in every tick.
            if readiness.contains(.hangUp) || readiness.contains(.error) { unwatch(connection, libpq) }
            return
        }
        // What has been read is delivered first: the server would fill our memory faster than the budget empties it.
        guard !slots[connection.slot].isToResume else { return }
        libpq.consumeInput()
        deliver(connection, libpq, events)
    }

    /// Delivers what was left over by an earlier tick, or was held back until now.
    public func resume<Events: ServerConnectionEvents>(_ events: Events) {
        guard !toResume.isEmpty else { return }
        let batch = toResume
        toResume.removeAll(keepingCapacity: true)
        for connection in batch {
            guard let libpq = open(connection) else { continue }
            slots[connection.slot].isToResume = false
            deliver(connection, libpq, events)
        }
    }

    /// Writes what was sent since the last time.
    /// - Returns: whether another tick must come at once.
    public func flush() -> Bool {
        if !toFlush.isEmpty {
            let batch = toFlush
            toFlush.removeAll(keepingCapacity: true)
            for connection in batch {
                guard let libpq = open(connection) else { continue }
                slots[connection.slot].isToFlush = false
                flush(connection, libpq)
            }
        }
        return !toResume.isEmpty
    }

    // MARK: Inside

    private func connected<Events: ServerConnectionEvents>(
        _ ticket: HelperTicket, _ handle: ConnectionHandle, _ facts: ServerFacts, _ events: Events
    ) {
        let connection = ticket.connection
        guard isWaiting(ticket) else { return }
        let libpq = LibpqConnection(handle)
        slots[connection.slot].state = .open(libpq)
        updateInterest(connection)
        events.connected(connection, facts, now: reactor.now)
    }

    private func deliver<Events: ServerConnectionEvents>(
        _ connection: ServerConnectionReference, _ libpq: LibpqConnection, _ events: Events
    ) {
        for _ in 0..<Self.resultsPerTickMax {
            // The engine may have closed it, or stopped reading.
            guard isOpen(connection, libpq), slots[connection.slot].isReading else { return }
            switch libpq.nextResult(connection, events, now: reactor.now) {
            case .delivered: continue
            case .wouldBlock: return
            case .lost(let message):
                guard isOpen(connection, libpq) else { return }
                close(connection)
                return events.lost(connection, message: message, now: reactor.now)
            }
        }
        resumeLater(connection)
    }

    private func flush(_ connection: ServerConnectionReference, _ libpq: LibpqConnection) {
        let mustWait = libpq.flush()
        if slots[connection.slot].isWaitingToWrite != mustWait {
            slots[connection.slot].isWaitingToWrite = mustWait
            updateInterest(connection)
        }
        // Input that libpq has read while it could not write, and a failure, are not told by epoll.
        if mustWait || !libpq.isSound { resumeLater(connection) }
    }

    private func sending(_ connection: ServerConnectionReference) -> LibpqConnection? {
        guard let libpq = open(connection) else { return nil }
        if !slots[connection.slot].isToFlush {
            slots[connection.slot].isToFlush = true
            toFlush.append(connection)
        }
        return libpq
    }

    private func resumeLater(_ connection: ServerConnectionReference) {
        guard isPresent(connection), !slots[connection.slot].isToResume else { return }
        slots[connection.slot].isToResume = true
        toResume.append(connection)
    }

    private func updateInterest(_ connection: ServerConnectionReference) {
        guard let libpq = open(connection) else { return }
        var interest: Interest = slots[connection.slot].isReading ? .readable : []
        if slots[connection.slot].isWaitingToWrite { interest.insert(.writable) }
        let descriptor = libpq.socket
        guard descriptor >= 0 else { return resumeLater(connection) }
        let token = BackendToken(backend: backend, slot: connection.slot, generation: connection.generation).rawValue
        do {
            if slots[connection.slot].watched != descriptor {
                try reactor.add(descriptor, interest: interest, token: token)
            } else if slots[connection.slot].interest != interest {
                try reactor.modify(descriptor, interest: interest, token: token)
            }
            slots[connection.slot].watched = descriptor
            slots[connection.slot].interest = interest
        } catch {
            libpq.fail("the connection cannot be watched: \(error)")
            resumeLater(connection)
        }
    }

    private func unwatch(_ connection: ServerConnectionReference, _ libpq: LibpqConnection) {
        let watched = slots[connection.slot].watched
        if watched >= 0, libpq.socket == watched { reactor.remove(watched) }
        slots[connection.slot].watched = -1
    }

    private func present(_ connection: ServerConnectionReference) -> Slot? {
        isPresent(connection) ? slots[connection.slot] : nil
    }

    private func isWaiting(_ ticket: HelperTicket) -> Bool {
        guard case .connecting(let present)? = present(ticket.connection)?.state else { return false }
        return present === ticket
    }

    private func isPresent(_ connection: ServerConnectionReference) -> Bool {
        slots.indices.contains(connection.slot) && slots[connection.slot].generation == connection.generation
    }

    private func open(_ connection: ServerConnectionReference) -> LibpqConnection? {
        guard isPresent(connection), case .open(let libpq) = slots[connection.slot].state else { return nil }
        return libpq
    }

    private func isOpen(_ connection: ServerConnectionReference, _ libpq: LibpqConnection) -> Bool {
        open(connection) === libpq
    }
}
