/// Who gets which connection. Reached through `next` only.
extension LeaseScheduler {
    var mayWorkOnLeases: Bool { leaseWorkers < limits.leaseWorkersMax }
    var canLease: Bool {
        guard !leases.isEmpty, leased < limits.leasesMax, mayWorkOnLeases else { return false }
        return !held.isScarce(leased: leased) || leases.next(of: { held.mayLease($0, leased: leased) }) != nil
    }

    mutating func admit(
        _ waiter: Waiting, _ id: ID, _ queue: WritableKeyPath<Self, FairQueue<ID, Waiting>>,
        _ deadline: UInt64, _ now: UInt64
    ) -> Admission {
        guard count < limits.requestsMax else { return .full }
        switch self[keyPath: queue].push(waiter, id: id, flow: waiter.flow, deadline: deadline, now: now) {
        case .queued: return .queued
        case .full: return .full
        case .late: return .late
        }
    }

    mutating func leaseEnded(_ connection: Int, _ now: UInt64) {
        leased -= 1
        let lessee = lessees[connection]
        if lessee.isHeld { held.letGo(for: lessee.flow) }
        leases.served(lessee.flow, in: now - min(now, lessee.since))
    }

    /// An open one before a new one.
    var freeSlot: Int? {
        var closed: Int?
        for (connection, slot) in slots.enumerated() {
            switch slot {
            case .idle: return connection
            case .closed: closed = closed ?? connection
            case .working, .bound: break
            }
        }
        return closed
    }

    mutating func nextRunnable() -> Work? {
        guard mayWorkOnLeases else { return nil }
        while let next = runnable.popFirst() {
            switch next {
            case .stream(let id):
                guard let stream = streams[id] else { continue }
                set(stream.connection, .working(isLease: true))
                return .resume(id, connection: stream.connection)
            case .transaction(let transaction):
                guard let held = transactions[transaction], !held.isBusy else { continue }
                if held.isAbandoned {
                    transactions[transaction]?.isBusy = true
                    set(held.connection, .working(isLease: true))
                    return .abandon(transaction, connection: held.connection)
                }
                guard let id = held.requests.firstID, let item = transactions[transaction]?.requests.popFirst() else {
                    continue
                }
                transactionByRequest[id] = nil
                transactions[transaction]?.isBusy = true
                set(held.connection, .working(isLease: true))
                return .request(transaction, item, connection: held.connection)
            }
        }
        return nil
    }

    mutating func nextFresh(_ idleThreads: Int, _ now: UInt64) -> Work? {
        guard let connection = pointReads.isEmpty && !canLease ? nil : freeSlot else { return nil }
        // In turns, so that neither waits for all of the other.
        if !pointReads.isEmpty, canLease { prefersLease.toggle() }
        if canLease, prefersLease || pointReads.isEmpty, let taken = popLease(now) {
            set(connection, .working(isLease: true))
            leased += 1
            lessees[connection] = Lessee(flow: taken.flow, since: now, isHeld: taken.begins != nil)
            if taken.begins != nil { held.hold(for: taken.flow) }
            if let transaction = taken.begins {
                transactions[transaction] = Held(connection: connection, isBusy: true)
                return .begin(transaction, taken.item, connection: connection)
            }
            return .lease(taken.item, connection: connection)
        }
        var items: [Item] = []
        let fair = (pointReads.count + idleThreads) / (idleThreads + 1)
        let share = min(max(fair, limits.pointReadsPerBatchMin), limits.pointReadsPerBatchMax)
        items.reserveCapacity(min(pointReads.count, share))
        while items.count < share, let taken = pointReads.pop(now: now) { items.append(taken.item) }
        guard !items.isEmpty else { return nil }
        set(connection, .working(isLease: false))
        return .pointReads(items, connection: connection)
    }

    mutating func popLease(_ now: UInt64) -> Waiting? {
        let (held, leased) = (held, leased)
        guard let taken = leases.pop(now: now, of: { held.mayLease($0, leased: leased) }) else { return nil }
        if let transaction = taken.begins { waitingBegins[transaction] = nil }
        return taken
    }

    mutating func takeRequests(_ transaction: Transaction) -> [Item] {
        var items: [Item] = []
        while let id = transactions[transaction]?.requests.firstID,
            let item = transactions[transaction]?.requests.popFirst()
        {
            transactionByRequest[id] = nil
            items.append(item)
        }
        return items
    }
}
