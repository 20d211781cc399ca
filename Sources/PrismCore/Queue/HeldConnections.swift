/// Of a backend's connections, those that are held for clients: a stream that has sent parts, a transaction. How long that
/// lasts is the client's affair, so one client could hold all of them, and requests that need one for a millisecond would wait.
///
/// An eighth is kept for clients that hold none. Clients that hold none are never limited: what they ask for comes back by itself.
struct HeldConnections: Sendable {
    /// Connections that can be leased, all clients together.
    let maximum: Int
    private var held: [Flow: Int] = [:]

    init(maximum: Int) { self.maximum = maximum }

    /// None of less than 8: there the time for which a stream may wait for its client must do (`limits.stream_stall`).
    var kept: Int { maximum / 8 }

    func count(of flow: Flow) -> Int { held[flow] ?? 0 }

    mutating func hold(for flow: Flow) { held[flow, default: 0] += 1 }

    mutating func letGo(for flow: Flow) {
        guard let count = held[flow] else { return }
        held[flow] = count > 1 ? count - 1 : nil
    }

    /// Whether only what is kept is left.
    func isScarce(leased: Int) -> Bool { leased + kept >= maximum }

    /// Whether a client may be given one more.
    func mayLease(_ flow: Flow, leased: Int) -> Bool { !isScarce(leased: leased) || held[flow] == nil }
}
