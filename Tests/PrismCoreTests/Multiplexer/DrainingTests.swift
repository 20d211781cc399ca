import PrismCore
import PrismWire
import Testing

/// CONTRACT 6, as one reactor carries it out.
@Suite struct DrainingTests {
    @Test("lame duck admits everything and is announced to who said Hello")
    func lameDuck() {
        let session = Session()
        let (client, silent) = (session.connect(), session.connect())
        session.send(client, .hello(1))
        _ = session.read(client)
        session.enter(.lameDuck)
        let notice = session.answers(client)
        #expect(notice.map(\.description) == ["0 OK"])
        #expect(notice.first?.payload == 63)
        #expect(session.read(silent).isEmpty)
        session.send(silent, .put(2), .begin(3))
        session.complete()
        session.complete()
        #expect(session.read(silent) == ["2 OK", "3 OK"])
    }

    @Test("draining finishes what is in flight and open transactions, answers control, refuses the rest")
    func draining() {
        let session = Session()
        let client = session.connect()
        let handle = session.begin(client)
        session.send(client, .put(1))
        session.enter(.draining)
        session.send(
            client, .put(2), .begin(3), .ping(4), .hello(5), .cancel(6, of: 99), .put(7).in(handle), .get(8).in(4_711))
        session.complete()
        session.complete()
        #expect(
            session.read(client) == [
                "2 UNAVAILABLE admission NOT_EXECUTED", "3 UNAVAILABLE admission NOT_EXECUTED", "4 OK", "5 OK", "6 OK",
                "8 UNAVAILABLE admission NOT_EXECUTED", "1 OK", "7 OK",
            ])
        session.send(client, .commit(9).in(handle))
        session.complete(ended: true)
        #expect(session.read(client) == ["9 OK"])
        #expect(session.multiplexer.report.refused == 3)
        #expect(session.multiplexer.report.finished == 3)
        #expect(session.multiplexer.activity.transactions == 0)
    }

    @Test("cancelling refuses all that is still read, shuts reading down, and rolls open transactions back")
    func cancelling() {
        let session = Session()
        let client = session.connect()
        let handle = session.begin(client)
        session.send(client, .put(1))
        session.enter(.draining)
        session.enter(.cancelling)
        #expect(session.readingShutDown == [client])
        #expect(session.abandoned.count == 1)
        session.send(client, .ping(2), .put(3), .put(4).in(handle))
        let answers = session.read(client)
        #expect(answers[0] == "1 UNAVAILABLE queue NOT_EXECUTED")
        #expect(Set(answers.dropFirst()) == Set((2...4).map { "\($0) UNAVAILABLE admission NOT_EXECUTED" }))
        session.endSending(client)
        #expect(session.closed == [client])
        session.expectNothingLeft()
        #expect(session.multiplexer.report.cancelled == 1)
        #expect(session.multiplexer.report.transactionsRolledBack == 1)
    }

    @Test("a client that connects while the sidecar is cancelling is told, not left")
    func connectsLate() {
        let session = Session()
        session.enter(.cancelling)
        let client = session.connect()
        #expect(session.readingShutDown == [client])
        session.send(client, .put(1))
        session.endSending(client)
        #expect(session.read(client) == ["1 UNAVAILABLE admission NOT_EXECUTED"])
        #expect(session.closed == [client])
    }

    @Test("activity counts what keeps the next state waiting, unflushed answers only while cancelling")
    func activity() {
        let session = Session()
        let client = session.connect()
        session.send(client, .ping(1), .put(2))
        #expect(session.multiplexer.activity == .init(clients: 1, inFlight: 1, transactions: 0, unflushed: 0))
        session.enter(.cancelling)
        #expect(session.multiplexer.activity == .init(clients: 1, inFlight: 0, transactions: 0, unflushed: 1))
        session.endSending(client)
        #expect(session.multiplexer.activity.unflushed == 1)
        _ = session.read(client)
        #expect(session.multiplexer.activity == .init())
    }

    @Test("states only go forward")
    func forwardOnly() {
        let session = Session()
        session.enter(.draining)
        session.enter(.lameDuck)
        #expect(session.multiplexer.phase == .draining)
    }

    @Test("what was read and waited for room behind a hung request is refused at the end, not left without an answer")
    func pausedAtTheEnd() {
        let session = Session(Session.settings { $0.inFlightPerConnectionMax = 1 })
        let client = session.connect()
        session.send(client, .put(1), .put(2), .ping(3))
        session.cancelOutcome = .tooLate
        session.enter(.draining)
        session.enter(.cancelling)
        #expect(session.read(client).isEmpty)
        session.multiplexer.enter(.stopped, reason: "test", budgetLeftNanoseconds: 0, now: session.now)
        // The shell writes what there is and closes; it does not settle again.
        let output = session.multiplexer.output(client).flatMap { Answer.all($0) } ?? []
        #expect(
            output.map(\.description) == [
                "1 UNAVAILABLE execute UNKNOWN", "2 UNAVAILABLE admission NOT_EXECUTED",
                "3 UNAVAILABLE admission NOT_EXECUTED",
            ])
    }

    @Test("a transaction that ran out of its limits is not open: draining does not wait for its Rollback")
    func abortedTransactionIsNotOpen() {
        let session = Session()
        let client = session.connect()
        let handle = session.begin(client)
        session.enter(.draining)
        #expect(session.multiplexer.activity.transactions == 1)
        session.advance(microseconds: 1_000_000)
        #expect(session.multiplexer.activity.transactions == 0)
        session.send(client, .rollback(1).in(handle))
        #expect(session.read(client) == ["1 OK"])
    }
}
