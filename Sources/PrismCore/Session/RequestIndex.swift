/// Finds a request in flight by its connection and the client's id: open addressing, linear probing, no tombstones.
struct RequestIndex: ~Copyable {
    struct Entry: BitwiseCopyable {
        var id: UInt64
        var connection: Int32
        /// -1: free.
        var slot: Int32
    }

    private var entries: Cells<Entry>
    private var mask: Int { entries.count - 1 }
    private(set) var count = 0

    init() {
        entries = Cells(repeating: Entry(id: 0, connection: 0, slot: -1), count: 256)
    }

    func find(connection: Int, id: UInt64) -> Int? {
        var index = home(Int32(connection), id)
        while entries[index].slot >= 0 {
            if entries[index].id == id, entries[index].connection == Int32(connection) {
                return Int(entries[index].slot)
            }
            index = (index + 1) & mask
        }
        return nil
    }

    mutating func insert(connection: Int, id: UInt64, slot: Int) {
        if count * 2 >= entries.count { grow() }
        place(Entry(id: id, connection: Int32(connection), slot: Int32(slot)))
        count += 1
    }

    mutating func remove(connection: Int, id: UInt64) {
        var index = home(Int32(connection), id)
        while !(entries[index].id == id && entries[index].connection == Int32(connection)) {
            if entries[index].slot < 0 { return }
            index = (index + 1) & mask
        }
        guard entries[index].slot >= 0 else { return }
        count -= 1
        // Close the gap: move back whatever would no longer be found.
        var gap = index
        var next = (gap + 1) & mask
        while entries[next].slot >= 0 {
            let wanted = home(entries[next].connection, entries[next].id)
            if (next - wanted) & mask >= (next - gap) & mask {
                entries[gap] = entries[next]
                gap = next
            }
            next = (next + 1) & mask
        }
        entries[gap].slot = -1
    }

    private func home(_ connection: Int32, _ id: UInt64) -> Int {
        // Fibonacci hashing; clients count their ids up, and connections are small numbers.
        let mixed = (id ^ UInt64(UInt32(bitPattern: connection)) &* 0xD6E8_FEB8_6659_FD93) &* 0x9E37_79B9_7F4A_7C15
        return Int(truncatingIfNeeded: mixed >> 32) & mask
    }

    private mutating func place(_ entry: Entry) {
        var index = home(entry.connection, entry.id)
        while entries[index].slot >= 0 { index = (index + 1) & mask }
        entries[index] = entry
    }

    private mutating func grow() {
        var grown = Cells(repeating: Entry(id: 0, connection: 0, slot: -1), count: entries.count * 2)
        swap(&grown, &entries)
        for index in 0..<grown.count where grown[index].slot >= 0 { place(grown[index]) }
    }
}
