/// Values by statement: its text and a list of types. Bounded; the one not used for longest goes first. A lookup copies nothing.
///
/// A chained hash table whose entries are also a list in the order of use.
struct StatementTable<Value: Sendable>: Sendable {
    private struct Entry: Sendable {
        var hash: Int
        var sql: [UInt8]
        var types: [TypeOID]
        /// Nil: the entry is free.
        var value: Value?
        var bytes: Int
        /// The next in its bucket, or the next free entry.
        var chain: Int
        /// Neighbours in the order of use.
        var younger: Int
        var older: Int
    }

    private var entries: [Entry] = []
    private var buckets = Array(repeating: -1, count: 16)
    private var free = -1
    private var youngest = -1
    private var oldest = -1
    private(set) var count = 0
    /// Of texts, types and what was said to belong to the values.
    private(set) var bytes = 0
    /// How often something has come in or gone: with each, places may mean something else.
    private(set) var changes: UInt64 = 0
    private let hashMask: Int
    private let seed = UInt64(truncatingIfNeeded: Hasher().finalize())

    /// - Parameter hashMask: the bits of the hash that are used; fewer let a test make statements collide.
    init(hashMask: Int = -1) { self.hashMask = hashMask }

    /// Finds a value; it is the youngest then.
    mutating func find(sql: UnsafeRawBufferPointer, types: [TypeOID]) -> Value? {
        place(sql: sql, types: types).flatMap { use($0) }
    }

    /// Where a value stands until the table is changed; `use` gives it.
    func place(sql: UnsafeRawBufferPointer, types: [TypeOID]) -> Int? {
        // Many ask for the same one, one after the other.
        if youngest >= 0, isEntry(youngest, sql, types) { return youngest }
        let index = index(sql, types, hash: hash(sql, types))
        return index < 0 ? nil : index
    }

    /// The value at a place; it is the youngest then.
    mutating func use(_ place: Int) -> Value? {
        if place != youngest {
            unlink(place)
            linkAsYoungest(place)
        }
        return entries[place].value
    }

    /// Keeps a value as the youngest. Answers the one that it replaces.
    mutating func insert(_ value: Value, sql: UnsafeRawBufferPointer, types: [TypeOID], valueBytes: Int = 0) -> Value? {
        changes += 1
        let hash = hash(sql, types)
        let known = index(sql, types, hash: hash)
        let replaced = known >= 0 ? remove(at: known) : nil
        let size = sql.count + types.count * MemoryLayout<TypeOID>.size + valueBytes
        if count == buckets.count { grow() }
        let bucket = hash & (buckets.count - 1)
        let entry = Entry(
            hash: hash, sql: Array(sql), types: types, value: value, bytes: size, chain: buckets[bucket], younger: -1,
            older: -1)
        let index: Int
        if free >= 0 {
            index = free
            free = entries[index].chain
            entries[index] = entry
        } else {
            index = entries.count
            entries.append(entry)
        }
        buckets[bucket] = index
        linkAsYoungest(index)
        count += 1
        bytes += size
        return replaced
    }

    mutating func remove(sql: UnsafeRawBufferPointer, types: [TypeOID]) -> Value? {
        let index = index(sql, types, hash: hash(sql, types))
        return index >= 0 ? remove(at: index) : nil
    }

    /// Takes the one out that was not used for longest.
    mutating func removeOldest() -> Value? { oldest >= 0 ? remove(at: oldest) : nil }

    /// Takes the first out that fits, in the order of use. Looks at all.
    mutating func removeFirst(where fits: (Value) -> Bool) -> Value? {
        var index = youngest
        while index >= 0 {
            if let value = entries[index].value, fits(value) { return remove(at: index) }
            index = entries[index].older
        }
        return nil
    }

    /// Clients choose the texts, so it begins with a number that they do not know.
    private func hash(_ sql: UnsafeRawBufferPointer, _ types: [TypeOID]) -> Int {
        var state = seed ^ UInt64(truncatingIfNeeded: sql.count)
        func mix(_ word: UInt64) {
            let product = (state ^ word).multipliedFullWidth(by: 0x9E37_79B9_7F4A_7C15)
            state = product.high ^ product.low
        }
        var offset = 0
        while offset + 8 <= sql.count {
            mix(sql.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
            offset += 8
        }
        var rest: UInt64 = 0
        while offset < sql.count {
            rest = rest << 8 | UInt64(sql[offset])
            offset += 1
        }
        mix(rest)
        for type in types { mix(UInt64(type)) }
        return Int(truncatingIfNeeded: state) & hashMask
    }

    private func index(_ sql: UnsafeRawBufferPointer, _ types: [TypeOID], hash: Int) -> Int {
        var index = buckets[hash & (buckets.count - 1)]
        while index >= 0 {
            if entries[index].hash == hash, isEntry(index, sql, types) { return index }
            index = entries[index].chain
        }
        return -1
    }

    private func isEntry(_ index: Int, _ sql: UnsafeRawBufferPointer, _ types: [TypeOID]) -> Bool {
        entries[index].sql.withUnsafeBytes { Self.areEqual($0, sql) } && entries[index].types == types
    }

    private static func areEqual(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Bool {
        guard left.count == right.count else { return false }
        var offset = 0
        while offset + 8 <= left.count {
            guard
                left.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
                    == right.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            else { return false }
            offset += 8
        }
        while offset < left.count {
            guard left[offset] == right[offset] else { return false }
            offset += 1
        }
        return true
    }

    private mutating func remove(at index: Int) -> Value? {
        changes += 1
        let entry = entries[index]
        unlink(index)
        let bucket = entry.hash & (buckets.count - 1)
        if buckets[bucket] == index {
            buckets[bucket] = entry.chain
        } else {
            var before = buckets[bucket]
            while entries[before].chain != index { before = entries[before].chain }
            entries[before].chain = entry.chain
        }
        count -= 1
        bytes -= entry.bytes
        entries[index] = Entry(
            hash: 0, sql: [], types: [], value: nil, bytes: 0, chain: free, younger: -1, older: -1)
        free = index
        return entry.value
    }

    private mutating func linkAsYoungest(_ index: Int) {
        entries[index].younger = -1
        entries[index].older = youngest
        if youngest >= 0 { entries[youngest].younger = index } else { oldest = index }
        youngest = index
    }

    private mutating func unlink(_ index: Int) {
        let (younger, older) = (entries[index].younger, entries[index].older)
        if younger >= 0 { entries[younger].older = older } else { youngest = older }
        if older >= 0 { entries[older].younger = younger } else { oldest = younger }
    }

    private mutating func grow() {
        buckets = Array(repeating: -1, count: buckets.count * 2)
        var index = youngest
        while index >= 0 {
            let bucket = entries[index].hash & (buckets.count - 1)
            entries[index].chain = buckets[bucket]
            buckets[bucket] = index
            index = entries[index].older
        }
    }
}
