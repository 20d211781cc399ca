import PrismCore
import PrismWire
import Testing

/// CONTRACT 9: who may do what.
@Suite struct AccessPolicyTests {
    static func peer(uid: UInt32, gid: UInt32) -> PeerCredentials { PeerCredentials(pid: 1, uid: uid, gid: gid) }

    @Test("without rules everyone is admitted; with rules the first that matches counts, and no match is no entry")
    func ruleForPeer() {
        #expect(AccessPolicy().rule(for: Self.peer(uid: 5, gid: 6))?.0 == AccessPolicy.Rule(uid: 5))
        let policy = AccessPolicy(rules: [
            .init(uid: 1, gid: 2, label: "both"), .init(uid: 1, label: "uid"), .init(gid: 2, label: "gid"),
        ])
        let labels = [(1, 2), (1, 3), (3, 2), (3, 3)].map { policy.rule(for: Self.peer(uid: $0.0, gid: $0.1))?.0.label }
        #expect(labels == ["both", "uid", "gid", nil])
    }

    @Test("a rule's backends, namespaces and read-only, on every operation that names one")
    func refusals() {
        let namespace = Pack.data(1, "secret")
        let key = Pack.data(2, "k")
        let named: [(UInt64, [UInt8])] = [
            (16, namespace + key), (17, namespace + key), (18, namespace + key), (19, namespace + key),
            (20, namespace + key), (21, namespace + key), (23, namespace), (24, namespace),
        ]
        let items = (1...4).map { (UInt64(22), Pack.data(1, Pack.data(UInt64($0), namespace + key))) }
        for (operation, body) in named + items {
            let session = Session(Session.settings { $0.access = AccessPolicy(rules: [.init(namespaces: ["open"])]) })
            let client = session.connect()
            session.send(client, TestRequest(id: 1, operation: operation, body: body))
            #expect(session.read(client) == ["1 PERMISSION_DENIED admission NOT_EXECUTED"], "operation \(operation)")
            #expect(session.submitted.isEmpty)
        }
    }

    @Test("the empty namespace is the one called default")
    func defaultNamespace() {
        for (namespaces, answer) in [(["default"], "1 OK"), (["open"], "1 PERMISSION_DENIED admission NOT_EXECUTED")] {
            let session = Session(Session.settings { $0.access = AccessPolicy(rules: [.init(namespaces: namespaces)]) })
            let client = session.connect()
            session.send(client, .get(1))
            if answer == "1 OK" { session.complete() }
            #expect(session.read(client) == [answer])
        }
    }

    @Test("a rule for other backends refuses this one; a rule that reads only refuses what may write")
    func backendsAndReadOnly() {
        let session = Session(
            Session.settings { $0.access = AccessPolicy(rules: [.init(backends: ["other"], isReadOnly: true)]) })
        let client = session.connect()
        let denied = [TestRequest.get(1), .put(2).on("other"), .query(3).on("other"), .begin(4).on("other")]
        for request in denied { session.send(client, request) }
        #expect(session.read(client) == (1...4).map { "\($0) PERMISSION_DENIED admission NOT_EXECUTED" })
        for request in [TestRequest.get(5), .query(6).readOnly(), .begin(7).readOnly()] {
            session.send(client, request.on("other"))
            session.complete()
        }
        #expect(session.read(client) == ["5 OK", "6 OK", "7 OK"])
    }
}
