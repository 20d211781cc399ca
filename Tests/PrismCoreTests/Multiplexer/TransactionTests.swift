import PrismCore
import PrismWire
import Testing

/// CONTRACT 3: a handle's requests run in the order sent; a final status but OK poisons it; limits end it.
@Suite struct TransactionTests {
    @Test("requests of a handle run one after another in the order sent, those of other handles beside them")
    func order() {
        let session = Session()
        let client = session.connect()
        let (first, second) = (session.begin(client, id: 901), session.begin(client, id: 902))
        session.send(client, .put(1).in(first), .put(2).in(first), .put(3).in(second))
        #expect(session.submitted.count == 2)
        session.complete()
        #expect(session.submitted.count == 2)
        session.complete()
        session.complete()
        #expect(session.read(client) == ["1 OK", "3 OK", "2 OK"])
    }

    @Test("a request that is refused waits for its turn: it poisons what comes after it, not what came before")
    func refusalsKeepTheOrder() {
        let session = Session()
        let client = session.connect()
        let handle = session.begin(client)
        session.send(client, .put(1).in(handle), .put(2, "").in(handle), .put(3).in(handle))
        #expect(session.read(client).isEmpty)
        session.complete()
        #expect(
            session.read(client) == [
                "1 OK", "2 INVALID_ARGUMENT decode NOT_EXECUTED", "3 FAILED_PRECONDITION queue NOT_EXECUTED",
            ])
    }

    /// How a handle comes to be poisoned.
    enum Poison: CaseIterable { case failure, refusal, deadline, cancelWaiting }

    @Test("whatever fails poisons the handle: then only Rollback or RollbackTo", arguments: Poison.allCases)
    func poisoning(poison: Poison) {
        let session = Session()
        let client = session.connect()
        let handle = session.begin(client)
        switch poison {
        case .failure:
            session.send(client, .put(1).in(handle))
            session.complete(.alreadyExists)
        case .refusal: session.send(client, .put(1, "").in(handle))
        case .deadline:
            session.send(client, .put(1).in(handle).timeout(microseconds: 10))
            session.cancelOutcome = .stopped
            session.advance(microseconds: 10)
        case .cancelWaiting:
            session.send(client, .put(0x10).in(handle), .put(1).in(handle), .cancel(2, of: 1))
            session.complete()
        }
        #expect(session.answers(client).contains { $0.id == 1 && $0.code != .ok })
        session.send(client, .put(3).in(handle), .savepoint(4).in(handle), .commit(5).in(handle))
        #expect(session.read(client) == (3...5).map { "\($0) FAILED_PRECONDITION queue NOT_EXECUTED" })
        session.send(client, .rollbackTo(6).in(handle))
        session.complete()
        session.send(client, .put(7).in(handle))
        session.complete()
        session.send(client, .rollback(8).in(handle))
        session.complete(ended: true)
        #expect(session.read(client) == ["6 OK", "7 OK", "8 OK"])
        session.send(client, .put(9).in(handle))
        #expect(session.read(client) == ["9 NOT_FOUND admission NOT_EXECUTED"])
        session.disconnect(client)
        session.expectNothingLeft()
    }

    @Test("a failure that ended the transaction in the database leaves only Rollback, which then needs no database")
    func endedInBackend() {
        let session = Session()
        let client = session.connect()
        let handle = session.begin(client)
        session.send(client, .put(1).in(handle))
        session.complete(.resourceExhausted, ended: true)
        session.send(client, .rollbackTo(2).in(handle), .rollback(3).in(handle))
        #expect(session.submitted.isEmpty)
        #expect(
            session.read(client) == [
                "1 RESOURCE_EXHAUSTED execute NOT_EXECUTED", "2 FAILED_PRECONDITION queue NOT_EXECUTED", "3 OK",
            ])
        #expect(session.abandoned.isEmpty)
        session.disconnect(client)
        session.expectNothingLeft()
    }

    @Test("requests sent behind a Commit find no transaction any more")
    func behindTheEnd() {
        let session = Session()
        let client = session.connect()
        let handle = session.begin(client)
        session.send(client, .commit(1).in(handle), .put(2).in(handle), .rollback(3).in(handle))
        session.complete(ended: true)
        #expect(
            session.read(client) == ["1 OK", "2 NOT_FOUND queue NOT_EXECUTED", "3 NOT_FOUND queue NOT_EXECUTED"])
        session.disconnect(client)
        session.expectNothingLeft()
    }

    @Test("a Begin that fails opens nothing")
    func beginFails() {
        let session = Session()
        let client = session.connect()
        session.send(client, .begin(1))
        session.complete(.unavailable)
        #expect(session.read(client) == ["1 UNAVAILABLE execute NOT_EXECUTED"])
        #expect(session.multiplexer.openTransactions == 0)
        session.disconnect(client)
        session.expectNothingLeft()
    }

    @Test(
        "the idle limit of a read-write and a read-only transaction; a request in flight is not idle",
        arguments: [false, true])
    func idleLimit(readOnly: Bool) {
        let limit: UInt64 = readOnly ? 10_000_000 : 1_000_000
        let session = Session()
        let client = session.connect()
        let handle = session.begin(client, readOnly: readOnly)
        session.advance(microseconds: limit - 1)
        session.send(client, .get(1).in(handle))
        session.advance(microseconds: limit - 1)
        session.complete()
        session.advance(microseconds: limit - 1)
        #expect(session.read(client) == ["1 OK"])
        #expect(session.abandoned.isEmpty)
        session.advance(microseconds: 1)
        #expect(session.abandoned.count == 1)
        session.send(client, .get(2).in(handle), .commit(3).in(handle), .rollbackTo(4).in(handle))
        #expect(session.read(client) == (2...4).map { "\($0) ABORTED queue NOT_EXECUTED" })
        session.send(client, .rollback(5).in(handle))
        #expect(session.read(client) == ["5 OK"])
        session.disconnect(client)
        session.expectNothingLeft()
    }

    @Test("the total limit aborts what is running and what waits")
    func totalLimit() {
        let session = Session()
        let client = session.connect()
        let handle = session.begin(client)
        session.send(client, .query(1).in(handle), .put(2).in(handle))
        session.cancelOutcome = .stopped
        session.advance(microseconds: 5_000_000)
        #expect(session.read(client) == ["1 ABORTED execute NOT_EXECUTED", "2 ABORTED queue NOT_EXECUTED"])
        session.disconnect(client)
        session.expectNothingLeft()
    }

    @Test("a limit that passes while a commit is on its way leaves it alone")
    func limitDuringCommit() {
        let session = Session()
        let client = session.connect()
        let handle = session.begin(client)
        session.advance(microseconds: 900_000)
        session.send(client, .commit(1).in(handle))
        session.advance(microseconds: 10_000_000)
        #expect(session.cancels == 0)
        session.complete(ended: true)
        #expect(session.read(client) == ["1 OK"])
        session.disconnect(client)
        session.expectNothingLeft()
    }

    @Test("a connection that is lost rolls its transactions back, whatever runs in them")
    func disconnect() {
        let session = Session()
        let client = session.connect()
        let handle = session.begin(client, id: 901)
        _ = session.begin(client, id: 902)
        session.send(client, .put(1).in(handle), .put(2).in(handle), .begin(3))
        session.disconnect(client)
        #expect(session.abandoned.count == 3)
        session.expectNothingLeft()
    }

    @Test("a write in a read-only transaction is refused, and a backend other than the transaction's own")
    func foreignRequests() {
        let session = Session()
        let client = session.connect()
        let handle = session.begin(client, id: 901, readOnly: true)
        session.send(client, .put(1).in(handle))
        #expect(session.read(client) == ["1 INVALID_ARGUMENT admission NOT_EXECUTED"])
        let other = session.begin(client, id: 902)
        session.send(client, .get(2).in(other).on("other"), .begin(3).in(other), .commit(4))
        #expect(session.multiplexer.metrics.invariantViolations == 0)
        #expect(
            session.read(client) == [
                "2 INVALID_ARGUMENT admission NOT_EXECUTED", "3 INVALID_ARGUMENT decode NOT_EXECUTED",
                "4 INVALID_ARGUMENT decode NOT_EXECUTED",
            ])
    }

    @Test("no more transactions than the limit; one that ends makes room")
    func limit() {
        let session = Session(Session.settings { $0.transactionsMax = 1 })
        let client = session.connect()
        let handle = session.begin(client)
        session.send(client, .begin(1))
        #expect(session.read(client) == ["1 RESOURCE_EXHAUSTED admission NOT_EXECUTED"])
        session.send(client, .rollback(2).in(handle))
        session.complete(ended: true)
        #expect(session.read(client) == ["2 OK"])
        #expect(session.begin(client) != 0)
    }
}
