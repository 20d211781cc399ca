import PrismCore
import PrismWire
import Testing

/// CONTRACT 5: `limits.buffered_bytes` holds for frames that come in parts.
@Suite struct FrameRoomTests {
    static let full = "RESOURCE_EXHAUSTED admission NOT_EXECUTED"

    /// Room for 100,000 bytes; whoever sends more than 1,000 needs a reservation.
    static func session(_ rules: [AccessPolicy.Rule] = [.init(uid: 1), .init(uid: 2), .init(uid: 3)]) -> Session {
        Session(
            Session.settings {
                $0.bufferedBytesMax = 100_000
                $0.unreservedFrameBytes = 1_000
                $0.frameTimeoutNanoseconds = 1_000_000_000
                $0.access = AccessPolicy(rules: rules)
            })
    }

    /// A frame of about so many bytes, in two parts.
    static func large(_ id: UInt64, _ bytes: Int = 20_000) -> (front: [UInt8], rest: [UInt8]) {
        let frame = TestRequest.query(id, String(repeating: " ", count: bytes) + "select 1").frame
        return (Array(frame[..<500]), Array(frame[500...]))
    }

    static func leave(_ session: Session, _ clients: [ConnectionReference]) {
        for client in clients where !session.closed.contains(client) { session.disconnect(client) }
        session.expectNothingLeft()
    }

    @Test(
        "fronts of large frames hold what their whole length takes, and no more than the half that is whoever's comes first"
    )
    func reserved() {
        let session = Self.session()
        let clients = (0..<8).map { _ in session.connect(uid: 1) }
        for client in clients { session.send(client, bytes: Self.large(1).front) }
        #expect(session.paused == Set(clients[2...]))
        #expect((40_000...50_000).contains(session.multiplexer.bufferedBytes))
        // As each becomes whole and is answered, the next one comes in, in the order in which they came.
        for (number, client) in clients.enumerated() {
            #expect(!session.paused.contains(client), "\(number)")
            session.send(client, bytes: Self.large(1).rest)
            session.complete()
            #expect(session.read(client) == ["1 OK"])
            #expect(session.multiplexer.bufferedBytes <= 50_000)
        }
        #expect(session.multiplexer.metrics.limitsReached == [.bufferedBytes: 6])
        Self.leave(session, clients)
    }

    @Test("frames that need no room are served beside any number that wait for some")
    func smallFrames() {
        let session = Self.session()
        let clients = (0..<8).map { _ in session.connect(uid: 1) }
        for client in clients { session.send(client, bytes: Self.large(1).front) }
        for uid in [UInt32(1), 2] {
            let polite = session.connect(uid: uid)
            let frame = TestRequest.get(1).frame
            session.send(polite, bytes: Array(frame[..<6]))
            session.send(polite, bytes: Array(frame[6...]))
            session.complete()
            #expect(session.read(polite) == ["1 OK"])
            session.disconnect(polite)
        }
        Self.leave(session, clients)
    }

    @Test("one class's waiting does not keep another one's large frames out")
    func classes() {
        let session = Self.session()
        let flood = (0..<8).map { _ in session.connect(uid: 1) }
        for client in flood { session.send(client, bytes: Self.large(1).front) }
        let other = session.connect(uid: 2)
        session.send(other, bytes: Self.large(1, 10_000).front)
        #expect(!session.paused.contains(other))
        session.send(other, bytes: Self.large(1, 10_000).rest)
        session.complete()
        #expect(session.read(other) == ["1 OK"])
        Self.leave(session, flood + [other])
    }

    @Test("classes that wait get room in turns, however many of one wait")
    func turns() {
        let session = Self.session()
        let first = session.connect(uid: 1)
        session.send(first, bytes: Self.large(1, 150_000).front)
        let flood = (0..<4).map { _ in session.connect(uid: 2) }
        let late = session.connect(uid: 3)
        for client in flood + [late] { session.send(client, bytes: Self.large(1, 30_000).front) }
        #expect(session.paused == Set(flood + [late]))
        session.disconnect(first)
        // One of each class: the second one although it is more than its class's part, because its class has no other.
        #expect(session.paused == Set(flood[1...]))
        Self.leave(session, flood + [late])
    }

