import CSQLite
import Foundation
import PrismReactor
import Testing

/// Files that cannot be served, or not in full: a clear error, no crash, no hang, and work again when they can be.
@Suite struct DamagedFileTests {
    static func filled(_ count: Int = 200) throws -> TemporaryDirectory {
        let directory = try TemporaryDirectory()
        let backend = try TestBackend(directory)
        for number in 0..<count { try backend.expect(.put("key\(number)", [UInt8](repeating: 0x61, count: 500))) }
        try backend.expect(.query("CREATE TABLE mine (id INTEGER PRIMARY KEY, v TEXT)"))
        try backend.expect(.query("INSERT INTO mine VALUES (1, 'one')"))
        return directory
    }

    @Test("a read-only file: reads work, writes are PERMISSION_DENIED, NOT_EXECUTED") func readOnly() throws {
        let directory = try Self.filled()
        let vfs = FaultVFS()
        vfs.setReadOnly(true)
        let backend = try TestBackend(directory, vfs: vfs)
        #expect(backend.backend.startProblem == nil)
        #expect(try backend.call(.get("key1")).entry.value.count == 500)
        #expect(try backend.expect(.query("SELECT v FROM mine")).value == .text("one"))
        for write in [Request.put("new", "1"), .query("INSERT INTO mine VALUES (2, 'two')"), .delete("key1")] {
            let answer = try backend.call(write)
            #expect(answer.code == .permissionDenied, "\(answer.message)")
            #expect(answer.outcome == .notExecuted)
        }
        vfs.setReadOnly(false)
        try backend.expectSoon(.put("new", "1"))
    }

    @Test("a table whose text is longer than limits.sql_bytes and limits.frame_bytes have become is no damage")
    func smallerLimits() throws {
        let directory = try TemporaryDirectory()
        let before = try TestBackend(directory)
        try before.expect(.query("CREATE TABLE long (a /* \(String(repeating: "x", count: 300_000)) */)"))
        try before.expect(.query("INSERT INTO long VALUES (1)"))
        before.stop()
        let backend = try TestBackend(
            directory,
            vfs: nil,
            .init(settings: {
                $0.limits.sqlBytesMax = 16 << 10
                $0.limits.frameBytesMax = 64 << 10
                $0.limits.valueBytesMax = 32 << 10
            }))
        try backend.expect(.put("k", "v"))
        try backend.expect(.query("CREATE TABLE short (a)"))
        #expect(try backend.call(.query("SELECT a FROM long")).rows == [[.integer(1)]])
    }

    @Test("a file that is deleted or replaced while it is served: no write to the old one is answered OK")
    func movedAway() throws {
        let directory = try Self.filled()
        let backend = try TestBackend(directory)
        let other = try Self.filled(1)
        let transaction = try backend.begin()
        try backend.expect(.put("in", "1"), in: transaction)
        for ending in ["", "-wal", "-shm"] { rename(directory.database + ending, directory.database + ".old" + ending) }
        let commit = try backend.call(.commit, in: transaction)
        #expect(commit.code == .unavailable && commit.outcome == .notExecuted, "\(commit.message)")
        for request in [Request.put("new", "1"), .query("INSERT INTO mine VALUES (2, 'two')"), .increment("n")] {
            let answer = try backend.call(request)
            #expect(answer.code == .unavailable && answer.outcome == .notExecuted, "\(answer.message)")
        }
        // Nor is an empty file made in its place.
        #expect(access(directory.database, F_OK) != 0)
        // Readers look from time to time.
        while try backend.call(.get("key1")).isOK {}
        #expect(rename(other.database, directory.database) == 0)
        try backend.expectSoon(.put("new", "1"))
        try backend.expectSoon(.get("key0"))
        #expect(try backend.call(.get("key1")).entry.found == false)
        backend.stop()
        #expect(try PlainFile(directory).entries()["new"] == "1")
    }

