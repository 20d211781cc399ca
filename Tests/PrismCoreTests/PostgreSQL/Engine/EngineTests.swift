import PrismCore
import PrismWire
import Testing

@Suite("PostgreSQL engine")
struct EngineTests {
    /// Seven statements, prepared once.
    static let reset = Array(repeating: "execute", count: 7) + ["sync"]
    /// While a statement is read and described nothing can be changed.
    static let learning = [
        "BEGIN ISOLATION LEVEL READ COMMITTED, READ ONLY", "prepare select 1", "describe", "ROLLBACK", "sync",
    ]

    @Test("A statement is described once, then executed by name, and the session is reset in the same flight")
    func coldAndWarm() {
        let harness = EngineHarness()
        harness.submit(.query(1, "select 1"))
        harness.server.run()
        #expect(harness.takeAnswers() == ["0 OK"])
        let sent = harness.server.log.filter { !$0.hasPrefix("prepare ") || $0 == "prepare select 1" }
        #expect(sent == Self.learning + ["execute", "sync"] + Self.reset)
        #expect(harness.server.log.contains("prepare RESET ALL"))
        harness.server.clearLog()
        harness.submit(.query(2, "select 1"))
        #expect(harness.server.log == ["execute", "sync"] + Self.reset)
        harness.server.run()
        #expect(harness.takeAnswers() == ["1 OK"])
        #expect(harness.engine.snapshot.idle == 1)
    }

