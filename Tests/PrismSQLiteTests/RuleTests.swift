import CSQLite
import PrismCore
import PrismReactor
import Testing

/// The SQLite rules of the architecture, one by one. Where others are held:
///
/// | Rule | Test |
/// |---|---|
/// | synchronous=FULL is the default | `syncs`, PowerLossTests |
/// | a savepoint for each member of a group | `neighbours` |
/// | a transaction that ended under a member: the group is dead, the rest runs again | `orRollback`, `fullInAGroup`, `ioErrorInAGroup`, `interrupted` |
/// | answer only after COMMIT | `answersWait` |
/// | COMMIT failed with IOERR: UNKNOWN, reopen | CommitFaultTests, FaultSweepTests |
/// | the authorizer | AuthorizerTests |
/// | readers open READONLY and return to autocommit | `readersCannotWrite`, `readersLetGo` |
/// | versions outside of the transaction, in blocks, without overflow | `versionsOfARollback`, `versionsOfTwoSidecars`, `versionsEnd` |
/// | an interactive write transaction holds the only writer | `queueForTheWriter` |
/// | auto-checkpoint stays on | `logIsBounded` |
/// | pragmas on every connection | `foreignKeysOnEveryConnection` |
/// | one connection a thread at a time | `transactionOverThreads` |
/// | deadlines by progress handler and interrupt | `stopsAStatement`, `stopsAWaitForALock`, CancelTests |
@Suite struct RuleTests {
    @Test("synchronous=FULL, the default, syncs every commit; NORMAL does not") func syncs() throws {
        for synchronous in [nil, SQLiteSettingsSynchronous.normal] {
            let vfs = FaultVFS()
            let backend = try TestBackend(
                vfs: vfs, .init(settings: { if let synchronous { $0.synchronous = synchronous } }))
            try backend.expect(.put("first", "1"))
            for number in 0..<5 {
                let before = vfs.calls(.sync)
                try backend.expect(.put("key\(number)", "1"))
                #expect(vfs.calls(.sync) - before == (synchronous == nil ? 1 : 0))
            }
        }
    }

