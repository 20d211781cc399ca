import Testing

/// What was answered OK survives a power cut at any later moment; what was refused never appears; the file stays whole
/// (`synchronous=FULL`, the default).
@Suite struct PowerLossTests {
    struct Written: Sendable {
        var key: String
        var answer: Answer
    }

    static let survivors: [FaultVFS.Survivors] = [
        .syncedOnly, .everything, .some(seed: 2), .some(seed: 3), .some(seed: 4),
    ]

    /// Many writes in groups and alone, with checkpoints among them; some are refused.
    static func write(_ backend: TestBackend) throws -> [Written] {
        var written: [Written] = []
        for round in 0..<12 {
            let gate = try backend.begin()
            try backend.expect(.put("gate\(round)", "1"), in: gate)
            let group = (0..<6).map { number in
                let key = "key\(round)-\(number)"
                let value = [UInt8](repeating: UInt8(ascii: "v"), count: 200 + number * 900)
                let condition: Request.Condition? = number == 3 ? .present : nil
                return (key, backend.submit(.put(key, value, condition: condition)))
            }
            written.append(Written(key: "gate\(round)", answer: try backend.call(.commit, in: gate)))
            for (key, pending) in group { written.append(Written(key: key, answer: try backend.answer(pending))) }
        }
        return written
    }

    @Test("a power cut at any moment loses nothing that was answered OK") func everyMoment() throws {
        let vfs = FaultVFS()
        let directory = try TemporaryDirectory()
        vfs.record(directory)
        let backend = try TestBackend(directory, vfs: vfs, .init(settings: { $0.checkpointPages = 20 }))
        let written = try Self.write(backend)
        #expect(written.count { $0.answer.isOK } == 12 * 6)
        backend.stop()
        let end = Int(vfs.position)
        #expect(end > 300)
        let problems = concurrently(Array(stride(from: 1, through: end, by: 3)), threads: 4) { position in
            do {
                return try Self.problems(vfs, written, UInt64(position))
            } catch {
                return ["cut at \(position) of \(end): \(error)"]
            }
        }
        #expect(problems.isEmpty, "\(problems.count): \(problems.prefix(10).joined(separator: "\n"))")
    }

    static func problems(_ vfs: FaultVFS, _ written: [Written], _ position: UInt64) throws -> [String] {
        var problems: [String] = []
        for survivors in survivors {
            let image = try TemporaryDirectory()
            guard vfs.makeCrashImage(at: position, survivors, in: image) else { return ["no image"] }
            let file = try PlainFile(image)
            if try file.rows("PRAGMA integrity_check") != [[.text("ok")]] {
                problems.append("damaged by a cut at \(position) with \(survivors)")
                continue
            }
            // Before the first commit there is no table yet.
            let hasTable = try file.integer("SELECT count(*) FROM sqlite_schema WHERE name = 'prism_entry'") == 1
            let entries = hasTable ? try file.entries() : [:]
            for write in written {
                let isThere = entries[write.key] != nil
                if write.answer.isOK, write.answer.position <= position, !isThere {
                    problems.append("\(write.key) was lost by a cut at \(position) with \(survivors)")
                }
                if !write.answer.isOK, isThere { problems.append("\(write.key) appeared by a cut at \(position)") }
            }
        }
        return problems
    }

    @Test("with synchronous=NORMAL a power cut may lose the last commits, and the file stays whole") func normal()
        throws
    {
        let vfs = FaultVFS()
        let directory = try TemporaryDirectory()
        vfs.record(directory)
        let backend = try TestBackend(
            directory, vfs: vfs,
            .init(settings: {
                $0.synchronous = .normal
                $0.checkpointPages = 20
            }))
        let written = try Self.write(backend)
        // The model of the disk is worth something only if it loses what is not synced.
        let problems = try written.flatMap { try Self.problems(vfs, written, $0.answer.position) }
        #expect(problems.contains { $0.contains("lost") })
        #expect(!problems.contains { $0.contains("damaged") || $0.contains("appeared") })
    }

    @Test("after a full disk in the middle of COMMIT, a power cut does not bring the refused write back")
    func refusedAtCommit() throws {
        let vfs = FaultVFS()
        let directory = try TemporaryDirectory()
        try TestBackend(directory).expect(.put("before", "1"))
        vfs.record(directory)
        let backend = try TestBackend(directory, vfs: vfs)
        try backend.expect(.put("first", "1"))
        for bytes in stride(from: Int64(0), through: 24_000, by: 1_030) {
            vfs.setDisk(bytesLeft: bytes)
            let key = "key\(bytes)"
            let answer = try backend.call(.put(key, [UInt8](repeating: 0x61, count: 15_000)))
            for survivors in Self.survivors {
                let image = try TemporaryDirectory()
                #expect(vfs.makeCrashImage(at: answer.position, survivors, in: image))
                let file = try PlainFile(image)
                try file.expectIntact()
                #expect((try file.entries()[key] != nil) == answer.isOK, "\(bytes) bytes left, \(survivors)")
            }
            if answer.isOK { return }
            #expect(answer.outcome == .notExecuted)
        }
    }
}
