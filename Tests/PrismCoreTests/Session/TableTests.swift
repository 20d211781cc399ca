import Testing

@testable import PrismCore

/// The tables under a multiplexer, each against a plain model under random operations.
@Suite struct TableTests {
    @Test(
        "timers come due in order and never early, whatever is cancelled in between", arguments: 0..<50 as Range<UInt64>
    )
    func timerHeap(seed: UInt64) {
        var random = SplitMix(seed)
        var heap = TimerHeap()
        var model: [Int32: (deadline: UInt64, index: Int)] = [:]
        var now: UInt64 = 0
        for step in 0..<400 {
            switch random.below(4) {
            case 0, 1:
                let deadline = now + UInt64(random.below(50))
                let timer = heap.add(deadline: deadline, kind: .request, index: step)
                #expect(model.updateValue((deadline, step), forKey: timer) == nil, "a name was given twice")
            case 2:
                guard let timer = model.keys.randomElement(using: &random) else { continue }
                heap.cancel(timer)
                model[timer] = nil
            default:
                now += UInt64(random.below(30))
                var last: UInt64 = 0
                while let due = heap.popDue(now: now) {
                    guard let found = model.first(where: { $0.value.index == due.index }) else {
                        Issue.record("a timer came due that had been cancelled: \(due)")
                        return
                    }
                    #expect(found.value.deadline <= now && found.value.deadline >= last)
                    last = found.value.deadline
                    model[found.key] = nil
                }
                #expect(model.values.allSatisfy { $0.deadline > now }, "a timer was late")
            }
            #expect(heap.count == model.count)
            #expect(heap.nextDeadline == model.values.map(\.deadline).min() ?? .max)
        }
    }

    @Test(
        "timers of any mix of timeouts: the earliest is known at every step, and nothing stale keeps a place",
        arguments: 0..<80 as Range<UInt64>)
    func timerRuns(seed: UInt64) throws {
        struct Timer {
            let name: Int32
            let deadline: UInt64
            let index: Int
        }
        var random = SplitMix(seed)
        var heap = TimerHeap()
        // In the order of deadlines; of equal ones in the order in which they came.
        var model: [Timer] = []
        var (now, most): (UInt64, Int) = (0, 0)
        // As many as there are runs at the most, more, or none: then each comes with its own.
        let timeouts = (0..<random.below(8)).map { _ in UInt64(1 + random.below(5_000)) }
        let wanted = 1 + random.below(60)
        for step in 0..<2_000 {
            now += UInt64(random.below(3))
            if model.count < wanted || random.chance(8) {
                let timeout = timeouts.isEmpty ? random.below(5_000) : Int(timeouts[random.below(timeouts.count)])
                let deadline = random.chance(50) ? .max : now + UInt64(timeout)
                let name = heap.add(deadline: deadline, kind: .stall, index: step)
                try #require(!model.contains { $0.name == name }, "a name was given twice")
                let place = model.firstIndex { $0.deadline > deadline } ?? model.count
                model.insert(Timer(name: name, deadline: deadline, index: step), at: place)
                most = max(most, model.count)
                try #require(name < TimerHeap.runs + Int32(most), "a timer that is gone keeps its place")
            } else if random.chance(10) {
                now += UInt64(random.below(500))
                while let due = heap.popDue(now: now) {
                    let place = model.firstIndex { $0.index == due.index }
                    let timer = model.remove(at: try #require(place, "it had been cancelled, or came twice"))
                    try #require(timer.deadline <= now && timer.deadline <= model.first?.deadline ?? .max)
                    try #require(due.kind == .stall)
                }
                try #require(model.first?.deadline ?? .max > now, "a timer was late")
            } else {
                let place = [0, model.count / 2, model.count - 1, random.below(model.count)][random.below(4)]
                heap.cancel(model.remove(at: place).name)
            }
            try #require(heap.count == model.count)
            try #require(heap.nextDeadline == model.first?.deadline ?? .max, "step \(step)")
        }
        for timer in model.shuffled(using: &random) { heap.cancel(timer.name) }
        #expect(heap.count == 0 && heap.nextDeadline == .max)
        #expect(heap.popDue(now: .max) == nil)
        #expect(heap.add(deadline: 1, kind: .frame, index: 7) < TimerHeap.runs + Int32(most))
        #expect(heap.popDue(now: 1) == TimerHeap.Due(kind: .frame, index: 7))
    }

    @Test("a slab keeps values at their places; a stale generation matches nothing", arguments: 0..<20 as Range<UInt64>)
    func slab(seed: UInt64) {
        var random = SplitMix(seed)
        var slab = Slab<Int>(capacityMax: 40)
        var model: [Int: (value: Int, generation: UInt32)] = [:]
        var stale: [(index: Int, generation: UInt32)] = []
        for step in 0..<1_000 {
            if random.chance(2) {
                let index = slab.insert(step)
                #expect((index == nil) == (model.count == 40))
                guard let index else { continue }
                #expect(model[index] == nil, "a place was given twice")
                let generation = slab.generation(index)
                #expect(generation != 0)
                model[index] = (step, generation)
            } else if let index = model.keys.randomElement(using: &random), let entry = model.removeValue(forKey: index)
            {
                slab.remove(index)
                stale.append((index, entry.generation))
            }
            #expect(slab.count == model.count)
            #expect(slab.isFull == (model.count == 40))
            for (index, entry) in model {
                let (value, isLive) = (slab[index], slab.isLive(index, generation: entry.generation))
                #expect(value == entry.value && isLive)
            }
        }
        var revived = 0
        for (index, generation) in stale where slab.isLive(index, generation: generation) { revived += 1 }
        let isBeyondLive = slab.isLive(1_000_000, generation: 1)
        #expect(revived == 0 && !isBeyondLive)
    }

    @Test("a slab gives back what it holds, and its places keep their values when it grows")
    func slabLifetimes() {
        final class Token { init() {} }
        weak var weakToken: Token?
        do {
            var slab = Slab<Token>(capacityMax: 5_000)
            for _ in 0..<3_000 { _ = slab.insert(Token()) }
            weakToken = slab[2_500]
            #expect(weakToken != nil)
            slab.remove(0)
        }
        #expect(weakToken == nil)
    }

    @Test("the request index finds what was put in and nothing else", arguments: 0..<20 as Range<UInt64>)
    func requestIndex(seed: UInt64) {
        struct Key: Hashable {
            var connection: Int
            var id: UInt64
        }
        var random = SplitMix(seed)
        var index = RequestIndex()
        var model: [Key: Int] = [:]
        // Ids close together collide in runs, which is what removing must survive; extreme ones must not be lost.
        let ids: [UInt64] = Array(1...40) + [.max, .max - 1, 1 << 32, 1 << 63]
        for step in 0..<4_000 {
            let key = Key(connection: random.below(30), id: ids[random.below(ids.count)])
            #expect(index.find(connection: key.connection, id: key.id) == model[key])
            if model[key] == nil {
                index.insert(connection: key.connection, id: key.id, slot: step)
                model[key] = step
            } else if random.chance(2) {
                index.remove(connection: key.connection, id: key.id)
                model[key] = nil
            }
            #expect(index.count == model.count)
        }
        for (key, slot) in model { #expect(index.find(connection: key.connection, id: key.id) == slot) }
        for key in model.keys { index.remove(connection: key.connection, id: key.id) }
        index.remove(connection: 1, id: 1)
        #expect(index.count == 0)
        for key in model.keys { #expect(index.find(connection: key.connection, id: key.id) == nil) }
    }
}