    @Test("A second connection prepares what is known in the same round as it executes")
    func knownElsewhere() {
        let harness = EngineHarness(connections: 2)
        harness.submit(.query(1, "select 1"))
        harness.server.run()
        harness.server.clearLog()
        harness.submit(.query(2, "select 1"))
        harness.submit(.query(3, "select 1"))
        #expect(
            harness.server.log.filter { $0.hasPrefix("prepare select") || $0 == "describe" } == ["prepare select 1"])
        harness.server.run()
        #expect(harness.takeAnswers() == ["0 OK", "1 OK", "2 OK"])
    }

    @Test("A connection that keeps the memory of a large message is not used again")
    func largeMessage() {
        let harness = EngineHarness()
        harness.submit(.query(1, "select big()"))
        harness.server.keepsLargeMessages = true
        let connection = harness.server.open[0]
        harness.server.run()
        #expect(harness.takeAnswers() == ["0 OK"])
        #expect(harness.server.closed == [connection])
    }

    @Test("What the guard refuses is never sent")
    func refused() {
        let harness = EngineHarness()
        harness.submit(.query(1, "begin"))
        #expect(harness.server.log.isEmpty)
        #expect(harness.takeAnswers().count == 1)
        #expect(harness.engine.snapshot.idle == 1)
    }

    @Test("A read-only request runs in a transaction that is rolled back")
    func readOnly() {
        let harness = EngineHarness()
        harness.submit(.query(1, "select 1"), readOnly: true)
        harness.server.run()
        #expect(harness.takeAnswers() == ["0 OK"])
        harness.server.clearLog()
        harness.submit(.query(2, "select 1"), readOnly: true)
        // The rollback undoes all but the session's locks; all of it in one flight.
        #expect(
            harness.server.log == [
                "BEGIN ISOLATION LEVEL READ COMMITTED, READ ONLY", "execute", "sync", "ROLLBACK", "execute", "sync",
            ])
        harness.server.run()
        #expect(harness.takeAnswers() == ["1 OK"])
        #expect(harness.engine.snapshot.idle == 1)
    }

    @Test("A failing statement says NOT_EXECUTED, and the connection is used again")
    func failing() {
        let harness = EngineHarness()
        harness.server.reply = { _ in .error("22012") }
        harness.submit(.query(1, "select 1/0"))
        harness.server.run()
        #expect(harness.takeAnswers() == ["0 INVALID_ARGUMENT execute NOT_EXECUTED"])
        #expect(harness.engine.snapshot.idle == 1)
    }

    @Test("Types that the server does not accept are left to it")
    func inferredTypes() {
        let harness = EngineHarness()
        harness.server.parameterTypes = [23]
        harness.server.refusesTypes = { _, types in types.isEmpty ? nil : "42883" }
        let value = Pack.data(2, Pack.number(3, 2))
        harness.submit(TestRequest(id: 1, operation: 32, body: Pack.data(1, "select repeat('x', $1)") + value))
        harness.server.run()
        #expect(harness.takeAnswers() == ["0 OK"])
        #expect(harness.server.log.filter { $0.hasPrefix("prepare select") }.count == 2)
    }

    @Test("A stale plan is prepared again, once")
    func stalePlan() {
        let harness = EngineHarness()
        harness.submit(.query(1, "select 1"))
        harness.server.run()
        var failures = 1
        harness.server.reply = { _ in
            guard failures > 0 else { return .rows([1]) }
            failures -= 1
            return .error("26000")
        }
        harness.submit(.query(2, "select 1"))
        harness.server.run()
        #expect(harness.takeAnswers() == ["0 OK", "1 OK"])
        failures = 10
        harness.submit(.query(3, "select 1"))
        harness.server.run()
        #expect(harness.takeAnswers().count == 1)
        #expect(harness.engine.snapshot.idle == 1)
    }

    /// A session that is not put back may serve nobody: neither when a statement of the reset fails, nor when what was to
    /// prepare it fails and the reset is skipped, nor when a client has put a statement of its own in its place.
    @Test(
        "A reset that does not run as it was sent costs the connection",
        arguments: ["failed", "not prepared", "replaced"])
    func resetNotRun(how: String) {
        let harness = EngineHarness()
        let first = harness.server.open
        harness.server.refusesTypes = { sql, _ in how == "not prepared" && sql == "RESET ALL" ? "42P05" : nil }
        harness.server.resetReply = { sql in
            guard sql == "RESET ALL" else { return .done(sql) }
            return how == "failed" ? .error("26000") : how == "replaced" ? .rows([1]) : .done(sql)
        }
        harness.submit(.query(1, "do 'begin deallocate all; end'"))
        harness.server.run()
        #expect(harness.takeAnswers() == ["0 OK"])
        #expect(harness.server.closed == first)
        #expect(harness.engine.snapshot.idle == 0)
    }

    @Test("What may have committed by itself is not run again for a statement that it could not find")
    func staleInside() {
        let harness = EngineHarness()
        for (message, runs) in [
            ("prepared statement \"mine\" does not exist", 1), ("prepared statement \"prism_1\" does not exist", 2),
        ] {
            var count = 0
            harness.server.failureMessage = message
            harness.server.reply = { _ in
                count += 1
                return count == 1 ? .error("26000") : .done("CALL")
            }
            harness.submit(.query(1, "call p('\(message)')"))
            harness.server.run()
            #expect(count == runs)
        }
        #expect(harness.takeAnswers() == ["0 ABORTED execute UNKNOWN", "1 OK"])
    }

    @Test("A batch runs in one transaction and commits with its last statement")
    func batch() {
        let harness = EngineHarness()
        let body = Pack.data(1, Pack.data(1, "insert 1")) + Pack.data(1, Pack.data(1, "insert 2"))
        harness.server.reply = { _ in .done("INSERT 0 1") }
        harness.submit(TestRequest(id: 1, operation: 33, body: body))
        harness.server.run()
        harness.server.clearLog()
        #expect(harness.takeAnswers() == ["0 OK"])
        harness.submit(TestRequest(id: 2, operation: 33, body: body))
        #expect(
            harness.server.log
                == ["BEGIN ISOLATION LEVEL READ COMMITTED", "execute", "execute", "COMMIT", "sync"])
        harness.server.run()
        #expect(harness.takeAnswers() == ["1 OK"])
        harness.server.reply = { $0 == "insert 2" ? .error("23505") : .done("INSERT 0 1") }
        harness.submit(TestRequest(id: 3, operation: 33, body: body))
        harness.server.run()
        #expect(harness.takeAnswers() == ["2 ALREADY_EXISTS execute NOT_EXECUTED"])
        #expect(harness.engine.snapshot.idle == 1)
    }

    @Test("A lost connection is UNKNOWN for a write under way, and NOT_EXECUTED for a read")
    func lost() {
        let harness = EngineHarness()
        harness.submit(.query(1, "insert 1"))
        harness.server.run()
        _ = harness.takeAnswers()
        harness.submit(.query(2, "insert 1"))
        harness.server.lose(harness.server.open[0])
        #expect(harness.takeAnswers() == ["1 UNAVAILABLE execute UNKNOWN"])
        harness.server.acceptAll()
        harness.submit(.query(3, "select 1"), readOnly: true)
        harness.server.lose(harness.server.open[0])
        #expect(harness.takeAnswers() == ["2 UNAVAILABLE execute NOT_EXECUTED"])
        harness.server.acceptAll()
        harness.submit(.query(4, "select 1"))
        harness.server.run()
        #expect(harness.takeAnswers() == ["3 OK"])
    }
}

