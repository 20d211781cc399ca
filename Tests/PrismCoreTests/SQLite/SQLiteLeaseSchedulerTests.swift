import PrismCore
import Testing

private typealias Scheduler = LeaseScheduler<Int, String, Int>

@Suite("Lease scheduler") struct SQLiteLeaseSchedulerTests {
    private func describe(_ work: Scheduler.Work) -> String {
        switch work {
        case .pointReads(let items, let connection): "reads \(items) on \(connection)"
        case .lease(let item, let connection): "lease \(item) on \(connection)"
        case .begin(let transaction, let item, let connection): "begin \(transaction) \(item) on \(connection)"
        case .request(let transaction, let item, let connection): "request \(transaction) \(item) on \(connection)"
        case .resume(let id, let connection): "resume \(id) on \(connection)"
        case .abandon(let transaction, let connection): "abandon \(transaction) on \(connection)"
        case .close(let connection): "close \(connection)"
        case .none: "none"
        }
    }

    private func make(_ change: (inout Scheduler.Limits) -> Void = { _ in }) -> Scheduler {
        var limits = Scheduler.Limits()
        limits.connectionsMax = 3
        limits.connectionsForPointReads = 1
        limits.pointReadsPerBatchMax = 2
        limits.streamWindowBytes = 100
        change(&limits)
        return Scheduler(limits: limits)
    }

    @Test("point reads are taken in batches, and connections are reused")
    func batches() {
        var scheduler = make()
        for item in 1...3 { _ = scheduler.submitPointRead(item, id: item, now: 0) }
        #expect(describe(scheduler.next(now: 0)) == "reads [1, 2] on 0")
        #expect(describe(scheduler.next(now: 0)) == "reads [3] on 1")
        #expect(describe(scheduler.next(now: 0)) == "none")
        scheduler.released(connection: 1, isUsable: true, now: 0)
        _ = scheduler.submitPointRead(4, id: 4, now: 0)
        #expect(describe(scheduler.next(now: 0)) == "reads [4] on 1")
    }

    @Test("one client's reads do not keep another's waiting, nor point reads keep leases")
    func turns() {
        var scheduler = make()
        let (flood, polite) = (Flow(client: ClientIdentity(uid: 1)), Flow(client: ClientIdentity(uid: 2)))
        for item in 1...20 { _ = scheduler.submitPointRead(item, id: item, flow: flood, now: 0) }
        _ = scheduler.submitPointRead(100, id: 100, flow: polite, now: 0)
        _ = scheduler.submitLease(101, id: 101, flow: polite, now: 0)
        var works: [String] = []
        for _ in 0..<3 { works.append(describe(scheduler.next(now: 0))) }
        #expect(works.contains { $0.hasPrefix("lease 101") })
        #expect(works.contains { $0.hasPrefix("reads [1, 100]") })
    }

    @Test("of two clients with many queries, the one whose queries take longer has fewer turns")
    func time() {
        var scheduler = make { $0.connectionsMax = 1 }
        let flows = (1...2).map { Flow(client: ClientIdentity(uid: $0)) }
        for item in 0..<200 {
            for (number, flow) in flows.enumerated() {
                _ = scheduler.submitLease(1_000 * number + item, id: 1_000 * number + item, flow: flow, now: 0)
            }
        }
        var (now, time) = (UInt64(0), [UInt64](repeating: 0, count: 2))
        for _ in 0..<150 {
            guard case .lease(let item, let connection) = scheduler.next(now: now) else { break }
            let took: UInt64 = item < 1_000 ? 100_000_000 : 2_000_000
            time[item / 1_000] += took
            now += took
            scheduler.released(connection: connection, isUsable: true, now: now)
        }
        #expect(time[0] < 2 * time[1] + 500_000_000 && time[1] > 200_000_000, "\(time)")
    }

    @Test("leases that slow clients hold never take the connections of point reads")
    func reserved() {
        var scheduler = make()
        for item in 1...3 { _ = scheduler.submitLease(item, id: item, now: 0) }
        #expect(describe(scheduler.next(now: 0)) == "lease 1 on 0")
        #expect(describe(scheduler.next(now: 0)) == "lease 2 on 1")
        #expect(describe(scheduler.next(now: 0)) == "none")
        _ = scheduler.submitPointRead(4, id: 4, now: 0)
        #expect(describe(scheduler.next(now: 0)) == "reads [4] on 2")
        scheduler.released(connection: 2, isUsable: true, now: 0)
        #expect(describe(scheduler.next(now: 0)) == "none")
        scheduler.released(connection: 0, isUsable: true, now: 0)
        #expect(describe(scheduler.next(now: 0)) == "lease 3 on 0")
    }

