import Foundation
import PrismCore
import PrismReactor
import Testing

@testable import PrismPostgreSQL

/// Cancels on the control connection, and what happens when it cannot be used. How a cancel came is read in the server's log.
@Suite struct ControlTests {
    static let logs = ["log_connections=on", "log_statement=all"]

    private struct Bench {
        let cluster: Cluster
        let driver: PortDriver
        /// Asks about the others; nobody cancels it.
        let observer: ServerConnectionReference
        private let requestsBefore: Int

        init(_ cluster: Cluster, controlOf other: Cluster? = nil, change: (inout ControlSettings) -> Void = { _ in })
            throws
        {
            self.cluster = cluster
            var settings = ConnectSettings()
            settings.conninfo = cluster.conninfo
            var control = ControlSettings(settings)
            control.connect.conninfo = (other ?? cluster).conninfo
            // What is slow in a test is the machine.
            control.answerTimeoutNanoseconds = 60_000_000_000
            change(&control)
            driver = try PortDriver(settings, control: control)
            observer = try driver.connect()
            requestsBefore = Self.requests(cluster.log)
        }

        func sleep(_ connections: [ServerConnectionReference]) throws {
            for connection in connections {
                driver.port.sendStatement(connection, sql: "select pg_sleep(600)")
                driver.port.sendSync(connection)
            }
            try driver.poll(
                observer, "select count(*) from pg_stat_activity where wait_event = 'PgSleep'",
                until: "\(connections.count)")
        }

        /// Cancels what they run; each must have been stopped, and be usable behind a fence.
        func cancel(_ connections: [ServerConnectionReference]) throws {
            for connection in connections { driver.port.cancel(connection) }
            try expectStopped(connections)
        }

        func expectStopped(_ connections: [ServerConnectionReference]) throws {
            for connection in connections {
                try driver.run("stopped") {
                    let transcript = driver.transcript(connection)
                    return transcript.contains("cancel returned") && transcript.contains("synchronized idle")
                }
                let answers = try driver.batch(connection).filter { $0 != "cancel returned" }
                #expect(answers == ["failed 57014", "end", "synchronized idle"])
                // Takes a cancel that would come late.
                try driver.statements(connection, "select 1")
            }
        }

        /// Until the control connection is there: it is opened for the first cancel, which itself goes another way.
        func openControl(_ connection: ServerConnectionReference) throws {
            try sleep([connection])
            try cancel([connection])
            try waitForControl()
        }

        func waitForControl() throws {
            let limit = MonotonicClock.now() + 60_000_000_000
            while !driver.canceller.isControlOpen {
                if MonotonicClock.now() > limit { throw PortDriver.TimedOut(description: "no control connection") }
                sched_yield()
            }
        }

        var control: Int32 {
            get throws {
                let answer = try driver.statements(
                    observer, "select pid from pg_stat_activity where query ~ 'pg_cancel_backend\\(t'")
                let text = try #require(answer.first { $0.hasPrefix("row ") }).dropFirst(4)
                return try #require(Int32(text))
            }
        }

        /// Those of the protocol make a connection that is never authorised.
        var requests: Int { Self.requests(cluster.log) - requestsBefore }

        private static func requests(_ log: String) -> Int {
            log.components(separatedBy: "connection received").count
                - log.components(separatedBy: "connection authorized").count
        }

        var statements: Int { cluster.log.components(separatedBy: "execute prism_cancel").count - 1 }
    }

    @Test func theFirstCancelOpensItAndTheNextOnesUseIt() throws {
        let bench = try Bench(try Cluster(settings: Self.logs))
        let connection = try bench.driver.connect()
        #expect(!bench.driver.canceller.isControlOpen)
        try bench.openControl(connection)
        #expect((bench.requests, bench.statements) == (1, 0))
        for _ in 1...5 {
            try bench.sleep([connection])
            try bench.cancel([connection])
        }
        #expect((bench.requests, bench.statements) == (1, 5))
    }

    @Test func whatIsAskedForMeanwhileIsOneStatement() throws {
        let bench = try Bench(try Cluster(settings: Self.logs))
        let connections = try (0..<20).map { _ in try bench.driver.connect() }
        try bench.openControl(connections[0])
        try bench.sleep(connections)
        let control = try bench.control
        #expect(kill(control, SIGSTOP) == 0)
        bench.driver.port.cancel(connections[0])
        // It waits for the server by now, or will as soon as it runs; the others come behind it, or with it.
        for connection in connections.dropFirst() { bench.driver.port.cancel(connection) }
        #expect(kill(control, SIGCONT) == 0)
        try bench.expectStopped(connections)
        #expect(bench.requests == 1)
        #expect((1...2).contains(bench.statements))
    }

