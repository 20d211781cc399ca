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
}