    @Test("a stream whose window is used up is parked with its connection until half of it is credited")
    func parks() {
        var scheduler = make()
        _ = scheduler.submitLease(1, id: 1, now: 0)
        _ = scheduler.next(now: 0)
        scheduler.sending(1, bytes: 60, connection: 0)
        let first = scheduler.sent(1)
        #expect(first)
        scheduler.sending(1, bytes: 60, connection: 0)
        let second = scheduler.sent(1)
        #expect(!second)
        #expect(describe(scheduler.next(now: 0)) == "none")
        scheduler.credit(1, bytes: 60)
        #expect(describe(scheduler.next(now: 0)) == "none")
        scheduler.credit(1, bytes: 10)
        #expect(describe(scheduler.next(now: 0)) == "resume 1 on 0")
        scheduler.streamEnded(1)
        scheduler.released(connection: 0, isUsable: true, now: 0)
        #expect(scheduler.usage.idle == 1)
        #expect(scheduler.usage.leased == 0)
    }

    @Test("a parked stream that is cancelled goes on at once, once")
    func wakes() {
        var scheduler = make()
        _ = scheduler.submitLease(1, id: 1, now: 0)
        _ = scheduler.next(now: 0)
        scheduler.sending(1, bytes: 100, connection: 0)
        _ = scheduler.sent(1)
        scheduler.wake(1)
        scheduler.wake(1)
        scheduler.credit(1, bytes: 100)
        #expect(describe(scheduler.next(now: 0)) == "resume 1 on 0")
        #expect(describe(scheduler.next(now: 0)) == "none")
    }

    @Test("a credit that overtakes the report of its part is not lost")
    func earlyCredit() {
        var scheduler = make()
        _ = scheduler.submitLease(1, id: 1, now: 0)
        _ = scheduler.next(now: 0)
        scheduler.sending(1, bytes: 100, connection: 0)
        scheduler.credit(1, bytes: 100)
        let goesOn = scheduler.sent(1)
        #expect(goesOn)
    }

    @Test("threads that work on leases leave one for point reads")
    func leaseWorkers() {
        var scheduler = make { $0.leaseWorkersMax = 1 }
        _ = scheduler.submitLease(1, id: 1, now: 0)
        _ = scheduler.submitLease(2, id: 2, now: 0)
        #expect(describe(scheduler.next(now: 0)) == "lease 1 on 0")
        #expect(!scheduler.hasWork)
        #expect(describe(scheduler.next(now: 0)) == "none")
        _ = scheduler.submitPointRead(3, id: 3, now: 0)
        #expect(describe(scheduler.next(now: 0)) == "reads [3] on 1")
        // A parked stream keeps its connection and frees its thread's place.
        scheduler.sending(1, bytes: 100, connection: 0)
        _ = scheduler.sent(1)
        #expect(describe(scheduler.next(now: 0)) == "lease 2 on 2")
        scheduler.credit(1, bytes: 100)
        #expect(describe(scheduler.next(now: 0)) == "none")
        scheduler.released(connection: 2, isUsable: true, now: 0)
        #expect(describe(scheduler.next(now: 0)) == "resume 1 on 0")
    }

    @Test("point reads are divided among idle threads, but not below what a wake-up costs")
    func shares() {
        var scheduler = make {
            $0.pointReadsPerBatchMax = 8
            $0.pointReadsPerBatchMin = 2
        }
        for id in 0..<9 { _ = scheduler.submitPointRead(id, id: id, now: 0) }
        #expect(describe(scheduler.next(now: 0, idleThreads: 2)) == "reads [0, 1, 2] on 0")
        #expect(describe(scheduler.next(now: 0, idleThreads: 5)) == "reads [3, 4] on 1")
        #expect(describe(scheduler.next(now: 0)) == "reads [5, 6, 7, 8] on 2")
    }