@Suite("PostgreSQL engine: a connection lost behind an error")
struct EngineLossTests {
    @Test("A statement that has failed has left nothing, also when its Sync never comes")
    func failedBefore() {
        let harness = EngineHarness()
        harness.submit(.query(1, "insert 1"))
        harness.server.run()
        _ = harness.takeAnswers()
        harness.server.reply = { _ in .error("23505") }
        harness.submit(.query(2, "insert 1"))
        harness.server.step(harness.server.open[0])
        harness.server.lose(harness.server.open[0])
        #expect(harness.takeAnswers() == ["1 ALREADY_EXISTS execute NOT_EXECUTED"])
    }

    @Test("Types that would have been left to the server are not the client's mistake")
    func whileLearning() {
        let harness = EngineHarness()
        harness.server.refusesTypes = { _, types in types.isEmpty ? nil : "42883" }
        let value = Pack.data(2, Pack.number(3, 2))
        harness.submit(TestRequest(id: 1, operation: 32, body: Pack.data(1, "select repeat('x', $1)") + value))
        harness.server.step(harness.server.open[0])
        harness.server.lose(harness.server.open[0])
        #expect(harness.takeAnswers() == ["0 UNAVAILABLE execute NOT_EXECUTED"])
    }
}

@Suite("PostgreSQL engine: transactions")
struct EngineTransactionTests {
    private let transaction = TransactionReference(reactor: 0, slot: 0, generation: 1)

    @Test("The connection is the transaction's until it ends, and is reset before the next client")
    func committed() {
        let harness = EngineHarness()
        harness.submit(.begin(1), transaction: transaction)
        harness.server.run()
        harness.submit(.query(2), transaction: transaction)
        harness.server.run()
        #expect(harness.engine.snapshot.leased == 1)
        harness.submit(.query(9))
        harness.server.run()
        #expect(harness.takeAnswers() == ["0 OK", "1 OK"])
        harness.submit(.commit(3), transaction: transaction)
        harness.server.run()
        #expect(harness.takeAnswers() == ["3 OK ended", "2 OK"])
        #expect(harness.engine.snapshot.idle == 1)
        harness.submit(.query(4), transaction: transaction)
        #expect(harness.takeAnswers() == ["4 ABORTED execute NOT_EXECUTED ended"])
    }

    @Test("A commit that fails is NOT_EXECUTED, one whose connection is lost UNKNOWN")
    func failedCommit() {
        let harness = EngineHarness()
        harness.submit(.begin(1), transaction: transaction)
        harness.server.run()
        harness.server.commitReply = .error("23503")
        harness.submit(.commit(2), transaction: transaction)
        harness.server.run()
        #expect(harness.takeAnswers() == ["0 OK", "1 FAILED_PRECONDITION execute NOT_EXECUTED ended"])
        harness.submit(.begin(3), transaction: transaction)
        harness.server.run()
        harness.submit(.commit(4), transaction: transaction)
        harness.server.lose(harness.server.open[0])
        #expect(harness.takeAnswers() == ["2 OK", "3 UNAVAILABLE execute UNKNOWN ended"])
    }

