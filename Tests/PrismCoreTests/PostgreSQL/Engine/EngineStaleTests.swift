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
}
