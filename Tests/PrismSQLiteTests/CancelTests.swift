import PrismCore
import PrismReactor
import Testing

/// Deadline, cancel and stop at each state of a request: what is said of it is true, and no other request notices (CONTRACT 4).
@Suite struct CancelTests {
    @Test("a deadline that passed in the queue: DEADLINE_EXCEEDED, NOT_EXECUTED, never run") func expiredInTheQueue()
        throws
    {
        let backend = try TestBackend()
        let gate = try backend.begin()
        let late = backend.submit(.put("late", "1"), deadline: MonotonicClock.now())
        let lateBegin = backend.submit(.begin, in: backend.newTransaction(), deadline: MonotonicClock.now())
        let other = backend.submit(.put("other", "1"))
        try backend.expect(.rollback, in: gate)
        for pending in [late, lateBegin, backend.submit(.get("a"), deadline: 1)] {
            let answer = try backend.answer(pending)
            #expect(answer.code == .deadlineExceeded && answer.outcome == .notExecuted)
            #expect(answer.failure?.stage == .queue)
        }
        #expect(try backend.answer(other).isOK)
        #expect(try backend.expect(.scan()).entries.map(\.keyText) == ["other"])
    }

    @Test("queued: removed, never runs, never answered") func queued() throws {
        let backend = try TestBackend()
        let gate = try backend.begin()
        let cancelled = [
            backend.submit(.put("a", "1")), backend.submit(.begin, in: backend.newTransaction()),
            backend.submit(.query("CREATE TABLE t (x)")),
        ]
        let other = backend.submit(.put("other", "1"))
        #expect(cancelled.map { backend.cancel($0) } == [.removed, .removed, .removed])
        #expect(cancelled.map { backend.cancel($0) } == [.tooLate, .tooLate, .tooLate])
        try backend.expect(.rollback, in: gate)
        #expect(try backend.answer(other).isOK)
        backend.stop()
        #expect(cancelled.map { backend.finals($0) } == [0, 0, 0])
        #expect(try PlainFile(backend.directory).entries() == ["other": "1"])
    }

    @Test("running: stopped, undone, never answered") func running() throws {
        let vfs = FaultVFS()
        let backend = try TestBackend(vfs: vfs)
        // Behind the first write the sweeper runs once; behind the second, nothing.
        for _ in 0..<2 { try backend.expect(.put("warm", "1")) }
        // The group's BEGIN waits for its lock: the member is in work.
        vfs.hold(.sharedLock)
        let cancelled = backend.submit(.put("a", "1"))
        #expect(vfs.waitForHits())
        #expect(backend.cancel(cancelled) == .stopped)
        vfs.clear()
        try backend.expect(.put("other", "1"))
        backend.stop()
        #expect(backend.finals(cancelled) == 0)
        #expect(try PlainFile(backend.directory).entries() == ["warm": "1", "other": "1"])
    }

    @Test("being committed: too late, and the answer comes") func committing() throws {
        let vfs = FaultVFS()
        let backend = try TestBackend(vfs: vfs)
        try backend.expect(.put("warm", "1"))
        for isInTransaction in [false, true] {
            let key = "key\(isInTransaction)"
            let transaction = isInTransaction ? try backend.begin() : .none
            if isInTransaction { try backend.expect(.put(key, "1"), in: transaction) }
            vfs.hold(.sync, of: .log)
            let pending = backend.submit(isInTransaction ? .commit : .put(key, "1"), in: transaction)
            #expect(vfs.waitForHits())
            #expect(backend.cancel(pending) == .tooLate)
            vfs.clear()
            #expect(try backend.answer(pending).isOK)
            #expect(backend.cancel(pending) == .tooLate)
            #expect(try backend.expect(.get(key)).entry.found)
        }
    }

    @Test("streaming, while the client takes nothing: stopped, and the connection serves others") func streaming()
        throws
    {
        let backend = try TestBackend(.init(readerConnections: 2, streamWindowBytes: 50_000))
        for _ in 0..<6 {
            let endless = backend.submit(
                .query("WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c"))
            try backend.waitForPart(endless)
            #expect(backend.cancel(endless) == .stopped)
            try backend.expect(.query("SELECT 1"))
            #expect(backend.finals(endless) == 0)
        }
    }

