extension PoolScheduler.Limits {
    /// One reactor's share of limits that are meant for all reactors together: connections and waiters are divided in equal
    /// parts, the first ones getting what is left over; times and the pace of connecting hold for each.
    ///
    /// Every share has at least one connection, so the shares are within the budget only if `connectionsMax` is not smaller
    /// than the number of reactors.
    ///
    /// - Parameters:
    ///   - reactor: from 0 to `reactors` - 1.
    ///   - reactors: at least 1.
    public func share(of reactor: Int, among reactors: Int) -> PoolScheduler.Limits {
        var share = self
        share.connectionsMax = max(1, Self.part(connectionsMax, reactor, reactors))
        share.connectionsMin = min(Self.part(connectionsMin, reactor, reactors), share.connectionsMax)
        share.waitersMax = max(1, Self.part(waitersMax, reactor, reactors))
        return share
    }

    private static func part(_ whole: Int, _ index: Int, _ count: Int) -> Int {
        guard count > 1, whole > 0 else { return max(0, whole) }
        return whole / count + (index < whole % count ? 1 : 0)
    }
}
