import PrismCore
import Testing

/// What a pool does when more is asked of it than it has.
@Suite("PostgreSQL pool under load") struct PoolSchedulerLoadTests {
    private static let milliseconds: UInt64 = 1_000_000

    /// One connection, open; times in milliseconds.
    private struct Pool {
        var scheduler: PoolScheduler
        private(set) var refused: [String] = []
        private var leases: [(waiter: UInt64, connection: ServerConnectionReference)] = []
        /// Leased by the last call.
        private(set) var leased: [UInt64] = []

        init(connections: Int = 1) {
            scheduler = PoolScheduler(
                limits: PoolScheduler.Limits(
                    connectionsMin: connections, connectionsMax: connections, connectsAtOnceMax: connections),
                seed: 1)
            scheduler.advance(to: 0)
            for case .connect(let connection) in scheduler.takeActions() { scheduler.connected(connection, now: 0) }
            carryOut()
        }

        mutating func acquire(
            _ waiter: UInt64, uid: UInt32 = 1, timeout: UInt64 = 30_000, isTransaction: Bool = false, at now: UInt64 = 1
        ) {
            scheduler.acquire(
                RequestReference(rawValue: waiter), flow: Flow(client: ClientIdentity(uid: uid)),
                deadline: (now + timeout) * PoolSchedulerLoadTests.milliseconds, isTransaction: isTransaction,
                now: now * PoolSchedulerLoadTests.milliseconds)
            carryOut()
        }

        /// The request that has a connection gives it back; of several, the one that has had it longest. Which one then has it;
        /// 0: none.
        mutating func release(_ waiter: UInt64 = 0, at now: UInt64) -> UInt64 {
            guard let index = leases.firstIndex(where: { waiter == 0 || $0.waiter == waiter }) else { return 0 }
            let connection = leases.remove(at: index).connection
            scheduler.release(connection, isReusable: true, now: now * PoolSchedulerLoadTests.milliseconds)
            carryOut()
            return leased.first ?? 0
        }

        private mutating func carryOut() {
            leased.removeAll()
            for action in scheduler.takeActions() {
                switch action {
                case .lease(let waiter, let connection):
                    leases.append((waiter.rawValue, connection))
                    leased.append(waiter.rawValue)
                case .refuse(let waiter, let refusal): refused.append("\(waiter.rawValue) \(refusal)")
                case .connect, .close: break
                }
            }
        }
    }

    @Test("whoever comes while another floods is served at the next turn")
    func turns() {
        var pool = Pool()
        for waiter in 1...100 as ClosedRange<UInt64> { pool.acquire(waiter, uid: 1) }
        pool.acquire(1_000, uid: 2)
        pool.acquire(1_001, uid: 2)
        #expect((2..<7).map { pool.release(at: $0) } == [2, 1_000, 3, 1_001, 4])
        #expect(pool.scheduler.usage.waiting == 96)
    }

    @Test("of two that flood, the one whose statements take longer does not get more of the connection's time")
    func time() {
        var pool = Pool()
        for waiter in 1...300 as ClosedRange<UInt64> {
            pool.acquire(waiter, uid: 1)
            pool.acquire(1_000 + waiter, uid: 2)
        }
        var (now, working) = (UInt64(1), UInt64(1))
        var time: [UInt64] = [0, 0]
        for _ in 0..<200 {
            let isSlow = working < 1_000
            let took: UInt64 = isSlow ? 100 : 2
            time[isSlow ? 0 : 1] += took
            now += took
            working = pool.release(at: now)
        }
        // But for the first few, before it is known what they take.
        #expect(time[0] < 2 * time[1] + 500 && time[1] > 300, "\(time)")
    }

    @Test("what has less time left at its turn than any request has taken of late is not begun")
    func lateAtItsTurn() {
        var pool = Pool()
        pool.acquire(1, at: 1)
        #expect(pool.release(at: 11) == 0)
        pool.acquire(2, at: 20)
        pool.acquire(3, timeout: 15, at: 20)
        pool.acquire(4, timeout: 16, isTransaction: true, at: 20)
        pool.acquire(5, timeout: 20, at: 20)
        #expect(pool.release(at: 30) == 4)
        #expect(pool.refused == ["3 late"])
        #expect(pool.release(at: 30) == 5)
        #expect(pool.scheduler.lateTotal == 1)
    }

    @Test(
        "what has less time left than any request has taken of late is not let into the queue, but leased when it can be"
    )
    func lateOnArrival() {
        var pool = Pool()
        pool.acquire(1, at: 1)
        #expect(pool.release(at: 11) == 0)
        pool.acquire(2, timeout: 3, at: 20)
        pool.acquire(3, at: 20)
        pool.acquire(4, timeout: 9, at: 20)
        #expect(pool.refused == ["4 late"])
        #expect(pool.release(at: 21) == 3)
        // One that took 1 ms has been seen.
        pool.acquire(5, at: 21)
        pool.acquire(6, timeout: 9, at: 21)
        #expect(pool.refused == ["4 late"])
    }

