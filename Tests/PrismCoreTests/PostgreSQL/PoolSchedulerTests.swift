import PrismCore
import Testing

@Suite("PostgreSQL pool") struct PoolSchedulerTests {
    /// A pool and the connections and requests of a test, as one reads them: connection `2` is place 2's first use, `2'3` its third.
    private struct Pool {
        var scheduler: PoolScheduler

        init(seed: UInt64 = 1, _ change: (inout PoolScheduler.Limits) -> Void = { _ in }) {
            var limits = PoolScheduler.Limits(
                connectionsMin: 0, connectionsMax: 3, waitersMax: 8, acquireTimeoutNanoseconds: 100,
                idleTimeoutNanoseconds: 1_000, lifetimeNanoseconds: .max, connectsAtOnceMax: 2,
                backoffFirstNanoseconds: 100, backoffMaxNanoseconds: 1_000)
            change(&limits)
            scheduler = PoolScheduler(limits: limits, seed: seed)
        }

        func connection(_ slot: Int, _ use: UInt32 = 1) -> ServerConnectionReference {
            ServerConnectionReference(slot: slot, generation: use)
        }

        mutating func acquire(_ waiter: UInt64, _ now: UInt64 = 0) -> [String] {
            scheduler.acquire(RequestReference(rawValue: waiter), now: now)
            return actions()
        }

        mutating func withdraw(_ waiter: UInt64) -> Bool { scheduler.withdraw(RequestReference(rawValue: waiter)) }

        mutating func connected(_ slot: Int, _ use: UInt32 = 1, _ now: UInt64 = 0) -> [String] {
            scheduler.connected(connection(slot, use), now: now)
            return actions()
        }

        mutating func failed(_ slot: Int, _ use: UInt32 = 1, _ now: UInt64 = 0) -> [String] {
            scheduler.connectFailed(connection(slot, use), now: now)
            return actions()
        }

        mutating func release(_ slot: Int, _ use: UInt32 = 1, _ now: UInt64 = 0, reusable: Bool = true) -> [String] {
            scheduler.release(connection(slot, use), isReusable: reusable, now: now)
            return actions()
        }

        mutating func lost(_ slot: Int, _ use: UInt32 = 1, _ now: UInt64 = 0) -> [String] {
            scheduler.lost(connection(slot, use), now: now)
            return actions()
        }

        mutating func advance(_ now: UInt64) -> [String] {
            scheduler.advance(to: now)
            return actions()
        }

        mutating func actions() -> [String] {
            scheduler.takeActions().map { action in
                switch action {
                case .connect(let connection): "connect \(name(connection))"
                case .close(let connection): "close \(name(connection))"
                case .lease(let waiter, let connection): "lease \(waiter.rawValue) \(name(connection))"
                case .refuse(let waiter, .backendDown): "refuse \(waiter.rawValue) down"
                case .refuse(let waiter, let refusal): "refuse \(waiter.rawValue) \(refusal)"
                }
            }
        }

        var usage: [Int] {
            let usage = scheduler.usage
            return [usage.idle, usage.leased, usage.connecting, usage.waiting]
        }

        private func name(_ connection: ServerConnectionReference) -> String {
            connection.generation == 1 ? "\(connection.slot)" : "\(connection.slot)'\(connection.generation)"
        }

        /// Brings up so many connections, all idle; the last one was used last.
        mutating func fill(_ count: Int, _ now: UInt64 = 0) {
            for waiter in 0..<UInt64(count) { _ = acquire(1_000 + waiter, now) }
            for slot in 0..<count { _ = connected(slot, 1, now) }
            for slot in 0..<count { _ = release(slot, 1, now) }
        }
    }

    // MARK: Leasing

    @Test("a request gets the first connection that is opened, and the connection is used again")
    func leases() {
        var pool = Pool()
        #expect(pool.acquire(1) == ["connect 0"])
        #expect(pool.usage == [0, 0, 1, 1])
        #expect(pool.connected(0) == ["lease 1 0"])
        #expect(pool.usage == [0, 1, 0, 0])
        #expect(pool.release(0) == [])
        #expect(pool.usage == [1, 0, 0, 0])
        #expect(pool.acquire(2) == ["lease 2 0"])
    }

    @Test("the connection used last is used again first")
    func lastInFirstOut() {
        var pool = Pool()
        pool.fill(3)
        #expect(pool.acquire(1) == ["lease 1 2"])
        #expect(pool.acquire(2) == ["lease 2 1"])
        #expect(pool.release(2) == [])
        #expect(pool.release(1) == [])
        #expect(pool.acquire(3) == ["lease 3 1"])
        #expect(pool.acquire(4) == ["lease 4 2"])
        #expect(pool.acquire(5) == ["lease 5 0"])
    }

