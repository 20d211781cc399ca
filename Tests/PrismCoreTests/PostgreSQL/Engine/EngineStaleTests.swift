import PrismCore
import PrismWire
import Testing

@Suite("PostgreSQL engine: tables that are changed under known statements")
struct EngineStaleTests {
    @Test(
        "Columns that have become of another type are asked for again, as they can be read", arguments: [true, false])
    func changedColumns(isReadOnly: Bool) {
        let harness = EngineHarness()
        harness.submit(.query(1), readOnly: isReadOnly)
        harness.server.run()
        #expect(harness.takeAnswers() == ["0 OK"])
        // Prepared anew on another connection, it does not say that its plan is stale.
        harness.server.lose(harness.server.open[0])
        harness.advance()
        harness.server.acceptAll()
        harness.server.describedType = 1_700
        harness.server.valueType = 1_700
        harness.server.reply = { _ in .values([[Array("12.5".utf8)]]) }
        harness.submit(.query(1), readOnly: isReadOnly)
        harness.server.run()
        // Without a transaction of its own it may have changed something.
        #expect(harness.takeAnswers() == [isReadOnly ? "1 OK" : "1 ABORTED execute EXECUTED"])
        harness.submit(.query(1), readOnly: isReadOnly)
        harness.server.run()
        #expect(harness.takeAnswers() == ["2 OK"])
    }

    @Test("A plan that is stale when it is looked at, and again when it runs, is made anew")
    func staleTwice() {
        let harness = EngineHarness { $0.sharedConnectionsMax = 1 }
        harness.server.parameterTypes = [23]
        harness.server.refuses = { $0.hasPrefix("EXPLAIN") ? "26000" : nil }
        var failures = 1
        harness.server.reply = { _ in
            failures -= 1
            return failures == 0 ? .error("26000") : .rows([1])
        }
        let value = Pack.data(2, Pack.number(3, 2))
        harness.submit(
            TestRequest(id: 1, operation: 32, body: Pack.data(1, "select $1") + value), readOnly: true)
        harness.tick()
        #expect(harness.takeAnswers() == ["0 OK"])
        #expect(harness.server.log.filter { $0.hasPrefix("prepare select $1") }.count == 2)
        // There is no transaction that it could stand in.
        #expect(!harness.server.log.contains { $0.hasPrefix("SAVEPOINT") })
    }

    // MARK: types of parameters

    private static let sql = "select $1"

    /// With a parameter whose type is left to the server.
    private func ask(_ harness: EngineHarness) {
        let parameter = Pack.data(2, Pack.data(5, "a"))
        harness.submit(TestRequest(id: 1, operation: 32, body: Pack.data(1, Self.sql) + parameter), readOnly: true)
    }

    private func harness(
        connections: Int = 2, _ change: (inout EngineSettings) -> Void = { _ in }
    ) -> EngineHarness {
        let harness = EngineHarness(connections: connections, change)
        harness.server.parameterTypes = [23]
        ask(harness)
        harness.tick()
        #expect(harness.takeAnswers() == ["0 OK"])
        return harness
    }

    private func count(_ text: String, _ harness: EngineHarness) -> Int {
        harness.server.log.filter { $0.hasPrefix(text) }.count
    }

    @Test("After one error of types the statement is asked for anew, on all connections")
    func misfit() {
        let harness = harness()
        // Both connections have it.
        ask(harness)
        ask(harness)
        harness.tick()
        #expect(harness.takeAnswers().sorted() == ["1 OK", "2 OK"])
        #expect(count("prepare select $1", harness) == 2)
        harness.server.alter(to: [25])
        ask(harness)
        harness.tick()
        #expect(harness.takeAnswers() == ["3 INVALID_ARGUMENT execute NOT_EXECUTED"])
        ask(harness)
        harness.tick()
        ask(harness)
        ask(harness)
        harness.tick()
        #expect(harness.takeAnswers().sorted() == ["4 OK", "5 OK", "6 OK"])
        // And back.
        harness.server.alter(to: [23])
        ask(harness)
        harness.tick()
        #expect(harness.takeAnswers() == ["7 INVALID_ARGUMENT execute NOT_EXECUTED"])
        ask(harness)
        harness.tick()
        #expect(harness.takeAnswers() == ["8 OK"])
    }