    @Test("An answer too large for memory does not say EXECUTED of what the commit then refuses")
    func refusedCommitOfLargeAnswer() {
        let harness = EngineHarness { $0.resultBytesMax = 100 }
        harness.server.reply = { _ in .rows(Array(0..<50)) }
        let body = Pack.data(1, Pack.data(1, "insert 1 returning a"))
        harness.submit(TestRequest(id: 1, operation: 33, body: body))
        harness.server.run()
        #expect(harness.takeAnswers() == ["0 RESOURCE_EXHAUSTED execute EXECUTED"])
        harness.server.commitReply = .error("23503")
        harness.submit(TestRequest(id: 2, operation: 33, body: body))
        harness.server.run()
        #expect(harness.takeAnswers() == ["1 RESOURCE_EXHAUSTED execute NOT_EXECUTED"])
    }

    @Test("A failed statement leaves the transaction to RollbackTo and Rollback")
    func poisoned() {
        let harness = EngineHarness()
        harness.submit(.begin(1), transaction: transaction)
        harness.server.run()
        harness.submit(.savepoint(2), transaction: transaction)
        harness.server.run()
        harness.server.reply = { _ in .error("23505") }
        harness.submit(.query(3), transaction: transaction)
        harness.server.run()
        harness.submit(.rollbackTo(4), transaction: transaction)
        harness.server.run()
        harness.server.reply = { _ in .rows([1]) }
        harness.submit(.query(5), transaction: transaction)
        harness.server.run()
        harness.submit(.rollback(6), transaction: transaction)
        harness.server.run()
        #expect(
            harness.takeAnswers() == [
                "0 OK", "1 OK", "2 ALREADY_EXISTS execute NOT_EXECUTED", "3 OK", "4 OK", "5 OK ended",
            ])
        #expect(harness.engine.snapshot.idle == 1)
    }

    @Test("An abandoned transaction is rolled back, also while a statement of it is running")
    func abandoned() {
        let harness = EngineHarness()
        harness.submit(.begin(1), transaction: transaction)
        harness.server.run()
        let query = harness.submit(.query(2), transaction: transaction)
        harness.server.run()
        _ = harness.takeAnswers()
        let running = harness.submit(.query(3), transaction: transaction)
        #expect(harness.cancel(running) == .stopped)
        #expect(harness.cancel(query) == .tooLate)
        harness.engine.abandon(transaction, now: harness.server.now)
        harness.server.returnCancels()
        harness.server.run()
        #expect(harness.takeAnswers().isEmpty)
        #expect(harness.server.log.contains("ROLLBACK"))
        #expect(harness.engine.snapshot.idle == 1)
    }
}

@Suite("PostgreSQL engine: cancelling")
struct EngineCancelTests {
    @Test("Nothing is sent behind a cancel until it was delivered, the batch is over and a fence has passed")
    func fence() {
        let harness = EngineHarness()
        harness.submit(.query(1), readOnly: true)
        harness.server.run()
        let running = harness.submit(.query(2), readOnly: true)
        harness.submit(.query(3))
        #expect(harness.cancel(running) == .stopped)
        let connection = harness.server.open[0]
        harness.server.run()
        harness.server.clearLog()
        #expect(harness.server.log.isEmpty)
        harness.server.returnCancels()
        #expect(harness.server.log == ["SELECT 1", "sync"])
        // The cancel comes late and hits the fence: nobody is harmed.
        harness.server.failNext(connection, "57014")
        harness.server.run()
        #expect(harness.takeAnswers() == ["0 OK", "2 OK"])
    }

