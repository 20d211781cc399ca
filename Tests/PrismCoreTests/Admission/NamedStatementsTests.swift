import PrismCore
import PrismWire
import Testing

/// CONTRACT 9: named statements.
@Suite("Named statements") struct NamedStatementsTests {
    private func session(_ rule: (inout AccessPolicy.Rule) -> Void = { _ in }) -> Session {
        var only = AccessPolicy.Rule()
        rule(&only)
        return Session(
            Session.settings { settings in
                settings.statements = NamedStatements([
                    .init(name: "one", backend: "main", sql: "select $1", isReadOnly: true),
                    .init(name: "change", backend: "main", sql: "update t set a = 1"),
                    .init(name: "far", backend: "other", sql: "select 2", isReadOnly: true),
                ])
                settings.access = AccessPolicy(rules: [only])
            })
    }

    private static func named(_ id: UInt64, _ name: String) -> TestRequest {
        TestRequest(id: id, operation: 32, body: Pack.data(4, name))
    }

    private static func batch(_ id: UInt64, _ statements: [[UInt8]]) -> TestRequest {
        TestRequest(id: id, operation: 33, body: statements.flatMap { Pack.data(1, $0) })
    }

    /// The SQL of what the backend has been given.
    private func texts(_ work: WorkItem) -> [String] {
        let arena = Arena(limitBytes: 1 << 20)
        guard let frame = work.frame, let request = RequestMessage(frame.bytes, in: arena) else {
            return ["not decodable"]
        }
        var texts: [String] = []
        try? request.forEachStatement { _, query throws(Failure) in
            texts.append(query.pointee.sql.string + (query.pointee.statement.isEmpty ? "" : " named"))
        }
        return texts
    }

    @Test(
        "a name becomes its text, on its backend, with the request's parameters, and reads if the configuration says so"
    )
    func resolved() {
        let session = session()
        let client = session.connect()
        let parameter = Pack.data(2, Pack.data(5, "value"))
        session.send(client, TestRequest(id: 1, operation: 32, body: parameter + Pack.data(4, "one")))
        let work = session.submitted[0]
        #expect(texts(work) == ["select $1"])
        #expect(work.isReadOnly)
        let arena = Arena(limitBytes: 1 << 20)
        let query = work.frame.flatMap { RequestMessage($0.bytes, in: arena) }?.query
        #expect(query?.parameters?[0]?.pointee.text.string == "value")
        session.complete()
        session.send(client, Self.named(2, "change"))
        #expect(texts(session.submitted[0]) == ["update t set a = 1"])
        #expect(!session.submitted[0].isReadOnly)
        session.complete()
        #expect(session.read(client) == ["1 OK", "2 OK"])
        session.disconnect(client)
        session.expectNothingLeft()
    }

    @Test("the backend may be left out or named, but not another one")
    func backends() {
        let session = session()
        let client = session.connect()
        for request in [Self.named(1, "far"), Self.named(2, "far").on("other")] {
            session.send(client, request)
            session.complete()
        }
        session.send(client, Self.named(3, "far").on("main"))
        #expect(session.read(client) == ["1 OK", "2 OK", "3 INVALID_ARGUMENT admission NOT_EXECUTED"])
        let handle = session.begin(client)
        session.send(client, Self.named(4, "far").in(handle))
        #expect(session.read(client) == ["4 INVALID_ARGUMENT admission NOT_EXECUTED"])
        session.disconnect(client)
        session.expectNothingLeft()
    }

    @Test("in a transaction it runs on the transaction's backend")
    func transaction() {
        let session = session()
        let client = session.connect()
        let handle = session.begin(client)
        session.send(client, Self.named(1, "change").in(handle))
        #expect(texts(session.submitted[0]) == ["update t set a = 1"])
        session.complete()
        #expect(session.read(client) == ["1 OK"])
    }