    @Test func aTerminatedOneIsOpenedAgain() throws {
        let bench = try Bench(try Cluster(settings: Self.logs))
        let connection = try bench.driver.connect()
        try bench.openControl(connection)
        let control = try bench.control
        try bench.sleep([connection])
        try bench.driver.statements(bench.observer, "select pg_terminate_backend(\(control))")
        try bench.cancel([connection])
        try bench.driver.poll(
            bench.observer,
            "select count(*) from pg_stat_activity where query ~ 'pg_cancel_backend\\(t' and pid <> \(control)",
            until: "1")
        try bench.waitForControl()
        let statements = bench.statements
        try bench.sleep([connection])
        try bench.cancel([connection])
        #expect(bench.statements == statements + 1)
    }

    @Test func oneThatDoesNotAnswerIsGivenUp() throws {
        let bench = try Bench(try Cluster(settings: Self.logs)) { $0.answerTimeoutNanoseconds = 50_000_000 }
        let connections = try [bench.driver.connect(), bench.driver.connect()]
        try bench.openControl(connections[0])
        let control = try bench.control
        try bench.sleep(connections)
        #expect(kill(control, SIGSTOP) == 0)
        defer { kill(control, SIGCONT) }
        try bench.cancel(connections)
        #expect(bench.requests == 3)
    }

    /// A cancel on another server would hit nobody, or somebody else.
    @Test func thatOfAnotherServerIsNotUsed() throws {
        let other = try Cluster(settings: Self.logs)
        let bench = try Bench(try Cluster(settings: Self.logs), controlOf: other)
        let connection = try bench.driver.connect()
        try bench.openControl(connection)
        for _ in 1...3 {
            try bench.sleep([connection])
            try bench.cancel([connection])
        }
        #expect((bench.requests, bench.statements) == (4, 0))
        #expect(!other.log.contains("execute prism_cancel"))
    }

    /// The number of a process that has ended may be another one's by now.
    @Test func aProcessThatBeganAtAnotherTimeIsLeftAlone() throws {
        let bench = try Bench(try Cluster.shared.get())
        let connection = try bench.driver.connect()
        let process = try #require(bench.driver.facts[connection]).processID
        var settings = ConnectSettings()
        settings.conninfo = bench.cluster.conninfo
        let control = try ConnectionMaker(settings, schema: nil).makeControl()
        try bench.sleep([connection])
        let deadline = MonotonicClock.now() + 60_000_000_000
        let wrong = CancelTarget(server: control.server, processID: process, started: "1")
        #expect(control.cancel([wrong], deadlineNanoseconds: deadline))
        #expect(
            try bench.driver.statements(
                bench.observer, "select wait_event from pg_stat_activity where pid = \(process)"
            ).first == "row PgSleep")
        try bench.cancel([connection])
    }

    @Test func aProcessThatIsGoneCountsAsCancelled() throws {
        let driver = try PortDriver(try Cluster.shared.get())
        let connection = try driver.connect()
        let process = try #require(driver.facts[connection]).processID
        var settings = ConnectSettings()
        settings.conninfo = try Cluster.shared.get().conninfo
        let control = try ConnectionMaker(settings, schema: nil).makeControl()
        driver.port.close(connection)
        let deadline = MonotonicClock.now() + 60_000_000_000
        let gone = CancelTarget(server: control.server, processID: process, started: "1")
        #expect(control.cancel([gone], deadlineNanoseconds: deadline))
    }

    @Test func cancelsOnAStoppedServerReturnWhenItGoesOn() throws {
        let cluster = try Cluster()
        let bench = try Bench(cluster) { $0.answerTimeoutNanoseconds = 50_000_000 }
        let connections = try (0..<8).map { _ in try bench.driver.connect() }
        try bench.openControl(connections[0])
        try bench.sleep(connections)
        let control = try bench.control
        let postmaster = try cluster.processID
        defer { for process in [control, postmaster] { kill(process, SIGCONT) } }
        #expect(kill(postmaster, SIGSTOP) == 0)
        #expect(kill(control, SIGSTOP) == 0)
        for connection in connections { bench.driver.port.cancel(connection) }
        let limit = MonotonicClock.now() + 60_000_000_000
        while bench.driver.canceller.isControlOpen, MonotonicClock.now() < limit { sched_yield() }
        #expect(!bench.driver.canceller.isControlOpen)
        for connection in connections {
            #expect(!bench.driver.transcript(connection).contains("cancel returned"))
        }
        #expect(kill(postmaster, SIGCONT) == 0)
        #expect(kill(control, SIGCONT) == 0)
        try bench.expectStopped(connections)
    }
}
