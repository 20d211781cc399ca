import PrismWire

/// In which order the items of a Write run: by namespace and key, so that all Writes lock entries in the same order and none
/// waits for one that waits for it. Items of one key stay in the order given.
struct WriteOrder {
    /// Indices of the items.
    private(set) var indices: [Int] = []
    /// At each place of `indices`: whether a later item has the same key.
    private(set) var isRepeated: [Bool] = []

    init() {}

    init(_ items: [KeyValueWrite]) {
        indices = Array(items.indices)
        indices.sort { Self.isBefore(items[$0], $0, items[$1], $1) }
        isRepeated = indices.indices.map { place in
            place + 1 < indices.count && Self.isSameKey(items[indices[place]], items[indices[place + 1]])
        }
    }

    /// The index decides among equals: the standard library does not promise that its sort is stable.
    private static func isBefore(_ one: KeyValueWrite, _ index: Int, _ other: KeyValueWrite, _ otherIndex: Int) -> Bool
    {
        let namespaces = compare(one.namespace, other.namespace)
        if namespaces != 0 { return namespaces < 0 }
        let keys = compare(one.key, other.key)
        return keys == 0 ? index < otherIndex : keys < 0
    }

    private static func isSameKey(_ one: KeyValueWrite, _ other: KeyValueWrite) -> Bool {
        compare(one.namespace, other.namespace) == 0 && compare(one.key, other.key) == 0
    }

    /// As the server compares bytea and text in collation "C".
    private static func compare(_ one: UnsafeRawBufferPointer, _ other: UnsafeRawBufferPointer) -> Int {
        for index in 0..<min(one.count, other.count) where one[index] != other[index] {
            return Int(one[index]) - Int(other[index])
        }
        return one.count - other.count
    }
}
