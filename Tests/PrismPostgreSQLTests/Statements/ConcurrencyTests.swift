import Foundation
import PrismCore
import Testing

/// What each statement does when another transaction holds the row, against a real server. Where one has to wait for the
/// other, the test asks the server until it does.
@Suite("PostgreSQL statements: concurrency", .serialized) struct StatementConcurrencyTests {
    private static let database: Result<StatementDatabase, any Error> = Result {
        let database = try StatementDatabase("concurrency")
        try Session(database).execute(
            """
            CREATE FUNCTION refuse_going_back() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF new.version < old.version OR new.value <> old.value AND new.value <> '' AND new.version = old.version THEN
                    RAISE 'version % behind version %', new.version, old.version;
                END IF;
                RETURN new;
            END $$;
            CREATE TRIGGER refuse_going_back BEFORE UPDATE ON prism.entry
            FOR EACH ROW EXECUTE FUNCTION refuse_going_back();
            """)
        return database
    }

    private func session() throws -> Session { try Session(Self.database.get()) }

    /// Runs `body` in a session of its own while `holder` has its transaction open, and lets the holder go on with `release`
    /// only once `body` waits for it.
    private func behind<Answer: Sendable>(
        _ holder: Session, release: String = "COMMIT", also: (Session) throws -> Void = { _ in },
        _ body: @escaping @Sendable (Session) throws -> Answer
    ) throws -> Answer {
        let waiting = try session()
        let answers = Collected<Result<Answer, any Error>>()
        let group = DispatchGroup()
        group.enter()
        Thread.detachNewThread {
            answers.add(Result { try body(waiting) })
            group.leave()
        }
        let observer = try session()
        while try !observer.isSomebodyWaiting(for: holder) {
            guard answers.all.isEmpty else { break }
        }
        #expect(answers.all.isEmpty, "it did not wait")
        try also(holder)
        try holder.execute(release)
        group.wait()
        return try #require(answers.all.first).get()
    }

    @Test(
        "a write that had to wait gets a version above the one it waited for",
        arguments: [
            PostgreSQLStatement.putAlways, .putIfPresent, .increment,
        ])
    func versionBehindTheLock(statement: PostgreSQLStatement) throws {
        let holder = try session()
        let key = "wait-\(statement)"
        _ = try holder.put(key, "1")
        try holder.execute("BEGIN")
        _ = try holder.put(key, "2")
        nonisolated(unsafe) var last: Int64?
        @Sendable func waitingPut(_ waiting: Session) throws -> Int64? {
            statement == .increment ? try waiting.increment(key).version : try waiting.put(statement, key, "4")
        }
        func putMeanwhile(_ holder: Session) throws { last = try holder.put(key, "3") }
        let version = try behind(holder, also: putMeanwhile, waitingPut)
        #expect(try #require(version) > #require(last))
        #expect(try holder.one(.get, key)?[2] == Array("4".utf8))
    }

