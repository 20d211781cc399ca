import PrismCore
import Testing

@Suite("Queue before a backend, any order of events") struct FairQueueRandomTests {
    private struct Waiting {
        let id: Int
        let flow: Int
        let since: UInt64
    }

    /// What waits, as a plain array, in the order of arrival; and how each flow has been served since it became busy.
    private struct Model {
        let weights: [Int]
        var waiting: [Waiting] = []
        /// Of a pair of flows: turns of each since both are busy.
        var turns: [[Int]]

        init(weights: [Int]) {
            self.weights = weights
            turns = Array(repeating: Array(repeating: 0, count: weights.count), count: weights.count)
        }

        func isBusy(_ flow: Int) -> Bool { waiting.contains { $0.flow == flow } }

        mutating func forgetTurns(_ flow: Int) {
            for other in weights.indices {
                turns[flow][other] = 0
                turns[other][flow] = 0
            }
        }

        mutating func remove(_ id: Int) {
            guard let index = waiting.firstIndex(where: { $0.id == id }) else { return }
            let flow = waiting.remove(at: index).flow
            if !isBusy(flow) { forgetTurns(flow) }
        }

        /// Of two flows that are both busy, none gets ahead of the other, by weight, by more than a turn of each.
        mutating func served(_ flow: Int) -> String? {
            for other in weights.indices where other != flow && isBusy(other) {
                turns[flow][other] += 1
                let own = turns[flow][other] * weights[other]
                let others = turns[other][flow] * weights[flow]
                if own - others > weights[flow] + weights[other] {
                    return "\(turns[flow][other]) turns of weight \(weights[flow]), beside"
                        + " \(turns[other][flow]) of weight \(weights[other])"
                }
            }
            return nil
        }
    }

    @Test("100,000 random events: each served once, in its flow's order, in fair turns")
    func random() throws {
        var (served, newest, full, late) = (0, 0, 0, 0)
        for seed in 0..<50 as Range<UInt64> {
            var random = SplitMix(seed)
            let weights = (0..<(1 + random.below(5))).map { _ in random.chance(2) ? 1 : 1 + random.below(5) }
            let requestsMax = 1 + random.below(60)
            var queue = FairQueue<Int, Waiting>(requestsMax: requestsMax, acquireTimeoutNanoseconds: 400_000_000)
            var model = Model(weights: weights)
            var now: UInt64 = 1
            for id in 0..<2_000 {
                switch random.below(20) {
                case 0..<9:
                    let flow = random.below(weights.count)
                    let waiting = Waiting(id: id, flow: flow, since: now)
                    let patience = random.chance(2) ? UInt64(60_000_000) : 10_000_000_000
                    let admission = queue.push(
                        waiting, id: id, flow: Flow(client: ClientIdentity(uid: UInt32(flow)), weight: weights[flow]),
                        deadline: now + patience, now: now)
                    switch admission {
                    case .queued: model.waiting.append(waiting)
                    case .full: full += 1
                    case .late: late += 1
                    }
                    try #require(admission != .late || !model.waiting.isEmpty, "seed \(seed): late, and nobody waits")
                    try #require(admission != .full || model.waiting.count >= requestsMax / 2, "seed \(seed): full")
                case 9..<16:
                    guard let taken = queue.pop(now: now) else {
                        try #require(model.waiting.isEmpty, "seed \(seed): one waits and is not served")
                        break
                    }
                    served += 1
                    let ofFlow = model.waiting.filter { $0.flow == taken.flow }
                    let isOldest = ofFlow.first?.id == taken.id
                    if !isOldest { newest += 1 }
                    try #require(
                        isOldest || queue.isOverloaded && ofFlow.last?.id == taken.id || ofFlow.count == 1,
                        "seed \(seed): \(taken.id) was not the next")
                    if let unfair = model.served(taken.flow) { Issue.record("seed \(seed): \(unfair)") }
                    model.remove(taken.id)
                case 16:
                    let id = random.below(2_000)
                    let taken = queue.remove(id)
                    try #require((taken != nil) == model.waiting.contains { $0.id == id }, "seed \(seed): removal")
                    model.remove(id)
                case 17:
                    while let expired = queue.popExpired(now: now) {
                        try #require(expired.id == model.waiting.first?.id, "seed \(seed): not the oldest expired")
                        try #require(now >= expired.since + 400_000_000, "seed \(seed): expired early")
                        model.remove(expired.id)
                    }
                    if let first = model.waiting.first { try #require(now < first.since + 400_000_000) }
                default: now += UInt64(random.below(30_000_000))
                }
                try #require(queue.count == model.waiting.count && queue.count <= requestsMax)
                let end = model.waiting.first.map { $0.since + 400_000_000 }
                try #require(queue.nextExpiryNanoseconds == end, "seed \(seed): next expiry")
            }
            try #require(queue.removeAll().map(\.id) == model.waiting.map(\.id))
        }
        // The run has been where it matters.
        #expect(served > 20_000)
        for count in [newest, full, late] { #expect(count > 100) }
    }
}
