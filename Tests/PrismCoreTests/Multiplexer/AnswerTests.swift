import PrismCore
import PrismWire
import Testing

/// What the session makes of a backend's word: payloads, limits of an answer, the log of slow requests.
@Suite struct AnswerTests {
    @Test(
        "Begin, Commit, Rollback, Savepoint and RollbackTo answer with the payload of their name, whatever the backend says"
    )
    func emptyPayloads() {
        let session = Session()
        let client = session.connect()
        let first = session.begin(client, id: 901)
        let second = session.begin(client, id: 902)
        session.send(
            client, .savepoint(1).in(first), .rollbackTo(2).in(first), .commit(3).in(first), .rollback(4).in(second))
        // The backend says nothing; of a Commit that it is replayed (Response.replayed); of a Rollback what is said anyway.
        let bodies: [UInt64: [UInt8]] = [3: Pack.number(6, 1), 4: Pack.data(36, [])]
        for _ in 1...4 {
            guard let work = session.submitted.first else { break }
            let id = work.kind == .commit ? 3 : work.kind == .rollback ? 4 : UInt64(0)
            session.complete(ended: id != 0, body: bodies[id])
        }
        let answers = session.answers(client)
        #expect(answers.count == 4)
        for (id, payload) in [(1, 37), (2, 38), (3, 35), (4, 36)] as [(UInt64, UInt32)] {
            #expect(answers.first { $0.id == id }?.payload == payload, "request \(id)")
        }
        #expect(answers.allSatisfy { $0.code == .ok })
    }

    @Test("a Rollback of what has ended in the database has its payload too; a failure has none")
    func payloadsWithoutBackend() {
        let session = Session()
        let client = session.connect()
        let handle = session.begin(client)
        session.send(client, .commit(1).in(handle))
        session.complete(.aborted, ended: true)
        session.send(client, .rollback(2).in(handle))
        #expect(session.answers(client).map(\.payload) == [0, 36])
    }

    @Test("a result that no frame can hold is refused, and says whether it was carried out; the connection lives on")
    func aboveTheFrameLimit() {
        let session = Session(Session.settings { $0.wire.frameBytesMax = 2_000 })
        let client = session.connect()
        let handle = session.begin(client)
        let large = Pack.data(16, Pack.data(2, String(repeating: "v", count: 2_000)))
        session.send(client, .get(1), .put(2), .put(3).in(handle))
        for _ in 1...3 { session.complete(body: large) }
        let answers = session.answers(client)
        #expect(
            answers.map(\.description) == [
                "1 RESOURCE_EXHAUSTED stream NOT_EXECUTED", "2 RESOURCE_EXHAUSTED stream EXECUTED",
                "3 RESOURCE_EXHAUSTED stream NOT_EXECUTED",
            ])
        #expect(answers.allSatisfy { $0.message.contains("limits.frame_bytes") && !$0.isRetryable })
        session.send(client, .commit(4).in(handle), .rollback(5).in(handle))
        session.complete(ended: true)
        #expect(session.read(client) == ["4 FAILED_PRECONDITION queue NOT_EXECUTED", "5 OK"])
    }

    @Test("an answer of exactly the frame limit goes out")
    func exactlyTheFrameLimit() {
        let session = Session(Session.settings { $0.wire.frameBytesMax = 2_000 })
        let client = session.connect()
        for (extra, code) in [(0, StatusCode.ok), (1, .resourceExhausted)] {
            session.send(client, .get(1))
            let fitting = 2_000 - ResponseFrame.overheadBytesMax
            // Tags and lengths around the value take 7 bytes.
            let body = Pack.data(16, Pack.data(2, String(repeating: "v", count: fitting - 7 + extra)))
            #expect(body.count == fitting + extra)
            session.complete(body: body)
            #expect(session.answers(client).map(\.code) == [code])
        }
    }

    @Test("a part that no frame can hold ends its stream, is counted as a defect, and stops the backend")
    func partAboveTheFrameLimit() {
        let session = Session(Session.settings { $0.wire.frameBytesMax = 2_000 })
        let client = session.connect()
        session.send(client, .query(1).readOnly())
        session.part()
        session.part(bytes: 2_000)
        #expect(session.read(client) == ["1 part", "1 INTERNAL stream NOT_EXECUTED"])
        #expect(session.cancels == 1)
        #expect(session.multiplexer.metrics.invariantViolations == 1)
        session.send(client, .ping(2))
        #expect(session.read(client) == ["2 OK"])
    }

    @Test("a slow request is logged with client, backend and trace id by name")
    func slowRequests() {
        let session = Session(Session.settings { $0.slowRequestNanoseconds = 1_000_000 })
        let (named, unnamed) = (session.connect(), session.connect(uid: 77))
        session.send(named, .hello(1))
        let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        var traced = Pack.number(1, 2) + Pack.data(4, "other") + Pack.data(8, traceparent)
        traced += Pack.data(18, Pack.data(2, "k"))
        session.send(named, bytes: Pack.frame(traced))
        session.send(unnamed, .put(3), .put(4))
        session.advance(microseconds: 999)
        session.complete(session.submitted[2])
        session.advance(microseconds: 1)
        session.complete()
        session.complete()
        let lines = session.logs.compactMap { entry -> String? in
            guard case .slowRequest(_, let client, let backend, let operation, let code, let trace, _, _) = entry else {
                return nil
            }
            return "\(client) \(backend) \(operation) \(code) \(trace?.description ?? "-")"
        }
        #expect(lines == ["test other put OK 4bf92f3577b34da6a3ce929d0e0e4736", "uid 77 main put OK -"])
    }
}