    @Test("an unknown name is NOT_FOUND; a name and SQL together, or a name too long, INVALID_ARGUMENT")
    func refused() {
        let session = session()
        let client = session.connect()
        session.send(client, Self.named(1, "none"))
        session.send(client, TestRequest(id: 2, operation: 32, body: Pack.data(1, "select 1") + Pack.data(4, "one")))
        session.send(client, Self.named(3, String(repeating: "n", count: 65)))
        session.send(client, Self.batch(4, [Pack.data(4, "one"), Pack.data(4, "none")]))
        session.send(client, Self.batch(5, [Pack.data(4, "one"), Pack.data(4, "far")]))
        let answers = session.answers(client)
        #expect(
            answers.map(\.description) == [
                "1 NOT_FOUND admission NOT_EXECUTED", "2 INVALID_ARGUMENT decode NOT_EXECUTED",
                "3 INVALID_ARGUMENT decode NOT_EXECUTED", "4 NOT_FOUND admission NOT_EXECUTED",
                "5 INVALID_ARGUMENT admission NOT_EXECUTED",
            ])
        #expect(session.submitted.isEmpty)
    }

    @Test("a batch may mix them with SQL, and reads only if all are named and do")
    func batches() {
        let session = session()
        let client = session.connect()
        let (one, change, own) = (Pack.data(4, "one"), Pack.data(4, "change"), Pack.data(1, "select 3"))
        for (index, statements) in [[one, one], [one, change], [change, one], [own, one], [one, own]].enumerated() {
            session.send(client, Self.batch(UInt64(index + 1), statements))
            #expect(session.submitted[0].isReadOnly == (index == 0), "batch \(index)")
            #expect(!texts(session.submitted[0]).contains { $0.isEmpty || $0.hasSuffix("named") })
            session.complete()
        }
        #expect(session.read(client) == (1...5).map { "\($0) OK" })
    }

    @Test("a rule for named statements only refuses SQL, alone and in a batch; key-value and transactions go on")
    func rule() {
        let session = session { $0.isNamedStatementsOnly = true }
        let client = session.connect()
        let denied = [
            TestRequest.query(1), .query(2).readOnly(), Self.batch(3, [Pack.data(1, "select 1")]),
            Self.batch(4, [Pack.data(4, "one"), Pack.data(1, "select 1")]),
            // Of a field that stands twice the last one counts.
            TestRequest(id: 5, operation: 32, body: Pack.data(4, "one") + Pack.data(4, "") + Pack.data(1, "select 1")),
        ]
        for request in denied { session.send(client, request) }
        #expect(session.read(client) == (1...5).map { "\($0) PERMISSION_DENIED admission NOT_EXECUTED" })
        let handle = session.begin(client)
        session.send(client, TestRequest.query(6).in(handle))
        #expect(session.read(client) == ["6 PERMISSION_DENIED admission NOT_EXECUTED"])
        for request in [Self.named(7, "change"), Self.batch(8, [Pack.data(4, "one")]), .put(9), .get(10)] {
            session.send(client, request)
            session.complete()
        }
        #expect(session.read(client) == (7...10).map { "\($0) OK" })
    }

    @Test("with read-only in the rule, those that read by the configuration may be run")
    func readOnlyRule() {
        let session = session {
            $0.isNamedStatementsOnly = true
            $0.isReadOnly = true
        }
        let client = session.connect()
        session.send(client, Self.named(1, "change"))
        session.send(client, Self.named(2, "one"))
        session.complete()
        #expect(session.read(client) == ["1 PERMISSION_DENIED admission NOT_EXECUTED", "2 OK"])
    }

    @Test("the text counts among what is buffered, until the answer")
    func buffered() {
        let text = "select '" + String(repeating: "x", count: 10_000) + "'"
        let session = Session(
            Session.settings { settings in
                settings.statements = NamedStatements([.init(name: "long", backend: "main", sql: text)])
            })
        let client = session.connect()
        session.send(client, Self.named(1, "long"))
        #expect(session.multiplexer.bufferedBytes > 10_000)
        session.complete()
        _ = session.read(client)
        #expect(session.multiplexer.bufferedBytes == 0)
    }
}