    @Test("A write that commits by itself cannot be stopped for certain; what became of it is said")
    func lateWrite() {
        let harness = EngineHarness()
        harness.submit(.query(1, "insert 1"))
        harness.server.run()
        _ = harness.takeAnswers()
        let running = harness.submit(.query(2, "insert 1"))
        #expect(harness.cancel(running) == .tooLate)
        harness.server.failNext(harness.server.open[0], "57014")
        harness.server.returnCancels()
        harness.server.run()
        #expect(harness.takeAnswers() == ["1 CANCELLED execute NOT_EXECUTED"])
        #expect(harness.engine.snapshot.idle == 1)
    }

    @Test(
        "A wait for a standby that a cancel of Prism's own has broken off is CANCELLED, whatever else has, UNAVAILABLE: never OK",
        arguments: [true, false])
    func standby(isOwnCancel: Bool) {
        let code = isOwnCancel ? "CANCELLED" : "UNAVAILABLE"
        let transaction = TransactionReference(reactor: 0, slot: 0, generation: 1)
        let harness = EngineHarness(connections: 2)
        harness.submit(.begin(1), transaction: transaction)
        harness.submit(.query(2, "insert 1"))
        harness.server.run()
        _ = harness.takeAnswers()
        let running = [harness.submit(.query(3, "insert 1")), harness.submit(.commit(4), transaction: transaction)]
        for reference in running where isOwnCancel { #expect(harness.cancel(reference) == .tooLate) }
        for connection in harness.server.open {
            harness.engine.noticed(connection, sourceFunction: "SyncRepWaitForLSN")
        }
        harness.server.returnCancels()
        harness.server.run()
        #expect(
            Set(harness.takeAnswers()) == ["2 \(code) execute UNKNOWN", "3 \(code) execute UNKNOWN ended"])
        #expect(harness.engine.snapshot.idle == 2)
    }

    @Test("A cancel that is lost is asked for again")
    func lostCancel() {
        let harness = EngineHarness()
        harness.submit(.query(1), readOnly: true)
        harness.server.run()
        let running = harness.submit(.query(2), readOnly: true)
        _ = harness.cancel(running)
        #expect(harness.server.cancels.count == 1)
        harness.server.returnCancels()
        let next = harness.engine.advance(to: harness.server.now)
        #expect(next < .max)
        harness.server.now = next
        _ = harness.engine.advance(to: next)
        #expect(harness.server.cancels.count == 1)
    }

    @Test("A connection that does not come to rest after a cancel is replaced")
    func silent() {
        let harness = EngineHarness()
        harness.submit(.query(1), readOnly: true)
        harness.server.run()
        let running = harness.submit(.query(2), readOnly: true)
        let connection = harness.server.open[0]
        #expect(harness.cancel(running) == .stopped)
        harness.server.returnCancels()
        harness.server.now += 9_999_000_000
        _ = harness.engine.advance(to: harness.server.now)
        #expect(!harness.server.closed.contains(connection))
        harness.server.now += 1_000_000
        _ = harness.engine.advance(to: harness.server.now)
        #expect(harness.server.closed == [connection])
        harness.server.acceptAll()
        harness.submit(.query(3))
        harness.server.run()
        #expect(harness.takeAnswers() == ["0 OK", "2 OK"])
    }

    @Test("A queued request is removed")
    func queued() {
        let harness = EngineHarness()
        harness.submit(.query(1))
        let waiting = harness.submit(.query(2))
        #expect(harness.cancel(waiting) == .removed)
        harness.server.run()
        #expect(harness.takeAnswers() == ["0 OK"])
    }
}

@Suite("PostgreSQL engine: streams")
struct EngineStreamTests {
    @Test("The server is held back while the client does not read")
    func backpressure() {
        let harness = EngineHarness { settings in
            settings.streamPartBytes = 100
            settings.streamWindowBytes = 1_000
        }
        harness.server.reply = { _ in .rows(Array(0..<1_000)) }
        let reference = harness.submit(.query(1))
        harness.server.run()
        let connection = harness.server.open[0]
        #expect(!harness.server.isReading(connection))
        for _ in 0..<20 where !harness.server.isReading(connection) {
            harness.engine.credit(reference, bytes: 1 << 20)
            #expect(harness.server.isReading(connection))
            harness.server.run()
        }
        let answers = harness.takeAnswers()
        #expect(answers.last == "0 OK")
        #expect(answers.filter { $0 == "0 part" }.count > 10)
        #expect(harness.engine.snapshot.idle == 1)
    }

