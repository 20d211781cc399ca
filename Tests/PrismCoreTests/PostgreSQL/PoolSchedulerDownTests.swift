import PrismCore
import Testing

@Suite("PostgreSQL pool, backend down") struct PoolSchedulerDownTests {
    private func make(min: Int = 0, max: Int = 4, seed: UInt64 = 1) -> PoolScheduler {
        PoolScheduler(
            limits: PoolScheduler.Limits(
                connectionsMin: min, connectionsMax: max, waitersMax: 100, acquireTimeoutNanoseconds: 1_000_000,
                connectsAtOnceMax: 3, backoffFirstNanoseconds: 1_000, backoffMaxNanoseconds: 10_000),
            seed: seed)
    }

    private func connects(_ actions: [PoolScheduler.Action]) -> [ServerConnectionReference] {
        actions.compactMap { if case .connect(let connection) = $0 { connection } else { nil } }
    }

    /// What those were told who were refused because the backend is down.
    private func retries(_ actions: [PoolScheduler.Action]) -> [UInt64] {
        actions.compactMap {
            if case .refuse(_, .backendDown(let retryAfter)) = $0 { retryAfter } else { nil }
        }
    }

    private func request(_ number: UInt64) -> RequestReference { RequestReference(rawValue: number) }

    @Test("a failed connect without a live connection refuses all at once and says when the next probe is due")
    func failsFast() throws {
        var pool = make()
        pool.acquire(request(1), now: 0)
        pool.acquire(request(2), now: 0)
        let opened = connects(pool.takeActions())
        #expect(opened.count == 2)
        #expect(!pool.isDown)
        pool.connectFailed(opened[0], now: 100)
        #expect(pool.isDown)
        let retry = try #require(pool.retryNanoseconds)
        #expect((600...1_100).contains(retry))
        var actions = pool.takeActions()
        #expect(retries(actions) == [retry - 100, retry - 100])
        #expect(connects(actions) == [])
        pool.acquire(request(3), now: 200)
        actions = pool.takeActions()
        #expect(actions == [.refuse(request(3), .backendDown(retryAfterNanoseconds: retry - 200))])
        #expect(pool.usage.waiting == 0)
    }

    @Test("one connect at a time probes, also when no minimum asks for it, and nobody waits for it")
    func probes() throws {
        for minimum in [0, 4] {
            var pool = make(min: minimum)
            pool.acquire(request(1), now: 0)
            for connection in connects(pool.takeActions()) { pool.connectFailed(connection, now: 0) }
            _ = pool.takeActions()
            let retry = try #require(pool.retryNanoseconds)
            #expect(pool.nextDeadline == retry)
            pool.advance(to: retry - 1)
            #expect(pool.takeActions() == [])
            pool.advance(to: retry)
            let probe = connects(pool.takeActions())
            #expect(probe.count == 1)
            #expect(pool.nextDeadline == .max)
            pool.acquire(request(2), now: retry + 1)
            let actions = pool.takeActions()
            #expect(connects(actions) == [])
            #expect(retries(actions) == [retry])
            pool.advance(to: retry + 1_000_000)
            #expect(pool.takeActions() == [])
        }
    }

    @Test("a probe that is due begins with the next request, whether or not advance was called")
    func probesOnDemand() throws {
        var pool = make()
        pool.acquire(request(1), now: 0)
        pool.connectFailed(connects(pool.takeActions())[0], now: 0)
        _ = pool.takeActions()
        let retry = try #require(pool.retryNanoseconds)
        pool.acquire(request(2), now: retry)
        let actions = pool.takeActions()
        #expect(connects(actions).count == 1)
        #expect(retries(actions) == [retry])
    }

    @Test("the backoff doubles up to its maximum, each time between half and whole, and the first success resets it")
    func backoff() throws {
        var drawn: Set<UInt64> = []
        for seed in 0..<50 as Range<UInt64> {
            var pool = make(min: 1, seed: seed)
            var now: UInt64 = 0
            for whole in [1_000, 2_000, 4_000, 8_000, 10_000, 10_000] as [UInt64] {
                pool.advance(to: now)
                let probe = connects(pool.takeActions())
                try #require(probe.count == 1)
                pool.connectFailed(probe[0], now: now)
                let retry = try #require(pool.retryNanoseconds)
                #expect((whole / 2...whole).contains(retry - now))
                drawn.insert(retry - now)
                now = retry
            }
            pool.advance(to: now)
            pool.connected(connects(pool.takeActions())[0], now: now)
            #expect(pool.retryNanoseconds == nil)
            #expect(!pool.isDown)
            _ = pool.takeActions()
            pool.acquire(request(1), now: now)
            pool.acquire(request(2), now: now)
            pool.connectFailed(connects(pool.takeActions())[0], now: now)
            let retry = try #require(pool.retryNanoseconds)
            #expect((500...1_000).contains(retry - now))
        }
        #expect(drawn.count > 200)
    }