    @Test("a condition is judged on what the transaction that it waited for has left")
    func conditionBehindTheLock() throws {
        let holder = try session()
        let old = try #require(try holder.put("judged", "1"))
        try holder.execute("BEGIN")
        _ = try holder.put("judged", "2")
        #expect(try behind(holder) { try $0.put(.putIfVersion, "judged", "3", version: old) } == nil)
        try holder.execute("BEGIN")
        _ = try holder.put("judged", "2")
        let kept = try #require(try holder.one(.currentVersion, "judged")?.integer(0))
        try holder.execute("ROLLBACK; BEGIN")
        let before = try #require(try holder.one(.currentVersion, "judged")?.integer(0))
        #expect(before < kept)
        _ = try holder.put("judged", "3")
        #expect(
            try behind(holder, release: "ROLLBACK") { try $0.put(.putIfVersion, "judged", "4", version: before) } != nil
        )
        try holder.execute("BEGIN")
        _ = try holder.one(.touch, "judged", 0)
        let same = try #require(try holder.one(.currentVersion, "judged")?.integer(0))
        #expect(try behind(holder) { try $0.put(.putIfVersion, "judged", "4", version: same) } != nil)
    }

    @Test("of two that put if absent one wins, whether the first commits or rolls back")
    func absentRace() throws {
        let holder = try session()
        try holder.execute("BEGIN")
        #expect(try holder.put(.putIfAbsent, "race", "first") != nil)
        #expect(try behind(holder) { try $0.put(.putIfAbsent, "race", "second") } == nil)
        #expect(try holder.one(.get, "race")?[2] == Array("first".utf8))

        try holder.execute("BEGIN")
        #expect(try holder.put(.putIfAbsent, "race-2", "first") != nil)
        #expect(try behind(holder, release: "ROLLBACK") { try $0.put(.putIfAbsent, "race-2", "second") } != nil)
        #expect(try holder.one(.get, "race-2")?[2] == Array("second".utf8))
    }

    @Test("who waits behind a tombstone and a put of the same key finds the entry; behind a real delete it would not")
    func replaced() throws {
        func found(
            behind statement: PostgreSQLStatement, _ key: String,
            _ waiting: @escaping @Sendable (Session) throws -> Bool
        )
            throws -> Bool
        {
            let holder = try session()
            _ = try holder.put(key, "1")
            try holder.execute("BEGIN")
            #expect(try holder.one(statement, key) != nil)
            _ = try holder.put(key, "2")
            return try behind(holder, waiting)
        }
        #expect(try found(behind: .tombstone, "replaced-1") { try $0.put(.putIfPresent, "replaced-1", "3") != nil })
        #expect(try found(behind: .tombstone, "replaced-2") { try $0.one(.touch, "replaced-2", 0) != nil })
        #expect(try found(behind: .tombstone, "replaced-3") { try $0.one(.delete, "replaced-3") != nil })
        #expect(try !found(behind: .delete, "replaced-4") { try $0.put(.putIfPresent, "replaced-4", "3") != nil })
    }

    @Test("hot puts and increments: every version once, none going back, every increment counted")
    func hotKeys() throws {
        let writers = 16
        let rounds = 100
        let versions = Collected<Int64>()
        try inParallel(writers) { index in
            let session = try self.session()
            for round in 0..<rounds {
                versions.add(try #require(try session.put("hot", "\(index) \(round)")))
                versions.add(try #require(try session.increment("sum").version))
            }
        }
        // That none went back the trigger says: rows of one key change in the order in which they are committed.
        #expect(versions.all.count == writers * rounds * 2)
        #expect(Set(versions.all).count == versions.all.count)
        #expect(try session().one(.get, "sum")?[2] == Array("\(writers * rounds)".utf8))
    }

    @Test("compare-and-set by many: as many successes as the value says")
    func compareAndSet() throws {
        _ = try session().put("cas", "0")
        let successes = Collected<Int>()
        try inParallel(8) { _ in
            let session = try self.session()
            var mine = 0
            for _ in 0..<100 {
                let row = try #require(try session.one(.get, "cas"))
                let value = try #require(Int(String(decoding: row[2] ?? [], as: UTF8.self)))
                if try session.put(.putIfVersion, "cas", "\(value + 1)", version: row.integer(0)) != nil { mine += 1 }
            }
            successes.add(mine)
        }
        let sum = successes.all.reduce(0, +)
        #expect(sum > 0)
        #expect(try session().one(.get, "cas")?[2] == Array("\(sum)".utf8))
    }

    @Test("an idempotency key under contention is applied exactly once, and all others get its answer")
    func idempotency() throws {
        let keys = 40
        let applied = Collected<Int>()
        try inParallel(12) { index in
            let session = try self.session()
            for number in 0..<keys {
                func keyed(_ parameters: inout ParameterList) {
                    parameters.append(0)
                    parameters.append(text: "key-\(number)")
                }
                try session.execute("BEGIN")
                let claimed = try session.run(.claimKey) {
                    keyed(&$0)
                    $0.append(bytes: "print")
                    $0.append(60_000)
                }
                if claimed.isEmpty {
                    let answer = try #require(try session.run(.findKey, keyed).first?[1])
                    #expect(String(decoding: answer, as: UTF8.self).hasPrefix("answer \(number) "))
                    try session.execute("COMMIT")
                    continue
                }
                // Some fail, and leave nothing behind.
                if (index + number) % 5 == 0 {
                    _ = try session.increment("once")
                    try session.execute("ROLLBACK")
                    continue
                }
                _ = try session.increment("once")
                try session.run(.storeAnswer) {
                    keyed(&$0)
                    $0.append(bytes: "answer \(number) \(index)")
                }
                try session.execute("COMMIT")
                applied.add(number)
            }
        }
        #expect(applied.all.sorted() == Array(0..<keys))
        #expect(try session().one(.get, "once")?[2] == Array("\(keys)".utf8))
    }

    @Test("sweepers side by side neither wait for each other nor for writers, and take no entry that lives again")
    func sweepers() throws {
        let database = try StatementDatabase("sweepers")
        let holder = try Session(database)
        try holder.execute(
            """
            DELETE FROM prism.entry;
            INSERT INTO prism.entry (namespace, key, value, version, expires_at)
            SELECT 'default', ('k' || i)::bytea, '', i, i FROM generate_series(1, 30) AS i
            """)
        let other = try Session(database)
        try other.execute("SET lock_timeout = 1")
        try holder.execute("BEGIN")
        #expect(try holder.changed(.sweepEntries) { $0.append(10) } == 10)
        #expect(try holder.put("k30", "alive") != nil)
        #expect(try other.changed(.sweepEntries) { $0.append(100) } == 19)
        try holder.execute("COMMIT")
        #expect(try other.changed(.sweepEntries) { $0.append(100) } == 0)
        #expect(try other.text("SELECT convert_from(key, 'UTF8') FROM prism.entry") == "k30")

        // Many at once, beside writers that put what has expired again.
        let keys = 400
        try inParallel(8) { index in
            let mine = try Session(database)
            for round in 0..<keys / 4 where index < 4 {
                // Expired at once, and put again for good.
                let key = "churn-\(index)-\(round)"
                _ = try mine.put(key, "brief")
                try mine.execute("UPDATE prism.entry SET expires_at = 1 WHERE key = '\(key)'")
                _ = try mine.put(key, "lasting")
                #expect(try mine.one(.get, key)?[2] == Array("lasting".utf8))
            }
            for _ in 0..<keys where index >= 4 {
                try mine.run(.sweepEntries) { $0.append(7) }
            }
        }
        #expect(try other.text("SELECT count(*) FROM prism.entry WHERE value = 'lasting'") == "\(keys)")
    }
}

private final class Collected<Element: Sendable>: @unchecked Sendable {
    private let lock = NSLock()
    private var elements: [Element] = []
    var all: [Element] { lock.withLock { elements } }
    func add(_ element: Element) { lock.withLock { elements.append(element) } }
}
