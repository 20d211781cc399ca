import PrismWire

/// What one client may have beside the others: limits of its rule, and a part of those that hold for all.
extension Multiplexer {
    /// The limit that keeps a request out; nil: none.
    func limitReached(_ index: Int, _ kind: OperationKind, addingBytes bytes: Int) -> Metrics.LimitName? {
        let client = connections[index].client
        let usage = clientClasses[client]
        let own = connections[index].rule.limits
        if usage.inFlight >= own.inFlight { return .ruleInFlight }
        if usage.bufferedBytes + bytes > own.bufferedBytes { return .ruleBufferedBytes }
        if clientClasses.isAboveShare(
            client, own: usage.inFlight + 1, total: requests.count + 1, maximum: requests.capacityMax)
        {
            return .inFlight
        }
        if isAboveShare(index, adding: bytes) { return .bufferedBytes }
        guard kind == .begin else { return nil }
        if usage.transactions >= own.transactions { return .ruleTransactions }
        return clientClasses.isAboveShare(
            client, own: usage.transactions + 1, total: transactions.count + 1, maximum: transactions.capacityMax)
            ? .transactions : nil
    }

    /// Whether a connection may not hold that many bytes more. Of the half of `bufferedBytesMax` that is not whoever's comes
    /// first, each class has its part, and of all of it each connection: clients that do not read cannot shut out the others.
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
        return own > half / connections.count
    }

    /// The refusal of what would go beyond a limit.
    mutating func limit(_ name: Metrics.LimitName) -> Failure {
        metrics.limitsReached[name, default: 0] += 1
        return Failure(
            .resourceExhausted, at: .admission,
            "\(name.text), or this client's part of it, is reached; wait, or send less at a time", isRetryable: true,
            retryAfterMicroseconds: MultiplexerSettings.limitRetryMicroseconds)
    }
}
