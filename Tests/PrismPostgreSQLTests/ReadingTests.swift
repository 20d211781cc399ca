import PrismCore
import PrismReactor
import Testing

@testable import PrismPostgreSQL

/// A client that does not read holds its server back, and nobody else.
@Suite struct ReadingTests {
    @Test func aConnectionThatIsNotReadHoldsTheServerBack() throws {
        let driver = try PortDriver(try Cluster.shared.get())
        let slow = try driver.connect()
        let other = try driver.connect()
        let rows = 200_000
        try driver.statements(slow, "set application_name = 'slow reader'")
        driver.writesRows = false
        driver.onRow = { connection, _ in
            if connection == slow, driver.rowCounts[slow] == 10 { driver.port.setReading(slow, false) }
        }
        driver.port.sendStatement(slow, sql: "select g, repeat('x', 200) from generate_series(1, \(rows)) g")
        driver.port.sendSync(slow)
        try driver.run { driver.rowCounts[slow] == 10 }

        driver.writesRows = true
        try driver.poll(
            other, "select wait_event from pg_stat_activity where application_name = 'slow reader'",
            until: "ClientWrite")
        driver.writesRows = false
        #expect(driver.rowCounts[slow] == 10)

        driver.port.setReading(slow, true)
        #expect(
            try driver.batch(slow) == ["complete SELECT \(rows) g,repeat", "end", "synchronized idle"])
        #expect(driver.rowCounts[slow] == rows)
    }

    /// More than one tick's share, all of it already in libpq's memory.
    @Test func whatIsLeftOverComesWithoutAnotherEvent() throws {
        let driver = try PortDriver(try Cluster.shared.get())
        let connection = try driver.connect()
        driver.writesRows = false
        try driver.statements(connection, "select 1 from generate_series(1, \(LibpqPort.resultsPerTickMax * 3 + 1))")
        #expect(driver.rowCounts[connection] == LibpqPort.resultsPerTickMax * 3 + 1)
    }

    @Test func aServerThatDiesWhileItIsNotReadIsNoticedAfterwards() throws {
        let driver = try PortDriver(try Cluster.shared.get())
        let slow = try driver.connect()
        let other = try driver.connect()
        let process = try #require(driver.facts[slow]).processID
        driver.writesRows = false
        driver.onRow = { connection, _ in
            if connection == slow { driver.port.setReading(slow, false) }
        }
        driver.port.sendStatement(slow, sql: "select repeat('x', 10000) from generate_series(1, 1000)")
        driver.port.sendSync(slow)
        try driver.run { driver.rowCounts[slow] == 1 }
        driver.writesRows = true
        try driver.statements(other, "select pg_terminate_backend(\(process))")
        try driver.poll(other, "select count(*) from pg_stat_activity where pid = \(process)", until: "0")
        #expect(driver.rowCounts[slow] == 1)

        driver.writesRows = false
        driver.onRow = { _, _ in }
        driver.port.setReading(slow, true)
        let last = try driver.batch(slow).last
        #expect(last?.hasPrefix("lost") == true)
        #expect(try #require(driver.rowCounts[slow]) < 1000)
    }

    /// libpq's buffer stays as large as the largest message was.
    @Test(arguments: [
        "select repeat('x', 3000000)", "do $$ begin raise exception '%', repeat('x', 3000000); end $$",
        "do $$ begin raise notice '%', repeat('x', 3000000); end $$",
    ])
    func aLargeMessageIsRemembered(_ sql: String) throws {
        let driver = try PortDriver(try Cluster.shared.get())
        let connection = try driver.connect()
        try driver.statements(connection, "select repeat('x', 100000)")
        #expect(!driver.port.keepsLargeMessage(connection))
        try driver.statements(connection, sql)
        #expect(driver.port.keepsLargeMessage(connection))
    }

    /// A function may raise a gigabyte: copying it whole would hold up everybody else's requests.
    @Test func theTextOfAnErrorIsCut() throws {
        let driver = try PortDriver(try Cluster.shared.get())
        let connection = try driver.connect()
        try driver.statements(connection, "do $$ begin raise exception '%', repeat('é', 1000000); end $$")
        let message = try #require(driver.errors.first).message
        #expect(message == String(repeating: "é", count: fieldBytesMax / 2))
    }
}