    @Test("requests are served first come, first served, by whatever comes free first")
    func firstInFirstOut() {
        var pool = Pool { $0.connectionsMax = 2 }
        #expect(pool.acquire(1) == ["connect 0"])
        #expect(pool.acquire(2) == ["connect 1"])
        #expect(pool.acquire(3) == [])
        #expect(pool.acquire(4) == [])
        #expect(pool.connected(1) == ["lease 1 1"])
        #expect(pool.release(1) == ["lease 2 1"])
        #expect(pool.connected(0) == ["lease 3 0"])
        #expect(pool.release(1) == ["lease 4 1"])
        #expect(pool.usage == [0, 2, 0, 0])
    }

    @Test("connections are opened for those who wait beyond the connects under way, a few at once, up to the maximum")
    func opens() {
        var pool = Pool()
        #expect(pool.acquire(1) == ["connect 0"])
        #expect(pool.withdraw(1) == true)
        // The connect under way is enough for one.
        #expect(pool.acquire(2) == [])
        #expect(pool.acquire(3) == ["connect 1"])
        #expect(pool.acquire(4) == [])
        #expect(pool.acquire(5) == [])
        #expect(pool.connected(0) == ["lease 2 0", "connect 2"])
        #expect(pool.connected(1) == ["lease 3 1"])
        #expect(pool.connected(2) == ["lease 4 2"])
        #expect(pool.usage == [0, 3, 0, 1])
    }

    @Test("a request that is withdrawn gets nothing; one that does not wait cannot be withdrawn")
    func withdraws() {
        var pool = Pool { $0.connectionsMax = 1 }
        _ = pool.acquire(1)
        _ = pool.acquire(2)
        _ = pool.acquire(3)
        #expect(pool.withdraw(2) == true)
        #expect(pool.withdraw(2) == false)
        #expect(pool.connected(0) == ["lease 1 0"])
        #expect(pool.withdraw(1) == false)
        #expect(pool.release(0) == ["lease 3 0"])
        #expect(pool.release(0) == [])
        #expect(pool.withdraw(9) == false)
    }

    @Test("a request that waits already is neither entered twice nor refused")
    func repeatedAcquire() {
        var pool = Pool {
            $0.connectionsMax = 1
            $0.waitersMax = 2
        }
        _ = pool.acquire(1)
        #expect(pool.acquire(1) == [])
        #expect(pool.acquire(2) == [])
        #expect(pool.acquire(1) == [])
        #expect(pool.acquire(3) == ["refuse 3 queueFull"])
        #expect(pool.usage == [0, 0, 1, 2])
    }

    @Test("a request waits for the acquire timeout and no longer")
    func acquireTimeout() {
        var pool = Pool { $0.connectionsMax = 1 }
        _ = pool.acquire(1, 0)
        _ = pool.acquire(2, 30)
        #expect(pool.scheduler.nextDeadline == 100)
        #expect(pool.advance(99) == [])
        #expect(pool.advance(100) == ["refuse 1 acquireTimeout"])
        #expect(pool.scheduler.nextDeadline == 130)
        #expect(pool.advance(130) == ["refuse 2 acquireTimeout"])
        #expect(pool.scheduler.nextDeadline == .max)
        #expect(pool.connected(0, 1, 131) == [])
        #expect(pool.usage == [1, 0, 0, 0])
    }

    // MARK: The minimum, and ages

    @Test("the minimum is filled from the first advance on, a few at once, and again after losses")
    func minimum() {
        var pool = Pool { $0.connectionsMin = 3 }
        #expect(pool.scheduler.nextDeadline == 0)
        #expect(pool.advance(0) == ["connect 0", "connect 1"])
        #expect(pool.scheduler.nextDeadline == .max)
        #expect(pool.connected(1) == ["connect 2"])
        #expect(pool.connected(0) == [])
        #expect(pool.connected(2) == [])
        #expect(pool.usage == [3, 0, 0, 0])
        #expect(pool.lost(1) == ["close 1", "connect 1'2"])
        #expect(pool.acquire(1) == ["lease 1 2"])
        #expect(pool.lost(2) == ["close 2", "connect 2'2"])
        #expect(pool.usage == [1, 0, 2, 0])
    }

    @Test("the minimum is refilled with backoff when connects fail beside live connections")
    func minimumWithBackoff() throws {
        var pool = Pool { $0.connectionsMin = 2 }
        _ = pool.advance(0)
        #expect(pool.connected(0) == [])
        #expect(pool.failed(1) == [])
        #expect(!pool.scheduler.isDown)
        let retry = try #require(pool.scheduler.retryNanoseconds)
        #expect((50...100).contains(retry))
        #expect(pool.scheduler.nextDeadline == retry)
        #expect(pool.advance(retry - 1) == [])
        #expect(pool.advance(retry) == ["connect 1'2"])
        #expect(pool.connected(1, 2, retry) == [])
        #expect(pool.scheduler.retryNanoseconds == nil)
    }