    @Test("a frame larger than all that there is comes in alone, and is refused instead of waiting for ever")
    func largerThanTheLimit() {
        let session = Self.session()
        let clients = [session.connect(uid: 1), session.connect(uid: 2), session.connect(uid: 3)]
        for client in clients { session.send(client, bytes: Self.large(1, 150_000).front) }
        #expect(session.paused == Set(clients[1...]))
        for client in clients {
            session.send(client, bytes: Self.large(1, 150_000).rest)
            #expect(session.read(client) == ["1 \(Self.full)"])
            #expect(session.multiplexer.bufferedBytes <= 152_000)
        }
        Self.leave(session, clients)
    }

    @Test(
        "a rule's limit of bytes: the second frame waits for the first, and is refused when that stays with its backend"
    )
    func rule() {
        var rule = AccessPolicy.Rule(uid: 1)
        rule.limits.bufferedBytes = 30_000
        let session = Self.session([rule, .init(uid: 2)])
        let (first, second) = (session.connect(uid: 1), session.connect(uid: 1))
        session.send(first, bytes: Self.large(1).front)
        session.send(second, bytes: Self.large(1).front)
        #expect(session.paused == [second])
        session.send(first, bytes: Self.large(1).rest)
        #expect(session.paused.isEmpty)
        session.send(second, bytes: Self.large(1).rest)
        #expect(session.read(second) == ["1 \(Self.full)"])
        session.complete()
        #expect(session.read(first) == ["1 OK"])
        #expect(session.multiplexer.metrics.limitsReached == [.ruleBufferedBytes: 2])
        Self.leave(session, [first, second])
    }

    @Test("a frame that had its room is not refused for bytes when it is whole, whatever others hold by then")
    func judgedOnce() {
        let session = Self.session()
        let (first, other) = (session.connect(uid: 1), session.connect(uid: 2))
        session.send(first, bytes: Self.large(1, 45_000).front)
        session.send(other, .get(1))
        session.complete(body: [UInt8](repeating: 0, count: 40_000))
        session.send(first, bytes: Self.large(1, 45_000).rest)
        #expect(session.submitted.count == 1)
        session.complete()
        #expect(session.read(first) == ["1 OK"])
        Self.leave(session, [first, other])
    }

    @Test("who dawdles is ended while others wait, with the limit's name, and not a moment before")
    func dawdling() {
        let session = Self.session()
        let slow = session.connect(uid: 1)
        session.send(slow, bytes: Self.large(1, 150_000).front)
        session.advance(microseconds: 5_000_000)
        #expect(session.multiplexer.nextDeadline == .max, "nobody waits: no timer")
        #expect(session.answers(slow).isEmpty)
        session.disconnect(slow)

        let again = session.connect(uid: 1)
        session.send(again, bytes: Self.large(1, 150_000).front)
        session.advance(microseconds: 400_000)
        let waiting = session.connect(uid: 2)
        session.send(waiting, bytes: Self.large(1).front)
        #expect(session.paused == [waiting])
        session.advance(microseconds: 599_999)
        #expect(session.paused == [waiting])
        session.advance(microseconds: 1)
        let last = session.answers(again).first
        #expect(last?.description == "0 RESOURCE_EXHAUSTED decode NOT_EXECUTED")
        #expect(last?.message.contains("limits.frame_timeout") == true)
        #expect(session.closed == [slow, again])
        #expect(!session.paused.contains(waiting))
        #expect(session.multiplexer.metrics.limitsReached == [.bufferedBytes: 1, .frameTimeout: 1])
        session.send(waiting, bytes: Self.large(1).rest)
        session.complete()
        #expect(session.read(waiting) == ["1 OK"])
        Self.leave(session, [waiting])
    }