    @Test("a group's members do not touch each other: each has its savepoint") func neighbours() throws {
        let backend = try TestBackend()
        try backend.expect(.query("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT NOT NULL)"))
        let group = try Group(
            backend,
            [
                .put("a", "1"), .query("INSERT INTO t VALUES (1, 'x')"), .query("INSERT INTO t VALUES (1, 'again')"),
                .put("b", "1", condition: .present),
                .write([.put("c", [0x31]), .increment("a", by: .max), .put("d", [0x31])]),
                .batch([.init("INSERT INTO t VALUES (2, 'y')"), .init("INSERT INTO t VALUES (3, NULL)")]),
                .query("UPDATE t SET v = 'z' WHERE id = 1"), .delete("nothing"),
            ])
        #expect(
            try group.answers().map(\.code)
                == [.ok, .ok, .alreadyExists, .failedPrecondition, .outOfRange, .failedPrecondition, .ok, .ok])
        backend.stop()
        let file = try PlainFile(backend.directory)
        #expect(try file.entries() == ["a": "1"])
        #expect(try file.rows("SELECT id, v FROM t") == [[.integer(1), .text("z")]])
    }

    @Test("OR ROLLBACK in a group: the culprit gets its error, the others are carried out all the same")
    func orRollback() throws {
        let backend = try TestBackend()
        try backend.expect(.query("CREATE TABLE t (id INTEGER PRIMARY KEY)"))
        try backend.expect(.query("INSERT INTO t VALUES (1)"))
        let group = try Group(
            backend,
            [
                .put("a", "1"), .increment("n"), .query("INSERT OR ROLLBACK INTO t VALUES (1)"), .increment("n"),
                .put("b", "1"),
            ])
        let answers = try group.answers()
        #expect(answers.map(\.code) == [.ok, .ok, .alreadyExists, .ok, .ok])
        #expect(answers[2].outcome == .notExecuted)
        backend.stop()
        #expect(try PlainFile(backend.directory).entries() == ["a": "1", "b": "1", "n": "2"])
    }

    /// A cache too small for the group spills into the log before COMMIT: that is where a disk fails in the middle.
    private static func spilling(_ vfs: FaultVFS) throws -> TestBackend {
        let backend = try TestBackend(vfs: vfs, .init(settings: { $0.cacheSizeBytes = 1 << 10 }))
        try backend.expect(.put("warm", "1"))
        return backend
    }

    private static let big = [UInt8](repeating: 0x61, count: 400_000)

    @Test("a disk that is full in the middle of a group: nobody's half is committed") func fullInAGroup() throws {
        let vfs = FaultVFS()
        let backend = try Self.spilling(vfs)
        vfs.setDisk(bytesLeft: 200_000)
        let group = try Group(backend, [.put("a", "1"), .put("big", Self.big), .put("b", "1")])
        let answers = try group.answers()
        #expect(answers[1].code == .resourceExhausted)
        #expect(answers[1].outcome == .notExecuted)
        #expect(answers[0].isOK && answers[2].isOK)
        backend.stop()
        let file = try PlainFile(backend.directory)
        try file.expectIntact()
        #expect(try file.entries() == ["warm": "1", "a": "1", "b": "1"])
    }

    @Test("an I/O error in the middle of a group: the culprit gets it, the others are carried out")
    func ioErrorInAGroup() throws {
        let vfs = FaultVFS()
        let backend = try Self.spilling(vfs)
        let group = try Group(backend, [.put("a", "1"), .put("big", Self.big), .put("b", "1")]) {
            vfs.fail(.write, of: .log, at: 20)
        }
        let answers = try group.answers()
        #expect(vfs.hits == 1)
        #expect(answers.count { $0.isOK } == 2, "\(answers.map(\.message))")
        #expect(answers.allSatisfy { $0.isOK || $0.outcome == .notExecuted })
        backend.stop()
        let file = try PlainFile(backend.directory)
        try file.expectIntact()
        let entries = try file.entries()
        for (key, answer) in zip(["a", "big", "b"], answers) { #expect((entries[key] != nil) == answer.isOK) }
    }

    @Test("a member that is cancelled while it runs leaves nothing, and the others are carried out") func interrupted()
        throws
    {
        let backend = try TestBackend()
        try backend.expect(.query("CREATE TABLE t (id INTEGER)"))
        let endless = "INSERT INTO t WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c"
        let group = try Group(backend, [.put("a", "1"), .query(endless), .put("b", "1")])
        #expect(group.backend.cancel(group.pending[1]) != .tooLate)
        #expect(try backend.answer(group.pending[0]).isOK)
        #expect(try backend.answer(group.pending[2]).isOK)
        backend.stop()
        #expect(backend.finals(group.pending[1]) == 0, "an answer after a cancel that was granted")
        let file = try PlainFile(backend.directory)
        #expect(try file.integer("SELECT count(*) FROM t") == 0)
        #expect(try file.entries() == ["a": "1", "b": "1"])
    }

    @Test("nothing is answered before COMMIT, refusals included") func answersWait() throws {
        let vfs = FaultVFS()
        let backend = try TestBackend(vfs: vfs)
        try backend.expect(.put("a", "0"))
        let group = try Group(backend, [.put("a", "1"), .put("b", "1", condition: .present), .increment("n")]) {
            vfs.hold(.sync, of: .log)
        }
        #expect(vfs.waitForHits())
        #expect(group.pending.map { backend.finals($0) } == [0, 0, 0])
        #expect(try backend.call(.get("a")).entry.text == "0", "a reader sees what is not committed")
        // What is in a transaction that is being committed can no longer be called back.
        #expect(backend.cancel(group.pending[0]) == .tooLate)
        #expect(backend.cancel(group.pending[2]) == .tooLate)
        vfs.clear()
        #expect(try group.answers().map(\.code) == [.ok, .failedPrecondition, .ok])
    }

    @Test("a statement that turns out to write goes to the writer; under read_only it is refused")
    func readersCannotWrite() throws {
        let backend = try TestBackend()
        try backend.expect(.query("CREATE TABLE t (id INTEGER)"))
        let sneaky = "WITH x(a) AS (VALUES (1)) INSERT INTO t SELECT a FROM x RETURNING id"
        #expect(try backend.expect(.query(sneaky)).value == .integer(1))
        for request in [Request.query(sneaky), .batch([.init("SELECT 1"), .init(sneaky)])] {
            let answer = try backend.call(request.readOnly())
            #expect(answer.code == .invalidArgument)
            #expect(answer.outcome == .notExecuted)
        }
        let transaction = try backend.begin(readOnly: true)
        #expect(try backend.call(.query(sneaky).readOnly(), in: transaction).code == .invalidArgument)
        try backend.expect(.rollback, in: transaction)
        #expect(try backend.call(.query("SELECT count(*) FROM t")).value == .integer(1))
    }

    @Test("a reader that has answered holds no snapshot: the log can be taken over in full") func readersLetGo() throws
    {
        let backend = try TestBackend(.init(readers: 2))
        for number in 0..<20 { try backend.expect(.put("key\(number)", "1")) }
        let reads =
            (0..<20).map { backend.submit(.get("key\($0)")) } + [backend.submit(.scan()), backend.submit(.count())]
        for read in reads { #expect(try backend.answer(read).isOK) }
        _ = try backend.call(.query("SELECT * FROM nothing"))
        #expect(
            try PlainFile(backend.directory).rows("PRAGMA wal_checkpoint(TRUNCATE)") == [
                [.integer(0), .integer(0), .integer(0)]
            ])
    }

    @Test("a version that a client has seen in a transaction rolled back is never given again")
    func versionsOfARollback() throws {
        let backend = try TestBackend()
        var seen: [UInt64] = []
        for _ in 0..<3 {
            let transaction = try backend.begin()
            seen.append(try backend.expect(.put("a", "1"), in: transaction).version)
            try backend.expect(.rollback, in: transaction)
            seen.append(try backend.expect(.put("a", "1")).version)
        }
        // A kill: the files as they are.
        let crashed = try TemporaryDirectory()
        try backend.directory.copyDatabase(to: crashed)
        seen.append(try TestBackend(crashed).expect(.put("a", "1")).version)
        #expect(seen == seen.sorted() && Set(seen).count == seen.count, "\(seen)")
    }

    @Test("two sidecars on one file: an entry's version only grows") func versionsOfTwoSidecars() throws {
        let first = try TestBackend()
        let second = try TestBackend(first.directory)
        var last: UInt64 = 0
        for round in 0..<6 {
            for backend in [first, second, second, first] {
                let version = try backend.expect(.put("shared", "\(round)")).version
                #expect(version > last)
                last = version
            }
        }
    }

    @Test("a version counter at its end refuses writes instead of starting again") func versionsEnd() throws {
        let directory = try TemporaryDirectory()
        try TestBackend(directory).expect(.put("a", "1"))
        try PlainFile(directory).run(
            "UPDATE prism_meta SET value = 9223372036854775807 - 100 WHERE name = 'next_version'")
        let backend = try TestBackend(directory)
        for _ in 0..<3 {
            let answer = try backend.call(.put("a", "2"))
            #expect(answer.code == .outOfRange, "\(answer.message) \(answer.version)")
            #expect(answer.outcome == .notExecuted)
        }
        #expect(try backend.call(.get("a")).entry.text == "1")
    }

    @Test("writes wait while a transaction holds the writer, reads do not") func queueForTheWriter() throws {
        let backend = try TestBackend()
        let first = try backend.begin()
        try backend.expect(.put("a", "1"), in: first)
        let second = backend.newTransaction()
        let secondBegin = backend.submit(.begin, in: second)
        let plain = backend.submit(.put("b", "1"))
        #expect(try backend.call(.get("a")).entry.found == false)
        #expect(backend.finals(secondBegin) + backend.finals(plain) == 0)
        try backend.expect(.commit, in: first)
        #expect(try backend.answer(secondBegin).isOK)
        #expect(try backend.call(.get("a"), in: second).entry.text == "1")
        try backend.expect(.rollback, in: second)
        #expect(try backend.answer(plain).isOK)
    }

    @Test("the log stays near checkpoint_pages, however much is written") func logIsBounded() throws {
        let backend = try TestBackend(.init(settings: { $0.checkpointPages = 50 }))
        for number in 0..<300 {
            try backend.expect(.put("key\(number)", [UInt8](repeating: UInt8(number & 0xFF), count: 8_000)))
        }
        #expect(backend.directory.size("-wal") < 4 * 50 * 4_120, "\(backend.directory.size("-wal")) bytes")
    }

    @Test("pragmas are set on every connection: also on the one opened after a failure")
    func foreignKeysOnEveryConnection() throws {
        let vfs = FaultVFS()
        let backend = try TestBackend(vfs: vfs)
        try backend.expect(.query("CREATE TABLE parent (id INTEGER PRIMARY KEY)"))
        try backend.expect(.query("CREATE TABLE child (p INTEGER REFERENCES parent (id))"))
        let orphan = Request.query("INSERT INTO child VALUES (7)")
        #expect(try backend.call(orphan).code == .failedPrecondition)
        vfs.fail(.sync, of: .log)
        #expect(try backend.call(.put("a", "1")).outcome == .unknown)
        vfs.clear()
        try backend.expectSoon(.put("b", "1"))
        #expect(try backend.call(orphan).code == .failedPrecondition)
        #expect(try backend.call(.query("ATTACH ':memory:' AS x")).code == .invalidArgument)
    }

    @Test("a read-only transaction keeps its snapshot, whichever reader thread serves it") func transactionOverThreads()
        throws
    {
        let backend = try TestBackend(.init(readers: 4))
        try backend.expect(.put("a", "old"))
        let transactions = try (0..<3).map { _ in try backend.begin(readOnly: true) }
        try backend.expect(.put("a", "new"))
        for _ in 0..<20 {
            let others = (0..<8).map { _ in backend.submit(.get("a")) }
            for transaction in transactions {
                #expect(try backend.expect(.get("a").readOnly(), in: transaction).entry.text == "old")
            }
            for other in others { #expect(try backend.answer(other).entry.text == "new") }
        }
        for transaction in transactions { try backend.expect(.commit, in: transaction) }
    }

    @Test("a statement that runs is stopped, and its reader serves others again") func stopsAStatement() throws {
        let backend = try TestBackend()
        let endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c"
        for _ in 0..<5 {
            let running = backend.submit(.query(endless))
            #expect(backend.cancel(running) != .tooLate)
            #expect(try backend.call(.get("a")).isOK)
            #expect(backend.finals(running) == 0)
        }
    }

    @Test("a write that waits for another process's lock is stopped as well") func stopsAWaitForALock() throws {
        let backend = try TestBackend(.init(settings: { $0.busyTimeoutMilliseconds = 600_000 }))
        try backend.expect(.put("a", "1"))
        let other = try PlainFile(backend.directory)
        try other.run("BEGIN IMMEDIATE")
        let waiting = backend.submit(.put("a", "2"))
        #expect(backend.cancel(waiting) != .tooLate)
        try other.run("COMMIT")
        try backend.expect(.put("b", "1"))
        #expect(try backend.call(.get("a")).entry.text == "1")
        #expect(backend.finals(waiting) == 0)
    }
}
