import PrismCore
import Testing

@Suite("Queue before a backend") struct FairQueueTests {
    private static let milliseconds: UInt64 = 1_000_000

    /// A queue of numbers; times in milliseconds.
    private struct Queue {
        var queue: FairQueue<Int, Int>
        private var next = 0

        init(requestsMax: Int = 1_000, acquireTimeout: UInt64 = 5_000) {
            queue = FairQueue(
                requestsMax: requestsMax, acquireTimeoutNanoseconds: acquireTimeout * FairQueueTests.milliseconds)
        }

        @discardableResult
        mutating func push(
            _ id: Int, flow: UInt32 = 1, weight: Int = 1, timeout: UInt64 = 30_000, service: UInt64 = 0,
            at now: UInt64 = 0
        ) -> FairQueue<Int, Int>.Admission {
            queue.push(
                id, id: id, flow: Flow(client: ClientIdentity(uid: flow), weight: weight),
                deadline: (now + timeout) * FairQueueTests.milliseconds,
                serviceNanoseconds: service * FairQueueTests.milliseconds, now: now * FairQueueTests.milliseconds)
        }

        mutating func pop(_ now: UInt64 = 0) -> Int? { queue.pop(now: now * FairQueueTests.milliseconds) }

        /// A request of the flow has taken so long.
        mutating func served(_ flow: UInt32, in milliseconds: UInt64) {
            queue.served(
                Flow(client: ClientIdentity(uid: flow)), in: milliseconds * FairQueueTests.milliseconds)
        }

        mutating func pop(_ count: Int, at now: UInt64 = 0) -> [Int] { (0..<count).compactMap { _ in pop(now) } }

        /// Served at an even pace, one each `gap` milliseconds, with as many coming as go.
        mutating func run(from start: UInt64, until end: UInt64, gap: UInt64, flow: UInt32 = 1) {
            for now in stride(from: start, to: end, by: Int(gap)) {
                next -= 1
                push(next, flow: flow, at: now)
                _ = pop(now)
            }
        }
    }

