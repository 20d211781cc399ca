import Testing

@testable import PrismCore

/// The queue's turns, beside what decision record 8 says, in plain arrays.
@Suite("Queue before a backend, exactly") struct FairQueueModelTests {
    private struct Waiting {
        let id: Int
        let flow: Int
    }

    private struct Turns {
        var start: UInt64
        var order: UInt64
        let weight: UInt64
    }

    /// Without estimates and overload, which need time: here none passes.
    private struct Model {
        /// In the order of arrival.
        var waiting: [Waiting] = []
        var busy: [Int: Turns] = [:]
        var costs: [Int: UInt64] = [:]
        var finishes: [Int: UInt64] = [:]
        var typicalCost: UInt64 = 1_000_000
        var (virtualTime, latestFinish, orders): (UInt64, UInt64, UInt64) = (0, 0, 0)

        mutating func push(_ id: Int, flow: Int, weight: Int) {
            guard !waiting.contains(where: { $0.id == id }) else { return }
            if busy.isEmpty { virtualTime = max(virtualTime, latestFinish) }
            if busy[flow] == nil {
                orders += 1
                busy[flow] = Turns(
                    start: max(virtualTime, finishes[flow] ?? 0), order: orders, weight: UInt64(weight))
            }
            waiting.append(Waiting(id: id, flow: flow))
        }

        mutating func pop(of mayBeServed: (Int) -> Bool = { _ in true }) -> Int? {
            let next = busy.filter { mayBeServed($0.key) }
                .min { ($0.value.start, $0.value.order) < ($1.value.start, $1.value.order) }
            guard let (flow, turns) = next, let first = waiting.first(where: { $0.flow == flow }) else { return nil }
            virtualTime = max(virtualTime, turns.start)
            let finish = virtualTime + max(1, (costs[flow] ?? typicalCost) / turns.weight)
            finishes[flow] = finish
            latestFinish = max(latestFinish, finish)
            orders += 1
            busy[flow] = Turns(start: finish, order: orders, weight: turns.weight)
            remove(first.id)
            return first.id
        }

        mutating func remove(_ id: Int) {
            guard let index = waiting.firstIndex(where: { $0.id == id }) else { return }
            let flow = waiting.remove(at: index).flow
            if !waiting.contains(where: { $0.flow == flow }) { busy[flow] = nil }
        }

        mutating func served(_ flow: Int, _ time: UInt64) {
            func moved(_ mean: UInt64) -> UInt64 { mean - mean / 8 + time / 8 }
            typicalCost = moved(typicalCost)
            costs[flow] = costs[flow].map(moved) ?? time
        }
    }

    private static func flow(_ number: Int, weight: Int = 1) -> Flow {
        Flow(client: ClientIdentity(uid: UInt32(number)), weight: weight)
    }

    @Test(
        "takes what a plain model takes; so does a copy, whatever becomes of the other",
        arguments: 0..<60 as Range<UInt64>)
    func model(seed: UInt64) throws {
        var random = SplitMix(seed)
        var queue = FairQueue<Int, Int>(requestsMax: 10_000, acquireTimeoutNanoseconds: 1_000_000_000)
        var model = Model()
        var copies: [(FairQueue<Int, Int>, Model)] = []
        let flows = 1 + random.below(random.chance(2) ? 3 : 40)
        let filling = 1 + random.below(60)
        var most = 0
        for id in 0..<2_000 {
            switch random.below(10) {
            case 0..<4 where model.waiting.count < filling:
                let (flow, weight) = (random.below(flows), random.chance(2) ? 1 : 1 + random.below(5))
                let known = random.chance(20) ? model.waiting.randomElement(using: &random)?.id : nil
                let admission = queue.push(
                    known ?? id, id: known ?? id, flow: Self.flow(flow, weight: weight), now: 0)
                try #require(admission == .queued)
                model.push(known ?? id, flow: flow, weight: weight)
                most = max(most, model.waiting.count)
            case 0..<7:
                try #require(queue.pop(now: 0) == model.pop())
            case 7:
                let others = random.below(2)
                let taken = queue.pop(now: 0, of: { $0.client.rawValue % 2 == others })
                try #require(taken == model.pop(of: { $0 % 2 == others }))
            case 8:
                let places = model.waiting.isEmpty ? [] : [0, model.waiting.count / 2, model.waiting.count - 1]
                let removed = places.randomElement(using: &random).map { model.waiting[$0].id } ?? id
                try #require(queue.contains(removed) == !places.isEmpty)
                try #require(queue.remove(removed) == (places.isEmpty ? nil : removed))
                model.remove(removed)
            default:
                let (flow, time) = (random.below(flows), UInt64(1_000 + random.below(5_000_000)))
                queue.served(Self.flow(flow), in: time)
                model.served(flow, time)
            }
            try #require(queue.count == model.waiting.count)
            try #require(queue.weights == model.busy.values.reduce(0) { $0 + Int($1.weight) })
            if random.chance(200) { copies.append((queue, model)) }
        }
        // What has left keeps no place.
        #expect(queue.slots.count <= most && queue.lanes.count <= flows)
        copies.append((queue, model))
        for (index, (queue, model)) in copies.enumerated() {
            var (queue, model) = (queue, model)
            if index % 2 == 0 {
                try #require(queue.removeAll() == model.waiting.map(\.id))
            } else {
                while !model.waiting.isEmpty { try #require(queue.pop(now: 0) == model.pop()) }
            }
            #expect(queue.isEmpty && queue.pop(now: 0) == nil)
        }
    }

    @Test("flows that come and go are forgotten at a limit; those that wait are not")
    func manyFlows() {
        var queue = FairQueue<Int, Int>(requestsMax: 10_000, acquireTimeoutNanoseconds: 1_000_000_000)
        let busy = 100..<150
        for id in busy { #expect(queue.push(id, id: id, flow: Self.flow(id), now: 0) == .queued) }
        for flow in 1_000..<6_000 {
            queue.served(Self.flow(flow), in: 1_000_000)
            #expect(queue.push(flow, id: flow, flow: Self.flow(flow), now: 0) == .queued)
            #expect(queue.remove(flow) == flow)
            #expect(queue.lanes.count <= QueueRules.pastFlowsMax + busy.count + 1)
        }
        // Found as the same flows: each has one turn before any has a second one.
        for id in busy { #expect(queue.push(id + 50, id: id + 50, flow: Self.flow(id), now: 0) == .queued) }
        #expect(queue.weights == busy.count)
        #expect((0..<100).compactMap { _ in queue.pop(now: 0) } == Array(100..<200))
        #expect(queue.isEmpty && queue.weights == 0)
    }
}
