/// Who shares limits and turns: all clients that one rule admits; without rules, all of one uid.
public struct ClientIdentity: Hashable, BitwiseCopyable, Sendable {
    /// Says nothing outside of this process; the same on every reactor.
    public let rawValue: UInt64

    init(rule: Int) { rawValue = UInt64(1) << 32 | UInt64(rule) }
    public init(uid: UInt32) { rawValue = UInt64(uid) }

    private init(rawValue: UInt64) { self.rawValue = rawValue }
    static let own = ClientIdentity(rawValue: .max)

    public func _rawHashValue(seed: Int) -> Int { mixedHash(rawValue, seed) }
}

/// What the clients of each identity hold, as long as one of them is connected.
struct ClientClasses: ~Copyable {
    struct Usage: BitwiseCopyable, Sendable {
        let flow: Flow
        var weight: Int { Int(flow.weight) }
        var connections = 0
        var inFlight = 0
        var bufferedBytes = 0
        var transactions = 0
    }

    /// A free place holds a class without connections.
    private var usages = Cells<Usage>()
    private var places: [ClientIdentity: Int] = [:]
    private var free: [Int] = []
    /// Of all that are connected.
    private(set) var weights = 0

    /// How many are connected.
    var count: Int { places.count }

    /// One more connection; the answer is the place of its class, valid until the last one leaves.
    mutating func join(_ identity: ClientIdentity, weight: Int) -> Int {
        if let known = places[identity] {
            usages[known].connections += 1
            return known
        }
        let usage = Usage(flow: Flow(client: identity, weight: weight), connections: 1)
        let place = free.popLast() ?? usages.count
        if place == usages.count { usages.append(usage) } else { usages[place] = usage }
        places[identity] = place
        weights += usage.weight
        return place
    }

    /// A connection ends, with all that it held.
    mutating func leave(_ place: Int) {
        usages[place].connections -= 1
        guard usages[place].connections == 0 else { return }
        places[usages[place].flow.client] = nil
        weights -= usages[place].weight
        free.append(place)
    }

    subscript(_ place: Int) -> Usage {
        get { usages[place] }
        _modify { yield &usages[place] }
    }

    /// Whether a class may not have so much of something of which there is `maximum`.
    /// - Parameters:
    ///   - own: what the class would have.
    ///   - total: what all would have together.
    func isAboveShare(_ place: Int, own: Int, total: Int, maximum: Int) -> Bool {
        total > maximum || isAbovePart(place, own: own, total: total, maximum: maximum)
    }

    /// The first half of `maximum` is whoever's comes first; of the other half each class that is connected has a part by its
    /// weight, so that none can shut out the others.
    func isAbovePart(_ place: Int, own: Int, total: Int, maximum: Int) -> Bool {
        let half = maximum / 2
        guard total > half, weights > self[place].weight else { return false }
        return own > max(1, part(place, of: half))
    }

    /// What a class has by its weight of something that is shared out among all that are connected.
    func part(_ place: Int, of whole: Int) -> Int { whole * self[place].weight / max(1, weights) }
}
