import Foundation
import PrismCore
import PrismReactor
import Testing

@testable import PrismPostgreSQL

@Suite struct ConnectTests {
    @Test func aServerThatIsNotThereIsNamed() throws {
        var settings = ConnectSettings()
        settings.conninfo = "host=/nonexistent dbname=postgres"
        let driver = try PortDriver(settings)
        let connection = driver.begin()
        try driver.run { !driver.transcript(connection).isEmpty }
        let line = try #require(driver.transcript(connection).first)
        #expect(line.hasPrefix("connect failed: connection to server on socket \"/nonexistent/.s.PGSQL.5432\" failed"))
        #expect(!line.contains("\n"))
    }

    @Test func aRotatedPasswordFileIsReadAgain() throws {
        let cluster = try Cluster.shared.get()
        let owner = try PortDriver(cluster)
        let connection = try owner.connect()
        try owner.statements(connection, "create role locked login password 'right one'")
        let file = cluster.directory + "/password"
        var settings = ConnectSettings()
        settings.conninfo = "host=\(cluster.directory) user=locked dbname=postgres"
        settings.passwordFile = file
        let driver = try PortDriver(settings)

        let without = driver.begin()
        try driver.run { !driver.transcript(without).isEmpty }
        #expect(driver.transcript(without) == ["connect failed: the password file \(file): No such file or directory"])

        try "wrong one\n".write(toFile: file, atomically: false, encoding: .utf8)
        let wrong = driver.begin()
        try driver.run { !driver.transcript(wrong).isEmpty }
        let line = try #require(driver.transcript(wrong).first)
        #expect(line.contains("password authentication failed for user \"locked\""))
        #expect(!line.contains("wrong one"))

        try "right one\n".write(toFile: file, atomically: false, encoding: .utf8)
        _ = try driver.connect()
    }

    @Test func everySessionStartsWithOurSettingsAndReturnsToThem() throws {
        let cluster = try Cluster.shared.get()
        var settings = ConnectSettings()
        settings.conninfo = cluster.conninfo + " options='-c work_mem=123kB -c DateStyle=German'"
        settings.statementTimeoutMilliseconds = 4_321_000
        let driver = try PortDriver(settings)
        let connection = try driver.connect()
        let expected = [
            ("application_name", "prism"), ("client_encoding", "UTF8"), ("work_mem", "123kB"),
            ("DateStyle", "ISO, DMY"),
            ("IntervalStyle", "postgres"), ("bytea_output", "hex"), ("statement_timeout", "0"),
            ("default_transaction_isolation", "read committed"), ("client_connection_check_interval", "1s"),
        ]
        for (name, value) in expected {
            #expect(try driver.statements(connection, "show \(name)").first == "row \(value)", "\(name)")
        }
        try driver.statements(connection, "set DateStyle = SQL", "set statement_timeout = 1234", "reset all")
        #expect(try driver.statements(connection, "show DateStyle").first == "row ISO, DMY")
        #expect(try driver.statements(connection, "show statement_timeout").first == "row 0")
    }

    @Test func theParametersSayWhatIsMeant() {
        var settings = ConnectSettings()
        settings.conninfo = "host=db connect_timeout=9"
        settings.connectTimeoutNanoseconds = 2_000_000_001
        let plain = settings.parameters(userOptions: "-c a=b", password: "secret", withConnectionCheck: false)
        #expect(
            plain.map(\.0) == [
                "connect_timeout", "fallback_application_name", "dbname", "client_encoding", "options", "password",
            ])
        #expect(plain[0].1 == "3")
        #expect(plain[4].1.hasPrefix("-c a=b -c DateStyle=ISO "))
        #expect(!plain[4].1.contains("client_connection_check_interval"))
        settings.isPooled = true
        let pooled = settings.parameters(userOptions: "-c a=b", password: nil, withConnectionCheck: true)
        #expect(pooled.map(\.0) == ["connect_timeout", "fallback_application_name", "dbname", "client_encoding"])
    }

    @Test func manySidecarsMakeTheTablesOnce() throws {
        let cluster = try Cluster.shared.get()
        let owner = try PortDriver(cluster)
        let connection = try owner.connect()
        try owner.statements(connection, "create database many")
        let definition = SchemaDefinition(
            version: 1, existsQuery: "select to_regclass('one.meta') is not null",
            versionQuery: "select version from one.meta",
            statements: [
                PostgreSQLSchema.lock, "create schema if not exists one",
                "create table if not exists one.meta as select 1 as version",
            ])
        var settings = ConnectSettings()
        settings.conninfo = "host=\(cluster.directory) user=postgres dbname=many"
        let sidecars = try (0..<6).map { _ in
            try PortDriver(settings, schema: SchemaInstaller(definition, mayCreate: true))
        }
        let connections = sidecars.map { $0.begin() }
        for (sidecar, connection) in zip(sidecars, connections) {
            try sidecar.run { sidecar.transcript(connection) == ["connected"] }
            #expect(sidecar.facts[connection]?.schemaProblem == nil)
        }
    }

    @Test func ourOwnTablesAreMade() throws {
        let cluster = try Cluster.shared.get()
        let owner = try PortDriver(cluster)
        try owner.statements(try owner.connect(), "create database ours")
        var settings = ConnectSettings()
        settings.conninfo = "host=\(cluster.directory) user=postgres dbname=ours"
        let sidecars = try (0..<2).map { _ in
            try PortDriver(settings, schema: SchemaInstaller(.prism, mayCreate: true))
        }
        for sidecar in sidecars {
            let connection = try sidecar.connect()
            #expect(sidecar.facts[connection]?.schemaProblem == nil)
            #expect(try sidecar.statements(connection, "select nextval('prism.version') > 0").first == "row t")
        }
        let connection = try sidecars[0].connect()
        try sidecars[0].statements(connection, "truncate prism.meta")
        let stranger = try PortDriver(settings, schema: SchemaInstaller(.prism, mayCreate: true))
        let late = try stranger.connect()
        #expect(stranger.facts[late]?.schemaProblem?.contains("somebody else's") == true)
    }

    @Test func tablesThatCannotBeUsedAreAProblemWithARemedy() throws {
        let cluster = try Cluster.shared.get()
        let owner = try PortDriver(cluster)
        let connection = try owner.connect()
        try owner.statements(connection, "create role poor login")
        try owner.statements(
            connection, "create schema old", "create table old.meta as select 1 as version",
            "grant usage on schema old to poor", "grant select on old.meta to poor")
        var settings = ConnectSettings()
        settings.conninfo = "host=\(cluster.directory) user=poor dbname=postgres"
        func problem(_ schema: String, version: Int, mayCreate: Bool) throws -> String {
            let definition = SchemaDefinition(
                version: version, existsQuery: "select to_regclass('\(schema).meta') is not null",
                versionQuery: "select version from \(schema).meta",
                statements: ["create schema \(schema)"])
            let driver = try PortDriver(settings, schema: SchemaInstaller(definition, mayCreate: mayCreate))
            let connection = try driver.connect()
            #expect(try driver.statements(connection, "select 1").first == "row 1")
            return driver.facts[connection]?.schemaProblem ?? ""
        }
        #expect(try problem("old", version: 1, mayCreate: false) == "")
        #expect(try problem("old", version: 2, mayCreate: true).contains("version 1, and this program works with 2"))
        #expect(try problem("new", version: 1, mayCreate: false).contains("prism schema apply"))
        #expect(try problem("new", version: 1, mayCreate: true).contains("permission denied for database"))
    }
}
