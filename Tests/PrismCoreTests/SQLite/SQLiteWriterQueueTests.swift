import PrismCore
import Testing

private typealias Queue = WriterQueue<Int, String, Int>

@Suite("Writer queue") struct SQLiteWriterQueueTests {
    private func describe(_ work: Queue.Work) -> String {
        switch work {
        case .writes(let items): "writes \(items)"
        case .begin(let transaction, let item): "begin \(transaction) \(item)"
        case .request(let transaction, let item): "request \(transaction) \(item)"
        case .abandon(let transaction): "abandon \(transaction)"
        case .none: "none"
        }
    }

    @Test("an interactive transaction waits its turn and then has the writer to itself")
    func exclusive() {
        var queue = Queue()
        for item in [1, 2] { _ = queue.submitWrite(item, id: item, now: 0) }
        _ = queue.submitBegin(3, id: 3, transaction: "t", now: 0)
        _ = queue.submitWrite(4, id: 4, now: 0)
        #expect(describe(queue.next(writesMax: 10, now: 0)) == "writes [1, 2]")
        #expect(queue.takeWrites(max: 10, now: 0) == [])
        #expect(describe(queue.next(writesMax: 10, now: 0)) == "begin t 3")
        #expect(queue.takeWrites(max: 10, now: 0) == [])
        queue.finished("t")
        #expect(describe(queue.next(writesMax: 10, now: 0)) == "none")
        _ = queue.submitRequest(5, id: 5, transaction: "t")
        _ = queue.submitRequest(6, id: 6, transaction: "t")
        #expect(describe(queue.next(writesMax: 10, now: 0)) == "request t 5")
        #expect(describe(queue.next(writesMax: 10, now: 0)) == "none", "one after another")
        queue.finished("t")
        #expect(describe(queue.next(writesMax: 10, now: 0)) == "request t 6")
        #expect(queue.ended("t") == [])
        #expect(describe(queue.next(writesMax: 10, now: 0)) == "writes [4]")
    }

    @Test("abandoning hands over what has not run and ends with a rollback")
    func abandon() {
        var queue = Queue()
        _ = queue.submitBegin(1, id: 1, transaction: "t", now: 0)
        _ = queue.next(writesMax: 1, now: 0)
        queue.finished("t")
        _ = queue.submitRequest(2, id: 2, transaction: "t")
        guard case .rollsBack(let items) = queue.abandon("t") else {
            Issue.record("not the holder")
            return
        }
        #expect(items == [2])
        #expect(queue.submitRequest(3, id: 3, transaction: "t") == .notOpen)
        #expect(describe(queue.next(writesMax: 1, now: 0)) == "abandon t")
        _ = queue.ended("t")
        #expect(queue.holdingTransaction == nil)
    }

    @Test("a Begin that is abandoned or removed while it waits never begins")
    func abandonedBegin() {
        var queue = Queue()
        _ = queue.submitBegin(1, id: 1, transaction: "t", now: 0)
        guard case .neverBegan(1) = queue.abandon("t") else {
            Issue.record("not found")
            return
        }
        _ = queue.submitBegin(2, id: 2, transaction: "u", now: 0)
        #expect(queue.remove(2) == 2)
        guard case .unknown = queue.abandon("u") else {
            Issue.record("still there")
            return
        }
        #expect(describe(queue.next(writesMax: 1, now: 0)) == "none")
    }

    @Test("the queue is bounded and what waits too long is handed over")
    func limits() {
        var limits = Queue.Limits()
        limits.requestsMax = 2
        limits.acquireTimeoutNanoseconds = 10
        var queue = Queue(limits: limits)
        #expect(queue.submitWrite(1, id: 1, now: 0) == .queued)
        #expect(queue.submitWrite(2, id: 2, now: 5) == .queued)
        #expect(queue.submitWrite(3, id: 3, now: 5) == .full)
        #expect(queue.nextExpiryNanoseconds == 10)
        #expect(queue.expire(now: 10) == [1])
        #expect(queue.count == 1)
    }

    @Test("writes of one client do not keep another's waiting, and no write goes past a Begin whose turn it is")
    func turns() {
        var queue = Queue()
        let (flood, polite) = (Flow(client: ClientIdentity(uid: 1)), Flow(client: ClientIdentity(uid: 2)))
        for item in 1...20 { _ = queue.submitWrite(item, id: item, flow: flood, now: 0) }
        _ = queue.submitWrite(100, id: 100, flow: polite, now: 0)
        _ = queue.submitBegin(101, id: 101, transaction: "t", flow: polite, now: 0)
        #expect(describe(queue.next(writesMax: 10, now: 0)) == "writes [1, 100, 2]")
        #expect(queue.takeWrites(max: 10, now: 0) == [])
        #expect(describe(queue.next(writesMax: 10, now: 0)) == "begin t 101")
        _ = queue.ended("t")
        #expect(describe(queue.next(writesMax: 2, now: 0)) == "writes [3, 4]")
    }

    @Test("what by estimate comes to its turn after its deadline is not let in")
    func late() {
        var queue = Queue()
        for item in 1...100 { _ = queue.submitWrite(item, id: item, now: 0) }
        for time in 1...10 { _ = queue.next(writesMax: 1, now: UInt64(time) * 10_000_000) }
        // 90 wait, 10 ms each.
        #expect(queue.submitWrite(201, id: 201, deadline: 900_000_000, now: 100_000_000) == .late)
        #expect(queue.submitWrite(202, id: 202, deadline: 1_100_000_000, now: 100_000_000) == .queued)
        #expect(queue.lateTotal == 1)
        #expect(queue.retryAfterNanoseconds(now: 100_000_000) == 450_000_000)
    }

    @Test("removal from the middle keeps the order of the rest, however often slots are reused")
    func removable() {
        var queue = RemovableQueue<Int, Int>()
        var model: [Int] = []
        for step in 0..<5_000 {
            switch Int.random(in: 0..<4) {
            case 0...1 where model.count < 50:
                queue.append(step, id: step)
                model.append(step)
            case 2:
                #expect(queue.popFirst() == model.first)
                if !model.isEmpty { model.removeFirst() }
            default:
                guard let victim = model.randomElement() else { continue }
                #expect(queue.remove(victim) == victim)
                model.removeAll { $0 == victim }
            }
            #expect(queue.first == model.first)
            #expect(queue.count == model.count)
        }
        #expect(queue.removeAll() == model)
    }
}