    @Test("A value that cannot be read has the types looked at, once a second at most if they are right")
    func unreadable() {
        let harness = harness()
        let described = count("describe", harness)
        for round in 1...2 {
            harness.server.now += 1_000_000_000
            harness.server.reply = { _ in .error("22P02") }
            for _ in 0..<3 {
                ask(harness)
                harness.tick()
            }
            harness.server.reply = { _ in .rows([1]) }
            ask(harness)
            harness.tick()
            #expect(count("describe", harness) == described + round)
        }
        #expect(harness.takeAnswers().filter { $0.hasSuffix("OK") }.count == 2)
    }

    @Test("What has failed in batches has to prove itself as often as before when its types have been looked at")
    func standing() {
        let harness = harness { $0.sharedConnectionsMax = 1 }
        ask(harness)
        harness.tick()
        #expect(harness.engine.snapshot.shared.requests == 1)
        harness.server.reply = { _ in .error("22P02") }
        ask(harness)
        harness.tick()
        harness.tick()
        harness.server.reply = { _ in .rows([1]) }
        // Alone twice.
        for shared: UInt64 in [2, 2, 3] {
            ask(harness)
            harness.tick()
            #expect(harness.engine.snapshot.shared.requests == shared)
        }
        #expect(count("EXPLAIN", harness) == 1)
        #expect(count("describe", harness) == 2)
    }

    @Test("What a Batch can no longer prepare is named, and asked for anew the next time")
    func batch() throws {
        let harness = EngineHarness()
        let one = Pack.data(1, Pack.data(1, "select 1"))
        let two = Pack.data(1, Pack.data(1, Self.sql) + Pack.data(2, Pack.number(3, 2)))
        func submit() { harness.submit(TestRequest(id: 1, operation: 33, body: one + two)) }
        harness.server.parameterTypes = []
        harness.submit(.query(1))
        harness.tick()
        harness.server.parameterTypes = [20]
        submit()
        harness.tick()
        #expect(harness.takeAnswers() == ["0 OK", "1 OK"])
        // On another connection nothing is prepared yet.
        harness.server.lose(harness.server.open[0])
        harness.advance()
        harness.server.acceptAll()
        harness.server.refusesTypes = { sql, types in sql == Self.sql && !types.isEmpty ? "42883" : nil }
        harness.server.parameterTypes = [25]
        _ = harness.takeBodies()
        submit()
        harness.tick()
        #expect(harness.takeAnswers() == ["2 INVALID_ARGUMENT execute NOT_EXECUTED"])
        let body = try #require(harness.takeBodies().last)
        #expect(body.withUnsafeBytes { Answer($0) }?.item == 2)
        submit()
        harness.tick()
        #expect(harness.takeAnswers() == ["3 OK"])
    }

    @Test("A Write whose statement cannot be prepared is its own failure, whatever a Batch has asked before")
    func write() throws {
        let harness = EngineHarness()
        let statements = ["select 1", "select 2"].flatMap { Pack.data(1, Pack.data(1, $0)) }
        harness.submit(TestRequest(id: 1, operation: 33, body: statements))
        harness.tick()
        #expect(harness.takeAnswers() == ["0 OK"])
        harness.server.refusesTypes = { _, _ in "42P01" }
        let put = Pack.data(2, "k") + Pack.data(3, "v")
        harness.submit(TestRequest(id: 2, operation: 22, body: Pack.data(1, Pack.data(1, put))))
        harness.tick()
        #expect(harness.takeAnswers() == ["1 FAILED_PRECONDITION execute NOT_EXECUTED"])
        let body = try #require(harness.takeBodies().last)
        #expect(body.withUnsafeBytes { Answer($0) }?.item == 1)
    }
}
