import PrismCore
import Testing

@Suite("PostgreSQL pool, any order of events") struct PoolSchedulerRandomTests {
    /// A pool under random events, and the model that watches it.
    private struct Run {
        var random: SplitMix
        var pool: PoolScheduler
        var model: PoolSchedulerModel
        var now: UInt64
        var isServerAway = false
        private var past: [ServerConnectionReference] = []
        private var waiters: UInt64 = 0

        init(seed: UInt64) {
            random = SplitMix(seed)
            let max = 1 + random.below(6)
            let limits = PoolScheduler.Limits(
                connectionsMin: random.below(max + 1), connectionsMax: max, waitersMax: 1 + random.below(12),
                acquireTimeoutNanoseconds: 500, idleTimeoutNanoseconds: 2_000 + UInt64(random.below(2_000)),
                lifetimeNanoseconds: 10_000, connectsAtOnceMax: 1 + random.below(4), backoffFirstNanoseconds: 40,
                backoffMaxNanoseconds: 700)
            pool = PoolScheduler(limits: limits, seed: seed)
            model = PoolSchedulerModel(limits: limits)
            now = 1 + random.next() % 1_000_000
        }

        mutating func take(_ event: PoolSchedulerModel.Event) {
            model.take(event, pool.takeActions(), pool, now: now)
        }

        mutating func acquire() {
            waiters += 1
            let waiter = RequestReference(rawValue: waiters)
            pool.acquire(waiter, now: now)
            take(.acquire(waiter))
        }

        mutating func withdraw() {
            let chosen: UInt64
            if !model.waiting.isEmpty, !random.chance(3) {
                chosen = model.waiting[random.below(model.waiting.count)].waiter.rawValue
            } else {
                chosen = 1 + random.next() % max(1, waiters)
            }
            let waiter = RequestReference(rawValue: chosen)
            model.withdrawn(waiter, pool.withdraw(waiter))
            take(.stale)
        }

        mutating func finishConnect(succeeds: Bool) {
            guard let connection = pick({ $0 == .connecting }) else { return }
            if succeeds {
                pool.connected(connection, now: now)
                take(.connected(connection))
            } else {
                pool.connectFailed(connection, now: now)
                past.append(connection)
                model.forget(connection)
                take(.connectFailed)
            }
        }

        mutating func release(isReusable: Bool) {
            guard let connection = pick({ if case .leased = $0 { true } else { false } }) else { return }
            if !isReusable { past.append(connection) }
            pool.release(connection, isReusable: isReusable, now: now)
            take(.released(connection, isReusable: isReusable))
        }

        mutating func lose() {
            guard let connection = pick({ $0 != .connecting }) else { return }
            past.append(connection)
            pool.lost(connection, now: now)
            take(.lost(connection))
        }

        mutating func sayStale() {
            guard !past.isEmpty else { return }
            let connection = past[random.below(past.count)]
            switch random.below(4) {
            case 0: pool.release(connection, isReusable: random.chance(2), now: now)
            case 1: pool.lost(connection, now: now)
            case 2: pool.connected(connection, now: now)
            default: pool.connectFailed(connection, now: now)
            }
            take(.stale)
        }

        /// To the next deadline, where something must happen, or to a time before it, where nothing may.
        mutating func advance() {
            let deadline = pool.nextDeadline
            let bound = deadline == .max || deadline <= now ? 400 : min(400, deadline - now)
            let isDue = deadline <= now + 400
            if isDue, random.chance(2) {
                now = max(now, deadline)
                pool.advance(to: now)
                model.check(pool.hasActions, "nothing happened at the deadline \(deadline)")
            } else if deadline > now {
                now += random.next() % bound
                pool.advance(to: now)
                model.check(!pool.hasActions, "something happened at \(now), before the deadline \(deadline)")
            } else {
                now += random.next() % bound
                pool.advance(to: now)
            }
            take(.advance)
        }

        mutating func step() {
            switch random.below(100) {
            case 0..<30: acquire()
            case 30..<50: release(isReusable: !random.chance(10))
            case 50..<65: finishConnect(succeeds: !random.chance(isServerAway ? 1 : 6))
            case 65..<70: withdraw()
            case 70..<75: sayStale()
            case 75..<(isServerAway ? 84 : 76): lose()
            case 84..<87: now += UInt64(random.below(1_500))
            case 87: isServerAway.toggle()
            default: advance()
            }
        }

        private mutating func pick(
            _ matches: (PoolSchedulerModel.Connection.State) -> Bool
        ) -> ServerConnectionReference? {
            let all = model.connections.filter { matches($0.state) }
            return all.isEmpty ? nil : all[random.below(all.count)].reference
        }
    }

    @Test("200,000 random events: places, order, one answer each, failing fast, deadlines")
    func random() throws {
        var leases = 0
        var refusals: [String: Int] = [:]
        for seed in 0..<100 as Range<UInt64> {
            var run = Run(seed: seed)
            for step in 0..<2_000 {
                run.step()
                try #require(run.model.failure == nil, "seed \(seed), step \(step): \(run.model.failure ?? "")")
            }
            leases += run.model.leases
            refusals.merge(run.model.refusals, uniquingKeysWith: +)
        }
        // The run has been where it matters.
        #expect(leases > 10_000)
        for refusal in ["queueFull", "acquireTimeout", "backendDown"] { #expect(refusals[refusal, default: 0] > 500) }
    }

    @Test("whatever has happened, the pool comes back to its full strength when the server is back")
    func capacityReturns() throws {
        for seed in 1_000..<1_100 as Range<UInt64> {
            var run = Run(seed: seed)
            for _ in 0..<300 { run.step() }
            run.isServerAway = false
            let max = run.model.limits.connectionsMax
            // Everything is given back; then as many ask as there are places.
            while run.model.leased > 0 || !run.model.waiting.isEmpty || run.model.isDown || run.model.connecting > 0 {
                run.release(isReusable: true)
                run.finishConnect(succeeds: true)
                run.advance()
                try #require(run.model.failure == nil, "seed \(seed): \(run.model.failure ?? "")")
            }
            for _ in 0..<max {
                run.acquire()
                while run.model.connecting > 0 { run.finishConnect(succeeds: true) }
            }
            #expect(run.model.failure == nil, "seed \(seed): \(run.model.failure ?? "")")
            #expect(run.pool.usage == (0, max, 0, 0), "seed \(seed)")
        }
    }

    @Test("whatever has happened, stop leaves nothing behind but what is leased")
    func stops() throws {
        for seed in 2_000..<2_200 as Range<UInt64> {
            var run = Run(seed: seed)
            for _ in 0..<200 { run.step() }
            run.pool.stop(now: run.now)
            run.take(.stop)
            #expect(run.pool.usage == (0, run.model.leased, 0, 0), "seed \(seed)")
            for _ in 0..<20 { run.step() }
            while run.model.leased > 0 { run.release(isReusable: true) }
            #expect(run.model.failure == nil, "seed \(seed): \(run.model.failure ?? "")")
            #expect(run.pool.usage == (0, 0, 0, 0), "seed \(seed)")
            #expect(run.pool.nextDeadline == .max)
        }
    }
}