    @Test("a request of a transaction: undone, and the transaction is as it was") func inTransaction() throws {
        let backend = try TestBackend()
        try backend.expect(.query("CREATE TABLE t (x)"))
        let transaction = try backend.begin()
        try backend.expect(.put("a", "1"), in: transaction)
        let endless = backend.submit(
            .query("INSERT INTO t WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c"),
            in: transaction)
        let isStopped = backend.cancel(endless)
        #expect(isStopped != .tooLate)
        // An interrupt may have ended the whole transaction; then everything behind says so.
        let next = try backend.call(.put("b", "1"), in: transaction)
        let end = try backend.call(next.isOK ? .commit : .rollback, in: transaction)
        #expect(end.isOK)
        backend.stop()
        let file = try PlainFile(backend.directory)
        #expect(try file.integer("SELECT count(*) FROM t") == 0)
        #expect(try file.entries() == (next.isOK ? ["a": "1", "b": "1"] : [:]))
        #expect(backend.finals(endless) == 0)
    }

    /// The moment of the cancel moves through the request's life, so that some hit it while it runs.
    @Test("a Savepoint whose cancel says that it has no effect is not there", arguments: [true, false])
    func savepoint(isReadOnly: Bool) throws {
        let backend = try TestBackend()
        let transaction = try backend.begin(readOnly: isReadOnly)
        var cancelled = 0
        for round in 0..<600 {
            let pending = backend.submit(.savepoint("s\(round)"), in: transaction, isReadOnlyTransaction: isReadOnly)
            pause(round)
            guard backend.cancel(pending) != .tooLate else {
                #expect(try backend.answer(pending).isOK)
                continue
            }
            cancelled += 1
            #expect(try backend.call(.rollbackTo("s\(round)"), in: transaction).code == .notFound, "round \(round)")
        }
        #expect(cancelled > 0)
        #expect(try backend.call(.rollback, in: transaction).isOK)
    }

    @Test("a Begin that is cancelled at any moment leaves the writer free") func begin() throws {
        let backend = try TestBackend()
        for round in 0..<600 {
            let transaction = backend.newTransaction()
            let pending = backend.submit(.begin, in: transaction)
            pause(round)
            if backend.cancel(pending) == .tooLate { _ = try backend.answer(pending) }
            backend.backend.abandon(transaction)
            if round % 50 == 0 { try backend.expect(.put("key", "\(round)")) }
        }
        try backend.expect(.put("key", "last"))
    }

    private func pause(_ round: Int) {
        let end = MonotonicClock.now() + UInt64(round % 60) * 1_000
        while MonotonicClock.now() < end {}
    }

    @Test("a full queue: RESOURCE_EXHAUSTED, NOT_EXECUTED, with when to retry") func fullQueue() throws {
        let backend = try TestBackend(.init(queueRequestsMax: 4))
        let gate = try backend.begin()
        let pending = (0..<6).map { backend.submit(.put("key\($0)", "1")) }
        let refused = try pending.suffix(2).map { try backend.answer($0) }
        for answer in refused {
            #expect(answer.code == .resourceExhausted && answer.outcome == .notExecuted)
            #expect(answer.failure?.isRetryable == true && answer.failure?.retryAfterMicroseconds ?? 0 > 0)
        }
        backend.backend.abandon(gate)
        for pending in pending.prefix(4) { #expect(try backend.answer(pending).isOK) }
        #expect(try backend.expect(.count()).count == 4)
    }

    @Test(
        "whoever holds the writer can end its transaction, however many wait behind it")
    func holderBeforeAFullQueue() throws {
        let backend = try TestBackend(.init(queueRequestsMax: 4))
        let gate = try backend.begin()
        let pending = (0..<4).map { backend.submit(.put("key\($0)", "1")) }
        try backend.expect(.put("mine", "1"), in: gate)
        try backend.expect(.commit, in: gate)
        for pending in pending { #expect(try backend.answer(pending).isOK) }
    }

    @Test("the writer's queue: RESOURCE_EXHAUSTED after the acquire timeout, NOT_EXECUTED") func acquireTimeout() throws
    {
        let backend = try TestBackend()
        let gate = try backend.begin()
        let waiting = backend.submit(.put("a", "1"))
        _ = backend.backend.advance(to: MonotonicClock.now() + 60_000_000_000, reactor: 0)
        let answer = try backend.answer(waiting)
        #expect(answer.code == .resourceExhausted && answer.outcome == .notExecuted, "\(answer.message)")
        try backend.expect(.rollback, in: gate)
        #expect(try backend.expect(.get("a")).entry.found == false)
    }

    @Test("every request in flight at stop has one answer, and what was OK is in the file") func stop() throws {
        for _ in 0..<10 {
            let backend = try TestBackend(.init(readers: 2))
            let pending = (0..<200).map { backend.submit($0 % 3 == 0 ? .get("key") : .put("key\($0)", "1")) }
            backend.stop()
            let answers = try pending.map { try backend.answer($0) }
            #expect(backend.answeredTwice == 0)
            let entries = try PlainFile(backend.directory).entries()
            for (number, answer) in answers.enumerated() where number % 3 != 0 {
                #expect((entries["key\(number)"] != nil) == answer.isOK)
            }
        }
    }
}
