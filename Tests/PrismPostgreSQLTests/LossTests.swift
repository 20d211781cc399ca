import Foundation
import PrismCore
import PrismReactor
import Testing

@testable import PrismPostgreSQL

/// Connections that end, are ended, or never begin.
@Suite struct LossTests {
    static let terminated = "terminating connection due to administrator command"

    @Test func aTerminatedStatementFailsBeforeItsConnectionIsLost() throws {
        let driver = try PortDriver(try Cluster.shared.get())
        let victim = try driver.connect()
        let other = try driver.connect()
        let process = try #require(driver.facts[victim]).processID
        driver.port.sendStatement(victim, sql: "select 1")
        driver.port.sendStatement(victim, sql: "select pg_sleep(60)")
        driver.port.sendStatement(victim, sql: "select 2")
        driver.port.sendSync(victim)
        try driver.poll(other, "select wait_event from pg_stat_activity where pid = \(process)", until: "PgSleep")
        try driver.statements(other, "select pg_terminate_backend(\(process))")
        #expect(
            try driver.batch(victim) == [
                "row 1", "complete SELECT 1 ?column?", "end", "failed 57P01", "end", "skipped", "end",
                "lost: \(Self.terminated)",
            ])
        #expect(driver.errors.map(\.severity) == [.fatal])
    }

    @Test func anIdleConnectionSaysWhyItWasTerminated() throws {
        let driver = try PortDriver(try Cluster.shared.get())
        let victim = try driver.connect()
        let other = try driver.connect()
        let process = try #require(driver.facts[victim]).processID
        try driver.statements(other, "select pg_terminate_backend(\(process))")
        #expect(try driver.batch(victim).last == "lost: \(Self.terminated)")
        // Its place is free for another one.
        driver.port.connect(ServerConnectionReference(slot: victim.slot, generation: 2))
        let next = ServerConnectionReference(slot: victim.slot, generation: 2)
        try driver.run { driver.transcript(next) == ["connected"] }
    }

    @Test func aServerThatCrashesLosesAllItsConnections() throws {
        let cluster = try Cluster()
        let driver = try PortDriver(cluster)
        let connections = try (0..<4).map { _ in try driver.connect() }
        let process = try #require(driver.facts[connections[0]]).processID
        for connection in connections { driver.port.sendStatement(connection, sql: "select pg_sleep(60)") }
        for connection in connections { driver.port.sendSync(connection) }
        try driver.tick()
        #expect(kill(process, SIGKILL) == 0)
        for connection in connections {
            let batch = try driver.batch(connection)
            #expect(batch.last?.hasPrefix("lost") == true, "\(batch)")
        }
    }

    @Test func nothingIsHeardOfAConnectionThatWasClosed() throws {
        let driver = try PortDriver(try Cluster.shared.get())
        let other = try driver.connect()
        let closed = try driver.connect()
        let process = try #require(driver.facts[closed]).processID
        driver.port.sendStatement(closed, sql: "select 1")
        driver.port.sendSync(closed)
        driver.port.cancel(closed)
        driver.port.close(closed)
        let token = BackendToken(backend: 3, slot: closed.slot, generation: closed.generation)
        driver.port.ready(token, .readable, driver)
        try driver.poll(other, "select count(*) from pg_stat_activity where pid = \(process)", until: "0")
        #expect(driver.transcript(closed) == [])
    }

    @Test func aConnectionClosedWhileItIsMadeLeavesNothingBehind() throws {
        let driver = try PortDriver(try Cluster.shared.get())
        let other = try driver.connect()
        let name = "left behind \(UUID().uuidString)"
        var settings = ConnectSettings()
        settings.conninfo = try Cluster.shared.get().conninfo + " application_name='\(name)'"
        let hasty = try PortDriver(settings)
        let closed = (0..<8).map { _ in hasty.begin() }
        for connection in closed { hasty.port.close(connection) }
        let last = try hasty.connect()
        try driver.poll(
            other, "select count(*) from pg_stat_activity where application_name = '\(name)'", until: "1",
            meanwhile: hasty)
        for connection in closed { #expect(hasty.transcript(connection) == []) }
        #expect(hasty.transcript(last) == [])
    }

    @Test func aStaleTokenTouchesNobody() throws {
        let driver = try PortDriver(try Cluster.shared.get())
        let first = try driver.connect()
        driver.port.close(first)
        let second = ServerConnectionReference(slot: first.slot, generation: 2)
        driver.port.connect(second)
        try driver.run { driver.transcript(second) == ["connected"] }
        driver.port.ready(
            BackendToken(backend: 3, slot: first.slot, generation: first.generation), [.hangUp, .error], driver)
        #expect(driver.transcript(first) == [])
        #expect(try driver.statements(second, "select 1").contains("row 1"))
    }
}

/// What takes connections as a server does, and then is none: behind a broken network, or another program.
@Suite struct SilentServerTests {
    /// Speaks the protocol up to ReadyForQuery.
    private static let greeting: [UInt8] =
        [UInt8(ascii: "R"), 0, 0, 0, 8, 0, 0, 0, 0] + [UInt8(ascii: "K"), 0, 0, 0, 12, 0, 0, 0, 1, 0, 0, 0, 2]
        + readyForQuery

    private static let readyForQuery: [UInt8] = [UInt8(ascii: "Z"), 0, 0, 0, 5, UInt8(ascii: "I")]

    @Test(arguments: [
        ([], "the server took the connection, and then did not answer in time"),
        (readyForQuery, "the server took the connection, and then answered with nonsense"),
    ])
    func aServerThatDoesNotAnswerIsGivenUp(_ answer: [UInt8], _ why: String) throws {
        let directory = FileManager.default.temporaryDirectory.path + "/prism-silent-\(UUID().uuidString.prefix(8))"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let listener = try UnixSocket.make(blocking: true)
        defer { UnixSocket.close(listener) }
        try UnixSocket.bind(listener, path: directory + "/.s.PGSQL.5432")
        try UnixSocket.listen(listener, backlog: 4)
        let thread = try WorkerThread(name: "silent") {
            guard case .accepted(let peer) = UnixSocket.accept(listener) else { return }
            defer { UnixSocket.close(peer) }
            var request = [UInt8](repeating: 0, count: 4_096)
            var isGreeted = false
            // Until the other side gives up.
            while true {
                switch request.withUnsafeMutableBytes({ UnixSocket.read(peer, into: $0) }) {
                case .bytes:
                    (isGreeted ? answer : Self.greeting).withUnsafeBytes { _ = UnixSocket.write(peer, from: $0) }
                    isGreeted = true
                case .wouldBlock:
                    var descriptor = pollfd(fd: peer, events: Int16(POLLIN), revents: 0)
                    poll(&descriptor, 1, -1)
                case .closed, .failed: return
                }
            }
        }
        var settings = ConnectSettings()
        settings.conninfo = "host=\(directory) user=u dbname=d sslmode=disable gssencmode=disable"
        settings.schemaTimeoutNanoseconds = answer.isEmpty ? 50_000_000 : 10_000_000_000
        let driver = try PortDriver(settings, schema: SchemaInstaller(.prism, mayCreate: true))
        let connection = driver.begin()
        try driver.run { !driver.transcript(connection).isEmpty }
        #expect(driver.transcript(connection) == ["connect failed: \(why)"])
        thread.join()
    }
}
