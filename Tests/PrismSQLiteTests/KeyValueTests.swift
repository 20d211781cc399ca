import PrismWire
import Testing

/// The key-value operations' one semantics (CONTRACT 3) on SQLite.
@Suite struct KeyValueTests {
    @Test("values of any bytes and size come back as they were") func values() throws {
        let backend = try TestBackend()
        let values: [[UInt8]] = [[], [0], Array(0...255), [UInt8](repeating: 0xFF, count: 1 << 20)]
        for (number, value) in values.enumerated() {
            let version = try backend.expect(.put("key\(number)", value)).version
            let entry = try backend.expect(.get("key\(number)")).entry
            #expect(entry.found && entry.value == value)
            #expect(entry.version == version)
            #expect(entry.expiresAt == 0)
        }
        #expect(try backend.expect(.get("missing")).entry.found == false)
    }

    @Test("each write gives a version that is higher than all before") func versions() throws {
        let backend = try TestBackend()
        var last: UInt64 = 0
        for number in 0..<50 {
            let answer = try backend.expect(number % 2 == 0 ? .put("a", "1") : .increment("n\(number % 3)"))
            #expect(answer.version > last)
            last = answer.version
        }
    }

    @Test("conditions hold or answer FAILED_PRECONDITION with the current version") func conditions() throws {
        let backend = try TestBackend()
        func refuse(_ request: Request, current: UInt64) throws {
            let answer = try backend.call(request)
            #expect(answer.code == .failedPrecondition)
            #expect(answer.outcome == .notExecuted)
            #expect(answer.failure?.currentVersion == current)
        }
        try refuse(.put("a", "1", condition: .present), current: 0)
        try refuse(.put("a", "1", condition: .version(7)), current: 0)
        try refuse(.delete("a", version: 7), current: 0)
        let first = try backend.expect(.put("a", "1", condition: .absent)).version
        try refuse(.put("a", "2", condition: .absent), current: first)
        try refuse(.put("a", "2", condition: .version(first + 1)), current: first)
        let second = try backend.expect(.put("a", "2", condition: .version(first))).version
        try refuse(.delete("a", version: first), current: second)
        try backend.expect(.put("a", "3", condition: .present))
        #expect(try backend.expect(.delete("a")).found)
        #expect(try backend.expect(.delete("a")).found == false)
    }

    /// An entry whose time has passed. Waits for the clock, not for the sweeper.
    private func expire(_ key: String, in backend: TestBackend) throws {
        try backend.expect(.put(key, "old", ttl: 1))
        try until { try !backend.expect(.get(key)).entry.found }
    }

    @Test("an expired entry is invisible to every operation, though it is still in the file") func expiry() throws {
        let backend = try TestBackend()
        try backend.expect(.put("b", "1", ttl: 3_600_000))
        try expire("a", in: backend)
        #expect(try backend.expect(.getMany(["a", "b"])).entries.map(\.found) == [false, true])
        #expect(try backend.expect(.scan()).entries.map(\.keyText) == ["b"])
        #expect(try backend.expect(.count()).count == 1)
        #expect(try backend.expect(.touch("a", ttl: 0)).found == false)
        #expect(try backend.expect(.delete("a")).found == false)
        #expect(try backend.call(.put("a", "1", condition: .present)).code == .failedPrecondition)
        #expect(try PlainFile(backend.directory).entries()["a"] == "old")
        #expect(try backend.expect(.increment("a", by: 5)).integer == 5)
        try expire("a", in: backend)
        try backend.expect(.put("a", "new", condition: .absent))
        #expect(try backend.expect(.get("a")).entry.text == "new")
    }

    @Test("Touch sets and removes the time to live and keeps the version") func touch() throws {
        let backend = try TestBackend()
        let version = try backend.expect(.put("a", "1")).version
        #expect(try backend.expect(.touch("a", ttl: 3_600_000)).found)
        let touched = try backend.expect(.get("a")).entry
        #expect(touched.expiresAt > 0 && touched.version == version && touched.text == "1")
        #expect(try backend.expect(.touch("a", ttl: 0)).found)
        #expect(try backend.expect(.get("a")).entry.expiresAt == 0)
        // Put without a time to live removes it.
        try backend.expect(.put("a", "2", ttl: 3_600_000))
        try backend.expect(.put("a", "3"))
        #expect(try backend.expect(.get("a")).entry.expiresAt == 0)
    }

