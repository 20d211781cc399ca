import PrismCore
import Testing

/// Connections that are held for clients: `HeldConnections`, and streams that give way.
@Suite("PostgreSQL pool: connections held") struct PoolSchedulerHeldTests {
    /// A pool whose connects work at once.
    private struct Pool {
        var scheduler: PoolScheduler
        var leases: [UInt64: ServerConnectionReference] = [:]
        var refused: [UInt64] = []
        /// Given back.
        var done: Set<UInt64> = []

        init(connections: Int, acquireTimeout: UInt64 = 1_000) {
            scheduler = PoolScheduler(
                limits: PoolScheduler.Limits(
                    connectionsMin: 0, connectionsMax: connections, acquireTimeoutNanoseconds: acquireTimeout), seed: 1)
        }

        mutating func acquire(_ id: UInt64, uid: UInt32, isTransaction: Bool = false, now: UInt64 = 0) {
            scheduler.acquire(
                RequestReference(rawValue: id), flow: Flow(client: ClientIdentity(uid: uid)),
                isTransaction: isTransaction, now: now)
            perform(now)
        }

        mutating func stream(_ id: UInt64, uid: UInt32) {
            acquire(id, uid: uid)
            if let connection = leases[id] { scheduler.hold(connection) }
        }

        mutating func release(_ id: UInt64, isReusable: Bool = true) {
            guard let connection = leases.removeValue(forKey: id) else { return }
            done.insert(id)
            scheduler.release(connection, isReusable: isReusable, now: 0)
            perform(0)
        }

        mutating func advance(to now: UInt64) {
            scheduler.advance(to: now)
            perform(now)
        }

        mutating func givesWay(_ id: UInt64) -> Bool { leases[id].map { scheduler.givesWay($0) } ?? false }

        private mutating func perform(_ now: UInt64) {
            while scheduler.hasActions {
                for action in scheduler.takeActions() {
                    switch action {
                    case .connect(let connection): scheduler.connected(connection, now: now)
                    case .lease(let waiter, let connection): leases[waiter.rawValue] = connection
                    case .refuse(let waiter, _): refused.append(waiter.rawValue)
                    case .close: break
                    }
                }
            }
        }
    }

    @Test("a client that holds connections leaves an eighth to clients that hold none; the rest of its requests wait")
    func keeps() {
        var pool = Pool(connections: 16)
        for id in 1...20 as ClosedRange<UInt64> { pool.stream(id, uid: 1) }
        #expect(pool.leases.count == 14)
        #expect(pool.scheduler.usage.waiting == 6)
        for id in [100, 101] as [UInt64] { pool.acquire(id, uid: 2) }
        #expect(pool.leases[100] != nil && pool.leases[101] != nil)
        pool.release(100)
        #expect(pool.leases.count == 15)
        pool.release(101)
        #expect(pool.leases.count == 14)
        // One of its own is given back, in order or broken: the next of its requests has one.
        pool.release(1)
        #expect(pool.leases[15] != nil)
        pool.release(2, isReusable: false)
        #expect(pool.leases[16] != nil)
        #expect(pool.leases.count == 14)
    }

    @Test("what waits for one that is kept is refused at the acquire timeout, and others go on")
    func waits() {
        var pool = Pool(connections: 8)
        for id in 1...8 as ClosedRange<UInt64> { pool.acquire(id, uid: 1, isTransaction: true) }
        #expect(pool.leases.count == 7)
        pool.acquire(100, uid: 2, now: 10)
        #expect(pool.leases[100] != nil)
        pool.release(100)
        pool.advance(to: 1_000)
        #expect(pool.refused == [8])
        #expect(pool.scheduler.usage.waiting == 0)
    }

    @Test("a client whose requests come back by themselves has all connections")
    func short() {
        var pool = Pool(connections: 16)
        for id in 1...16 as ClosedRange<UInt64> { pool.acquire(id, uid: 1) }
        #expect(pool.leases.count == 16)
    }

    @Test("of small pools none is kept")
    func small() {
        var pool = Pool(connections: 7)
        for id in 1...7 as ClosedRange<UInt64> { pool.stream(id, uid: 1) }
        #expect(pool.leases.count == 7)
    }

    @Test("as many streams give way as requests wait")
    func givesWay() {
        var pool = Pool(connections: 2)
        for id in [1, 2] as [UInt64] { pool.stream(id, uid: 1) }
        var answers = [pool.givesWay(1)]
        pool.acquire(3, uid: 1)
        for id in [1, 1, 2] as [UInt64] { answers.append(pool.givesWay(id)) }
        #expect(answers == [false, true, false, false])
        pool.release(1)
        #expect(pool.leases[3] != nil)
        pool.acquire(4, uid: 2)
        let second = pool.givesWay(2)
        #expect(second)
    }

    @Test("in any order of events: the eighth is kept, nobody waits for what it may have, and each is answered once")
    func random() throws {
        var waited = 0
        for seed in 0..<200 as Range<UInt64> {
            var random = SplitMix(seed)
            let connections = 1 + random.below(24)
            let kept = connections / 8
            var pool = Pool(connections: connections, acquireTimeout: .max / 2)
            var clients: [UInt64: UInt32] = [:]
            var held: [UInt64: UInt32] = [:]
            for id in 1...400 as ClosedRange<UInt64> {
                let before = Set(pool.leases.keys)
                let leased = pool.leases.count
                let holders = Set(held.filter { pool.leases[$0.key] != nil }.values)
                switch random.below(10) {
                case 0..<5:
                    let uid = UInt32(random.below(3))
                    let isTransaction = random.chance(3)
                    clients[id] = uid
                    pool.acquire(id, uid: uid, isTransaction: isTransaction)
                    let mayHave = leased < connections && (leased + kept < connections || !holders.contains(uid))
                    #expect((pool.leases[id] != nil) == mayHave, "seed \(seed), request \(id)")
                    if isTransaction { held[id] = uid }
                case 5, 6:
                    if let one = before.sorted().last, let connection = pool.leases[one], held[one] == nil {
                        pool.scheduler.hold(connection)
                        held[one] = clients[one]
                    }
                default:
                    if !before.isEmpty {
                        let one = before.sorted()[random.below(before.count)]
                        held[one] = nil
                        pool.release(one, isReusable: !random.chance(5))
                    }
                }
                let now = Set(held.filter { pool.leases[$0.key] != nil }.values)
                let waiting = clients.keys.filter { pool.leases[$0] == nil && !pool.done.contains($0) }
                waited = max(waited, waiting.count)
                try #require(pool.scheduler.usage.waiting == waiting.count, "seed \(seed), step \(id)")
                let free = connections - pool.leases.count
                for one in waiting {
                    let mayHave = free > kept || (free > 0 && !now.contains(clients[one] ?? 0))
                    try #require(!mayHave, "seed \(seed), step \(id): \(one) waits for one of \(free)")
                }
            }
        }
        #expect(waited > 20)
    }
}