    @Test("a file that is no database: DATA_LOSS at connect, reported at the start") func notADatabase() throws {
        let directory = try TemporaryDirectory()
        try Data("this is a text file and no database, and it is long enough to look like one".utf8)
            .write(to: URL(fileURLWithPath: directory.database))
        let before = directory.size()
        let backend = try TestBackend(directory)
        #expect(backend.backend.startProblem?.contains("no SQLite database") == true)
        #expect(backend.backend.snapshot().isHealthy == false)
        for request in [Request.put("a", "1"), .get("a"), .query("SELECT 1")] {
            let answer = try backend.call(request)
            #expect(answer.code == .dataLoss, "\(answer.message)")
            #expect(answer.outcome == .notExecuted)
            #expect(answer.failure?.stage == .connect)
        }
        backend.stop()
        #expect(directory.size() == before, "the file was touched")
    }

    @Test("a damaged header: DATA_LOSS") func damagedHeader() throws {
        let directory = try Self.filled()
        try directory.overwrite(at: 0, [UInt8](repeating: 0xA5, count: 100))
        let backend = try TestBackend(directory)
        #expect(backend.backend.startProblem != nil)
        #expect(try backend.call(.put("a", "1")).code == .dataLoss)
        #expect(try backend.call(.get("key1")).code == .dataLoss)
    }

