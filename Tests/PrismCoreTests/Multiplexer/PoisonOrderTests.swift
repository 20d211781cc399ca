import PrismCore
import PrismWire
import Testing

/// A request that fails before its turn poisons its transaction in its turn: behind what was sent before it.
@Suite struct PoisonOrderTests {
    @Test(
        "a RollbackTo sent before a request that failed while it waited does not revive the handle for a Commit behind it"
    )
    func earlierRollbackTo() {
        let session = Session()
        let client = session.connect()
        let handle = session.begin(client)
        session.send(client, .rollbackTo(1).in(handle), .put(2).in(handle), .commit(3).in(handle), .cancel(4, of: 2))
        #expect(session.read(client) == ["2 CANCELLED queue NOT_EXECUTED", "4 OK"])
        session.complete()
        #expect(session.read(client) == ["1 OK", "3 FAILED_PRECONDITION queue NOT_EXECUTED"])
    }

    @Test("the same when nothing is waiting behind it yet")
    func earlierRollbackToAndNothingBehind() {
        let session = Session()
        let client = session.connect()
        let handle = session.begin(client)
        session.send(client, .rollbackTo(1).in(handle), .put(2).in(handle), .cancel(3, of: 2))
        session.complete()
        session.send(client, .commit(4).in(handle))
        #expect(
            session.read(client) == [
                "2 CANCELLED queue NOT_EXECUTED", "3 OK", "1 OK", "4 FAILED_PRECONDITION queue NOT_EXECUTED",
            ])
        session.send(client, .rollbackTo(5).in(handle))
        session.complete()
        session.send(client, .put(6).in(handle))
        session.complete()
        #expect(session.read(client) == ["5 OK", "6 OK"])
    }

    @Test("a RollbackTo sent behind it revives the handle; what was sent before it is carried out")
    func laterRollbackTo() {
        let session = Session()
        let client = session.connect()
        let handle = session.begin(client)
        session.send(
            client, .put(1).in(handle), .put(2).in(handle), .put(3).in(handle), .put(4).in(handle),
            .rollbackTo(5).in(handle), .cancel(6, of: 3))
        for _ in 1...3 { session.complete() }
        #expect(
            session.read(client) == [
                "3 CANCELLED queue NOT_EXECUTED", "6 OK", "1 OK", "2 OK", "4 FAILED_PRECONDITION queue NOT_EXECUTED",
                "5 OK",
            ])
        session.send(client, .commit(7).in(handle))
        session.complete(ended: true)
        #expect(session.read(client) == ["7 OK"])
        session.disconnect(client)
        session.expectNothingLeft()
    }

    @Test("a deadline that had passed on arrival is answered at once, and poisons in its turn")
    func expiredOnArrival() {
        let session = Session()
        let client = session.connect()
        let handle = session.begin(client)
        var expired = TestRequest.put(2).in(handle)
        expired.deadlineNanoseconds = session.now
        session.send(client, .put(1).in(handle), expired, .commit(3).in(handle))
        #expect(session.read(client) == ["2 DEADLINE_EXCEEDED admission NOT_EXECUTED"])
        session.complete()
        #expect(session.read(client) == ["1 OK", "3 FAILED_PRECONDITION queue NOT_EXECUTED"])
    }

    @Test("a refusal that waits for its turn is answered at its deadline")
    func refusalAtItsDeadline() {
        let session = Session()
        let client = session.connect()
        let handle = session.begin(client)
        session.send(client, .put(1).in(handle), .put(2, "").in(handle).timeout(microseconds: 100))
        session.advance(microseconds: 99)
        #expect(session.read(client).isEmpty)
        session.advance(microseconds: 1)
        #expect(session.read(client) == ["2 INVALID_ARGUMENT decode NOT_EXECUTED"])
        session.complete()
        session.send(client, .commit(3).in(handle))
        #expect(session.read(client) == ["1 OK", "3 FAILED_PRECONDITION queue NOT_EXECUTED"])
    }
}
