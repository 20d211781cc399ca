/// "Did you mean …?"
enum NearestName {
    /// Longer texts are not typing errors; the bound also keeps the table small.
    static let bytesMax = 64

    /// The nearest of the names, if it is near enough to have been meant: one change in three letters.
    static func find(_ text: String, among names: [String], distanceMax: Int = 8) -> String? {
        guard text.utf8.count <= bytesMax else { return nil }
        var best: (name: String, distance: Int)?
        for name in names {
            let distance = distance(text, name)
            let allowed = min(distanceMax, max(1, max(text.utf8.count, name.utf8.count) / 3))
            if distance <= allowed, distance < best?.distance ?? .max { best = (name, distance) }
        }
        return best?.name
    }

    /// Insertions, deletions, replacements, and swaps of neighbours; without regard to case, `-` the same as `_`.
    static func distance(_ first: String, _ second: String) -> Int {
        let a = fold(first)
        let b = fold(second)
        var beforePrevious = [Int](repeating: 0, count: b.count + 1)
        var previous = Array(0...b.count)
        for i in 0..<a.count {
            var row = [i + 1]
            row.reserveCapacity(b.count + 1)
            for j in 0..<b.count {
                var cost = min(previous[j + 1] + 1, row[j] + 1, previous[j] + (a[i] == b[j] ? 0 : 1))
                if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { cost = min(cost, beforePrevious[j - 1] + 1) }
                row.append(cost)
            }
            beforePrevious = previous
            previous = row
        }
        return previous[b.count]
    }

    private static func fold(_ text: String) -> [UInt8] {
        text.utf8.map { byte in
            if byte == UInt8(ascii: "-") { return UInt8(ascii: "_") }
            return (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
        }
    }
}
