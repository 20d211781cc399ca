import PrismCore
import PrismWire
import Testing

@Suite("PostgreSQL engine: shared pipelines")
struct SharedPipelineTests {
    private func harness(
        connections: Int = 2, shared: Int = 1, _ change: (inout EngineSettings) -> Void = { _ in }
    ) -> EngineHarness {
        let harness = EngineHarness(connections: connections) {
            $0.sharedConnectionsMax = shared
            change(&$0)
        }
        // A statement is let in when it has run once alone.
        harness.submit(.query(1), readOnly: true)
        harness.tick()
        #expect(harness.takeAnswers() == ["0 OK"])
        // And so the frame of batches is prepared.
        harness.submit(.query(1), readOnly: true)
        harness.tick()
        _ = harness.takeAnswers()
        harness.slots = 1
        harness.server.clearLog()
        return harness
    }

    @Test("What comes in one tick goes out in one batch, between BEGIN and ROLLBACK, with one Sync")
    func together() {
        let harness = harness()
        for number in 0..<3 { harness.submit(.query(UInt64(number)), readOnly: true) }
        #expect(harness.server.log.isEmpty)
        harness.advance()
        // BEGIN, the three, ROLLBACK.
        #expect(harness.server.log == Array(repeating: "execute", count: 5) + ["sync"])
        harness.tick()
        #expect(harness.takeAnswers() == ["1 OK", "2 OK", "3 OK"])
        #expect(harness.engine.snapshot.idle == 2)
    }

    @Test("Prism's own reads need no transaction around them")
    func keyValue() {
        let harness = harness()
        harness.submit(.get(1, "a"))
        harness.submit(.get(2, "b"))
        harness.advance()
        #expect(harness.server.log.suffix(3) == ["execute", "execute", "sync"])
        #expect(!harness.server.log.contains { $0.hasPrefix("BEGIN") })
    }

    @Test("A plan is looked at again after a time, by one of those who ask, and what was let in stays in meanwhile")
    func lookedAtAgain() {
        let harness = harness(connections: 3)
        harness.server.now += 9_999_999_999
        harness.submit(.query(1), readOnly: true)
        harness.tick()
        #expect(!harness.server.log.contains { $0.hasPrefix("EXPLAIN") })
        harness.server.now += 1
        for number in 0..<3 { harness.submit(.query(UInt64(number)), readOnly: true) }
        harness.advance()
        #expect(harness.server.log.filter { $0.hasPrefix("EXPLAIN") }.count == 1)
        #expect(harness.engine.snapshot.shared.requests == 4)
        harness.tick()
        harness.tick()
        #expect(harness.takeAnswers().count == 4)
        harness.submit(.query(1), readOnly: true)
        harness.tick()
        #expect(harness.server.log.filter { $0.hasPrefix("EXPLAIN") }.count == 1)
    }

    @Test("When a plan has proved stale, all are looked at again")
    func doubted() {
        let harness = harness(connections: 3)
        harness.submit(.query(1, "select 2"), readOnly: true)
        harness.tick()
        #expect(harness.server.log.filter { $0.hasPrefix("EXPLAIN") }.count == 1)
        harness.server.now += 1_000
        var failures = 1
        harness.server.reply = { _ in
            failures -= 1
            return failures == 0 ? .error("26000") : .rows([1])
        }
        harness.submit(.query(1, "select 2"), readOnly: true)
        harness.tick()
        harness.tick()
        harness.submit(.query(1), readOnly: true)
        harness.tick()
        harness.tick()
        #expect(harness.takeAnswers().sorted() == ["1 OK", "2 OK", "3 OK"])
        #expect(harness.server.log.filter { $0.hasPrefix("EXPLAIN") }.count == 3)
    }

    @Test("Writes, unmarked SQL and what stands in a transaction have a connection alone")
    func alone() {
        let harness = harness(connections: 3)
        harness.submit(.query(1, "insert 1"))
        harness.submit(.query(1))
        #expect(harness.server.log.filter { $0 == "sync" }.count >= 2)
        harness.tick()
        #expect(harness.takeAnswers().count == 2)
    }

    @Test("Nothing is answered before the Sync")
    func atTheSync() {
        let harness = harness()
        harness.submit(.query(1), readOnly: true)
        harness.advance()
        let connection = harness.server.working[0]
        for _ in 0..<3 { harness.server.step(connection) }
        #expect(harness.takeAnswers().isEmpty)
        harness.server.step(connection)
        #expect(harness.takeAnswers() == ["1 OK"])
    }