    @Test("within a flow: first come, first served")
    func order() {
        var queue = Queue()
        for id in 1...4 { #expect(queue.push(id) == .queued) }
        #expect(queue.pop(5) == [1, 2, 3, 4])
    }

    @Test("flows take turns, and one that comes is next")
    func turns() {
        var queue = Queue()
        for id in 1...5 { queue.push(id, flow: 1) }
        queue.push(11, flow: 2)
        queue.push(12, flow: 2)
        #expect(queue.pop(3) == [1, 11, 2])
        queue.push(21, flow: 3)
        #expect(queue.pop(6) == [12, 21, 3, 4, 5])
    }

    @Test("a flow has turns by its weight")
    func weights() {
        var queue = Queue()
        for id in 1...8 { queue.push(id, flow: 1, weight: 3) }
        for id in 11...14 { queue.push(id, flow: 2) }
        #expect(queue.pop(12) == [1, 11, 2, 3, 4, 12, 5, 6, 7, 13, 8, 14])
    }

    @Test("turns are not saved up: who asks for nothing for a while has no more of them then")
    func noSaving() {
        var queue = Queue()
        for id in 1...20 { queue.push(id, flow: 1) }
        queue.push(100, flow: 2)
        #expect(queue.pop(11) == [1, 100] + Array(2...10))
        for id in 101...103 { queue.push(id, flow: 2) }
        #expect(queue.pop(6) == [101, 11, 102, 12, 103, 13])
    }

    @Test("what a flow was given in advance is counted when it comes back, unless nobody was waiting meanwhile")
    func debt() {
        var queue = Queue()
        queue.served(1, in: 10)
        queue.served(2, in: 1)
        for id in 1...30 { queue.push(id, flow: 2) }
        queue.push(100, flow: 1)
        #expect(queue.pop(2) == [1, 100])
        queue.push(101, flow: 1)
        #expect(queue.pop(11) == Array(2...10) + [101, 11])
        _ = queue.queue.removeAll()
        queue.push(40, flow: 2)
        queue.push(102, flow: 1)
        queue.push(41, flow: 2)
        #expect(queue.pop(3) == [40, 102, 41])
    }

    @Test(
        "a turn is as long as what the flow's requests take: each has the same of the backend's time, or by its weight")
    func time() {
        var queue = Queue(requestsMax: 10_000)
        queue.served(1, in: 100)
        queue.served(2, in: 1)
        queue.served(3, in: 50)
        for id in 0...300 {
            queue.push(id, flow: 1)
            queue.push(1_000 + id, flow: 2)
            queue.push(2_000 + id, flow: 3, weight: 2)
        }
        let served = queue.pop(200)
        let counts = (0..<3).map { flow in served.count { $0 / 1_000 == flow } }
        #expect(abs(counts[0] - 2) <= 1 && abs(counts[2] - 8) <= 1 && counts[1] > 180, "\(counts)")
    }

    @Test("a flow that floods with slow statements and one with fast ones: what takes longer is learned")
    func learning() {
        var queue = Queue()
        queue.served(1, in: 1)
        for _ in 0..<60 { queue.served(1, in: 100) }
        queue.served(2, in: 1)
        for id in 0..<300 {
            queue.push(id, flow: 1)
            queue.push(1_000 + id, flow: 2)
        }
        #expect(queue.pop(100).count { $0 >= 1_000 } >= 97)
    }

    @Test("what is taken out by identity leaves the others in their order")
    func removal() {
        var queue = Queue()
        for id in 1...4 { queue.push(id, flow: UInt32(id % 2)) }
        #expect(queue.queue.remove(3) == 3)
        #expect(queue.queue.remove(3) == nil)
        #expect(queue.queue.remove(1) == 1)
        #expect(queue.queue.count == 2)
        #expect(queue.queue.removeAll() == [2, 4])
        #expect(queue.pop() == nil)
    }

    @Test("what does not fit stays the next")
    func fitting() {
        var queue = Queue()
        queue.push(1)
        queue.push(2)
        #expect(queue.queue.pop(now: 0) { $0 > 1 } == nil)
        #expect(queue.queue.pop(now: 0) { $0 == 1 } == 1)
    }

    @Test("the acquire timeout ends the oldest first, of whatever flow")
    func expiry() {
        var queue = Queue(acquireTimeout: 10)
        queue.push(1, flow: 1, at: 0)
        queue.push(2, flow: 2, at: 1)
        queue.push(3, flow: 1, at: 2)
        #expect(queue.queue.nextExpiryNanoseconds == 10 * Self.milliseconds)
        #expect(queue.queue.popExpired(now: 10 * Self.milliseconds - 1) == nil)
        #expect(queue.queue.popExpired(now: 11 * Self.milliseconds) == 1)
        #expect(queue.queue.popExpired(now: 11 * Self.milliseconds) == 2)
        #expect(queue.queue.popExpired(now: 11 * Self.milliseconds) == nil)
        #expect(queue.pop() == 3)
        #expect(queue.queue.nextExpiryNanoseconds == nil)
    }

    // MARK: limits

    @Test("a flow that is alone leaves a sixteenth of the queue to those that come")
    func room() {
        var queue = Queue(requestsMax: 32)
        for id in 0..<30 { #expect(queue.push(id, flow: 1) == .queued) }
        #expect(queue.push(30, flow: 1) == .full)
        #expect(queue.push(31, flow: 2) == .queued)
        #expect(queue.push(32, flow: 2) == .queued)
        #expect(queue.push(33, flow: 3) == .full)
    }

    @Test("above half of the queue a flow has its part by weight")
    func shares() {
        var queue = Queue(requestsMax: 32)
        queue.push(100, flow: 2, weight: 3)
        for id in 0..<15 { #expect(queue.push(id, flow: 1) == .queued) }
        #expect(queue.push(15, flow: 1) == .full)
        for id in 101..<112 { #expect(queue.push(id, flow: 2, weight: 3) == .queued) }
        #expect(queue.push(112, flow: 2, weight: 3) == .full)
    }

    @Test("one that waits already is not entered twice")
    func twice() {
        var queue = Queue()
        queue.push(1)
        #expect(queue.push(1) == .queued)
        #expect(queue.queue.count == 1)
    }

    // MARK: overload

    @Test("newest first when nothing was served in time for 100 ms, and only then")
    func newestFirst() {
        var queue = Queue()
        for id in 1...40 { queue.push(id, timeout: 100) }
        #expect(queue.pop(20) == 1)
        #expect(queue.pop(26) == 2)  // The oldest has waited for more than a quarter of its 100 ms.
        #expect(queue.pop(125) == 3)
        #expect(!queue.queue.isOverloaded)
        #expect(queue.pop(126) == 40)
        #expect(queue.queue.isOverloaded)
        #expect(queue.pop(127) == 39)
    }

    @Test("a wait that came down within the interval is no overload")
    func recovered() {
        var queue = Queue()
        for id in 1...3 { queue.push(id, timeout: 100) }
        for id in 4...9 { queue.push(id, timeout: 100, at: 90) }
        #expect(queue.pop(3, at: 60) == [1, 2, 3])
        #expect(queue.pop(100) == 4)
        #expect(queue.pop(170) == 5)
        #expect(!queue.queue.isOverloaded)
    }

    @Test("the overload of one flow is not that of another, and ends when its queue is empty")
    func overloadOfOne() {
        var queue = Queue()
        for id in 1...6 { queue.push(id, flow: 1, timeout: 100) }
        #expect(queue.pop(50) == 1)
        #expect(queue.pop(150) == 6)
        for id in 11...12 { queue.push(id, flow: 2, timeout: 1_000, at: 150) }
        #expect(queue.pop(5, at: 150) == [11, 5, 12, 4, 3])
        #expect(queue.queue.isOverloaded)
        #expect(queue.pop(150) == 2)
        #expect(!queue.queue.isOverloaded)
        for id in 21...22 { queue.push(id, flow: 1, timeout: 100, at: 151) }
        #expect(queue.pop(2, at: 151) == [21, 22])
    }

    @Test("what a flow's requests have waited before it had none is no overload when it comes back")
    func comesBack() {
        var queue = Queue()
        for id in 1...2 { queue.push(id, timeout: 100) }
        #expect(queue.pop(50) == 1)
        #expect(queue.pop(60) == 2)
        for id in 3...5 { queue.push(id, timeout: 100, at: 300) }
        #expect(queue.pop(326) == 3)
        #expect(!queue.queue.isOverloaded)
    }

    @Test("patient requests keep their order through a long queue")
    func patience() {
        var queue = Queue()
        for id in 1...9 { queue.push(id, timeout: 30_000) }
        for now in 1...9 as ClosedRange<UInt64> { #expect(queue.pop(now * 130) == Int(now)) }
    }

    // MARK: estimates

    @Test("what cannot be served in time is refused, and what can is not")
    func late() {
        var queue = Queue()
        for id in 1...10 { queue.push(id) }
        queue.run(from: 1, until: 200, gap: 10)
        #expect(queue.queue.count == 10)
        #expect(queue.push(20, timeout: 90, at: 200) == .late)
        #expect(queue.push(21, timeout: 110, at: 200) == .queued)
        #expect(queue.push(22, timeout: 112, service: 10, at: 200) == .late)
        #expect(queue.queue.lateTotal == 2)
        // Another flow has half of the turns.
        #expect(queue.push(30, flow: 2, timeout: 5, at: 200) == .queued)
        #expect(queue.push(31, flow: 2, timeout: 15, at: 200) == .late)
        #expect(queue.push(32, flow: 2, timeout: 25, at: 200) == .queued)
    }

    @Test("an estimate refuses nobody when nothing waits, or when it is old")
    func forgotten() {
        var queue = Queue()
        for id in 1...10 { queue.push(id) }
        queue.run(from: 1, until: 200, gap: 10)
        #expect(queue.push(20, timeout: 10, at: 1_150) == .late)
        #expect(queue.push(21, timeout: 10, at: 1_250) == .queued)
        _ = queue.queue.removeAll()
        #expect(queue.push(22, timeout: 10, service: 20, at: 1_251) == .queued)
    }

    @Test("what the first ones wait while connections are opened says nothing of the others")
    func opening() {
        var queue = Queue()
        for id in 1...900 { queue.push(id) }
        #expect(queue.pop(4, at: 300).count == 4)
        #expect(queue.push(1_000, timeout: 100, at: 301) == .queued)
        #expect(queue.pop(1, at: 310).count == 1)
        for now in 311..<400 as Range<UInt64> { _ = queue.pop(4, at: now) }
        // 540 wait and 4 leave each millisecond.
        #expect(queue.push(1_001, timeout: 200, at: 400) == .queued)
        #expect(queue.push(1_002, timeout: 100, at: 400) == .late)
    }

    @Test("one slow statement does not count for all that follow")
    func slow() {
        var queue = Queue()
        for id in 1...10 { queue.push(id) }
        queue.run(from: 1, until: 200, gap: 10)
        _ = queue.pop(900)
        #expect(queue.push(20, timeout: 500, at: 900) == .queued)
        queue.run(from: 901, until: 1_300, gap: 10)
        #expect(queue.push(21, timeout: 130, at: 1_300) == .queued)
    }

    @Test("when to come again: when half will have been served, 1 ms to 5 s")
    func retryAfter() {
        var queue = Queue(acquireTimeout: 1_000_000)
        #expect(queue.queue.retryAfterNanoseconds(now: 0) == 100 * Self.milliseconds)
        for id in 1...20 { queue.push(id) }
        queue.run(from: 0, until: 251, gap: 10)
        #expect(queue.queue.retryAfterNanoseconds(now: 251 * Self.milliseconds) / Self.milliseconds == 100)
        for id in 21...900 { queue.push(id, timeout: 1_000_000, at: 251) }
        #expect(queue.queue.retryAfterNanoseconds(now: 251 * Self.milliseconds) / Self.milliseconds == 4_500)
        while queue.queue.count > 1 { _ = queue.pop(251) }
        #expect(queue.queue.retryAfterNanoseconds(now: 251 * Self.milliseconds) == Self.milliseconds)
    }
}