    @Test(
        "a transaction that is abandoned while it begins is rolled back, one that fails to begin gives its connection back"
    )
    func abandonedBegin() {
        var scheduler = make()
        _ = scheduler.submitBegin(1, id: 1, transaction: "t", now: 0)
        #expect(describe(scheduler.next(now: 0)) == "begin t 1 on 0")
        guard case .rollsBack = scheduler.abandon("t") else {
            Issue.record("the transaction is not known while it begins")
            return
        }
        scheduler.finished("t")
        #expect(describe(scheduler.next(now: 0)) == "abandon t on 0")
        _ = scheduler.ended("t", isUsable: true, now: 0)
        _ = scheduler.submitBegin(2, id: 2, transaction: "u", now: 0)
        #expect(describe(scheduler.next(now: 0)) == "begin u 2 on 0")
        _ = scheduler.ended("u", isUsable: false, now: 0)
        #expect(scheduler.usage.leased == 0)
    }

    @Test("requests of a read-only transaction run one after another on its connection")
    func transactions() {
        var scheduler = make()
        _ = scheduler.submitBegin(1, id: 1, transaction: "t", now: 0)
        #expect(describe(scheduler.next(now: 0)) == "begin t 1 on 0")
        scheduler.finished("t")
        _ = scheduler.submitRequest(2, id: 2, transaction: "t")
        _ = scheduler.submitRequest(3, id: 3, transaction: "t")
        #expect(describe(scheduler.next(now: 0)) == "request t 2 on 0")
        #expect(describe(scheduler.next(now: 0)) == "none")
        scheduler.finished("t")
        #expect(describe(scheduler.next(now: 0)) == "request t 3 on 0")
        #expect(scheduler.ended("t", isUsable: true, now: 0) == [])
        #expect(scheduler.submitRequest(4, id: 4, transaction: "t") == .notOpen)
        #expect(scheduler.usage.idle == 1)
    }

    @Test("an abandoned transaction is rolled back when its request is done, and takes no more")
    func abandons() {
        var scheduler = make()
        _ = scheduler.submitBegin(1, id: 1, transaction: "t", now: 0)
        _ = scheduler.next(now: 0)
        scheduler.finished("t")
        _ = scheduler.submitRequest(2, id: 2, transaction: "t")
        _ = scheduler.submitRequest(3, id: 3, transaction: "t")
        _ = scheduler.next(now: 0)
        guard case .rollsBack(let items) = scheduler.abandon("t") else {
            Issue.record("unknown")
            return
        }
        #expect(items == [3])
        #expect(describe(scheduler.next(now: 0)) == "none")
        scheduler.finished("t")
        #expect(describe(scheduler.next(now: 0)) == "abandon t on 0")
        _ = scheduler.ended("t", isUsable: true, now: 0)
        #expect(describe(scheduler.next(now: 0)) == "none")
    }

    @Test("idle connections are closed, waiting requests expire, the queue is bounded")
    func limits() {
        var scheduler = make {
            $0.requestsMax = 2
            $0.acquireTimeoutNanoseconds = 10
            $0.idleTimeoutNanoseconds = 50
        }
        #expect(scheduler.submitPointRead(1, id: 1, now: 0) == .queued)
        #expect(scheduler.submitLease(2, id: 2, now: 5) == .queued)
        #expect(scheduler.submitLease(3, id: 3, now: 5) == .full)
        #expect(scheduler.nextExpiryNanoseconds == 10)
        #expect(scheduler.expire(now: 10) == [1])
        #expect(scheduler.expire(now: 15) == [2])
        _ = scheduler.submitPointRead(4, id: 4, now: 20)
        _ = scheduler.next(now: 20)
        scheduler.released(connection: 0, isUsable: true, now: 20)
        #expect(scheduler.nextExpiryNanoseconds == nil)
        #expect(scheduler.nextIdleNanoseconds == 70)
        #expect(describe(scheduler.next(now: 70)) == "close 0")
        scheduler.released(connection: 0, isUsable: false, now: 70)
        #expect(scheduler.isAllClosed)
    }

    @Test("removal finds a request wherever it waits")
    func removal() {
        var scheduler = make()
        _ = scheduler.submitBegin(1, id: 1, transaction: "t", now: 0)
        _ = scheduler.next(now: 0)
        scheduler.finished("t")
        _ = scheduler.submitRequest(2, id: 2, transaction: "t")
        _ = scheduler.submitLease(3, id: 3, now: 0)
        _ = scheduler.submitPointRead(4, id: 4, now: 0)
        _ = scheduler.submitBegin(5, id: 5, transaction: "u", now: 0)
        for id in 2...5 { #expect(scheduler.remove(id) == id) }
        #expect(scheduler.remove(2) == nil)
        #expect(scheduler.count == 0)
        #expect(describe(scheduler.next(now: 0)) == "none")
    }
}
