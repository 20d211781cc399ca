import PrismCore
import PrismReactor
import Testing

/// Interactive transactions on SQLite, as far as they are the backend's: limits of time and poisoning are the session's.
@Suite struct TransactionTests {
    @Test("key-value and SQL join in one transaction, seen by nobody before Commit") func joined() throws {
        let backend = try TestBackend()
        try backend.expect(.query("CREATE TABLE t (id INTEGER PRIMARY KEY)"))
        let transaction = try backend.begin()
        try backend.expect(.put("a", "1"), in: transaction)
        try backend.expect(.query("INSERT INTO t VALUES (1)"), in: transaction)
        #expect(try backend.expect(.get("a"), in: transaction).entry.text == "1")
        #expect(try backend.expect(.scan(), in: transaction).entries.count == 1)
        #expect(try backend.expect(.query("SELECT count(*) FROM t"), in: transaction).value == .integer(1))
        #expect(try backend.expect(.get("a")).entry.found == false)
        #expect(try backend.expect(.commit, in: transaction).effect == .ended)
        #expect(try backend.expect(.get("a")).entry.text == "1")
    }

    @Test("a request that fails inside leaves the rest of the transaction") func failureInside() throws {
        let backend = try TestBackend()
        let transaction = try backend.begin()
        try backend.expect(.put("a", "1"), in: transaction)
        let refused = try backend.call(.write([.put("b", [1]), .put("a", [1], condition: .absent)]), in: transaction)
        #expect(refused.code == .failedPrecondition && refused.effect == .unchanged)
        try backend.expect(.commit, in: transaction)
        backend.stop()
        #expect(try PlainFile(backend.directory).entries() == ["a": "1"])
    }

    @Test("savepoints nest, are told apart by case, and a missing one is NOT_FOUND") func savepoints() throws {
        let backend = try TestBackend()
        let transaction = try backend.begin()
        try backend.expect(.put("a", "1"), in: transaction)
        try backend.expect(.savepoint("outer"), in: transaction)
        try backend.expect(.put("b", "1"), in: transaction)
        try backend.expect(.savepoint("inner"), in: transaction)
        try backend.expect(.put("c", "1"), in: transaction)
        #expect(try backend.call(.rollbackTo("INNER"), in: transaction).code == .notFound)
        try backend.expect(.rollbackTo("inner"), in: transaction)
        try backend.expect(.put("d", "1"), in: transaction)
        try backend.expect(.rollbackTo("outer"), in: transaction)
        #expect(try backend.call(.rollbackTo("inner"), in: transaction).code == .notFound)
        #expect(try backend.call(.rollbackTo("member"), in: transaction).code == .notFound)
        try backend.expect(.put("e", "1"), in: transaction)
        try backend.expect(.commit, in: transaction)
        #expect(try backend.expect(.scan()).entries.map(\.keyText) == ["a", "e"])
    }

    @Test("OR ROLLBACK ends the transaction, and says so; what comes behind is ABORTED until Rollback")
    func endedUnderneath() throws {
        let backend = try TestBackend()
        try backend.expect(.query("CREATE TABLE t (id INTEGER PRIMARY KEY)"))
        let transaction = try backend.begin()
        try backend.expect(.put("a", "1"), in: transaction)
        try backend.expect(.query("INSERT INTO t VALUES (1)"), in: transaction)
        let ended = try backend.call(.query("INSERT OR ROLLBACK INTO t VALUES (1)"), in: transaction)
        #expect(ended.code == .alreadyExists && ended.effect == .ended)
        #expect(try backend.call(.put("b", "1"), in: transaction).code == .aborted)
        #expect(try backend.call(.commit, in: transaction).code == .aborted)
        try backend.expect(.rollback, in: transaction)
        try backend.expect(.put("c", "1"))
        backend.stop()
        #expect(try PlainFile(backend.directory).entries() == ["c": "1"])
    }

