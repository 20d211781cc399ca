import PrismCore
import PrismWire
import Testing

/// An answer too large for a client that does not read is replaced by a small refusal, which is an answer like any other.
@Suite struct ReplacedAnswerTests {
    private func session() -> Session {
        Session(Session.settings { $0.bufferedBytesPerConnectionMax = 1_000 })
    }

    private func value(_ count: Int) -> [UInt8] { Pack.data(16, Pack.data(2, [UInt8](repeating: 0, count: count))) }

    @Test("in a transaction it poisons the handle: a commit behind it cannot go through")
    func poisons() {
        let session = session()
        let client = session.connect()
        let handle = session.begin(client)
        session.send(client, .get(1).in(handle), .commit(2).in(handle))
        session.complete(body: value(10_000))
        #expect(
            session.read(client) == [
                "1 RESOURCE_EXHAUSTED stream NOT_EXECUTED", "2 FAILED_PRECONDITION queue NOT_EXECUTED",
            ])
    }

    @Test("of a write in a transaction it does not say EXECUTED: the poisoned handle cannot commit it")
    func writeInTransaction() {
        let session = session()
        let client = session.connect()
        let handle = session.begin(client)
        session.send(client, .query(1, "update t set a = 1 returning a").in(handle))
        session.complete(body: value(10_000))
        #expect(session.read(client) == ["1 RESOURCE_EXHAUSTED stream NOT_EXECUTED"])
    }

    @Test("nor does a stream that is cut there say UNKNOWN")
    func streamInTransaction() {
        let session = session()
        let client = session.connect()
        let handle = session.begin(client)
        session.send(client, .query(1, "select * from f()").in(handle))
        session.part(bytes: 20_000)
        #expect(session.read(client) == ["1 RESOURCE_EXHAUSTED stream NOT_EXECUTED"])
    }

    @Test("a failure is never replaced: EXECUTED would be said of a write that did not happen")
    func failuresStay() {
        let session = session()
        let client = session.connect()
        session.send(client, .put(1))
        // A field that nobody knows makes the answer long.
        let padding = Pack.data(60, [UInt8](repeating: 0x20, count: 10_000))
        session.complete(.alreadyExists, body: padding)
        #expect(session.read(client) == ["1 ALREADY_EXISTS execute NOT_EXECUTED"])
    }

    @Test("many streams at once are held to the same room: the part that does not fit ends its stream")
    func manyStreams() {
        let session = session()
        let client = session.connect()
        session.send(client, .query(1).readOnly(), .query(2).readOnly(), .query(3))
        session.part(bytes: 3_000)
        session.part(bytes: 9_000)
        #expect(session.cancels == 1)
        session.part(bytes: 500)
        session.complete()
        session.part(bytes: 9_000)
        #expect(
            session.read(client) == [
                "1 part", "1 RESOURCE_EXHAUSTED stream NOT_EXECUTED", "2 part", "2 OK",
                "3 RESOURCE_EXHAUSTED stream UNKNOWN",
            ])
        session.disconnect(client)
        session.expectNothingLeft()
    }

    @Test("clients that do not read fill half of the buffers; of the rest everybody has an equal part")
    func shares() {
        let session = Session(
            Session.settings {
                $0.bufferedBytesMax = 40_000
                $0.bufferedBytesPerConnectionMax = 40_000
            })
        let (hog, other) = (session.connect(), session.connect())
        session.send(hog, .get(1), .get(2), .get(3))
        for _ in 0..<3 { session.complete(body: value(9_000)) }
        // 18,000 bytes wait. Half are 20,000; of the other half the hog's part is 10,000.
        let text = "select " + String(repeating: "1", count: 3_000)
        session.send(hog, .query(4, text))
        session.send(other, .query(1, text))
        #expect(session.submitted.count == 1)
        session.complete(body: value(5_000))
        #expect(session.read(other) == ["1 OK"])
        #expect(
            session.read(hog) == [
                "1 OK", "2 OK", "3 RESOURCE_EXHAUSTED stream NOT_EXECUTED",
                "4 RESOURCE_EXHAUSTED admission NOT_EXECUTED",
            ])
        session.send(hog, .get(5))
        session.complete(body: value(9_000))
        #expect(session.read(hog) == ["5 OK"])
    }
}
