/// Who gets which connection. Reached through `next` only.
extension LeaseScheduler {
    var mayWorkOnLeases: Bool { leaseWorkers < limits.leaseWorkersMax }
    var canLease: Bool { !leases.isEmpty && leased < limits.leasesMax && mayWorkOnLeases }

    mutating func waiting(_ item: Item, begins: Transaction?, now: UInt64) -> Waiting {
        sequence += 1
        return Waiting(item: item, begins: begins, sinceNanoseconds: now, sequence: sequence)
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

    mutating func nextFresh(_ idleThreads: Int) -> Work? {
        guard let connection = pointReads.isEmpty && !canLease ? nil : freeSlot else { return nil }
        let leaseIsNext =
            canLease && (pointReads.first.map { $0.sequence > (leases.first?.sequence ?? .max) } ?? true)
        if leaseIsNext, let taken = popLease() {
            set(connection, .working(isLease: true))
            leased += 1
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
        while items.count < share, let taken = pointReads.popFirst() { items.append(taken.item) }
        guard !items.isEmpty else { return nil }
        set(connection, .working(isLease: false))
        return .pointReads(items, connection: connection)
    }

    mutating func popLease() -> Waiting? {
        guard let taken = leases.popFirst() else { return nil }
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
