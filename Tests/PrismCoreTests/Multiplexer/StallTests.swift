import PrismCore
import PrismWire
import Testing

@Suite("Multiplexer: streams that are not read") struct StallTests {
    private func session() -> Session {
        Session(
            Session.settings { settings in
                settings.streamWindowBytes = 1_000
                settings.streamStallNanoseconds = 1_000_000_000
            })
    }

    @Test("a stream that waits for its client is to give way after the limit, and again each time that it passes")
    func gives() {
        let session = session()
        let client = session.connect()
        session.send(client, .query(1).readOnly())
        let work = session.submitted[0].reference
        session.part(bytes: 1_000)
        session.advance(microseconds: 999_999)
        #expect(session.gaveWay.isEmpty)
        session.advance(microseconds: 1)
        #expect(session.gaveWay == [work])
        session.advance(microseconds: 1_000_000)
        #expect(session.gaveWay == [work, work])
        session.disconnect(client)
        session.expectNothingLeft()
    }

    @Test("one that is read, however late, is not; nor one that has nothing to be read")
    func read() {
        let session = session()
        let client = session.connect()
        session.send(client, .query(1).readOnly())
        for _ in 0..<3 {
            session.part(bytes: 1_000)
            session.advance(microseconds: 999_999)
            _ = session.read(client)
        }
        session.advance(microseconds: 10_000_000)
        #expect(session.gaveWay.isEmpty)
        session.part(bytes: 1_000)
        session.advance(microseconds: 999_999)
        #expect(session.gaveWay.isEmpty)
    }

    @Test("half a window in the time is enough, less is not: a byte now and then holds no connection")
    func trickle() {
        for (bytes, isStalled) in [(499, true), (500, false)] {
            let session = session()
            let client = session.connect()
            session.send(client, .query(1).readOnly())
            session.part(bytes: 2_000)
            for _ in 0..<bytes {
                session.multiplexer.wrote(client, count: 1, now: session.now)
                session.advance(microseconds: 1_000)
            }
            session.advance(microseconds: 1_000_000 - UInt64(bytes) * 1_000)
            #expect(session.gaveWay.isEmpty != isStalled)
        }
    }

    @Test("on a connection that is not read, further streams are to give way as soon as they send")
    func further() {
        let session = session()
        let client = session.connect()
        session.send(client, .query(1).readOnly())
        session.part(bytes: 1_000)
        session.advance(microseconds: 1_000_000)
        session.complete()
        session.send(client, .query(2).readOnly())
        let second = session.submitted[0].reference
        #expect(session.gaveWay.count == 1)
        session.part(bytes: 10)
        #expect(session.gaveWay.last == second)
        _ = session.read(client)
        session.part(bytes: 10)
        #expect(session.gaveWay.count == 2)
    }

    @Test("a stream that has given way is counted under its limit")
    func counted() {
        let session = session()
        let client = session.connect()
        session.send(client, .query(1).readOnly())
        let work = session.submitted[0]
        session.part(bytes: 1_000)
        session.advance(microseconds: 1_000_000)
        var body = ByteQueue()
        ResponseBody.append(Failure.streamStalled, to: &body)
        session.multiplexer.completed(
            Completion(reference: work.reference, kind: .final, code: .resourceExhausted, stage: .stream),
            body: body.bytes, now: session.now)
        #expect(session.read(client) == ["1 part", "1 RESOURCE_EXHAUSTED stream NOT_EXECUTED"])
        #expect(session.multiplexer.metrics.limitsReached[.streamStall] == 1)
    }

    @Test("in a transaction it is the idle limit that ends it, whether or not others wait")
    func transaction() {
        let session = session()
        let client = session.connect()
        let handle = session.begin(client, readOnly: true)
        session.cancelOutcome = .stopped
        session.send(client, .query(1).readOnly().in(handle))
        session.part(bytes: 1_000)
        session.advance(microseconds: 9_999_999)
        #expect(session.gaveWay.isEmpty)
        #expect(session.abandoned.isEmpty)
        session.advance(microseconds: 1)
        #expect(session.abandoned.count == 1)
        #expect(session.read(client) == ["1 part", "1 ABORTED stream NOT_EXECUTED"])
    }

    @Test("one in a transaction that is read goes on, and what it computes between its parts is no idleness")
    func transactionThatIsRead() {
        let session = session()
        let client = session.connect()
        let handle = session.begin(client, readOnly: true)
        session.send(client, .query(1).readOnly().in(handle).timeout(microseconds: 3_600_000_000))
        for _ in 0..<3 {
            session.part(bytes: 1_000)
            session.advance(microseconds: 9_000_000)
            _ = session.read(client)
        }
        session.advance(microseconds: 9_000_000)
        session.part(bytes: 1_000)
        session.advance(microseconds: 9_000_000)
        #expect(session.abandoned.isEmpty)
        // The request is over: the time until the next one begins now.
        _ = session.read(client)
        session.complete()
        session.advance(microseconds: 9_999_999)
        #expect(session.abandoned.isEmpty)
        session.advance(microseconds: 1)
        #expect(session.abandoned.count == 1)
    }
}
