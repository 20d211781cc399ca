import PrismCore
import Testing

private typealias Scheduler = LeaseScheduler<Int, String, Int>

/// Readers that are held for clients: `HeldConnections`, and streams that give way.
@Suite("Lease scheduler: connections held") struct HeldLeaseTests {
    private static let greedy = Flow(client: ClientIdentity(uid: 1))
    private static let polite = Flow(client: ClientIdentity(uid: 2))

    private func make(leases: Int) -> Scheduler {
        var limits = Scheduler.Limits()
        limits.connectionsMax = leases + 1
        limits.connectionsForPointReads = 1
        limits.streamWindowBytes = 100
        return Scheduler(limits: limits)
    }

    /// The number of the next request that is given a connection of its own; nil: none.
    private func lease(_ scheduler: inout Scheduler) -> (id: Int, connection: Int)? {
        for _ in 0..<2 {
            switch scheduler.next(now: 0) {
            case .lease(let id, let connection), .begin(_, let id, let connection): return (id, connection)
            default: break
            }
        }
        return nil
    }

    /// Queries that all become streams which nobody reads.
    private func streams(_ count: Int, _ scheduler: inout Scheduler, flow: Flow = greedy) -> [Int: Int] {
        var connections: [Int: Int] = [:]
        for id in 1...count {
            _ = scheduler.submitLease(id, id: id, flow: flow, now: 0)
            guard let (id, connection) = lease(&scheduler) else { continue }
            scheduler.sending(id, bytes: 100, connection: connection)
            _ = scheduler.sent(id)
            connections[id] = connection
        }
        return connections
    }

    @Test(
        "a client that holds connections leaves an eighth to clients that hold none, until one of its own is free again"
    )
    func keeps() {
        var scheduler = make(leases: 16)
        let held = streams(20, &scheduler)
        #expect(held.count == 14)
        #expect(!scheduler.hasWork)
        for id in [100, 101] { _ = scheduler.submitLease(id, id: id, flow: Self.polite, now: 0) }
        #expect(scheduler.hasWork)
        let (first, second) = (lease(&scheduler), lease(&scheduler))
        #expect([first?.id, second?.id] == [100, 101])
        for one in [first, second] { scheduler.released(connection: one?.connection ?? -1, isUsable: true, now: 0) }
        #expect(lease(&scheduler) == nil)
        guard let connection = held[1] else { return }
        scheduler.wake(1)
        #expect(lease(&scheduler) == nil)
        scheduler.streamEnded(1)
        scheduler.released(connection: connection, isUsable: true, now: 0)
        #expect(lease(&scheduler)?.id == 15)
    }

    @Test("transactions count from their begin, and queries that are over count for nothing")
    func transactions() {
        var scheduler = make(leases: 8)
        for id in 1...8 {
            _ = scheduler.submitBegin(id, id: id, transaction: "\(id)", flow: Self.greedy, now: 0)
        }
        var begun: [Int] = []
        while let one = lease(&scheduler) { begun.append(one.id) }
        #expect(begun == Array(1...7))

        var short = make(leases: 8)
        for id in 1...8 { _ = short.submitLease(id, id: id, flow: Self.greedy, now: 0) }
        var taken: [Int] = []
        while let one = lease(&short) { taken.append(one.id) }
        #expect(taken == Array(1...8))
    }

    @Test("as many streams give way as requests wait, and only where no connection is left")
    func givesWay() {
        var scheduler = make(leases: 2)
        let held = streams(2, &scheduler)
        #expect(held.count == 2)
        scheduler.giveWay(1)
        #expect(!scheduler.isGivingWay(1))
        _ = scheduler.submitLease(100, id: 100, flow: Self.greedy, now: 0)
        scheduler.giveWay(1)
        scheduler.giveWay(2)
        #expect(scheduler.isGivingWay(1))
        #expect(!scheduler.isGivingWay(2))
        guard case .resume(1, let connection) = scheduler.next(now: 0) else {
            Issue.record("the stream was not told")
            return
        }
        scheduler.streamEnded(1)
        scheduler.released(connection: connection, isUsable: true, now: 0)
        #expect(lease(&scheduler)?.id == 100)
        scheduler.giveWay(2)
        #expect(!scheduler.isGivingWay(2))
        _ = scheduler.submitLease(101, id: 101, flow: Self.polite, now: 0)
        scheduler.giveWay(2)
        #expect(scheduler.isGivingWay(2))

        var roomy = make(leases: 3)
        _ = streams(1, &roomy)
        _ = roomy.submitLease(100, id: 100, flow: Self.greedy, now: 0)
        roomy.giveWay(1)
        #expect(!roomy.isGivingWay(1))
    }
}