    @Test("Increment counts in 64 bits, refuses to overflow, and sets a time to live only on creation") func increment()
        throws
    {
        let backend = try TestBackend()
        #expect(try backend.expect(.increment("n", by: -3, ttl: 3_600_000)).integer == -3)
        let expiresAt = try backend.expect(.get("n")).entry.expiresAt
        #expect(expiresAt > 0)
        #expect(try backend.expect(.increment("n", by: 10)).integer == 7)
        #expect(try backend.expect(.get("n")).entry.text == "7")
        #expect(try backend.expect(.get("n")).entry.expiresAt == expiresAt)
        try backend.expect(.put("max", "9223372036854775807"))
        let overflow = try backend.call(.increment("max"))
        #expect(overflow.code == .outOfRange && overflow.outcome == .notExecuted)
        #expect(try backend.expect(.increment("max", by: .min)).integer == -1)
        try backend.expect(.put("text", "seven"))
        #expect(try backend.call(.increment("text")).code == .failedPrecondition)
        try backend.expect(.put("wide", "92233720368547758070"))
        #expect(try backend.call(.increment("wide")).code == .failedPrecondition)
    }

    @Test("Write is all or nothing, in the order given, and says which item failed") func write() throws {
        let backend = try TestBackend()
        let answer = try backend.expect(
            .write([.put("n", [0x37]), .increment("n", by: 1), .delete("n"), .put("n", [0x31]), .touch("x", ttl: 0)]))
        #expect(answer.items.count == 5)
        #expect(answer.items[2] == 1 && answer.items[4] == 0)
        #expect(answer.items[3] > answer.items[1] && answer.items[1] > answer.items[0])
        #expect(try backend.expect(.get("n")).entry.version == answer.items[3])
        let refused = try backend.call(
            .write([.put("a", [1]), .delete("n"), .put("b", [1], condition: .present), .put("c", [1])]))
        #expect(refused.code == .failedPrecondition)
        #expect(refused.failure?.item == 3)
        #expect(refused.outcome == .notExecuted)
        #expect(try backend.expect(.scan()).entries.map(\.keyText) == ["n"])
    }

    @Test("GetMany answers in the order asked, doubles and missing ones included") func getMany() throws {
        let backend = try TestBackend()
        for key in ["a", "b", "c"] { try backend.expect(.put(key, key)) }
        let entries = try backend.expect(.getMany(["c", "missing", "a", "c"])).entries
        #expect(entries.map(\.found) == [true, false, true, true])
        #expect(entries.map(\.text) == ["c", "", "a", "c"])
    }

    @Test("a cursor that does not belong to the range narrows it and never leaves it") func strangeCursors() throws {
        let backend = try TestBackend()
        let keys = ["\0", "a", "b\0", "ba", "b~", "c", "~"].map { Array($0.utf8) }
        for key in keys { try backend.expect(.put(String(decoding: key, as: UTF8.self), [])) }
        for last in keys + [[0x62], [UInt8](repeating: 0xFF, count: 1_024)] {
            for isReverse in [false, true] {
                let found = try backend.expect(.scan(.init(prefix: "b"), reverse: isReverse, cursor: [1] + last))
                    .entries
                let expected = keys.filter {
                    $0[0] == 0x62
                        && (isReverse ? $0.lexicographicallyPrecedes(last) : last.lexicographicallyPrecedes($0))
                }
                #expect(found.map(\.key) == (isReverse ? expected.reversed() : expected), "\(last), \(isReverse)")
            }
        }
    }

