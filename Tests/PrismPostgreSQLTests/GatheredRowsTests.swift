import PrismCore
import Testing

@testable import PrismPostgreSQL

/// Executions whose rows are told together.
@Suite struct GatheredRowsTests {
    private let driver: PortDriver
    private let connection: ServerConnectionReference

    init() throws {
        driver = try PortDriver(try Cluster.shared.get())
        connection = try driver.connect()
    }

    /// Of a statement that fails, no rows are told: they were still being gathered.
    @Test func rowsComeWithTheEndOfTheirStatement() throws {
        driver.prepare(connection, 1, "select 12 / (4 - g) from generate_series(1, $1::int) g")
        driver.execute(connection, 1, ["2"], rows: .together(readsMax: 8))
        driver.execute(connection, 1, ["0"], rows: .single)
        driver.execute(connection, 1, ["1"])
        driver.execute(connection, 1, ["9"], rows: .together(readsMax: 8))
        driver.port.sendSync(connection)
        #expect(
            try driver.batch(connection) == [
                "complete ", "end", "row 4", "row 6", "complete SELECT 2 ?column?", "end",
                "complete SELECT 0 ?column?", "end", "row 4", "complete SELECT 1 ?column?", "end",
                "failed 22012", "end", "synchronized idle",
            ])
        #expect(driver.wholes == 1)
    }

    /// 2 MB: 128 reads of 16 KiB, where 8 are allowed.
    @Test func aConnectionIsGivenUpWhereMoreComesThanMayBeGathered() throws {
        driver.prepare(connection, 1, "select repeat('x', 1000) from generate_series(1, $1::int) g")
        driver.execute(connection, 1, ["3"], rows: .together(readsMax: 8))
        driver.execute(connection, 1, ["2000"], rows: .together(readsMax: 8))
        driver.port.sendSync(connection)
        let transcript = try driver.batch(connection)
        #expect(transcript.count { $0.hasPrefix("row ") } == 3)
        #expect(transcript.last == "lost: more came than was to be gathered of one result")
    }

    /// What is allowed is counted anew for each.
    @Test func manyShortOnesAreNotTooMuch() throws {
        driver.prepare(connection, 1, "select repeat('x', 4000)")
        for _ in 0..<500 { driver.execute(connection, 1, rows: .together(readsMax: 8)) }
        driver.port.sendSync(connection)
        let transcript = try driver.batch(connection)
        #expect(transcript.count { $0.hasPrefix("row ") } == 500)
        #expect(transcript.last == "synchronized idle")
    }

    /// In one: also where the next one asks for its rows one by one, and where nothing follows but the Sync.
    @Test func oneRowComesWithItsEnd() throws {
        driver.prepare(connection, 1, "select g from generate_series(1, $1::int) g")
        driver.execute(connection, 1, ["1"], rows: .single)
        driver.execute(connection, 1, ["2"])
        driver.execute(connection, 1, ["0"], rows: .together(readsMax: 8))
        driver.port.sendSync(connection)
        #expect(
            try driver.batch(connection) == [
                "complete ", "end", "row 1", "complete SELECT 1 g", "end", "row 1", "row 2", "complete SELECT 2 g",
                "end", "complete SELECT 0 g", "end", "synchronized idle",
            ])
        #expect(driver.wholes == 2)
    }

    @Test func aSingleRowMayBeLarge() throws {
        var count = 0
        driver.onRow = { _, row in count = row.values[0].count }
        driver.prepare(connection, 1, "select repeat('x', 3000000)")
        driver.execute(connection, 1, rows: .single)
        driver.port.sendSync(connection)
        #expect(try driver.batch(connection).last == "synchronized idle")
        #expect(count == 3_000_000)
    }
}
