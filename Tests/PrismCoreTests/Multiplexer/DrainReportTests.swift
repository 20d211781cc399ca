import PrismCore
import PrismWire
import Testing

/// CONTRACT 6: the report. Every answer since the end began counts once, and as the client would count it.
@Suite struct DrainReportTests {
    @Test("what the ending has no part in is finished, whatever its status")
    func finished() {
        let session = Session()
        let client = session.connect()
        session.send(client, .put(1), .put(2), .put(3), .put(4))
        session.enter(.lameDuck)
        session.complete()
        session.complete(.alreadyExists)
        session.send(client, .cancel(9, of: 3))
        session.complete()
        session.enter(.draining)
        let report = session.multiplexer.report
        #expect(report.inFlightAtLameDuck == 4 && report.inFlightAtDraining == 0)
        #expect(report.finished == 4)
        #expect(report.refused == 0 && report.cancelled == 0 && report.cutAnything == false)
    }

    @Test("a request that its deadline has ended in lame duck is not cut by the ending")
    func deadlineInLameDuck() {
        let session = Session()
        let client = session.connect()
        session.send(client, .put(1).timeout(microseconds: 1_000))
        session.enter(.lameDuck)
        session.advance(microseconds: 1_000)
        #expect(session.read(client) == ["1 DEADLINE_EXCEEDED queue NOT_EXECUTED"])
        #expect(session.multiplexer.report.finished == 1)
        #expect(!session.multiplexer.report.cutAnything)
    }

    @Test("a client that leaves with requests and a transaction has cut them itself")
    func disconnected() {
        let session = Session()
        let client = session.connect()
        let handle = session.begin(client)
        session.send(client, .put(1), .put(2).in(handle), .put(3).in(handle))
        session.enter(.lameDuck)
        session.disconnect(client)
        let report = session.multiplexer.report
        #expect(report.disconnected == 3)
        #expect(report.cancelled == 0 && report.transactionsRolledBack == 0 && !report.cutAnything)
    }

    @Test(
        "cut are what executes and what waits for its turn; a transaction's statement is told of the ending, not of a limit"
    )
    func cutInTransaction() {
        let session = Session()
        let client = session.connect()
        let handle = session.begin(client)
        session.send(client, .put(1).in(handle), .put(2).in(handle), .commit(3).in(handle))
        session.enter(.draining)
        session.cancelOutcome = .stopped
        session.enter(.cancelling)
        #expect(
            Set(session.read(client)) == [
                "1 UNAVAILABLE execute NOT_EXECUTED", "2 UNAVAILABLE queue NOT_EXECUTED",
                "3 UNAVAILABLE queue NOT_EXECUTED",
            ])
        let report = session.multiplexer.report
        #expect(report.inFlightAtCancelling == 3 && report.cancelled == 3)
        #expect(report.finished == 0 && report.transactionsRolledBack == 1)
        #expect(session.abandoned.count == 1)
    }

    @Test("a Commit that could still be stopped leaves a transaction that the ending rolls back")
    func cutCommit() {
        let session = Session()
        let client = session.connect()
        let handle = session.begin(client)
        session.send(client, .commit(1).in(handle))
        session.enter(.draining)
        session.enter(.cancelling)
        #expect(session.read(client) == ["1 UNAVAILABLE queue NOT_EXECUTED"])
        #expect(session.abandoned.count == 1)
        #expect(session.multiplexer.report.transactionsRolledBack == 1)
    }

    @Test("what was already past stopping when the ending came is finished, or cut if nobody knows")
    func tooLate() {
        let session = Session()
        let client = session.connect()
        session.cancelOutcome = .tooLate
        session.send(client, .put(1), .put(2), .get(3))
        session.enter(.cancelling)
        session.complete()
        #expect(session.read(client) == ["1 OK"])
        session.multiplexer.enter(.stopped, reason: "test", budgetLeftNanoseconds: 0, now: session.now)
        #expect(
            Set(session.read(client)) == ["2 UNAVAILABLE execute UNKNOWN", "3 UNAVAILABLE execute NOT_EXECUTED"])
        let report = session.multiplexer.report
        #expect(report.finished == 1 && report.cancelled == 2 && report.inFlightAtStopped == 2)
    }

    @Test("CANCELLED is for who has asked; whom the ending cuts hears UNAVAILABLE, with all that the database said")
    func cancelledByTheDatabase() {
        let session = Session()
        let client = session.connect()
        session.cancelOutcome = .tooLate
        session.send(client, .put(1), .put(2), .cancel(3, of: 1))
        session.enter(.cancelling)
        session.complete(.cancelled)
        session.complete(.cancelled, .unknown)
        #expect(
            session.read(client) == [
                "3 OK", "1 CANCELLED execute NOT_EXECUTED", "2 UNAVAILABLE execute UNKNOWN",
            ])
        #expect(session.multiplexer.report.finished == 1 && session.multiplexer.report.cancelled == 1)
    }

    @Test("a refusal that waits for its turn in a transaction is a refusal")
    func refusedInTransaction() {
        let session = Session()
        let client = session.connect()
        let handle = session.begin(client)
        session.cancelOutcome = .tooLate
        session.send(client, .put(1).in(handle))
        session.enter(.cancelling)
        session.send(client, .put(2).in(handle))
        session.complete()
        #expect(session.read(client) == ["1 OK", "2 UNAVAILABLE admission NOT_EXECUTED"])
        #expect(session.multiplexer.report.finished == 1 && session.multiplexer.report.refused == 1)
    }

    @Test("what was refused behind the end of its transaction says why it was refused, and counts nowhere")
    func refusedBehindTheEnd() {
        let session = Session()
        let client = session.connect()
        let handle = session.begin(client)
        session.enter(.lameDuck)
        session.send(
            client, .put(1).in(handle), .rollback(2).in(handle), .begin(3).in(handle), .put(4).in(handle))
        session.complete()
        session.complete(ended: true)
        let answers = session.read(client)
        #expect(answers.count == 4 && answers.prefix(2) == ["1 OK", "2 OK"])
        #expect(answers.contains { $0.hasPrefix("3 INVALID_ARGUMENT") })
        #expect(answers.contains("4 NOT_FOUND queue NOT_EXECUTED"))
        #expect(session.multiplexer.report.finished == 3)
    }

    @Test("control, limits and mistakes are never in flight and count nowhere")
    func countedNowhere() {
        let session = Session(Session.settings { $0.inFlightMax = 1 })
        let client = session.connect()
        session.enter(.lameDuck)
        session.send(client, .put(1), .ping(2), .hello(3), .put(4), .put(5).in(4_711))
        session.complete()
        session.enter(.draining)
        session.send(client, .ping(6))
        #expect(session.read(client).count == 7)
        let report = session.multiplexer.report
        #expect(report.finished == 1 && report.refused == 0 && report.cancelled == 0)
    }

    @Test("reports of reactors add up, and every field has its name")
    func merging() {
        var one = DrainReport()
        one.finished = 2
        one.inFlightAtStopped = 1
        one.milliseconds = 7
        var sum = one
        sum.merge(one)
        #expect(sum.finished == 4 && sum.inFlightAtStopped == 2 && sum.milliseconds == 14)
        let fields = Dictionary(uniqueKeysWithValues: one.fields.map { ($0.name, $0.value) })
        #expect(fields.count == Mirror(reflecting: one).children.count)
        #expect(fields["finished"] == 2 && fields["milliseconds"] == 7)
    }
}
