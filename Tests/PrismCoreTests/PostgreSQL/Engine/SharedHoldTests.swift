import PrismCore
import Testing

@Suite("PostgreSQL engine: what waits for a full batch")
struct SharedHoldTests {
    /// Three is a full batch; one of them is under way.
    private func harness(full: Int = 3) -> EngineHarness {
        let harness = EngineHarness(connections: 3) {
            $0.sharedConnectionsMax = 2
            $0.sharedBatchMin = 3
        }
        for _ in 0..<2 {
            harness.submit(.query(1), readOnly: true)
            harness.tick()
        }
        submit(full, harness)
        harness.advance()
        harness.server.clearLog()
        _ = harness.takeAnswers()
        return harness
    }

    private func submit(_ count: Int, _ harness: EngineHarness, deadline: UInt64 = .max) {
        for _ in 0..<count { harness.submit(.query(1), readOnly: true, deadline: deadline) }
    }

    private func batches(_ harness: EngineHarness) -> Int { harness.server.log.filter { $0 == "sync" }.count }

    @Test("While a full batch is under way, fewer than that wait for it, and go with who comes meanwhile")
    func held() {
        let harness = harness()
        submit(1, harness)
        harness.advance()
        #expect(batches(harness) == 0)
        submit(1, harness)
        harness.advance()
        #expect(batches(harness) == 0)
        // The batch ends.
        harness.server.run()
        #expect(harness.takeAnswers().count == 3)
        harness.advance()
        #expect(batches(harness) == 1)
        harness.server.run()
        #expect(harness.takeAnswers().count == 2)
    }

    @Test("As many as make another full batch do not wait")
    func enough() {
        let harness = harness()
        submit(2, harness)
        harness.advance()
        #expect(batches(harness) == 0)
        submit(1, harness)
        harness.advance()
        #expect(batches(harness) == 1)
    }

    @Test("Nobody waits for a batch that is not full")
    func notFull() {
        let harness = harness(full: 2)
        submit(1, harness)
        harness.advance()
        #expect(batches(harness) == 1)
    }

    @Test("Nobody waits for longer than a millisecond after the start of the batch")
    func bounded() {
        let harness = harness()
        let start = harness.server.now
        submit(1, harness)
        harness.server.now = start + 400_000
        #expect(harness.engine.advance(to: harness.server.now) == start + 1_000_000)
        harness.server.now = start + 999_999
        harness.advance()
        #expect(batches(harness) == 0)
        harness.server.now = start + 1_000_000
        harness.advance()
        #expect(batches(harness) == 1)
    }

    @Test("Who has not that long left does not wait")
    func deadline() {
        let harness = harness()
        submit(1, harness, deadline: harness.server.now + 2_000_000)
        submit(1, harness)
        harness.advance()
        #expect(batches(harness) == 1)
        let other = self.harness()
        submit(1, other, deadline: other.server.now + 2_000_001)
        other.advance()
        #expect(batches(other) == 0)
    }

    @Test("Nor who stays behind when a full batch sets out")
    func staysBehind() {
        let harness = harness(full: 0)
        submit(3, harness)
        submit(1, harness, deadline: harness.server.now + 1_500_000)
        harness.advance()
        #expect(batches(harness) == 2)
    }

    @Test("Who is passed over by others waits no longer than a millisecond either")
    func passedOver() {
        let harness = EngineHarness(connections: 4) {
            $0.sharedConnectionsMax = 3
            $0.sharedBatchMin = 3
            $0.sharedBatchMax = 3
        }
        func ask(_ count: Int, uid: UInt32) {
            for _ in 0..<count { harness.submit(.query(1), readOnly: true, uid: uid) }
        }
        for _ in 0..<2 {
            ask(1, uid: 1)
            harness.tick()
        }
        ask(3, uid: 1)
        harness.advance()
        let start = harness.server.now
        harness.server.clearLog()
        harness.server.now = start + 500_000
        ask(2, uid: 1)
        harness.advance()
        harness.server.now = start + 900_000
        // One turn each: the first client's second one stays.
        for uid: UInt32 in 2...4 { ask(1, uid: uid) }
        harness.advance()
        #expect(batches(harness) == 1)
        #expect(harness.engine.advance(to: harness.server.now) == start + 1_500_000)
        harness.server.now = start + 1_500_000
        harness.advance()
        #expect(batches(harness) == 2)
    }

    @Test("Nobody waits for a batch that is being stopped")
    func stopped() {
        let harness = EngineHarness(connections: 3) {
            $0.sharedConnectionsMax = 2
            $0.sharedBatchMin = 2
            $0.sharedGuardNanoseconds = 500_000
        }
        for _ in 0..<2 {
            harness.submit(.query(1), readOnly: true)
            harness.tick()
        }
        submit(2, harness)
        harness.advance()
        harness.server.now += 500_000
        harness.advance()
        #expect(harness.server.cancels.count == 1)
        harness.server.clearLog()
        harness.submit(.query(1, "select 2"), readOnly: true)
        harness.advance()
        #expect(!harness.server.log.isEmpty)
    }
}
