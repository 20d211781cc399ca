import PrismCore
import Testing

/// Text as the caches read it.
func withText<Result>(_ text: String, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    Array(text.utf8).withUnsafeBytes(body)
}

@Suite("PostgreSQL statement cache") struct StatementCacheTests {
    private struct Cache {
        var cache: StatementCache

        init(_ capacity: Int) { cache = StatementCache(capacity: capacity) }

        mutating func find(_ sql: String, _ types: [TypeOID] = []) -> UInt32? {
            withText(sql) { cache.find(sql: $0, types: types)?.number }
        }

        /// The new name, and the one that gave way.
        mutating func insert(_ sql: String, _ types: [TypeOID] = []) -> [UInt32?] {
            let (name, evicted) = withText(sql) { cache.insert(sql: $0, types: types) }
            return [name.number, evicted?.number]
        }
    }

    @Test("a statement is found by its text and its types, each with a name of its own")
    func finds() {
        var cache = Cache(8)
        #expect(cache.find("SELECT $1") == nil)
        #expect(cache.insert("SELECT $1") == [1, nil])
        #expect(cache.insert("SELECT $1", [20]) == [2, nil])
        #expect(cache.insert("SELECT $1", [20, 0]) == [3, nil])
        #expect(cache.insert("SELECT $1 ") == [4, nil])
        #expect(cache.insert("") == [5, nil])
        #expect(cache.find("SELECT $1") == 1)
        #expect(cache.find("SELECT $1", [20]) == 2)
        #expect(cache.find("SELECT $1", [20, 0]) == 3)
        #expect(cache.find("SELECT $1 ") == 4)
        #expect(cache.find("") == 5)
        #expect(cache.find("SELECT $2") == nil)
        #expect(cache.find("SELECT $1", [21]) == nil)
    }

    @Test("the statement not used for longest gives way")
    func evicts() {
        var cache = Cache(3)
        for sql in ["a", "b", "c"] { _ = cache.insert(sql) }
        #expect(cache.find("a") == 1)
        #expect(cache.insert("d") == [4, 2])
        #expect(cache.find("b") == nil)
        #expect(cache.insert("e") == [5, 3])
        #expect(cache.find("a") == 1)
        #expect(cache.find("d") == 4)
        #expect(cache.find("e") == 5)
        #expect(cache.cache.count == 3)
    }

    @Test("a statement entered again gets a new name, and its old one gives way")
    func replaces() {
        var cache = Cache(2)
        _ = cache.insert("a")
        _ = cache.insert("b")
        #expect(cache.insert("a") == [3, 1])
        #expect(cache.find("a") == 3)
        #expect(cache.find("b") == 2)
    }

    @Test("a statement whose preparation failed is not found, and its name is not given again")
    func removes() {
        var cache = Cache(2)
        _ = cache.insert("a")
        cache.cache.remove(PreparedName(number: 1))
        #expect(cache.find("a") == nil)
        #expect(cache.insert("a") == [2, nil])
        cache.cache.remove(PreparedName(number: 1))
        cache.cache.remove(PreparedName(number: 99))
        #expect(cache.find("a") == 2)
    }

    @Test("with a capacity of 0 nothing is found, and each statement gives way to the next")
    func none() {
        var cache = Cache(0)
        #expect(cache.insert("a") == [1, nil])
        #expect(cache.find("a") == nil)
        #expect(cache.insert("a") == [2, 1])
        cache.cache.remove(PreparedName(number: 2))
        #expect(cache.insert("b") == [3, nil])
        #expect(cache.insert("c") == [4, 3])
        #expect(cache.cache.count == 0)
    }

    @Test("texts above the limit are not kept, those at it are")
    func longTexts() {
        var cache = Cache(2)
        let long = String(repeating: "x", count: StatementCache.textBytesMax + 1)
        let longest = String(repeating: "x", count: StatementCache.textBytesMax)
        _ = cache.insert("a")
        _ = cache.insert("b")
        #expect(cache.insert(long) == [3, nil])
        #expect(cache.find(long) == nil)
        #expect(cache.insert(long) == [4, 3])
        #expect(cache.find("a") == 1)
        #expect(cache.find("b") == 2)
        #expect(cache.insert(longest) == [5, 1])
        #expect(cache.find(longest) == 5)
        #expect(cache.insert(longest, [20]) == [6, 4])
        #expect(cache.find(longest, [20]) == nil)
    }