    @Test("what was unused for the idle timeout is closed, the longest unused first, never below the minimum")
    func idleTimeout() {
        var pool = Pool { $0.connectionsMin = 1 }
        pool.fill(3)
        // Used again, so 2 is the youngest, then 1, and 0 the oldest.
        _ = pool.acquire(1, 50)
        _ = pool.acquire(2, 50)
        _ = pool.release(1, 1, 60)
        _ = pool.release(2, 1, 70)
        #expect(pool.scheduler.nextDeadline == 1_000)
        #expect(pool.advance(999) == [])
        #expect(pool.advance(1_000) == ["close 0"])
        #expect(pool.scheduler.nextDeadline == 1_060)
        #expect(pool.advance(1_060) == ["close 1"])
        #expect(pool.scheduler.nextDeadline == .max)
        #expect(pool.advance(9_999) == [])
        #expect(pool.usage == [1, 0, 0, 0])
    }

    @Test("leased connections count for the minimum: all that is idle beside them may be closed")
    func idleBesideLeased() {
        var pool = Pool { $0.connectionsMin = 1 }
        pool.fill(2)
        #expect(pool.acquire(1) == ["lease 1 1"])
        #expect(pool.advance(1_000) == ["close 0"])
        #expect(pool.usage == [0, 1, 0, 0])
    }

    @Test(
        "a connection past its lifetime is closed when it is returned, and when it is idle; the minimum is filled again"
    )
    func lifetime() {
        var pool = Pool {
            $0.connectionsMin = 1
            $0.lifetimeNanoseconds = 500
        }
        _ = pool.advance(0)
        #expect(pool.connected(0) == [])
        let end = pool.scheduler.nextDeadline
        #expect((450...550).contains(end))
        #expect(pool.acquire(1, 400) == ["lease 1 0"])
        #expect(pool.scheduler.nextDeadline == .max)
        #expect(pool.advance(end) == [])
        #expect(pool.release(0, 1, end) == ["close 0", "connect 0'2"])
        _ = pool.connected(0, 2, end)
        let second = pool.scheduler.nextDeadline
        #expect((end + 450...end + 550).contains(second))
        #expect(pool.advance(second - 1) == [])
        #expect(pool.advance(second) == ["close 0'2", "connect 0'3"])
    }

    @Test("a request that waits while an old connection is returned gets a new one")
    func lifetimeUnderLoad() {
        var pool = Pool {
            $0.connectionsMax = 1
            $0.lifetimeNanoseconds = 500
        }
        _ = pool.acquire(1)
        _ = pool.connected(0)
        _ = pool.acquire(2, 590)
        #expect(pool.release(0, 1, 600) == ["close 0", "connect 0'2"])
        #expect(pool.connected(0, 2, 610) == ["lease 2 0'2"])
    }

