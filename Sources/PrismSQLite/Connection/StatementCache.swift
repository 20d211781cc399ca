internal import Glibc

/// Client statements kept compiled, least recently used out first. Found by the bytes of their text, without a String.
struct StatementCache {
    private struct Entry {
        var text: UnsafeMutableRawBufferPointer
        var statement: PreparedStatement
        var hash: UInt64
        var newer = -1
        var older = -1
    }

    /// The longest text kept, bytes; a longer one takes more memory than compiling it takes time.
    static let textBytesMax = 16 << 10

    private let capacity: Int
    private var entries: [Entry] = []
    private var byHash: [UInt64: Int] = [:]
    private var newest = -1
    private var oldest = -1

    init(capacity: Int) { self.capacity = max(0, capacity) }

    var count: Int { entries.count }

    mutating func find(_ text: UnsafeRawBufferPointer) -> PreparedStatement? {
        guard let index = byHash[Self.hash(text)], Self.isEqual(entries[index].text, text) else { return nil }
        if index != newest {
            unlink(index)
            linkNewest(index)
        }
        return entries[index].statement
    }

    /// Keeps a statement; with a full cache the oldest makes room (and is finalised when nobody uses it any more).
    mutating func insert(_ statement: PreparedStatement, for text: UnsafeRawBufferPointer) {
        guard capacity > 0, text.count <= Self.textBytesMax else { return }
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: max(text.count, 1), alignment: 1)
        copy.copyMemory(from: text)
        let entry = Entry(
            text: UnsafeMutableRawBufferPointer(rebasing: copy[0..<text.count]), statement: statement,
            hash: Self.hash(text))
        let index: Int
        if let taken = byHash[entry.hash] {
            // The same text (its statement is on loan), or another with the same hash: the newer one stays.
            unlink(taken)
            entries[taken].text.deallocate()
            entries[taken] = entry
            index = taken
        } else if entries.count < capacity {
            entries.append(entry)
            index = entries.count - 1
        } else {
            index = oldest
            unlink(index)
            byHash[entries[index].hash] = nil
            entries[index].text.deallocate()
            entries[index] = entry
        }
        byHash[entry.hash] = index
        linkNewest(index)
    }

    mutating func removeAll() {
        for entry in entries { entry.text.deallocate() }
        entries = []
        byHash = [:]
        newest = -1
        oldest = -1
    }

    private mutating func unlink(_ index: Int) {
        let (newer, older) = (entries[index].newer, entries[index].older)
        if newer >= 0 { entries[newer].older = older } else if newest == index { newest = older }
        if older >= 0 { entries[older].newer = newer } else if oldest == index { oldest = newer }
        entries[index].newer = -1
        entries[index].older = -1
    }

    private mutating func linkNewest(_ index: Int) {
        entries[index].older = newest
        if newest >= 0 { entries[newest].newer = index }
        newest = index
        if oldest < 0 { oldest = index }
    }

    private static func isEqual(_ left: UnsafeMutableRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Bool {
        guard left.count == right.count else { return false }
        guard let first = left.baseAddress, let second = right.baseAddress else { return true }
        return memcmp(first, second, left.count) == 0
    }

    private static func hash(_ text: UnsafeRawBufferPointer) -> UInt64 {
        var hasher = Hasher()
        hasher.combine(bytes: text)
        return UInt64(bitPattern: Int64(hasher.finalize()))
    }
}
