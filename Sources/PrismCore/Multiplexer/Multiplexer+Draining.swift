import PrismWire

extension Multiplexer {
    /// The drain machine has entered a state (CONTRACT 6). Draining is decided elsewhere, once for the process; here it is
    /// carried out for the connections of this reactor.
    public func enter(_ state: DrainState, reason: String, budgetLeftNanoseconds: UInt64, now: UInt64) {
        guard state > phase else { return }
        phase = state
        drainReason = reason
        switch state {
        case .serving: break
        case .lameDuck:
            report.inFlightAtLameDuck = UInt64(requests.count)
            notify(budgetLeftNanoseconds)
        case .draining:
            report.inFlightAtDraining = UInt64(requests.count)
            notify(budgetLeftNanoseconds)
        case .cancelling:
            report.inFlightAtCancelling = UInt64(requests.count)
            notify(budgetLeftNanoseconds)
            cancelEverything(now)
        case .stopped:
            report.inFlightAtStopped = UInt64(requests.count)
            finishEverything(now)
        }
    }

    private func notify(_ budgetLeftNanoseconds: UInt64) {
        scratch.removeAll(keepingUpTo: 1 << 16)
        appendNotice(budgetLeftNanoseconds: budgetLeftNanoseconds)
        for index in 0..<connections.endIndex where connections.isLive(index) {
            guard connections[index].saidHello, connections[index].state != .failing else { continue }
            writeScratch(id: 0, to: index)
        }
    }

    /// Reading is shut down (what was sent before is still read, and refused), and all that is in flight is cancelled.
    private func cancelEverything(_ now: UInt64) {
        for index in 0..<connections.endIndex where connections.isLive(index) {
            if connections[index].state == .open { actions.append(.shutdownReading(reference(index))) }
            requestSettling(index)
        }
        for slot in 0..<requests.endIndex where requests.isLive(slot) { cancel(slot, .drain, now) }
        for transaction in 0..<transactions.endIndex where transactions.isLive(transaction) { abort(transaction, now) }
    }

    /// The budget is over: whatever a hung backend still holds is answered UNKNOWN, and what was read but waited behind it
    /// for room is refused.
    private func finishEverything(_ now: UInt64) {
        for slot in 0..<requests.endIndex where requests.isLive(slot) {
            if requests[slot].state == .waiting {
                cancel(slot, .drain, now)
            } else {
                finishUnknown(slot, .drain, now)
            }
        }
        settle(now: now)
    }

    /// An answer counts once for the report: as cut by the ending, as refused for it, or as finished. What else was refused while it
    /// waited in its transaction counts nowhere, as if it had not waited.
    func countForReport(_ slot: Int) {
        guard phase > .serving else { return }
        if let refusal = requests[slot].refusal {
            if refusal.code == .unavailable { report.refused += 1 }
        } else if requests[slot].isCut {
            report.cancelled += 1
        } else {
            report.finished += 1
        }
    }

    /// What the ending has had stopped, a database calls cancelled. Its client has not asked for that, and hears what all hear whom the
    /// ending cuts; all else that the database has said stays. Puts the body into `scratch`.
    func appendCutBody(_ body: UnsafeRawBufferPointer) {
        arena.reset()
        scratch.removeAll(keepingUpTo: 1 << 16)
        let bytes = body.baseAddress?.assumingMemoryBound(to: UInt8.self)
        guard let response = prism__v1__response__unpack(arena.allocator, body.count, bytes),
            let failure = response.pointee.failure
        else {
            violated("a backend's failure could not be read")
            return ResponseBody.append(
                Failure(.unavailable, at: .execute, outcome: .unknown, Self.cutByDrain), to: &scratch)
        }
        response.pointee.status = Prism__V1__Code(rawValue: UInt32(StatusCode.unavailable.rawValue))
        var message = Self.cutByDrain
        message.withUTF8 { utf8 in
            failure.pointee.message = ProtobufCBinaryData(
                len: utf8.count, data: UnsafeMutablePointer(mutating: utf8.baseAddress))
            ResponseBody.append(response, to: &scratch)
        }
    }

    /// By this text, and the stage, a client tells what was cut from what a database had lost.
    public static var cutByDrain: String { "cut by the end of the sidecar" }

    /// The clients as `/status` lists them, the busiest first.
    public func clientList() -> [StatusSnapshot.Client] {
        var clients: [StatusSnapshot.Client] = []
        for index in 0..<connections.endIndex where connections.isLive(index) {
            let peer = connections[index].peer
            clients.append(
                StatusSnapshot.Client(
                    uid: peer.uid, pid: peer.pid, name: connections[index].clientName,
                    inFlight: Int(connections[index].inFlight), bufferedBytes: connections[index].bufferedBytes,
                    requestsTotal: connections[index].requestsTotal))
        }
        clients.sort { ($0.inFlight, $0.requestsTotal) > ($1.inFlight, $1.requestsTotal) }
        return Array(clients.prefix(StatusSnapshot.clientsListedMax))
    }

    public var inFlight: Int { requests.count }
    public var openTransactions: Int { transactions.count }
    public var clients: Int { connections.count }
}