    @Test("how long one client's statements take says nothing of another's: it is served in its turn")
    func slowNeighbour() {
        var pool = Pool()
        for waiter in 1...20 as ClosedRange<UInt64> { pool.acquire(waiter, uid: 1) }
        // Statements of 500 ms, and somebody who has 300.
        #expect(pool.release(at: 500) == 2)
        for turn in 2...10 as ClosedRange<UInt64> {
            pool.acquire(100 + turn, uid: 2, timeout: 300, at: turn * 500 - 100)
            #expect(pool.release(at: turn * 500) == 100 + turn)
            _ = pool.release(at: turn * 500 + 1)
        }
        #expect(pool.refused == [])
    }

    @Test("one that should be too slow is tried now and then, and shows what it takes")
    func trial() {
        var pool = Pool()
        for waiter in 1...6 as ClosedRange<UInt64> { pool.acquire(waiter, at: 0) }
        #expect(pool.release(at: 500) == 2)
        pool.acquire(50, timeout: 400, at: 900)
        #expect(pool.refused == ["50 late"])
        for turn in 2...5 as ClosedRange<UInt64> { #expect(pool.release(at: turn * 500) > 0) }
        // By now it is 2 s after the first measurement: four times what the others take.
        pool.acquire(51, timeout: 300, at: 2_900)
        pool.acquire(52, at: 2_900)
        pool.acquire(53, timeout: 600, at: 2_900)
        #expect(pool.release(at: 3_000) == 51)
        #expect(pool.release(at: 3_001) == 52)
        #expect(pool.release(at: 3_101) == 53)
        #expect(pool.refused == ["50 late"])
    }

    @Test("as soon as a connection has nothing to do, what came before refuses nobody")
    func afterASlowSpell() {
        var pool = Pool()
        for waiter in 1...20 as ClosedRange<UInt64> { pool.acquire(waiter, at: 0) }
        for turn in 1...20 as ClosedRange<UInt64> { _ = pool.release(at: turn * 1_000) }
        for waiter in 101...140 as ClosedRange<UInt64> { pool.acquire(waiter, uid: 2, timeout: 300, at: 20_001) }
        #expect(pool.refused == [])
        #expect(pool.scheduler.usage.waiting == 39)
    }

    @Test("what transactions take says nothing of requests, and what is known is forgotten")
    func forgotten() {
        var pool = Pool()
        pool.acquire(1, isTransaction: true, at: 1)
        #expect(pool.release(at: 500) == 0)
        pool.acquire(2, at: 500)
        pool.acquire(3, at: 500)
        pool.acquire(4, timeout: 50, at: 500)
        #expect(pool.release(at: 510) == 3)
        #expect(pool.release(at: 520) == 4)
        #expect(pool.release(at: 530) == 0)
        pool.acquire(5, at: 1_600)
        pool.acquire(6, at: 1_600)
        pool.acquire(7, timeout: 1, at: 1_600)
        #expect(pool.refused == [])
    }

    @Test("offered ten times what it can serve, it serves nine tenths of that in time")
    func goodput() {
        var pool = Pool(connections: 20)
        var random = SplitMix(7)
        var working: [(waiter: UInt64, until: UInt64)] = []
        var (good, bad) = (0, 0)
        // 20 connections, 10 ms each: 2 a millisecond; 20 are asked for, each within 100 ms.
        for now in 1...3_000 as ClosedRange<UInt64> {
            let done = working.filter { $0.until <= now }
            working.removeAll { $0.until <= now }
            for (waiter, _) in done {
                if now <= waiter / 20 + 100 { good += 1 } else { bad += 1 }
                let next = pool.release(waiter, at: now)
                if next > 0 { working.append((next, now + 5 + UInt64(random.below(11)))) }
            }
            for waiter in now * 20..<now * 20 + 20 {
                pool.acquire(waiter, timeout: 100, at: now)
                if !pool.leased.isEmpty { working.append((waiter, now + 10)) }
                // The session takes out what waits at its deadline.
                _ = pool.scheduler.withdraw(RequestReference(rawValue: waiter - min(waiter, 2_000)))
            }
        }
        #expect(good >= 6_000 * 9 / 10, "\(good) in time, \(bad) too late")
        #expect(bad < good / 20, "\(good) in time, \(bad) too late")
        // What is offered after that finds the queue empty soon: nothing of the overload is left.
        #expect(pool.scheduler.usage.waiting <= 200)
    }
}