    @Test("No error is answered from a batch: who failed runs alone, those behind run again")
    func failure() {
        let harness = harness()
        var failures = 1
        harness.server.reply = { _ in
            failures -= 1
            return failures == 0 ? .error("22012") : .rows([1])
        }
        failures = 2
        for number in 0..<3 { harness.submit(.query(UInt64(number)), readOnly: true) }
        harness.advance()
        harness.server.clearLog()
        harness.tick()
        harness.tick()
        #expect(harness.takeAnswers().sorted() == ["1 OK", "2 OK", "3 OK"])
        #expect(harness.server.log.filter { $0 == "execute" }.count >= 2)
        #expect(harness.engine.snapshot.idle == 2)
    }

    @Test("The error of one that fails alone as well is its own")
    func ownFailure() {
        let harness = harness()
        harness.server.reply = { _ in .error("22012") }
        harness.submit(.query(1), readOnly: true)
        harness.tick()
        harness.tick()
        #expect(harness.takeAnswers() == ["1 INVALID_ARGUMENT execute NOT_EXECUTED"])
    }

    @Test("A member that is cancelled is answered at once and the others run on")
    func cancelOne() {
        let harness = harness()
        harness.submit(.query(1), readOnly: true)
        let second = harness.submit(.query(2), readOnly: true)
        harness.advance()
        #expect(harness.cancel(second) == .stopped)
        #expect(harness.server.cancels.isEmpty)
        harness.tick()
        #expect(harness.takeAnswers() == ["1 OK"])
    }

    @Test("A batch that nobody waits for is cancelled in the database, and its connection used again behind the fence")
    func cancelAll() {
        let harness = harness()
        let first = harness.submit(.query(1), readOnly: true)
        let second = harness.submit(.query(2), readOnly: true)
        harness.advance()
        _ = harness.cancel(first)
        #expect(harness.server.cancels.isEmpty)
        _ = harness.cancel(second)
        #expect(harness.server.cancels.count == 1)
        harness.server.failNext(harness.server.cancels[0], "57014")
        harness.server.run()
        #expect(harness.engine.snapshot.idle == 1)
        harness.server.returnCancels()
        harness.tick()
        #expect(harness.takeAnswers().isEmpty)
        #expect(harness.engine.snapshot.idle == 2)
    }

    @Test("A batch that takes too long is cancelled, and its members run alone")
    func headOfLine() {
        let harness = harness(connections: 3)
        harness.submit(.query(1), readOnly: true)
        harness.submit(.query(2), readOnly: true)
        harness.advance()
        #expect(harness.engine.advance(to: harness.server.now) <= harness.server.now + 20_000_000)
        harness.server.now += 19_999_999
        harness.advance()
        #expect(harness.server.cancels.isEmpty)
        harness.server.now += 1
        harness.advance()
        #expect(harness.server.cancels.count == 1)
        harness.server.clearLog()
        harness.server.step(harness.server.cancels[0])
        harness.server.failNext(harness.server.cancels[0], "57014")
        harness.server.run()
        harness.server.returnCancels()
        harness.tick()
        #expect(harness.takeAnswers().sorted() == ["1 OK", "2 OK"])
        // Who held it up runs alone, the other in another batch.
        #expect(harness.server.log.filter { $0.hasPrefix("BEGIN") }.count == 1)
    }

    @Test("One whose neighbour is slow and not waited for any more is not held up by it")
    func headOfLineDetached() {
        let harness = harness(connections: 3)
        let slow = harness.submit(.query(1), readOnly: true)
        harness.submit(.query(2), readOnly: true)
        harness.advance()
        #expect(harness.cancel(slow) == .stopped)
        harness.server.now += 20_000_000
        harness.advance()
        #expect(harness.server.cancels.count == 1)
        harness.server.step(harness.server.cancels[0])
        harness.server.failNext(harness.server.cancels[0], "57014")
        harness.server.clearLog()
        harness.server.run()
        harness.server.returnCancels()
        harness.tick()
        #expect(harness.takeAnswers() == ["2 OK"])
        // The slow one has been noticed, although nobody waited: its text runs alone until it is quick.
        #expect(harness.server.log.contains { $0.hasPrefix("BEGIN") })
    }

    @Test("Members of a batch that the server does not stop go on elsewhere, and are answered once")
    func stuck() {
        let harness = harness(connections: 4)
        harness.submit(.query(1), readOnly: true)
        harness.submit(.query(2), readOnly: true)
        harness.advance()
        let stuck = harness.server.working
        harness.server.now += 20_000_000
        harness.advance()
        harness.server.now += 99_999_999
        harness.advance()
        #expect(harness.server.working == stuck)
        harness.server.now += 1
        harness.advance()
        for _ in 0..<2 {
            harness.advance()
            for connection in harness.server.working where connection != stuck[0] {
                while harness.server.step(connection) {}
            }
        }
        #expect(harness.takeAnswers().sorted() == ["1 OK", "2 OK"])
        // What comes of it in the end is nobody's.
        harness.server.run()
        harness.server.returnCancels()
        harness.tick()
        #expect(harness.takeAnswers().isEmpty)
        #expect(harness.engine.snapshot.idle == 4)
    }