    @Test("Prism's own statements are never evicted, and their names come from the same numbers")
    func own() {
        var cache = Cache(1)
        #expect(cache.cache.ownName(3) == nil)
        #expect(cache.cache.insertOwn(3).number == 1)
        #expect(cache.insert("a") == [2, nil])
        #expect(cache.insert("b") == [3, 2])
        #expect(cache.cache.insertOwn(0).text == "prism_4")
        #expect(cache.cache.ownName(3)?.number == 1)
        #expect(cache.cache.ownName(0)?.number == 4)
        #expect(cache.cache.ownName(1) == nil)
        #expect(cache.cache.ownName(-1) == nil)
        cache.cache.removeOwn(3)
        cache.cache.removeOwn(77)
        #expect(cache.cache.ownName(3) == nil)
        cache.cache.remove(PreparedName(number: 4))
        #expect(cache.cache.ownName(0) == nil)
        #expect(cache.cache.insertOwn(0).number == 5)
    }

    @Test("what is condemned is not found again, and is named once for deallocation")
    func condemns() {
        var cache = Cache(4)
        _ = cache.insert("a")
        _ = cache.cache.insertOwn(0)
        _ = cache.cache.insertOwn(5)
        cache.cache.condemn(PreparedName(number: 1))
        #expect(cache.find("a") == nil)
        #expect(cache.cache.takeCondemned()?.number == 1)
        #expect(cache.cache.takeCondemned() == nil)
        cache.cache.removeAllOwn()
        #expect(cache.cache.ownName(0) == nil)
        let condemned = [cache.cache.takeCondemned(), cache.cache.takeCondemned()].compactMap { $0?.number }
        #expect(Set(condemned) == [2, 3])
        #expect(cache.cache.takeCondemned() == nil)
        #expect(cache.cache.insertOwn(0).number == 4)
    }

    @Test(
        "what was never prepared is not to be deallocated, also if it has given way before that was known",
        arguments: [0, 1])
    func phantoms(capacity: Int) {
        var cache = Cache(capacity)
        let statements = ["a", "b", "c"].map { cache.insert($0) }
        #expect(statements == [[1, nil], [2, 1], [3, 2]])
        // Of one round: the first was prepared, and all behind it skipped.
        cache.cache.preparationFailed(PreparedName(number: 2))
        cache.cache.deallocationSkipped(PreparedName(number: 1))
        cache.cache.preparationFailed(PreparedName(number: 3))
        cache.cache.deallocationSkipped(PreparedName(number: 2))
        #expect(cache.cache.takeCondemned()?.number == 1)
        #expect(cache.cache.takeCondemned() == nil)
        #expect(cache.find("c") == nil)
        #expect(cache.insert("d") == [4, nil])
        // Condemned before it was known.
        let own = cache.cache.insertOwn(0)
        cache.cache.removeAllOwn()
        cache.cache.preparationFailed(own)
        #expect(cache.cache.takeCondemned() == nil)
    }