    @Test("scans keep byte order, both bounds, both directions, limits, and go on behind a cursor") func scan() throws {
        let backend = try TestBackend()
        let keys = ["a", "a%", "a_", "aa", "ab", "b", "\u{10FFFF}", "\u{10FFFF}\u{7F}"]
        for key in keys.shuffled() { try backend.expect(.put(key, "v")) }
        try backend.expect(.put("a", Array("other".utf8), namespace: "other"))
        let sorted = keys.sorted { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) }
        func scanned(_ range: Request.Range = .init(), _ reverse: Bool = false) throws -> [String] {
            try backend.expect(.scan(range, reverse: reverse)).entries.map(\.keyText)
        }
        #expect(try scanned() == sorted)
        #expect(try scanned(.init(), true) == sorted.reversed())
        #expect(try scanned(.init(prefix: "a")) == sorted.filter { $0.hasPrefix("a") })
        #expect(try scanned(.init(prefix: "a%")) == ["a%"], "a wildcard of LIKE is a byte like any other")
        #expect(try scanned(.init(prefix: "\u{10FFFF}"), true) == ["\u{10FFFF}\u{7F}", "\u{10FFFF}"])
        #expect(try scanned(.init(start: Array("a_".utf8), end: Array("b".utf8))) == ["a_", "aa", "ab"])
        #expect(try backend.expect(.count(.init(prefix: "a"))).count == 5)
        #expect(try backend.expect(.count(namespace: "other")).count == 1)
        #expect(try backend.expect(.scan(keysOnly: true)).entries.allSatisfy { $0.value.isEmpty && $0.version > 0 })
        for reverse in [false, true] {
            for limit: UInt64 in [1, 3, 8] {
                var found: [String] = []
                var cursor: [UInt8] = []
                repeat {
                    let part = try backend.expect(.scan(reverse: reverse, limit: limit, cursor: cursor))
                    #expect(part.entries.count <= Int(limit))
                    found += part.entries.map(\.keyText)
                    cursor = part.cursor
                } while !cursor.isEmpty
                #expect(found == (reverse ? sorted.reversed() : sorted), "limit \(limit)")
            }
        }
    }

    @Test("keys of the highest bytes have no upper bound") func highestPrefix() throws {
        let backend = try TestBackend()
        try backend.expect(.put("z", "1"))
        let entries = try backend.expect(.scan(.init(start: [0xFF], end: []))).entries
        #expect(entries.isEmpty)
        #expect(try backend.expect(.scan(.init(start: [0x7A], end: [0xFF, 0xFF]))).entries.count == 1)
    }

    @Test("a scan larger than a part is streamed, complete and in order") func longScan() throws {
        let backend = try TestBackend(.init(streamWindowBytes: 40_000))
        for start in stride(from: 0, to: 400, by: 100) {
            try backend.expect(
                .write((start..<start + 100).map { .put("key\(1_000 + $0)", [UInt8](repeating: 0x61, count: 2_000)) }))
        }
        let answer = try backend.expect(.scan())
        #expect(answer.parts > 5)
        #expect(answer.entries.map(\.keyText) == (1_000..<1_400).map { "key\($0)" })
    }

    @Test("an entry that fits into a frame alone is scanned behind others too") func longEntryBehindShort() throws {
        let backend = try TestBackend(.init(settings: { $0.limits.frameBytesMax = 64 << 10 }))
        let counts = [1, 20_000, 65_024, 5, 65_024, 65_024, 30_000, 30_000]
        for (number, count) in counts.enumerated() {
            try backend.expect(.put("key\(number)", [UInt8](repeating: 0x61, count: count)))
        }
        #expect(try backend.expect(.scan()).entries.map(\.value.count) == counts)
        #expect(try backend.expect(.scan(reverse: true)).entries.map(\.value.count) == counts.reversed())
        let limited = try backend.expect(.scan(limit: 3))
        #expect(limited.entries.map(\.value.count) == Array(counts.prefix(3)))
        let rest = try backend.expect(.scan(cursor: limited.cursor))
        #expect(rest.entries.map(\.value.count) == Array(counts.dropFirst(3)))
    }

    @Test("the sweeper removes what has expired, in batches, and old idempotency keys") func sweeper() throws {
        let directory = try TemporaryDirectory()
        let filler = try TestBackend(directory)
        try filler.expect(.write((0..<50).map { .put("old\($0)", [1], ttl: 1) } + [.put("kept", [1], ttl: 3_600_000)]))
        try filler.expect(.put("x", "1").idempotent("old"))
        filler.stop()
        let backend = try TestBackend(
            directory,
            .init(
                sweepIntervalNanoseconds: 1_000_000,
                settings: {
                    $0.sweepRows = 7
                    $0.idempotencyRetentionMilliseconds = 1
                }))
        let file = try PlainFile(directory)
        try until {
            try file.integer("SELECT (SELECT count(*) FROM prism_entry) + (SELECT count(*) FROM prism_idempotency)")
                == 2
        }
        #expect(Set(try file.entries().keys) == ["kept", "x"])
        #expect(try file.integer("SELECT count(*) FROM prism_idempotency") == 0)
        try backend.expect(.put("alive", "1"))
    }
}