    @Test("the frame that has had its room for longest is not ended for one before it that has come in meanwhile")
    func dawdlingAfterAnother() {
        let session = Self.session()
        let clients = (0..<4).map { _ in session.connect(uid: 1) }
        session.send(clients[0], bytes: Self.large(1).front)
        session.advance(microseconds: 500_000)
        session.send(clients[1], bytes: Self.large(1).front)
        for client in clients[2...] { session.send(client, bytes: Self.large(1).front) }
        session.send(clients[0], bytes: Self.large(1).rest)
        session.complete()
        #expect(session.read(clients[0]) == ["1 OK"])
        session.advance(microseconds: 999_999)
        #expect(session.closed.isEmpty)
        session.advance(microseconds: 1)
        #expect(session.answers(clients[1]).map(\.id) == [0])
        Self.leave(session, clients)
    }

    @Test(
        "room comes back however a frame ends: closed, half closed, broken, whole",
        arguments: ["closed", "half closed", "broken", "whole"])
    func released(_ end: String) {
        let session = Self.session()
        let (first, waiting, gone) = (session.connect(uid: 1), session.connect(uid: 2), session.connect(uid: 2))
        // No room for it: it is lent some, and all others wait. As garbage it is judged when it is whole.
        let (front, rest) = Self.large(1, 150_000)
        session.send(first, bytes: end == "broken" ? front[..<4] + [UInt8](repeating: 0xFF, count: 496) : front)
        session.send(gone, bytes: Self.large(1).front)
        session.send(waiting, bytes: Self.large(1).front)
        #expect(session.paused == [waiting, gone])
        // One that waits leaves as well.
        if end == "half closed" { session.endSending(gone) } else { session.disconnect(gone) }
        switch end {
        case "closed": session.disconnect(first)
        case "half closed": session.endSending(first)
        case "broken":
            session.send(first, bytes: rest)
            #expect(session.answers(first).map(\.id) == [0])
        default:
            session.send(first, bytes: rest)
            #expect(session.read(first) == ["1 \(Self.full)"])
        }
        #expect(!session.paused.contains(waiting))
        session.send(waiting, bytes: Self.large(1).rest)
        session.complete()
        #expect(session.read(waiting) == ["1 OK"])
        Self.leave(session, [first, waiting, gone])
    }

    @Test("a client that does not read its answers gets no room, and is in nobody's way")
    func unreadAnswers() {
        let session = Self.session()
        let (deaf, reader) = (session.connect(uid: 1), session.connect(uid: 2))
        session.send(deaf, .get(1))
        session.complete(body: Pack.data(16, Pack.data(2, String(repeating: "v", count: 30_000))))
        session.send(reader, bytes: Self.large(1, 21_000).front)
        session.send(deaf, bytes: Self.large(2).front)
        #expect(session.paused == [deaf])
        #expect(session.multiplexer.framesAwaitingRoom == 0)
        session.send(reader, bytes: Self.large(1, 21_000).rest)
        session.complete()
        #expect(session.read(reader) == ["1 OK"])
        #expect(session.read(deaf) == ["1 OK"])
        #expect(session.paused.isEmpty)
        session.send(deaf, bytes: Self.large(2).rest)
        session.complete()
        #expect(session.read(deaf) == ["2 OK"])
        Self.leave(session, [deaf, reader])
    }

    @Test("what waits for room when the sidecar ends is dropped with its connection, and nothing is left")
    func draining() {
        let session = Self.session()
        let clients = (0..<6).map { _ in session.connect(uid: 1) }
        for client in clients { session.send(client, bytes: Self.large(1).front) }
        session.enter(.draining)
        session.enter(.cancelling)
        #expect(session.readingShutDown == clients)
        // Reading was shut down: those that are read come to their end, and the next ones are read.
        for client in clients {
            #expect(!session.paused.contains(client))
            session.endSending(client)
        }
        #expect(session.closed == clients)
        session.enter(.stopped)
        session.expectNothingLeft()
    }
}