    @Test("A row that fits into a frame alone comes behind others too", arguments: [910, 930])
    func longRowBehindShort(count: Int) {
        let harness = EngineHarness { settings in
            settings.limits.frameBytesMax = 1_000
            settings.streamPartBytes = 500
        }
        harness.server.reply = { _ in
            .values([10, count, 10, 10, count].map { [Array(repeating: 0x78, count: $0)] })
        }
        harness.submit(.query(1, "select 1"), readOnly: true)
        harness.server.run()
        #expect(harness.takeAnswers() == ["0 part", "0 part", "0 part", "0 part", "0 OK"])
    }

    @Test("A stream that is not read ends when another request waits for its connection, which is then served")
    func givesWay() {
        let harness = EngineHarness { settings in
            settings.streamPartBytes = 100
            settings.streamWindowBytes = 1_000
        }
        harness.server.reply = { sql in .rows(Array(0..<(sql.contains("2") ? 1 : 1_000))) }
        let stream = harness.submit(.query(1, "select 1"), readOnly: true)
        harness.server.run()
        let connection = harness.server.open[0]
        harness.engine.giveWay(stream, now: harness.server.now)
        harness.server.run()
        #expect(!harness.server.isReading(connection))
        #expect(harness.takeAnswers().allSatisfy { $0 == "0 part" })
        harness.submit(.query(2, "select 2"), readOnly: true)
        harness.engine.giveWay(stream, now: harness.server.now)
        #expect(harness.server.isReading(connection))
        harness.server.failNext(connection, "57014")
        harness.server.run()
        harness.server.returnCancels()
        harness.server.run()
        #expect(harness.takeAnswers() == ["0 RESOURCE_EXHAUSTED stream NOT_EXECUTED", "1 OK"])
        #expect(harness.engine.snapshot.idle == 1)
    }

    @Test("A client that is gone while it does not read holds nothing up: the rest is read past it")
    func cancelled() {
        for cancelsInTime in [false, true] {
            let harness = EngineHarness { settings in
                settings.streamPartBytes = 100
                settings.streamWindowBytes = 1_000
            }
            harness.server.reply = { _ in .rows(Array(0..<1_000)) }
            let reference = harness.submit(.query(1))
            harness.server.run()
            let connection = harness.server.open[0]
            #expect(!harness.server.isReading(connection))
            let parts = harness.takeAnswers().count
            #expect(parts > 2)
            // Its SELECT may call what writes: whether that stands is known at the end.
            #expect(harness.cancel(reference) == .tooLate)
            if cancelsInTime { harness.server.failNext(connection, "57014") }
            harness.server.run()
            harness.server.returnCancels()
            harness.server.run()
            #expect(harness.takeAnswers() == ["0 CANCELLED stream \(cancelsInTime ? "NOT_EXECUTED" : "EXECUTED")"])
            #expect(harness.engine.snapshot.idle == 1)
        }
    }
}

@Suite("PostgreSQL engine: behind a pooler")
struct EnginePooledTests {
    @Test("Nothing is prepared by name, and no session is reset")
    func pooled() {
        let harness = EngineHarness { $0.isPooled = true }
        for id in 1...2 {
            harness.submit(.query(UInt64(id), "select 1"))
            harness.server.run()
        }
        #expect(harness.takeAnswers() == ["0 OK", "1 OK"])
        #expect(
            harness.server.log == EngineTests.learning + [
                "prepare select 1", "execute", "sync", "prepare select 1", "execute", "sync",
            ])
    }
}
