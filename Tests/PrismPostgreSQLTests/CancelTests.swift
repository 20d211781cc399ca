import PrismCore
import Testing

@testable import PrismPostgreSQL

@Suite struct CancelTests {
    @Test func aCancelledStatementFailsAndItsConnectionLives() throws {
        let driver = try PortDriver(try Cluster.shared.get())
        let connection = try driver.connect()
        let other = try driver.connect()
        let process = try #require(driver.facts[connection]).processID
        driver.port.sendStatement(connection, sql: "select pg_sleep(60)")
        driver.port.sendSync(connection)
        try driver.poll(other, "select wait_event from pg_stat_activity where pid = \(process)", until: "PgSleep")
        driver.port.cancel(connection)
        driver.port.cancel(connection)
        try driver.run {
            let transcript = driver.transcript(connection)
            return transcript.contains("cancel returned") && transcript.contains("synchronized idle")
        }
        #expect(
            driver.transcript(connection).filter { $0 != "cancel returned" } == [
                "failed 57014", "end", "synchronized idle",
            ])
        #expect(driver.transcript(connection).filter { $0 == "cancel returned" }.count == 1)
        _ = try driver.batch(connection)
        #expect(try driver.statements(connection, "select 1").first == "row 1")
    }

    @Test func acceptedCancelsCanBeRepeated() throws {
        let driver = try PortDriver(try Cluster.shared.get())
        let connection = try driver.connect()
        for count in 1...3 {
            driver.port.cancel(connection)
            try driver.run {
                driver.transcript(connection) == Array(repeating: "cancel returned", count: count)
            }
        }
    }

    /// The commit is done here but nowhere else: COMMAND_OK, and a warning that says so. The server sends it behind the
    /// completion; libpq reads ahead and reports it first.
    @Test func aCancelledWaitForAStandbyIsToldBeforeTheSync() throws {
        let cluster = try Cluster(settings: ["synchronous_standby_names=nobody"])
        let driver = try PortDriver(cluster)
        let connection = try driver.connect()
        let other = try driver.connect()
        let process = try #require(driver.facts[connection]).processID
        try driver.statements(connection, "set synchronous_commit = local")
        try driver.statements(connection, "create table t (a int)")
        try driver.statements(connection, "set synchronous_commit = on")
        driver.port.sendStatement(connection, sql: "insert into t values (1)")
        driver.port.sendSync(connection)
        try driver.poll(other, "select wait_event from pg_stat_activity where pid = \(process)", until: "SyncRep")
        driver.port.cancel(connection)
        try driver.run { driver.transcript(connection).contains("synchronized idle") }
        #expect(
            driver.transcript(connection).filter { $0 != "cancel returned" } == [
                "noticed 01000 SyncRepWaitForLSN", "complete INSERT 0 1", "end", "synchronized idle",
            ])
    }
}
