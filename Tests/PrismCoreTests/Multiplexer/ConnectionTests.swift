import PrismCore
import PrismWire
import Testing

/// CONTRACT 1: frames, ids, half-close, and what ends a connection.
@Suite struct ConnectionTests {
    @Test("a request is read the same wherever its bytes are split")
    func everySplit() {
        let bytes = [TestRequest.ping(1, "abc"), .put(2), .ping(3)].flatMap(\.frame)
        for split in 0...bytes.count {
            let session = Session()
            let client = session.connect()
            session.send(client, bytes: Array(bytes[..<split]))
            session.send(client, bytes: Array(bytes[split...]))
            session.complete()
            #expect(session.read(client) == ["1 OK", "3 OK", "2 OK"], "split at \(split)")
        }
        let session = Session()
        let client = session.connect()
        for byte in bytes { session.send(client, bytes: [byte]) }
        session.complete()
        #expect(session.read(client) == ["1 OK", "3 OK", "2 OK"])
    }

    @Test("the less is read of a connection in one turn the more others could wait for it")
    func turns() {
        let session = Session()
        _ = session.connect(uid: 1)
        #expect(session.multiplexer.turnBytes == 8_192)
        let second = session.connect(uid: 1)
        #expect(session.multiplexer.turnBytes == 2_048)
        let other = session.connect(uid: 2)
        #expect(session.multiplexer.turnBytes == 512)
        session.multiplexer.connectionLost(other, now: session.now)
        #expect(session.multiplexer.turnBytes == 2_048)
        session.multiplexer.connectionLost(second, now: session.now)
        #expect(session.multiplexer.turnBytes == 8_192)
    }

    @Test("what ends a connection: one last answer with id 0, its requests cancelled unanswered, a neighbour unharmed")
    func protocolErrors() {
        let broken: [(String, [UInt8], String)] = [
            ("a length of 0", [0, 0, 0, 0], "length 0"),
            ("a length above the limit", [0xFF, 0xFF, 0xFF, 0xFF], "limits.frame_bytes"),
            ("not decodable", Pack.frame([0xFF, 0xFF]), "not a Request"),
            ("id 0", TestRequest.ping(0).frame, "id 0"),
            ("a duplicate id", TestRequest.ping(7).frame, "id 7"),
        ]
        for (name, bytes, message) in broken {
            let session = Session()
            let (client, neighbour) = (session.connect(), session.connect())
            session.send(client, .put(7))
            session.send(neighbour, .put(7))
            session.send(client, bytes: bytes + TestRequest.ping(9).frame)
            let answers = session.answers(client)
            #expect(answers.map(\.description) == ["0 INVALID_ARGUMENT decode NOT_EXECUTED"], "\(name)")
            #expect(answers.first?.message.contains(message) == true, "\(name): \(answers)")
            #expect(session.closed == [client], "\(name)")
            #expect(session.cancels == 1, "\(name)")
            session.complete()
            #expect(session.read(neighbour) == ["7 OK"], "\(name)")
            session.disconnect(neighbour)
            session.expectNothingLeft()
        }
    }

    @Test("a connection in error that does not read its last answer is closed after the linger time")
    func linger() {
        let session = Session()
        let client = session.connect()
        session.send(client, bytes: [0, 0, 0, 0])
        session.advance(microseconds: 999_999)
        #expect(session.closed.isEmpty)
        session.advance(microseconds: 1)
        #expect(session.closed == [client])
        session.expectNothingLeft()
    }

    @Test("an id is free again once its final answer is queued")
    func idIsFreeAgain() {
        let session = Session()
        let client = session.connect()
        for _ in 0..<3 {
            session.send(client, .put(7))
            session.complete()
        }
        #expect(session.read(client) == ["7 OK", "7 OK", "7 OK"])
    }

    @Test("the end of the client's sending side only ends its requests: answers still go out, then it closes")
    func halfClose() {
        let session = Session()
        let client = session.connect()
        session.send(client, .put(1), .put(2))
        session.send(client, bytes: Array(TestRequest.put(3).frame.dropLast()))
        session.endSending(client)
        session.complete()
        #expect(session.read(client) == ["1 OK"])
        #expect(session.closed.isEmpty)
        session.complete()
        #expect(session.closed.isEmpty, "the answer is not read yet")
        #expect(session.read(client) == ["2 OK"])
        #expect(session.closed == [client])
        session.expectNothingLeft()
        #expect(session.multiplexer.metrics.unansweredAtClose == 0)
    }

    @Test("what a half-closed client had sent while it was not read is still answered")
    func halfCloseWhilePaused() {
        let session = Session(Session.settings { $0.inFlightPerConnectionMax = 1 })
        let client = session.connect()
        session.send(client, .put(1), .put(2), .put(3))
        #expect(session.paused == [client])
        session.endSending(client)
        for _ in 1...3 { session.complete() }
        #expect(session.read(client) == ["1 OK", "2 OK", "3 OK"])
        #expect(session.closed == [client])
        session.expectNothingLeft()
    }

