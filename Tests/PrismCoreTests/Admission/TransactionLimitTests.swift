import PrismCore
import PrismWire
import Testing

/// A transaction that is open goes on at the limits of its client, because what it holds, others wait for.
@Suite struct TransactionLimitTests {
    static let full = "RESOURCE_EXHAUSTED admission NOT_EXECUTED"

    /// Its client is at the limit of its rule, and one transaction is open.
    static func atLimit() -> (session: Session, client: ConnectionReference, handle: UInt64) {
        let session = ClientLimitTests.limited { $0.inFlight = 2 }
        let client = session.connect(uid: 1)
        let handle = session.begin(client)
        session.send(client, .put(1), .put(2), .put(3))
        #expect(session.read(client) == ["3 \(full)"])
        return (session, client, handle)
    }

    @Test("one statement at a time, and then Commit, at the client's limit of requests", arguments: [true, false])
    func goesOn(_ commits: Bool) {
        let (session, client, handle) = Self.atLimit()
        for id in UInt64(10)...12 {
            session.send(client, .put(id).in(handle))
            session.complete(session.submitted.last!)
        }
        session.send(client, commits ? .commit(13).in(handle) : .rollback(13).in(handle))
        session.complete(session.submitted.last!, ended: true)
        #expect(session.read(client).suffix(4) == ["10 OK", "11 OK", "12 OK", "13 OK"])
        #expect(session.multiplexer.openTransactions == 0)
        session.disconnect(client)
        session.expectNothingLeft()
    }

    @Test("a second statement at the same time is refused and poisons; Rollback passes even so")
    func oneAtATime() {
        let (session, client, handle) = Self.atLimit()
        session.send(client, .put(10).in(handle), .put(11).in(handle), .rollback(12).in(handle))
        let statement = session.submitted.last!
        #expect(session.multiplexer.inFlight == 5)
        session.complete(statement)
        session.complete(session.submitted.last!, ended: true)
        #expect(session.read(client) == ["10 OK", "11 \(Self.full)", "12 OK"])
        session.disconnect(client)
        session.expectNothingLeft()
    }

    @Test("what may pass the limits has a limit: two requests of each transaction")
    func total() {
        let session = Session(
            Session.settings {
                $0.inFlightMax = 4
                $0.transactionsMax = 2
            })
        let client = session.connect()
        let handles = [session.begin(client, id: 901), session.begin(client, id: 902)]
        for id in UInt64(1)...6 { session.send(client, .put(id)) }
        #expect(session.multiplexer.inFlight == 4)
        for (number, handle) in handles.enumerated() {
            let first = UInt64(number + 1) * 100
            session.send(client, .put(first).in(handle))
            for id in first + 1...first + 9 { session.send(client, .commit(id).in(handle)) }
        }
        #expect(session.multiplexer.inFlight == 8)
        _ = session.read(client)
        session.disconnect(client)
        session.expectNothingLeft()
    }

    @Test("at the limit of bytes a small statement passes, and a large one as long as there is room for it at all")
    func bytes() {
        let session = ClientLimitTests.limited { $0.bufferedBytes = 20_000 }
        let client = session.connect(uid: 1)
        let handle = session.begin(client)
        session.send(client, .put(1, String(repeating: "k", count: 900)))
        session.send(client, .query(2, String(repeating: " ", count: 18_900) + "select 1"))
        session.send(client, .query(3, String(repeating: " ", count: 500) + "select 1"))
        #expect(session.read(client) == ["3 \(Self.full)"])
        session.send(client, .query(4, String(repeating: " ", count: 6_000) + "select 1").in(handle))
        #expect(session.read(client) == [])
        session.send(client, .commit(5).in(handle))
        #expect(session.multiplexer.inFlight == 4)
        session.disconnect(client)
        session.expectNothingLeft()
    }
}