    @Test("A batch that is left and lost is run again once")
    func stuckAndLost() {
        let harness = harness(connections: 3)
        harness.submit(.query(1), readOnly: true)
        harness.submit(.query(2), readOnly: true)
        harness.advance()
        let stuck = harness.server.working[0]
        for step: UInt64 in [20_000_000, 100_000_000] {
            harness.server.now += step
            harness.advance()
        }
        harness.server.lose(stuck)
        harness.tick()
        harness.tick()
        #expect(harness.takeAnswers().sorted() == ["1 OK", "2 OK"])
    }

    @Test("One that is alone in its batch is left to run, and holds no pipeline")
    func slowAlone() {
        let harness = harness(connections: 3)
        harness.server.reply = { sql in
            sql.contains("prism.entry") ? .values([[[UInt8](repeating: 0, count: 8), nil, [1]]]) : .rows([1])
        }
        harness.submit(.query(1), readOnly: true)
        harness.advance()
        let slow = harness.server.working
        harness.server.now += 20_000_000
        harness.advance()
        #expect(harness.server.cancels.isEmpty)
        harness.submit(.get(1, "a"))
        harness.advance()
        for connection in harness.server.working where !slow.contains(connection) {
            while harness.server.step(connection) {}
        }
        #expect(harness.takeAnswers() == ["2 OK"])
        harness.tick()
        #expect(harness.takeAnswers() == ["1 OK"])
        harness.submit(.get(2, "b"))
        harness.tick()
        #expect(harness.takeAnswers() == ["3 OK"])
    }

    @Test("A connection that is lost takes nobody's answer with it")
    func lost() {
        let harness = harness()
        harness.submit(.query(1), readOnly: true)
        harness.submit(.query(2), readOnly: true)
        harness.advance()
        harness.server.lose(harness.server.working[0])
        harness.tick()
        harness.server.acceptAll()
        harness.tick()
        #expect(harness.takeAnswers().sorted() == ["1 OK", "2 OK"])
    }

    @Test(
        "A transaction that stays open behind a batch is nobody's: the connection is closed, the answers are not given")
    func quarantine() {
        let harness = harness()
        harness.submit(.query(1), readOnly: true)
        harness.server.ignoresRollback = true
        harness.advance()
        harness.server.run()
        #expect(harness.server.closed.count == 1)
        #expect(harness.engine.snapshot.invariantViolations == 1)
        harness.tick()
        harness.server.acceptAll()
        harness.tick()
        #expect(harness.takeAnswers() == ["1 OK"])
    }

    @Test("An answer above the limit is made alone; when many are, all are, until enough were small")
    func large() {
        let harness = harness { $0.sharedResultBytesMax = 1_000 }
        var shared: [Bool] = []
        func ask(_ rows: Int) {
            harness.server.reply = { _ in .rows(Array(repeating: 7, count: rows)) }
            let before = harness.engine.snapshot.shared.requests
            harness.submit(.query(1), readOnly: true)
            harness.tick()
            harness.tick()
            #expect(harness.takeAnswers().last?.hasSuffix(" OK") == true)
            shared.append(harness.engine.snapshot.shared.requests > before)
        }
        ask(1_000)
        ask(1)
        #expect(shared == [true, true])
        ask(1_000)
        ask(1_000)
        ask(1)
        #expect(shared == [true, true, true, false, false])
        for _ in 0..<8 { ask(1) }
        #expect(shared.last == true)
    }

    @Test("A large value of one is no reason to read those of all others alone")
    func largeValue() {
        let harness = harness { $0.sharedResultBytesMax = 1_000 }
        let bytes = { (count: Int) in [[[UInt8](repeating: 0, count: 8), nil, [UInt8](repeating: 1, count: count)]] }
        for _ in 0..<5 {
            harness.server.reply = { _ in .values(bytes(2_000)) }
            harness.submit(.get(1, "large"))
            harness.tick()
            harness.tick()
        }
        harness.server.reply = { _ in .values(bytes(1)) }
        let before = harness.engine.snapshot.shared.requests
        harness.submit(.get(1, "small"))
        harness.tick()
        #expect(harness.takeAnswers().count == 6)
        #expect(harness.engine.snapshot.shared.requests == before + 1)
    }

