import PrismCore
import Testing

@Suite("PostgreSQL engine: connections that are not put back")
struct EngineRestTests {
    @Test("A server that hangs in the rollback that nobody waits for costs the connection, not its place in the pool")
    func hangs() {
        let harness = EngineHarness(connections: 1) { $0.sharedConnectionsMax = 0 }
        harness.submit(.query(1), readOnly: true)
        harness.tick()
        _ = harness.takeAnswers()
        let connection = harness.server.open[0]
        harness.submit(.query(2), readOnly: true)
        // Up to the Sync of the request; what is behind it is not answered.
        while harness.takeAnswers().isEmpty, harness.server.step(connection) {}
        #expect(harness.server.hasWork(connection))
        let limit = harness.engine.advance(to: harness.server.now)
        #expect(limit <= harness.server.now + EngineSettings().cancelTimeoutNanoseconds)
        harness.server.now += EngineSettings().cancelTimeoutNanoseconds - 1
        harness.advance()
        #expect(harness.server.closed.isEmpty)
        harness.server.now += 1
        harness.advance()
        #expect(harness.server.closed == [connection])
        harness.submit(.query(3), readOnly: true)
        harness.advance()
        harness.server.acceptAll()
        harness.tick()
        #expect(harness.takeAnswers() == ["2 OK"])
    }
}
