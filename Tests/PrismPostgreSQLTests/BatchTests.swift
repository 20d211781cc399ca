import PrismCore
import Testing

@testable import PrismPostgreSQL

/// Results are matched by what was sent, whatever a server does in between.
@Suite struct BatchTests {
    let driver: PortDriver
    let connection: ServerConnectionReference

    init() throws {
        driver = try PortDriver(try Cluster.shared.get())
        connection = try driver.connect()
    }

    @Test func aBatchIsAnsweredInTheOrderSent() throws {
        driver.prepare(connection, 1, "select $1 || 'x' as a, $2::int4 as b")
        driver.port.sendDescribe(connection, name: PreparedName(number: 1))
        driver.execute(connection, 1, ["one", "1"])
        driver.execute(connection, 1, ["two", "2"])
        driver.port.sendStatement(connection, sql: "create temporary table t (a int)")
        driver.port.sendSync(connection)
        #expect(
            try driver.batch(connection) == [
                "complete ", "end", "described [25, 23] [\"a:25\", \"b:23\"]", "end",
                "row onex|1", "complete SELECT 1 a,b", "end", "row twox|2", "complete SELECT 1 a,b", "end",
                "complete CREATE TABLE", "end", "synchronized idle",
            ])
        // One description for both executions.
        #expect(driver.columns.count == 1)
    }

    @Test func declaredTypesAreTaken() throws {
        driver.prepare(connection, 1, "select $1, $2", types: [20, 0])
        driver.port.sendDescribe(connection, name: PreparedName(number: 1))
        driver.port.sendSync(connection)
        #expect(try driver.batch(connection)[2] == "described [20, 25] [\"?column?:20\", \"?column?:25\"]")
    }

    @Test func nullIsNotAnEmptyValue() throws {
        driver.prepare(connection, 1, "select $1::text, $2::text, $3::bytea")
        driver.execute(connection, 1, [nil, "", ""])
        driver.execute(connection, 1, ["", nil, nil], results: .binary)
        driver.port.sendSync(connection)
        let batch = try driver.batch(connection)
        #expect(batch.filter { $0.hasPrefix("row") } == ["row NULL||\\x", "row |NULL|NULL"])
        #expect(driver.columns.map(\.format) == [.text, .binary])
    }

    @Test func binaryParametersAndResultsPassUnchanged() throws {
        let bytes: [UInt8] = [0, 1, 254, 255, 0]
        driver.prepare(connection, 1, "select $1::int8 + 1, $2::bytea")
        var list = ParameterList()
        list.append(Int64.min)
        bytes.withUnsafeBytes { list.append(binary: $0) }
        var seen: [[UInt8]] = []
        driver.onRow = { _, row in seen = row.values.map { Array($0) } }
        driver.port.sendExecute(
            connection, name: PreparedName(number: 1), parameters: list, results: .binary, rows: .oneByOne)
        driver.port.sendSync(connection)
        _ = try driver.batch(connection)
        #expect(seen == [[0x80, 0, 0, 0, 0, 0, 0, 1], bytes])
    }

    @Test func whatStandsBehindAFailureIsSkipped() throws {
        driver.port.sendStatement(connection, sql: "select 1")
        driver.prepare(connection, 1, "select nonsense")
        driver.execute(connection, 1)
        driver.port.sendStatement(connection, sql: "select 2")
        driver.port.sendSync(connection)
        driver.port.sendStatement(connection, sql: "select 3")
        driver.port.sendSync(connection)
        #expect(
            try driver.batch(connection, count: 2) == [
                "row 1", "complete SELECT 1 ?column?", "end", "failed 42703", "end", "skipped", "end", "skipped", "end",
                "synchronized unknown", "row 3", "complete SELECT 1 ?column?", "end", "synchronized idle",
            ])
        #expect(try driver.statements(connection, "select 4").first == "row 4")
    }

    @Test func anErrorCarriesAllThatTheServerSays() throws {
        try driver.statements(
            connection, "create temporary table pair (a int constraint positive check (a > 0), b int not null)")
        try driver.statements(connection, "insert into pair values (-1, 1)")
        try driver.statements(connection, "insert into pair values (1, null)")
        try driver.statements(connection, "select a, nonsens from pair")
        let errors = driver.errors
        #expect(errors.map(\.sqlState) == ["23514", "23502", "42703"])
        #expect(errors.map(\.severity) == [.error, .error, .error])
        #expect(errors.map(\.constraint) == ["positive", "b", ""])
        #expect(errors.map(\.position) == [0, 0, 11])
        #expect(errors[0].detail == "Failing row contains (-1, 1).")
        #expect(errors[2].message == "column \"nonsens\" does not exist")
        try driver.statements(connection, "select lenght('a')")
        #expect(driver.errors[3].hint.hasPrefix("No function matches"))
    }

    /// Rows that came before the failure of their own statement show that they were not collected first.
    @Test func everyExecutionOfABatchGetsItsRowsOneByOne() throws {
        driver.prepare(connection, 1, "select 12 / (4 - g) from generate_series(1, $1::int) g")
        driver.execute(connection, 1, ["2"])
        driver.port.sendStatement(connection, sql: "select 7")
        driver.execute(connection, 1, ["9"])
        driver.port.sendSync(connection)
        #expect(
            try driver.batch(connection) == [
                "complete ", "end", "row 4", "row 6", "complete SELECT 2 ?column?", "end",
                "row 7", "complete SELECT 1 ?column?", "end",
                "row 4", "row 6", "row 12", "failed 22012", "end", "synchronized idle",
            ])
    }

    @Test func noRowsStillHaveColumns() throws {
        let batch = try driver.statements(
            connection, "select 1 as a, 2 as b where false", "select from pg_class limit 1")
        #expect(
            batch == [
                "complete SELECT 0 a,b", "end", "row ", "complete SELECT 1 ", "end", "synchronized idle",
            ])
    }

    @Test func anEmptyStatementIsComplete() throws {
        #expect(try driver.statements(connection, "") == ["complete ", "end", "synchronized idle"])
    }

    /// libpq 15 reports the INSERT as done, and the commit's failure as an error of the Sync, followed by NULL and the Sync itself.
    @Test func aDeferredConstraintFailsAtTheSync() throws {
        try driver.statements(
            connection, "create temporary table parent (a int primary key)",
            "create temporary table child (a int references parent deferrable initially deferred)")
        #expect(
            try driver.statements(connection, "insert into child values (1)") == [
                "complete INSERT 0 1", "end", "failed 23503", "end", "synchronized idle",
            ])
        #expect(try driver.statements(connection, "select count(*) from child").first == "row 0")
    }

    @Test func anOpenTransactionIsSeenAtTheSync() throws {
        #expect(try driver.statements(connection, "begin").last == "synchronized open")
        #expect(try driver.statements(connection, "select nonsense").last == "synchronized failed")
        #expect(try driver.statements(connection, "rollback").last == "synchronized idle")
    }

    @Test func columnsThatChangeUnderTheSameNameAreSeen() throws {
        driver.prepare(connection, 1, "select 1 as a")
        driver.execute(connection, 1)
        driver.port.sendStatement(connection, sql: "deallocate prism_1")
        driver.prepare(connection, 1, "select 1::int8 as b")
        driver.execute(connection, 1)
        driver.port.sendSync(connection)
        _ = try driver.batch(connection)
        #expect(
            driver.columns.map { $0.columns[0] } == [
                ServerColumn(name: "a", type: 23), ServerColumn(name: "b", type: 20),
            ])
    }

    @Test func copyMakesTheConnectionUnusable() throws {
        let batch = try driver.statements(connection, "copy (select 1) to stdout")
        #expect(batch.first == "unusable: the server answered with PGRES_COPY_OUT")
        #expect(batch.last?.hasPrefix("lost") == true)
        #expect(batch.count == 2)
    }

    @Test func aStatementWithAZeroByteIsNotSent() throws {
        driver.prepare(connection, 1, "select 1\0; drop table x")
        driver.port.sendSync(connection)
        #expect(try driver.batch(connection) == ["lost: a statement contains a zero byte"])
    }

    /// Both sides write at once, and neither can go on before the other reads.
    @Test func largeParametersAndResultsDoNotBlockEachOther() throws {
        let text = String(repeating: "x", count: 4 << 20)
        driver.writesRows = false
        var sizes: [Int] = []
        driver.onRow = { _, row in sizes.append(row.values[0].count) }
        driver.prepare(connection, 1, "select $1::text")
        for _ in 0..<8 { driver.execute(connection, 1, [text]) }
        driver.port.sendSync(connection)
        let batch = try driver.batch(connection)
        #expect(batch.last == "synchronized idle")
        #expect(sizes == Array(repeating: text.utf8.count, count: 8))
    }

    @Test func warningsComeBeforeTheSync() throws {
        let batch = try driver.statements(
            connection, "do $$ begin raise warning 'one'; raise notice 'two'; raise warning 'one again'; end $$")
        #expect(batch.first == "noticed 01000 exec_stmt_raise")
        #expect(batch.filter { !$0.hasPrefix("noticed") } == ["complete DO", "end", "synchronized idle"])
        #expect(batch.last == "synchronized idle")
    }
}
