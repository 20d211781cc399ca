import PrismCore
import Testing

/// Connections that are held for clients: `HeldConnections`, and streams that give way.
@Suite("PostgreSQL pool: connections held") struct PoolSchedulerHeldTests {
    /// A pool whose connects work at once.
    private struct Pool {
        var scheduler: PoolScheduler
        var leases: [UInt64: ServerConnectionReference] = [:]
        var refused: [UInt64] = []

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
}
