import CSQLite
import Testing

/// What is said of a write whose COMMIT fails, and what is in the file then (ARCHITECTURE, SQLite).
@Suite struct CommitFaultTests {
    @Test("a COMMIT whose fsync fails is UNKNOWN for every member of the group, and the writer works again at once")
    func failingSyncAtCommit() throws {
        let vfs = FaultVFS()
        let backend = try TestBackend(vfs: vfs)
        try backend.expect(.put("before", "1"))
        let gate = try backend.begin()
        let group = (0..<5).map { backend.submit(.put("member\($0)", "1")) }
        vfs.fail(.sync, of: .log)
        try backend.expect(.rollback, in: gate)
        for member in group {
            let answer = try backend.answer(member)
            #expect(answer.outcome == .unknown)
            #expect(answer.code == .unavailable)
            #expect(answer.failure?.sqliteCode == ioErrorOfSync)
            #expect(answer.failure?.isRetryable == false)
        }
        #expect(vfs.hits == 1)
        vfs.clear()
        try backend.expect(.put("after", "1"))
        backend.stop()
        let file = try PlainFile(backend.directory)
        try file.expectIntact()
        let entries = try file.entries()
        #expect(entries["before"] == "1")
        #expect(entries["after"] == "1")
        #expect(backend.answeredTwice == 0)
    }

    /// A kernel drops what it could not sync, and still shows it to readers. When the last connection closes, the next one
    /// recovers the log from what it is shown and writes behind frames that the disk does not have. The writer opens the new
    /// connection before it closes the old one: then the shared memory lives on, and those frames are written again.
    @Test("after fsyncs failed and the writer was reopened, what is answered OK survives a power cut")
    func laterWritesSurviveAPowerCut() throws {
        let vfs = FaultVFS()
        let directory = try TemporaryDirectory()
        try TestBackend(directory).expect(.put("before", "1"))
        vfs.record(directory)
        let backend = try TestBackend(directory, vfs: vfs)
        try backend.expect(.put("a", "1"))
        // That of its COMMIT, and the next, be it of the old connection's end.
        vfs.fail(.sync, count: 2)
        #expect(try backend.call(.put("b", "1")).outcome == .unknown)
        try backend.expectSoon(.put("after", "1"))
        let image = try TemporaryDirectory()
        #expect(vfs.makeCrashImage(at: vfs.position, .syncedOnly, in: image))
        let entries = try PlainFile(image).entries()
        #expect(entries["after"] == "1")
    }

    @Test("a full disk at COMMIT is NOT_EXECUTED, and nothing of it is in the file")
    func fullDiskAtCommit() throws {
        let vfs = FaultVFS()
        let backend = try TestBackend(vfs: vfs)
        try backend.expect(.put("before", "1"))
        vfs.setDisk(bytesLeft: 2_000)
        for key in ["refused1", "refused2"] {
            let answer = try backend.call(.put(key, [UInt8](repeating: 0x61, count: 20_000)))
            #expect(answer.code == .resourceExhausted)
            #expect(answer.outcome == .notExecuted)
            #expect(answer.failure?.sqliteCode == SQLITE_FULL)
        }
        #expect(try backend.call(.get("before")).entry.text == "1")
        vfs.setDisk(bytesLeft: nil)
        try backend.expect(.put("after", "1"))
        backend.stop()
        let file = try PlainFile(backend.directory)
        try file.expectIntact()
        #expect(try file.entries() == ["before": "1", "after": "1"])
    }
}

/// SQLITE_IOERR_FSYNC, which is a C expression that Swift does not import.
let ioErrorOfSync: Int32 = 10 | 4 << 8