    @Test("50,000 random operations agree with a plain list in the order of use")
    func random() throws {
        for seed in 0..<25 as Range<UInt64> {
            var random = SplitMix(seed)
            let capacity = seed == 0 ? 64 : 1 + random.below(20)
            var cache = StatementCache(capacity: capacity)
            // Youngest first.
            var model: [(sql: String, types: [TypeOID], name: PreparedName)] = []
            var names: Set<PreparedName> = []
            for step in 0..<2_000 {
                let sql = String(repeating: "s", count: random.below(2) * 9) + "\(random.below(capacity * 2))"
                let types = [TypeOID](repeating: 20, count: random.below(3))
                let place = model.firstIndex { $0.sql == sql && $0.types == types }
                switch random.below(10) {
                case 0..<4:
                    let found = withText(sql) { cache.find(sql: $0, types: types) }
                    try #require(found == place.map { model[$0].name }, "seed \(seed), step \(step)")
                    if let place { model.insert(model.remove(at: place), at: 0) }
                case 4..<9:
                    let (name, evicted) = withText(sql) { cache.insert(sql: $0, types: types) }
                    try #require(names.insert(name).inserted, "\(name.text) was given twice")
                    var expected: PreparedName?
                    if let place { expected = model.remove(at: place).name }
                    model.insert((sql, types, name), at: 0)
                    if model.count > capacity { expected = model.removeLast().name }
                    try #require(evicted == expected, "seed \(seed), step \(step)")
                default:
                    guard !model.isEmpty else { continue }
                    cache.remove(model.remove(at: random.below(model.count)).name)
                }
                try #require(cache.count == model.count, "seed \(seed), step \(step)")
            }
        }
    }
}

@Suite("PostgreSQL statement knowledge") struct StatementKnowledgeTests {
    private func known(_ number: TypeOID, name: String = "a") -> KnownStatement {
        KnownStatement(
            types: [number], parameters: [number], columns: [ServerColumn(name: name, type: number)], format: .binary,
            kind: .reading)
    }

    @Test("what was learned is known by text and signature, until it is forgotten")
    func knows() {
        var knowledge = StatementKnowledge()
        withText("SELECT $1") { knowledge.insert(sql: $0, signature: [0], known(1)) }
        withText("SELECT $1") { knowledge.insert(sql: $0, signature: [20], known(2)) }
        #expect(withText("SELECT $1") { knowledge.find(sql: $0, signature: [0]) } == known(1))
        #expect(withText("SELECT $1") { knowledge.find(sql: $0, signature: [20]) } == known(2))
        withText("SELECT $1") { knowledge.insert(sql: $0, signature: [20], known(3)) }
        #expect(withText("SELECT $1") { knowledge.find(sql: $0, signature: [20]) } == known(3))
        withText("SELECT $1") { knowledge.forget(sql: $0, signature: [0]) }
        #expect(withText("SELECT $1") { knowledge.find(sql: $0, signature: [0]) } == nil)
        #expect(knowledge.count == 1)
        withText("SELECT $1") { knowledge.forget(sql: $0, signature: [20]) }
        #expect(knowledge.bytes == 0)
    }

    @Test("the statement not used for longest is forgotten, by number and by memory, but never the last one")
    func bounded() {
        var knowledge = StatementKnowledge(capacity: 2)
        for sql in ["a", "b"] { withText(sql) { knowledge.insert(sql: $0, signature: [], known(1)) } }
        #expect(withText("a") { knowledge.find(sql: $0, signature: []) } != nil)
        withText("c") { knowledge.insert(sql: $0, signature: [], known(1)) }
        #expect(withText("b") { knowledge.find(sql: $0, signature: []) } == nil)
        #expect(withText("a") { knowledge.find(sql: $0, signature: []) } != nil)

        knowledge = StatementKnowledge(capacity: 0)
        withText("a") { knowledge.insert(sql: $0, signature: [], known(1)) }
        #expect(withText("a") { knowledge.find(sql: $0, signature: []) } != nil)

        knowledge = StatementKnowledge(capacity: 1_000, bytesMax: 10_000)
        for number in 0..<100 {
            withText("\(number)" + String(repeating: " ", count: 1_000)) {
                knowledge.insert(sql: $0, signature: [], known(1))
            }
            #expect(knowledge.bytes <= 10_000)
        }
        #expect((5...9).contains(knowledge.count))
        let huge = String(repeating: "x", count: 20_000)
        withText(huge) { knowledge.insert(sql: $0, signature: [], known(1)) }
        #expect(knowledge.count == 1)
        #expect(withText(huge) { knowledge.find(sql: $0, signature: []) } == known(1))
        let name = String(repeating: "n", count: 20_000)
        withText("a") { knowledge.insert(sql: $0, signature: [], known(1, name: name)) }
        #expect(knowledge.count == 1)
        #expect(knowledge.bytes > 20_000)
    }
}