    @Test("requests above the limit of a connection wait in its input, unread, and none is lost")
    func inFlightLimitOfAConnection() {
        let session = Session(Session.settings { $0.inFlightPerConnectionMax = 2 })
        let client = session.connect()
        session.send(client, .put(1), .put(2), .put(3), .ping(4))
        #expect(session.submitted.count == 2)
        #expect(session.paused == [client])
        session.complete()
        #expect(session.submitted.count == 2)
        session.complete()
        session.complete()
        #expect(session.read(client) == ["1 OK", "2 OK", "4 OK", "3 OK"])
        #expect(session.paused.isEmpty)
    }

    @Test("a client that does not read is not read either, until it has read")
    func outputLimitOfAConnection() {
        let session = Session(Session.settings { $0.bufferedBytesPerConnectionMax = 1_000 })
        let client = session.connect()
        let payload = String(repeating: "p", count: 400)
        session.send(client, .ping(1, payload), .ping(2, payload), .ping(3, payload), .ping(4, payload))
        #expect(session.paused == [client])
        #expect(session.read(client) == ["1 OK", "2 OK", "3 OK"])
        #expect(session.read(client) == ["4 OK"])
        #expect(session.paused.isEmpty)
    }

    @Test(
        "an answer beyond what may wait for a client is replaced by a small refusal that says whether it was carried out"
    )
    func outputOverrun() {
        let session = Session(Session.settings { $0.bufferedBytesPerConnectionMax = 2_000 })
        let client = session.connect()
        session.send(client, .put(1), .get(2))
        let large = Pack.data(16, Pack.data(2, String(repeating: "v", count: 9_000)))
        session.complete(body: large)
        session.complete(body: large)
        #expect(
            session.read(client) == [
                "1 RESOURCE_EXHAUSTED stream EXECUTED", "2 RESOURCE_EXHAUSTED stream NOT_EXECUTED",
            ])
    }

    @Test("limits in all: in flight, buffered bytes, connections")
    func limitsInAll() {
        let inFlight = Session(Session.settings { $0.inFlightMax = 1 })
        let client = inFlight.connect()
        inFlight.send(client, .put(1), .put(2))
        #expect(inFlight.read(client) == ["2 RESOURCE_EXHAUSTED admission NOT_EXECUTED"])
        inFlight.complete()
        inFlight.send(client, .put(3))
        inFlight.complete()
        #expect(inFlight.read(client) == ["1 OK", "3 OK"])

        let bytes = Session(Session.settings { $0.bufferedBytesMax = 100 })
        let other = bytes.connect()
        bytes.send(other, .put(1, String(repeating: "k", count: 60)), .put(2, String(repeating: "k", count: 60)))
        let answers = bytes.answers(other)
        #expect(answers.map(\.description) == ["2 RESOURCE_EXHAUSTED admission NOT_EXECUTED"])
        #expect(answers.first?.isRetryable == true)

        let connections = Session(Session.settings { $0.connectionsMax = 1 })
        _ = connections.connect()
        #expect(connections.connect().index == -1)
        #expect(connections.multiplexer.metrics.connectionsRefused == 1)
    }

    @Test("a stream is credited when its client has read half of the window")
    func streamCredit() {
        let session = Session(Session.settings { $0.streamWindowBytes = 1_000 })
        let client = session.connect()
        session.send(client, .query(1).readOnly())
        session.part(bytes: 600)
        #expect(session.credited == 0)
        _ = session.read(client)
        #expect(session.credited > 600)
        session.complete()
        #expect(session.read(client) == ["1 OK"])
    }

    @Test("control operations answer at once, also while others are in flight")
    func control() {
        let session = Session()
        let client = session.connect()
        session.send(client, .put(1), .hello(2), .ping(3, "p"), .cancel(4, of: 99))
        let answers = session.answers(client)
        #expect(answers.map(\.description) == ["2 OK", "3 OK", "4 OK"])
        #expect(answers.map(\.payload) == [48, 49, 50])
        #expect(session.multiplexer.clientList().first?.name == "test")
    }

    @Test("an unknown backend, an unknown handle, and another connection's handle are NOT_FOUND")
    func unknownNames() {
        let session = Session()
        let (client, other) = (session.connect(), session.connect())
        let handle = session.begin(client)
        session.send(other, .get(1).on("nowhere"), .get(2).in(12_345), .get(3).in(handle), .commit(4).in(handle))
        #expect(session.read(other) == (1...4).map { "\($0) NOT_FOUND admission NOT_EXECUTED" })
        session.send(client, .get(5).in(handle))
        session.complete()
        #expect(session.read(client) == ["5 OK"])
    }

    @Test("a peer that no rule admits is told so with id 0 and closed")
    func noRule() {
        let session = Session(Session.settings { $0.access = AccessPolicy(rules: [.init(uid: 1)]) })
        let client = session.connect(uid: 2)
        #expect(session.read(client) == ["0 PERMISSION_DENIED admission NOT_EXECUTED"])
        #expect(session.closed == [client])
        session.expectNothingLeft()
    }
}
