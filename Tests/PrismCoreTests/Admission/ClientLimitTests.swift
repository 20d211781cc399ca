import PrismCore
import PrismWire
import Testing

/// CONTRACT 5: what one client may have beside the others.
@Suite struct ClientLimitTests {
    static let inFlightRefused = "RESOURCE_EXHAUSTED admission NOT_EXECUTED"

    static func limited(_ change: (inout AccessPolicy.Rule.Limits) -> Void) -> Session {
        var rule = AccessPolicy.Rule(uid: 1)
        change(&rule.limits)
        return Session(Session.settings { $0.access = AccessPolicy(rules: [rule, .init(uid: 2)]) })
    }

    @Test(
        "a rule's limit of requests holds for its clients together, and for nobody else; a place is free again at the answer"
    )
    func inFlight() {
        let session = Self.limited { $0.inFlight = 3 }
        let (first, second, neighbour) = (session.connect(uid: 1), session.connect(uid: 1), session.connect(uid: 2))
        session.send(first, .put(1), .put(2))
        session.send(second, .put(1), .put(2))
        for id in 1...4 { session.send(neighbour, .put(UInt64(id))) }
        #expect(session.read(second) == ["2 \(Self.inFlightRefused)"])
        #expect(session.read(neighbour) == [])
        session.complete()
        #expect(session.read(first) == ["1 OK"])
        session.send(second, .put(3))
        #expect(session.read(second) == [])
        #expect(session.multiplexer.metrics.limitsReached == [.ruleInFlight: 1])
        for client in [first, second, neighbour] { session.disconnect(client) }
        session.expectNothingLeft()
    }

    @Test("the connections of one client share a flow; the rule gives its weight, nothing that the client says does")
    func flows() {
        var rule = AccessPolicy.Rule(gid: 7)
        rule.weight = 5
        let session = Session(Session.settings { $0.access = AccessPolicy(rules: [rule, .init(uid: 2)]) })
        let clients = [session.connect(uid: 1, gid: 7), session.connect(uid: 9, gid: 7), session.connect(uid: 2)]
        for client in clients { session.send(client, .get(1)) }
        let flows = session.submitted.map(\.flow)
        #expect(flows.map(\.weight) == [5, 5, 1])
        #expect(flows[0] == flows[1] && flows[1] != flows[2])
        for _ in clients { session.complete() }
        for client in clients { session.disconnect(client) }
        session.expectNothingLeft()
        // Without rules: the uid.
        let open = Session()
        let peers = [open.connect(uid: 1), open.connect(uid: 1), open.connect(uid: 2)]
        for peer in peers { open.send(peer, .get(1)) }
        let uids = open.submitted.map(\.flow)
        #expect(uids[0] == uids[1] && uids[1] != uids[2])
    }

    @Test("a rule's limit of connections: the next one is told so and closed, until one leaves")
    func connections() {
        let session = Self.limited { $0.connections = 2 }
        let clients = [session.connect(uid: 1), session.connect(uid: 1)]
        let third = session.connect(uid: 1)
        let answer = session.answers(third).first
        #expect(answer?.description == "0 \(Self.inFlightRefused)")
        #expect(answer?.message.contains("rules.connections") == true)
        #expect(session.closed == [third])
        let neighbours = [session.connect(uid: 2), session.connect(uid: 2), session.connect(uid: 2)]
        session.disconnect(clients[0])
        let again = session.connect(uid: 1)
        session.send(again, .ping(1))
        #expect(session.read(again) == ["1 OK"])
        for client in neighbours + [clients[1], again] { session.disconnect(client) }
        session.expectNothingLeft()
    }

    @Test("a rule's limit of bytes counts what waits to be read by its clients")
    func bufferedBytes() {
        let session = Self.limited { $0.bufferedBytes = 10_000 }
        let (client, neighbour) = (session.connect(uid: 1), session.connect(uid: 2))
        session.send(client, .get(1))
        session.complete(body: [UInt8](repeating: 0, count: 9_990))
        session.send(client, .get(2))
        session.send(neighbour, .get(2))
        session.complete()
        #expect(session.read(neighbour) == ["2 OK"])
        #expect(session.multiplexer.metrics.limitsReached == [.ruleBufferedBytes: 1])
        session.disconnect(client)
        session.disconnect(neighbour)
        session.expectNothingLeft()
    }

