import Testing

@testable import PrismCore

@Suite("Index of places") struct PlaceIndexTests {
    @Test("finds what was put in and nothing else, however hashes meet", arguments: 0..<40 as Range<UInt64>)
    func random(seed: UInt64) throws {
        var random = SplitMix(seed)
        var index = PlaceIndex()
        // What stands at each place, and a copy of both from some time before.
        var table: [Int?] = Array(repeating: nil, count: 1 + random.below(100))
        var before = (index, table)
        let hashes: [UInt32] = (0..<1 + random.below(40)).map { _ in
            // In the same chain with or without the same hash, or anywhere.
            random.chance(2) ? UInt32(random.below(2)) << 30 : UInt32(truncatingIfNeeded: random.next())
        }
        func hash(_ key: Int) -> UInt32 { hashes[key % hashes.count] }
        func check(_ index: PlaceIndex, _ table: [Int?], _ key: Int) throws {
            try #require(index.find(hash(key)) { table[$0] == key } == table.firstIndex(of: key))
        }
        for _ in 0..<2_000 {
            let key = random.below(200)
            try check(index, table, key)
            if let place = table.firstIndex(of: key) {
                index.remove(place)
                table[place] = nil
            } else if let place = table.indices.filter({ table[$0] == nil }).randomElement(using: &random) {
                index.insert(place, hash: hash(key))
                table[place] = key
            }
            if random.chance(300) { before = (index, table) }
            if random.chance(1_000) {
                index.removeAll()
                for place in table.indices { table[place] = nil }
            }
        }
        for key in 0..<200 {
            try check(index, table, key)
            try check(before.0, before.1, key)
        }
    }
}