    @Test("connections opened at the same time do not reach their lifetime at the same time")
    func lifetimeJitter() {
        var pool = Pool {
            $0.connectionsMax = 100
            $0.connectionsMin = 100
            $0.connectsAtOnceMax = 100
            $0.lifetimeNanoseconds = 1_800_000_000_000
        }
        _ = pool.advance(0)
        for slot in 0..<100 { _ = pool.connected(slot) }
        var most = 0
        var closed = 0
        for second in 1_620...1_980 as ClosedRange<UInt64> {
            let now = second * 1_000_000_000
            let closes = pool.advance(now).filter { $0.hasPrefix("close") }.count
            most = max(most, closes)
            closed += closes
            if second == 1_620 { #expect(closes == 0) }
        }
        #expect(closed == 100)
        #expect(most <= 5)
    }

    // MARK: Losses

    @Test("a connection that is not reusable is closed, and a new one is opened for who waits")
    func notReusable() {
        var pool = Pool { $0.connectionsMax = 1 }
        _ = pool.acquire(1)
        _ = pool.connected(0)
        _ = pool.acquire(2)
        #expect(pool.release(0, reusable: false) == ["close 0", "connect 0'2"])
        #expect(pool.connected(0, 2) == ["lease 2 0'2"])
        #expect(pool.release(0, 2, reusable: false) == ["close 0'2"])
        #expect(pool.usage == [0, 0, 0, 0])
    }

    @Test("a lost connection's place is free at once, whether it was idle or leased")
    func losses() {
        var pool = Pool()
        pool.fill(3)
        #expect(pool.acquire(1) == ["lease 1 2"])
        #expect(pool.lost(1) == ["close 1"])
        #expect(pool.lost(2) == ["close 2"])
        #expect(pool.usage == [1, 0, 0, 0])
        #expect(pool.acquire(2) == ["lease 2 0"])
        #expect(pool.acquire(3) == ["connect 2'2"])
        #expect(pool.acquire(4) == ["connect 1'2"])
    }

    @Test("what is said of a use that is over, or does not fit what the connection is doing, changes nothing")
    func stale() {
        var pool = Pool()
        pool.fill(2)
        _ = pool.acquire(1)
        _ = pool.lost(1)
        #expect(pool.release(1) == [])
        #expect(pool.lost(1) == [])
        #expect(pool.connected(1) == [])
        #expect(pool.failed(1) == [])
        #expect(pool.release(0) == [])
        #expect(pool.connected(0) == [])
        for slot in [-1, 2, 3, Int.max] {
            #expect(pool.lost(slot) == [])
            #expect(pool.release(slot) == [])
        }
        #expect(pool.usage == [1, 0, 0, 0])
        #expect(pool.acquire(2) == ["lease 2 0"])
        #expect(pool.acquire(3) == ["connect 1'2"])
        #expect(pool.connected(1) == [])
        #expect(pool.connected(1, 2) == ["lease 3 1'2"])
        #expect(pool.usage == [0, 2, 0, 0])
    }

    @Test("a connect said to be lost counts as failed, a live connection whose connect is said to have failed as lost")
    func confusedReports() {
        var pool = Pool()
        _ = pool.acquire(1)
        #expect(pool.lost(0) == ["close 0", "refuse 1 down"])
        #expect(pool.scheduler.isDown)
        pool = Pool()
        pool.fill(1)
        #expect(pool.failed(0) == ["close 0"])
        #expect(!pool.scheduler.isDown)
    }

    // MARK: Stopping

    @Test("stop refuses who waits, closes what is not leased, and the leased as they come back")
    func stops() {
        var pool = Pool { $0.connectionsMin = 3 }
        _ = pool.advance(0)
        _ = pool.connected(0)
        _ = pool.acquire(1)
        _ = pool.acquire(2)
        pool.scheduler.stop(now: 0)
        #expect(pool.actions() == ["refuse 2 stopping", "close 1", "close 2"])
        #expect(pool.acquire(3) == ["refuse 3 stopping"])
        #expect(pool.connected(1) == [])
        #expect(pool.advance(5_000) == [])
        #expect(pool.scheduler.nextDeadline == .max)
        #expect(pool.usage == [0, 1, 0, 0])
        #expect(pool.release(0) == ["close 0"])
        #expect(pool.usage == [0, 0, 0, 0])
        pool.scheduler.stop(now: 0)
        #expect(pool.actions() == [])
    }

    @Test("actions are taken once, and the array given for them is used again")
    func takesActions() {
        var pool = Pool()
        pool.scheduler.acquire(RequestReference(rawValue: 1), now: 0)
        #expect(pool.scheduler.hasActions)
        var taken: [PoolScheduler.Action] = [.close(pool.connection(9))]
        pool.scheduler.takeActions(into: &taken)
        #expect(taken == [.connect(pool.connection(0))])
        #expect(!pool.scheduler.hasActions)
        pool.scheduler.takeActions(into: &taken)
        #expect(taken == [])
    }

    @Test("limits without sense are raised to what works")
    func clamps() {
        var pool = Pool {
            $0.connectionsMin = 9
            $0.connectionsMax = 0
            $0.connectsAtOnceMax = 0
        }
        #expect(pool.advance(0) == ["connect 0"])
        #expect(pool.connected(0) == [])
        #expect(pool.advance(.max - 1) == [])
        #expect(pool.usage == [1, 0, 0, 0])
    }

    @Test("the reactors' shares together are the budget, and differ by one at most")
    func shares() {
        for (minimum, maximum, reactors) in [(5, 20, 1), (5, 20, 3), (0, 7, 7), (7, 7, 2), (1, 20, 8)] {
            let whole = PoolScheduler.Limits(connectionsMin: minimum, connectionsMax: maximum, waitersMax: 100)
            let shares = (0..<reactors).map { whole.share(of: $0, among: reactors) }
            #expect(shares.map(\.connectionsMin).reduce(0, +) == minimum)
            #expect(shares.map(\.connectionsMax).reduce(0, +) == maximum)
            #expect(shares.map(\.waitersMax).reduce(0, +) == 100)
            let sizes = shares.map(\.connectionsMax)
            #expect(sizes == sizes.sorted(by: >) && sizes[0] - sizes[reactors - 1] <= 1)
            #expect(shares.allSatisfy { $0.connectionsMin <= $0.connectionsMax && $0.connectionsMin >= 0 })
            #expect(shares.allSatisfy { $0.lifetimeNanoseconds == whole.lifetimeNanoseconds })
        }
        // Nobody gets nothing, even where that is more than the budget.
        let small = PoolScheduler.Limits(connectionsMin: 2, connectionsMax: 2)
        #expect((0..<4).map { small.share(of: $0, among: 4).connectionsMax } == [1, 1, 1, 1])
    }
}