    @Test("a request that comes in parts counts once")
    func bufferedInParts() {
        let session = Self.limited { $0.bufferedBytes = 10_000 }
        let client = session.connect(uid: 1)
        let large = TestRequest.query(2, String(repeating: " ", count: 8_000) + "select 1").frame
        session.send(client, bytes: TestRequest.ping(1).frame + Array(large[..<5_000]))
        session.send(client, bytes: Array(large[5_000...]))
        session.complete()
        #expect(session.read(client) == ["1 OK", "2 OK"])
        session.disconnect(client)
        session.expectNothingLeft()
    }

    @Test("clients that do not read are not read beyond their part, however small their answers are; others are served")
    func refusalsThatNobodyReads() {
        let session = Session(Session.settings { $0.bufferedBytesMax = 20_000 })
        let neighbour = session.connect(uid: 2)
        let flood = (0..<8).map { _ in session.connect(uid: 1) }
        // Only while they are read, as a shell does.
        var sent = Array(repeating: 0, count: flood.count)
        for id in 1...400 {
            for (index, client) in flood.enumerated() where !session.paused.contains(client) {
                session.send(client, .get(UInt64(id)).on("nowhere"))
                sent[index] += 1
            }
        }
        #expect(session.paused.isSuperset(of: flood))
        session.send(neighbour, .get(1))
        session.complete()
        #expect(session.read(neighbour) == ["1 OK"])
        // Each goes on as its answers are taken.
        for (index, client) in flood.enumerated() {
            var answers = 0
            while true {
                let more = session.read(client).count
                if more == 0 { break }
                answers += more
            }
            #expect(answers == sent[index])
            #expect(!session.paused.contains(client))
        }
        for client in flood + [neighbour] { session.disconnect(client) }
        session.expectNothingLeft()
    }

    @Test("a rule's limit of transactions: Begin is refused until one ends")
    func transactions() {
        let session = Self.limited { $0.transactions = 1 }
        let (client, neighbour) = (session.connect(uid: 1), session.connect(uid: 2))
        session.send(client, .begin(1), .begin(2))
        session.send(neighbour, .begin(1))
        #expect(session.read(client) == ["2 \(Self.inFlightRefused)"])
        session.disconnect(client)
        let again = session.connect(uid: 1)
        session.send(again, .begin(3))
        #expect(session.read(again) == [])
        session.disconnect(again)
        session.disconnect(neighbour)
        session.expectNothingLeft()
    }

    @Test("of what holds for all, half is whoever's comes first, and of the other half each has a part by its weight")
    func shares() {
        var heavy = AccessPolicy.Rule(uid: 1)
        heavy.weight = 3
        let session = Session(
            Session.settings {
                $0.access = AccessPolicy(rules: [heavy, .init(uid: 2)])
                $0.inFlightMax = 80
            })
        let (first, second) = (session.connect(uid: 1), session.connect(uid: 2))
        func send(_ client: ConnectionReference, _ count: Int) -> Int {
            for id in 1...count { session.send(client, .put(UInt64(id))) }
            return count - session.read(client).count
        }
        // Beyond 40 in all: 10 for the one of weight 1, 30 for the one of weight 3.
        #expect(send(second, 100) == 40)
        #expect(send(first, 100) == 30)
        session.disconnect(first)
        session.disconnect(second)
        // Alone it may have everything.
        let alone = session.connect(uid: 2)
        #expect(send(alone, 100) == 80)
        session.disconnect(alone)
        session.expectNothingLeft()
    }

    @Test("more connections than this reactor's part of them are no reason to refuse the only client")
    func connectionsAlone() {
        let session = Session(Session.settings { $0.connectionsShared = 4 })
        let clients = (0..<6).map { _ in session.connect(uid: 1) }
        for client in clients {
            session.send(client, .ping(1))
            #expect(session.read(client) == ["1 OK"])
            session.disconnect(client)
        }
        session.expectNothingLeft()
    }

    @Test("connections beyond half are shared as well")
    func connectionShares() {
        let session = Session(
            Session.settings {
                $0.connectionsMax = 8
                $0.connectionsShared = 8
            })
        let neighbour = session.connect(uid: 2)
        var flood: [ConnectionReference] = []
        for _ in 0..<8 {
            flood.append(session.connect(uid: 1))
            _ = session.answers(flood[flood.count - 1])
        }
        #expect(session.closed.count == 5)
        #expect(session.multiplexer.metrics.limitsReached == [.connections: 5])
        let more = session.connect(uid: 2)
        session.send(more, .ping(1))
        #expect(session.read(more) == ["1 OK"])
        for client in [neighbour, more] + flood where !session.closed.contains(client) { session.disconnect(client) }
        session.expectNothingLeft()
    }
}