    @Test("connects that were under way together and fail together are one failure")
    func burst() throws {
        var pool = make(min: 3)
        pool.advance(to: 0)
        let opened = connects(pool.takeActions())
        #expect(opened.count == 3)
        for connection in opened { pool.connectFailed(connection, now: 10) }
        let retry = try #require(pool.retryNanoseconds)
        #expect((510...1_010).contains(retry))
    }

    @Test("after a success the rest of the minimum is filled at once")
    func recovers() throws {
        var pool = make(min: 4)
        pool.advance(to: 0)
        for connection in connects(pool.takeActions()) { pool.connectFailed(connection, now: 0) }
        let retry = try #require(pool.retryNanoseconds)
        pool.advance(to: retry)
        pool.connected(connects(pool.takeActions())[0], now: retry)
        #expect(connects(pool.takeActions()).count == 3)
        pool.acquire(request(1), now: retry)
        #expect(pool.usage.leased == 1)
    }

    @Test("beside a live connection a failed connect only delays the next, and those who wait go on waiting")
    func delays() throws {
        var pool = make()
        pool.acquire(request(1), now: 0)
        let live = connects(pool.takeActions())[0]
        pool.connected(live, now: 0)
        pool.acquire(request(2), now: 0)
        pool.acquire(request(3), now: 0)
        let opened = connects(pool.takeActions())
        #expect(opened.count == 2)
        for connection in opened { pool.connectFailed(connection, now: 0) }
        #expect(pool.takeActions() == [])
        #expect(!pool.isDown)
        #expect(pool.usage.waiting == 2)
        let retry = try #require(pool.retryNanoseconds)
        pool.release(live, isReusable: true, now: 1)
        #expect(pool.takeActions() == [.lease(request(2), live)])
        pool.acquire(request(4), now: retry - 1)
        #expect(pool.takeActions() == [])
        #expect(pool.nextDeadline == retry)
        pool.advance(to: retry)
        #expect(connects(pool.takeActions()).count == 1)
    }

    @Test("losing the last live connection while connects fail is down; losing it while they succeed is not")
    func lastOne() throws {
        var pool = make()
        pool.acquire(request(1), now: 0)
        let live = connects(pool.takeActions())[0]
        pool.connected(live, now: 0)
        pool.acquire(request(2), now: 0)
        var healthy = pool
        healthy.lost(live, now: 5)
        #expect(!healthy.isDown)
        #expect(healthy.usage.waiting == 1)

        pool.connectFailed(connects(pool.takeActions().filter { $0 != .lease(request(1), live) })[0], now: 0)
        let retry = try #require(pool.retryNanoseconds)
        pool.release(live, isReusable: false, now: 5)
        #expect(pool.isDown)
        #expect(
            pool.takeActions() == [
                .close(live), .refuse(request(2), .backendDown(retryAfterNanoseconds: retry - 5)),
            ])
    }

    @Test("a connect from before the failures that succeeds late ends them")
    func lateSuccess() {
        var pool = make()
        pool.acquire(request(1), now: 0)
        pool.acquire(request(2), now: 0)
        let opened = connects(pool.takeActions())
        pool.connectFailed(opened[0], now: 0)
        #expect(pool.isDown)
        _ = pool.takeActions()
        pool.connected(opened[1], now: 50)
        #expect(!pool.isDown)
        pool.acquire(request(3), now: 50)
        #expect(pool.takeActions() == [.lease(request(3), opened[1])])
    }

    @Test("a connect that fails after a success counts, even if it began before an earlier failure")
    func lateFailure() throws {
        var pool = make()
        for number in 1...3 { pool.acquire(request(UInt64(number)), now: 0) }
        let opened = connects(pool.takeActions())
        pool.connectFailed(opened[0], now: 0)
        pool.connected(opened[1], now: 0)
        pool.lost(opened[1], now: 0)
        #expect(!pool.isDown)
        pool.connectFailed(opened[2], now: 0)
        #expect(pool.isDown)
    }
}