    @Test("A batch has no more requests than it may")
    func limit() {
        let harness = harness { $0.sharedBatchMax = 2 }
        for number in 0..<5 { harness.submit(.query(UInt64(number)), readOnly: true) }
        harness.advance()
        #expect(harness.server.log.filter { $0 == "execute" }.count == 4)
        for _ in 0..<3 { harness.tick() }
        #expect(harness.takeAnswers().count == 5)
        #expect(harness.server.log.filter { $0 == "sync" }.count == 3)
    }

    @Test("While the server is away, who waits for a pipeline is refused at once")
    func down() {
        let harness = harness(connections: 1)
        harness.server.lose(harness.server.open[0])
        harness.advance()
        harness.submit(.get(1, "a"))
        harness.advance()
        harness.server.refuseAll()
        #expect(harness.takeAnswers() == ["1 UNAVAILABLE connect NOT_EXECUTED"])
        harness.submit(.get(2, "b"))
        #expect(harness.takeAnswers() == ["2 UNAVAILABLE connect NOT_EXECUTED"])
    }

    @Test("A batch that does not stop keeps no pipeline")
    func deaf() {
        let harness = harness(connections: 3)
        harness.submit(.query(1), readOnly: true)
        harness.submit(.query(2), readOnly: true)
        harness.advance()
        let deaf = harness.server.working
        harness.server.now += 20_000_000
        harness.advance()
        #expect(harness.server.cancels.count == 1)
        harness.server.reply = { _ in .values([[[UInt8](repeating: 0, count: 8), nil, [1]]]) }
        harness.submit(.get(1, "a"))
        harness.advance()
        for connection in harness.server.working where !deaf.contains(connection) {
            while harness.server.step(connection) {}
        }
        #expect(harness.takeAnswers() == ["3 OK"])
    }

    @Test("The server's clock says whether a statement is slow, not the way there", arguments: [true, false])
    func timing(isSlow: Bool) {
        let harness = EngineHarness(connections: 2) { $0.sharedConnectionsMax = 1 }
        let seconds = (isSlow ? 0.005 : 0.003).bitPattern
        let bytes = (0..<8).map { UInt8(truncatingIfNeeded: seconds >> (56 - 8 * UInt64($0))) }
        harness.server.reply = { sql in
            harness.server.now += 30_000_000
            return sql.contains("clock_timestamp") ? .values([[bytes]]) : .rows([1])
        }
        harness.submit(.query(1), readOnly: true)
        harness.tick()
        harness.submit(.query(1), readOnly: true)
        harness.submit(.query(1), readOnly: true)
        harness.server.clearLog()
        harness.advance()
        #expect(
            harness.server.log.filter { $0.hasPrefix("BEGIN") || $0.hasPrefix("prepare BEGIN") }.count
                == (isSlow ? 2 : 1))
        harness.tick()
        #expect(harness.takeAnswers().count == 3)
    }

    @Test("A statement proves itself alone; a slow one more and more often, until it has been good for long")
    func standing() {
        var standing = SharedStanding(isTrusted: false)
        standing.ranAlone(isSlow: false, isLarge: false)
        #expect(standing.isTrusted)
        standing.ranAlone(isSlow: true, isLarge: false)
        #expect(!standing.isTrusted)
        standing.ranAlone(isSlow: false, isLarge: false)
        #expect(!standing.isTrusted)
        standing.ranAlone(isSlow: false, isLarge: false)
        #expect(standing.isTrusted)
        standing.mustProve()
        #expect(!standing.isTrusted)
        // Many slow runs in a row count once.
        for _ in 0..<10 { standing.ranAlone(isSlow: true, isLarge: false) }
        for _ in 0..<4 { standing.ranAlone(isSlow: false, isLarge: false) }
        #expect(standing.isTrusted)
        for _ in 0..<512 { standing.ranShared() }
        standing.mustProve()
        standing.ranAlone(isSlow: false, isLarge: false)
        #expect(standing.isTrusted)
    }

    @Test("One that fails in batches again and again is let in less and less often")
    func failing() {
        var standing = SharedStanding(isTrusted: false)
        for round in [1, 2, 4, 8, 16, 32, 64, 64] {
            for _ in 0..<round {
                #expect(!standing.isTrusted)
                standing.ranAlone(isSlow: false, isLarge: false)
            }
            #expect(standing.isTrusted)
            standing.failed()
        }
        for _ in 0..<64 { standing.ranAlone(isSlow: false, isLarge: false) }
        for _ in 0..<(6 * 256) { standing.ranShared() }
        standing.failed()
        for _ in 0..<2 { standing.ranAlone(isSlow: false, isLarge: false) }
        #expect(standing.isTrusted)
    }
}