/// A repeated write happens once (CONTRACT 2).
@Suite struct IdempotencyTests {
    @Test("the same key and request get the first answer and have no second effect") func replay() throws {
        let backend = try TestBackend()
        let request = Request.increment("n").idempotent("k")
        let first = try backend.expect(request)
        #expect(!first.replayed)
        for _ in 0..<3 {
            let again = try backend.expect(request)
            #expect(again.replayed && again.integer == 1 && again.version == first.version)
        }
        let other = try backend.call(.increment("n", by: 2).idempotent("k"))
        #expect(other.code == .invalidArgument && other.outcome == .notExecuted)
        // The key belongs to the client's uid.
        #expect(try backend.expect(request, uid: 2_000).integer == 2)
        // And outlives the process.
        backend.stop()
        #expect(try TestBackend(backend.directory).expect(request).integer == 1)
    }

    @Test("repeats in one group happen once") func repeatsInOneGroup() throws {
        let backend = try TestBackend()
        let group = try Group(backend, (0..<8).map { _ in .increment("n").idempotent("k") })
        let answers = try group.answers()
        #expect(answers.allSatisfy { $0.isOK && $0.integer == 1 })
        #expect(answers.count { $0.replayed } == 7)
    }

    @Test("a write that was refused leaves its key free") func refusedLeavesNoKey() throws {
        let backend = try TestBackend()
        let request = Request.put("a", "1", condition: .present).idempotent("k")
        #expect(try backend.call(request).code == .failedPrecondition)
        try backend.expect(.put("a", "0"))
        let answer = try backend.expect(request)
        #expect(!answer.replayed)
    }

    @Test("an answer above the size is replayed as OK without payload") func bigAnswer() throws {
        let backend = try TestBackend(.init(settings: { $0.idempotencyAnswerBytesMax = 100 }))
        try backend.expect(.query("CREATE TABLE t (v TEXT)"))
        let request = Request.query(
            "INSERT INTO t VALUES ($1) RETURNING v", [.text(String(repeating: "x", count: 200))]
        )
        .idempotent("k")
        #expect(try backend.expect(request).rows.count == 1)
        let again = try backend.expect(request)
        #expect(again.replayed && again.rows.isEmpty)
        #expect(try backend.expect(.query("SELECT count(*) FROM t")).value == .integer(1))
    }

    @Test("after the retention the key is free again") func retention() throws {
        let backend = try TestBackend(.init(settings: { $0.idempotencyRetentionMilliseconds = 1 }))
        let request = Request.increment("n").idempotent("k")
        try backend.expect(request)
        try until { try backend.expect(request).integer == 2 }
    }

    @Test("in a transaction the key is Commit's: a repeat rolls back and gets OK") func commit() throws {
        let backend = try TestBackend()
        for round in 0..<2 {
            let transaction = try backend.begin()
            try backend.expect(.increment("n"), in: transaction)
            let answer = try backend.expect(.commit.idempotent("k"), in: transaction)
            #expect(answer.replayed == (round == 1))
            #expect(answer.effect == .ended)
        }
        #expect(try backend.expect(.get("n")).entry.text == "1")
    }
}