    @Test("a deferred constraint that fails at Commit leaves nothing and the writer free") func deferredConstraint()
        throws
    {
        let backend = try TestBackend()
        try backend.expect(.query("CREATE TABLE parent (id INTEGER PRIMARY KEY)"))
        try backend.expect(
            .query("CREATE TABLE child (p INTEGER REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)"))
        let transaction = try backend.begin()
        try backend.expect(.put("a", "1"), in: transaction)
        try backend.expect(.query("INSERT INTO child VALUES (7)"), in: transaction)
        let refused = try backend.call(.commit, in: transaction)
        #expect(refused.code == .failedPrecondition && refused.outcome == .notExecuted)
        #expect(refused.effect == .ended)
        // In a group it refuses its own member only.
        let group = try Group(backend, [.put("b", "1"), .query("INSERT INTO child VALUES (8)"), .put("c", "1")])
        #expect(try group.answers().map(\.code) == [.ok, .failedPrecondition, .ok])
        backend.stop()
        #expect(try PlainFile(backend.directory).entries() == ["b": "1", "c": "1"])
    }

    @Test("an abandoned transaction is rolled back and the writer goes on; abandoning twice does nothing")
    func abandoned() throws {
        let backend = try TestBackend()
        let transaction = try backend.begin()
        try backend.expect(.put("a", "1"), in: transaction)
        let waiting = backend.submit(.put("b", "1"))
        backend.backend.abandon(transaction)
        #expect(try backend.answer(waiting).isOK)
        backend.backend.abandon(transaction)
        #expect(try backend.call(.put("c", "1"), in: transaction).code == .aborted)
        try backend.expect(.rollback, in: transaction)
        #expect(try backend.expect(.get("a")).entry.found == false)
    }

    @Test("abandoning a transaction whose statement runs stops the statement") func abandonedWhileRunning() throws {
        let backend = try TestBackend()
        try backend.expect(.query("CREATE TABLE t (x)"))
        let transaction = try backend.begin()
        let endless = backend.submit(
            .query("INSERT INTO t WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c"),
            in: transaction)
        // A session cancels what runs before it abandons.
        _ = backend.cancel(endless)
        backend.backend.abandon(transaction)
        try backend.expect(.put("free", "1"))
        #expect(try backend.expect(.query("SELECT count(*) FROM t")).value == .integer(0))
    }

    @Test("read-only transactions give their connections back") func readOnlyConnections() throws {
        let backend = try TestBackend(.init(readerConnections: 3))
        for round in 0..<12 {
            let transaction = try backend.begin(readOnly: true)
            try backend.expect(.count().readOnly(), in: transaction)
            switch round % 3 {
            case 0: try backend.expect(.commit, in: transaction)
            case 1: try backend.expect(.rollback, in: transaction)
            default: backend.backend.abandon(transaction)
            }
        }
    }

    @Test("more read-only transactions than connections: RESOURCE_EXHAUSTED after the acquire timeout, reads go on")
    func connectionsExhausted() throws {
        let backend = try TestBackend(.init(readerConnections: 3))
        var held: [TransactionReference] = []
        var waiting: [TestBackend.Pending] = []
        for _ in 0..<4 {
            let transaction = backend.newTransaction()
            waiting.append(backend.submit(.begin.readOnly(), in: transaction))
            held.append(transaction)
        }
        // Points must not starve behind held connections.
        #expect(try backend.call(.get("a")).isOK)
        _ = backend.backend.advance(to: MonotonicClock.now() + 60_000_000_000, reactor: 0)
        let answers = try waiting.map { try backend.answer($0) }
        let refused = answers.filter { !$0.isOK }
        #expect(refused.count >= 1 && refused.count < 4)
        for answer in refused {
            #expect(answer.code == .resourceExhausted && answer.outcome == .notExecuted)
            #expect(answer.failure?.isRetryable == true && answer.effect == .ended)
        }
        for (transaction, answer) in zip(held, answers) where answer.isOK {
            try backend.expect(.commit, in: transaction)
        }
        try backend.expect(.rollback, in: try backend.begin(readOnly: true))
    }

    @Test("many transactions from the first to the last add up") func counting() throws {
        let backend = try TestBackend()
        for round in 0..<100 {
            let transaction = try backend.begin()
            try backend.expect(.increment("n"), in: transaction)
            try backend.expect(round % 4 == 0 ? .rollback : .commit, in: transaction)
        }
        #expect(try backend.expect(.get("n")).entry.text == "75")
    }
}
