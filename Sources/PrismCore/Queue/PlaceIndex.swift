/// Finds places in somebody's table by what stands there: chains of the places whose hashes end alike. Places count from 0; the
/// memory is as much as the highest needs.
struct PlaceIndex: Sendable {
    struct Node: BitwiseCopyable, Sendable {
        /// Of the chain of hashes that end with this node's number; -1: none.
        var first: Int32 = -1
        /// Of the place with this node's number: what follows it in its chain, and its hash.
        var next: Int32 = -1
        var hash: UInt32 = 0
    }

    /// A power of two, or none.
    private var nodes: [Node] = []
    /// So that nobody can foresee which keys meet in one chain.
    private let seed = Hasher().finalize()

    @inline(__always)
    func hash<Key: Hashable>(of key: Key) -> UInt32 { UInt32(truncatingIfNeeded: key._rawHashValue(seed: seed)) }

    /// The place with this hash which is it; nil: there is none.
    @inline(__always)
    func find(_ hash: UInt32, _ isIt: (Int) -> Bool) -> Int? {
        guard !nodes.isEmpty else { return nil }
        var place = nodes[Int(hash) & (nodes.count - 1)].first
        while place >= 0 {
            if nodes[Int(place)].hash == hash, isIt(Int(place)) { return Int(place) }
            place = nodes[Int(place)].next
        }
        return nil
    }

    /// A place that is not in it.
    @inline(__always)
    mutating func insert(_ place: Int, hash: UInt32) {
        if place >= nodes.count { grow(to: place + 1) }
        let mask = nodes.count - 1
        nodes.withPlaces { Self.enter(place, hash, $0, mask) }
    }

    /// A place that is in it.
    @inline(__always)
    mutating func remove(_ place: Int) {
        let mask = nodes.count - 1
        nodes.withPlaces { nodes in
            let (chain, next) = (Int(nodes[place].hash) & mask, nodes[place].next)
            guard nodes[chain].first != place else {
                nodes[chain].first = next
                return
            }
            var previous = Int(nodes[chain].first)
            while nodes[previous].next != place { previous = Int(nodes[previous].next) }
            nodes[previous].next = next
        }
    }

    mutating func removeAll() { nodes.removeAll() }

    @inline(__always)
    private static func enter(_ place: Int, _ hash: UInt32, _ nodes: Places<Node>, _ mask: Int) {
        let chain = Int(hash) & mask
        (nodes[place].hash, nodes[place].next) = (hash, nodes[chain].first)
        nodes[chain].first = Int32(place)
    }

    @inline(never)
    private mutating func grow(to count: Int) {
        let (old, capacity) = (nodes, Swift.max(16, 1 << (Int.bitWidth - (count - 1).leadingZeroBitCount)))
        nodes = Array(repeating: Node(), count: capacity)
        nodes.withPlaces { nodes in
            for chain in old {
                var place = chain.first
                while place >= 0 {
                    Self.enter(Int(place), old[Int(place)].hash, nodes, capacity - 1)
                    place = old[Int(place)].next
                }
            }
        }
    }
}