    @Test("a damaged page in the middle: DATA_LOSS for what needs it, the rest goes on") func damagedPage() throws {
        let directory = try Self.filled()
        let root = try #require(
            try PlainFile(directory).integer("SELECT rootpage FROM sqlite_schema WHERE name = 'mine'"))
        try directory.overwrite(at: Int(root - 1) * 4_096, [UInt8](repeating: 0xA5, count: 4_096))
        let backend = try TestBackend(directory)
        #expect(backend.backend.startProblem == nil)
        for request in [
            Request.query("SELECT v FROM mine"), .query("INSERT INTO mine VALUES (2, 'two')"),
            .batch([.init("INSERT INTO mine VALUES (3, 'three')")]),
        ] {
            let answer = try backend.call(request)
            #expect(answer.code == .dataLoss, "\(answer.message)")
            #expect(answer.outcome == .notExecuted)
        }
        try backend.expect(.put("new", "1"))
        #expect(try backend.call(.get("key7")).entry.value.count == 500)
    }

    @Test("whatever bytes are damaged, every request gets one answer", arguments: 0..<40) func anyDamage(_ seed: Int)
        throws
    {
        let directory = try Self.filled(60)
        var state = UInt64(seed) &* 0x9E37_79B9_7F4A_7C15 | 1
        func next(_ bound: Int) -> Int {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return Int(state % UInt64(bound))
        }
        let size = directory.size()
        for _ in 0...next(8) {
            try directory.overwrite(
                at: next(size - 64), (0...next(64)).map { _ in UInt8(truncatingIfNeeded: next(256)) })
        }
        if seed % 5 == 0 { truncate(directory.database, off_t(next(size))) }
        let backend = try TestBackend(directory)
        for number in 0..<20 {
            for request in [
                Request.put("key\(number)", "new"), .get("key\(number * 3)"), .delete("key\(number * 2)"),
                .scan(), .count(), .query("SELECT * FROM mine"), .query("INSERT INTO mine (v) VALUES ('x')"),
            ] {
                let answer = try backend.call(request)
                if !answer.isOK { #expect(answer.failure?.message.isEmpty == false) }
            }
        }
        #expect(backend.answeredTwice == 0)
    }

    @Test("a missing directory: UNAVAILABLE at connect, and work as soon as it is there") func missingDirectory() throws
    {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/later/data.db"
        let backend = try TestBackend(directory, .init(settings: { $0.path = path }))
        #expect(backend.backend.startProblem?.contains("directory") == true)
        let answer = try backend.call(.put("a", "1"))
        #expect(answer.code == .unavailable)
        #expect(answer.outcome == .notExecuted)
        #expect(answer.failure?.isRetryable == true)
        try FileManager.default.createDirectory(atPath: directory.path + "/later", withIntermediateDirectories: false)
        try backend.expectSoon(.put("a", "1"))
        #expect(try backend.callUntilOK(.get("a")).entry.text == "1")
        #expect(backend.backend.snapshot().isHealthy)
    }

    @Test("a file that must exist and does not: not created") func mustExist() throws {
        let directory = try TemporaryDirectory()
        let backend = try TestBackend(directory, .init(settings: { $0.createIfMissing = false }))
        #expect(backend.backend.startProblem != nil)
        #expect(try backend.call(.put("a", "1")).code == .unavailable)
        backend.stop()
        #expect(directory.size() == -1)
    }

    @Test("a directory where the file should be") func directoryInstead() throws {
        let directory = try TemporaryDirectory()
        try FileManager.default.createDirectory(atPath: directory.database, withIntermediateDirectories: false)
        let backend = try TestBackend(directory)
        #expect(backend.backend.startProblem != nil)
        #expect(try backend.call(.put("a", "1")).code == .unavailable)
    }

    @Test("a newer Prism's schema: FAILED_PRECONDITION, and the file stays as it is") func newerSchema() throws {
        let directory = try Self.filled(1)
        try PlainFile(directory).run("UPDATE prism_meta SET value = 99 WHERE name = 'schema_version'")
        let backend = try TestBackend(directory)
        #expect(backend.backend.startProblem?.contains("newer prism") == true)
        let answer = try backend.call(.put("a", "1"))
        #expect(answer.code == .failedPrecondition)
        #expect(answer.outcome == .notExecuted)
        backend.stop()
        #expect(try PlainFile(directory).entries()["a"] == nil)
    }

    @Test("a log left by a crash is recovered") func logOfACrash() throws {
        let crashed = try TemporaryDirectory()
        let directory = try TemporaryDirectory()
        let before = try TestBackend(crashed)
        for number in 0..<10 { try before.expect(.put("key\(number)", "1")) }
        try crashed.copyDatabase(to: directory)
        #expect(directory.size("-wal") > 0)
        let backend = try TestBackend(directory)
        for number in 0..<10 { #expect(try backend.call(.get("key\(number)")).entry.text == "1") }
        let highest = try backend.call(.get("key9")).entry.version
        #expect(try backend.expect(.put("new", "1")).version > highest)
    }

    @Test("a damaged log: what it held before the damage is recovered, the file stays whole") func damagedLog() throws {
        let crashed = try TemporaryDirectory()
        let directory = try TemporaryDirectory()
        let before = try TestBackend(crashed)
        for number in 0..<10 { try before.expect(.put("key\(number)", "1")) }
        try crashed.copyDatabase(to: directory)
        let log = open(directory.database + "-wal", O_WRONLY)
        let noise = [UInt8](repeating: 0xA5, count: 64)
        #expect(pwrite(log, noise, 64, off_t(directory.size("-wal") - 100)) == 64)
        close(log)
        let backend = try TestBackend(directory)
        #expect(try backend.call(.get("key0")).entry.text == "1")
        try backend.expect(.put("new", "1"))
        backend.stop()
        try PlainFile(directory).expectIntact()
    }

    /// Another process, as another sidecar or a person with the sqlite3 shell.
    @Test("a file that another process has locked: UNAVAILABLE, retryable, and work when it lets go")
    func lockedByAnotherProcess() throws {
        let directory = try Self.filled(1)
        let other = try OtherProcess(locking: directory.database)
        let backend = try TestBackend(directory, .init(settings: { $0.busyTimeoutMilliseconds = 50 }))
        let answer = try backend.call(.put("a", "1"))
        #expect(answer.code == .unavailable, "\(answer.message)")
        #expect(answer.outcome == .notExecuted)
        #expect(answer.failure?.isRetryable == true)
        #expect(try backend.callUntilOK(.get("key0")).entry.value.count == 500, "a writer's lock stops no reader")
        other.letGo()
        try backend.expectSoon(.put("a", "1"))
    }
}

/// A process that holds the write lock until it is told to let go.
private final class OtherProcess {
    private let process = Process()
    private let input = Pipe()

    init(locking path: String) throws {
        let output = Pipe()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [
            "python3", "-c",
            "import sqlite3,sys; c=sqlite3.connect(sys.argv[1],isolation_level=None); c.execute('BEGIN IMMEDIATE'); "
                + "print('locked',flush=True); sys.stdin.readline()", path,
        ]
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        let said = output.fileHandleForReading.readData(ofLength: 7)
        #expect(said == Data("locked\n".utf8))
    }

    deinit { letGo() }

    func letGo() {
        guard process.isRunning else { return }
        try? input.fileHandleForWriting.close()
        process.waitUntilExit()
    }
}
