import PrismCore
import PrismWire
import Testing

/// Anything may happen at any moment; each request is answered once, and in the end nothing is held.
@Suite("PostgreSQL engine: random runs")
struct EngineRandomTests {
    @Test("Whatever happens, each request gets one answer and every connection comes back", arguments: 0..<30)
    func run(seed: Int) {
        var run = RandomRun(seed: UInt64(seed) &* 7_919 &+ 13)
        for _ in 0..<1_500 { run.step() }
        run.finish()
    }
}

private struct RandomRun {
    private struct Sent {
        var reference: RequestReference
        var isSettled = false
        /// Nobody reads its rows any more.
        var isCancelled = false
    }

    private let harness: EngineHarness
    private var random: SplitMix
    private let seed: UInt64
    private var sent: [Sent] = []
    /// Open handles, and whether a request of each is under way (slot number).
    private var transactions: [TransactionReference: Int?] = [:]
    private var begun = 0
    private var finals: [Int: Int] = [:]

    init(seed: UInt64) {
        self.seed = seed
        random = SplitMix(seed)
        harness = EngineHarness(connections: 3) { settings in
            settings.statementCacheMax = 2
            settings.streamPartBytes = 100
            settings.streamWindowBytes = 300
            settings.pool.acquireTimeoutNanoseconds = 1_000_000_000
        }
        harness.server.reply = { sql in
            if sql.contains("fail") { return .error("23505") }
            if sql.contains("die") { return .fatal("57P01") }
            if sql.contains("many") { return .rows(Array(0..<200)) }
            return .rows([1])
        }
    }

    private func chance(_ percent: Int, _ random: inout SplitMix) -> Bool { Int(random.next() % 100) < percent }

    mutating func step() {
        let server = harness.server
        switch random.next() % 20 {
        case 0...3: submit()
        case 4...12:
            guard let connection = server.open.randomElement(using: &random) else { break }
            for _ in 0..<(random.next() % 40) { server.step(connection) }
        case 13: cancelOne()
        case 14: server.returnCancels()
        case 15: server.acceptAll()
        case 16 where random.next() % 8 == 0: server.refuseAll()
        case 17 where random.next() % 10 == 0:
            if let connection = server.open.randomElement(using: &random) { server.lose(connection) }
        case 18:
            server.now += random.next() % 30_000_000
            _ = harness.engine.advance(to: server.now)
        default:
            if let one = sent.randomElement(using: &random), !one.isCancelled {
                harness.engine.credit(one.reference, bytes: Int(random.next() % 2_000))
            }
            if random.next() % 6 == 0,
                let handle = transactions.keys.sorted(by: { $0.rawValue < $1.rawValue })
                    .randomElement(using: &random)
            {
                abandon(handle)
            }
        }
        collect()
    }

    private mutating func submit() {
        let id = UInt64(sent.count + 1)
        let free = transactions.filter { $0.value == nil }.keys.sorted { $0.rawValue < $1.rawValue }
        if random.next() % 3 == 0, let handle = free.randomElement(using: &random) {
            let request: TestRequest =
                switch random.next() % 7 {
                case 0: .commit(id)
                case 1: .rollback(id)
                case 2: .savepoint(id)
                case 3: .rollbackTo(id)
                default: query(id)
                }
            transactions[handle] = sent.count
            sent.append(Sent(reference: harness.submit(request, transaction: handle)))
            return
        }
        if random.next() % 6 == 0 {
            begun += 1
            let handle = TransactionReference(reactor: 0, slot: begun, generation: 1)
            transactions[handle] = sent.count
            sent.append(Sent(reference: harness.submit(.begin(id), transaction: handle)))
        } else {
            let isReadOnly = random.next() % 3 == 0
            sent.append(Sent(reference: harness.submit(query(id), readOnly: isReadOnly)))
        }
    }

    private mutating func query(_ id: UInt64) -> TestRequest {
        let texts = ["select 1", "select many", "insert fail", "select die", "insert 1", "update 2"]
        if random.next() % 4 == 0 {
            let body =
                Pack.data(1, Pack.data(1, "insert 1")) + Pack.data(1, Pack.data(1, texts[Int(random.next() % 6)]))
            return TestRequest(id: id, operation: 33, body: body)
        }
        return .query(id, texts[Int(random.next() % 6)])
    }

    private mutating func cancelOne() {
        guard let index = sent.indices.randomElement(using: &random), !sent[index].isSettled else { return }
        sent[index].isCancelled = true
        if harness.cancel(sent[index].reference) != .tooLate { settle(index) }
    }

    private mutating func abandon(_ handle: TransactionReference) {
        if let running = transactions[handle] ?? nil, !sent[running].isSettled,
            harness.cancel(sent[running].reference) != .tooLate
        {
            settle(running)
        }
        harness.engine.abandon(handle, now: harness.server.now)
        transactions.removeValue(forKey: handle)
    }

    private mutating func settle(_ index: Int) {
        #expect(!sent[index].isSettled, "seed \(seed): request \(index) got two answers")
        sent[index].isSettled = true
        for (handle, running) in transactions where running == index { transactions.updateValue(nil, forKey: handle) }
    }

    private mutating func collect() {
        for answer in harness.takeAnswers() where !answer.hasSuffix(" part") {
            guard let index = Int(answer.prefix { $0 != " " }) else { continue }
            if answer.hasSuffix(" ended") { transactions = transactions.filter { $0.value != index } }
            settle(index)
        }
    }

    mutating func finish() {
        for handle in transactions.keys.sorted(by: { $0.rawValue < $1.rawValue }) { abandon(handle) }
        for _ in 0..<200 {
            for one in sent where !one.isCancelled { harness.engine.credit(one.reference, bytes: 1 << 20) }
            harness.server.acceptAll()
            harness.server.returnCancels()
            harness.server.run()
            harness.server.now += 200_000_000
            _ = harness.engine.advance(to: harness.server.now)
            collect()
        }
        let left = sent.indices.filter { !sent[$0].isSettled }
        #expect(left.isEmpty, "seed \(seed): requests \(left) were never answered")
        let snapshot = harness.engine.snapshot
        #expect(snapshot.leased == 0, "seed \(seed)")
        #expect(snapshot.waiting == 0, "seed \(seed)")
        #expect(snapshot.idle == 3, "seed \(seed)")
        #expect(snapshot.invariantViolations == 0, "seed \(seed)")
    }
}
