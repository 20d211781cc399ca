import PrismWire

/// What one client may have beside the others: limits of its rule, and a part of those that hold for all.
extension Multiplexer {
    /// The limit that keeps a request out; nil: none.
    func limitReached(_ index: Int, _ kind: OperationKind, addingBytes bytes: Int) -> Metrics.LimitName? {
        let connection = connections.place(index)
        let client = connection.pointee.client
        let usage = clientClasses[client]
        let own = connection.pointee.ownLimits
        if usage.inFlight >= own.inFlight { return .ruleInFlight }
        if clientClasses.isAboveShare(
            client, own: usage.inFlight + 1, total: requests.count + 1, maximum: settings.inFlightMax)
        {
            return .inFlight
        }
        if !hasFrameRoom, let name = limitOfBytes(index, adding: bytes) { return name }
        guard kind == .begin else { return nil }
        if usage.transactions >= own.transactions { return .ruleTransactions }
        return clientClasses.isAboveShare(
            client, own: usage.transactions + 1, total: transactions.count + 1, maximum: transactions.capacityMax)
            ? .transactions : nil
    }

    /// What is not worth a refusal, which takes some room as well.
    static var smallBytes: Int { 4_096 }

    /// How many requests of one transaction may be in flight above the limits at once.
    static var aboveLimitsMax: Int { 2 }

    /// Whether a request goes on with its transaction although a limit is reached. What it holds, others wait for; and refused, it
    /// would poison the transaction. One request at a time may pass, and besides it the end: so there is a total all the same.
    func mayPassLimits(_ transaction: Int, _ kind: OperationKind, bytes: Int) -> Bool {
        guard !requests.isFull, transactions[transaction].aboveLimits < Self.aboveLimitsMax,
            hasFrameRoom || bytes <= Self.smallBytes || bufferedBytes + bytes <= settings.bufferedBytesMax
        else { return false }
        return kind == .commit || kind == .rollback
            || (transactions[transaction].executing < 0 && transactions[transaction].firstWaiting < 0)
    }

    /// The limit that keeps a connection from holding so many bytes more; nil: none.
    func limitOfBytes(_ index: Int, adding bytes: Int) -> Metrics.LimitName? {
        let connection = connections.place(index)
        let held = clientClasses[connection.pointee.client].bufferedBytes
        if held + bytes > connection.pointee.ownLimits.bufferedBytes { return .ruleBufferedBytes }
        return isAboveShare(index, adding: bytes) ? .bufferedBytes : nil
    }

    /// Whether a connection may not hold that many bytes more. Of the half of `bufferedBytesMax` that is not whoever's comes
    /// first, each class has its part, and of that each of its connections: clients that do not read cannot shut out the others.
    func isAboveShare(_ index: Int, adding bytes: Int) -> Bool {
        let client = connections[index].client
        let total = bufferedBytes + bytes
        if clientClasses.isAboveShare(
            client, own: clientClasses[client].bufferedBytes + bytes, total: total, maximum: settings.bufferedBytesMax)
        {
            return true
        }
        let half = settings.bufferedBytesMax / 2
        guard total > half, connections.count > 1 else { return false }
        let own = connections[index].bufferedBytes + connections[index].frameBytes + bytes
        return own > clientClasses.part(client, of: half) / clientClasses[client].connections
    }

    /// The refusal of what would go beyond a limit.
    func limit(_ name: Metrics.LimitName) -> Failure {
        metrics.limitsReached[name, default: 0] += 1
        return Failure(
            .resourceExhausted, at: .admission,
            "\(name.text), or this client's part of it, is reached; wait, or send less at a time", isRetryable: true,
            retryAfterMicroseconds: MultiplexerSettings.limitRetryMicroseconds)
    }
}
