/// Makes bad input of good: what programming errors, old versions and line noise make of a frame.
struct Mutator {
    /// Whole streams of frames; never empty.
    let corpus: [[UInt8]]

    /// Values at which lengths and varints go wrong.
    private static let edges: [UInt8] = [0x00, 0x01, 0x7F, 0x80, 0xFF, 0x0A, 0x12]

    /// Bytes to be sent: often close to a good frame, sometimes one, rarely noise.
    func input(_ random: inout SeededGenerator) -> [UInt8] {
        switch random.below(12) {
        case 0: return random.bytes(random.below(400))
        case 1: return Self.framed(random.bytes(1 + random.below(200)))
        case 2: return random.pick(corpus)
        default: break
        }
        var bytes = random.pick(corpus)
        if random.chance(6) { bytes += random.pick(corpus) }
        for _ in 0..<1 + random.below(4) { mutate(&bytes, &random) }
        // Most of the time the length is right again: what it lets through is judged by the decoder.
        if bytes.count > 4, !random.chance(4) { return Self.framed(Array(bytes[4...])) }
        return bytes
    }

    /// A message with its length before it.
    static func framed(_ body: [UInt8]) -> [UInt8] {
        [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: body.count >> $0) } + body
    }

    private func mutate(_ bytes: inout [UInt8], _ random: inout SeededGenerator) {
        guard !bytes.isEmpty else { return }
        let position = random.below(bytes.count)
        switch random.below(8) {
        case 0: bytes[position] ^= 1 << UInt8(random.below(8))
        case 1: bytes[position] = random.pick(Self.edges)
        case 2: bytes[position] = UInt8(truncatingIfNeeded: random.next())
        case 3: bytes.insert(contentsOf: random.bytes(1 + random.below(8)), at: position)
        case 4: bytes.removeSubrange(position..<min(bytes.count, position + 1 + random.below(8)))
        case 5:
            // Repeated: duplicate fields, long lists, second operations.
            let end = min(bytes.count, position + 1 + random.below(40))
            let part = Array(bytes[position..<end])
            for _ in 0..<1 + random.below(random.chance(10) ? 600 : 4) { bytes.insert(contentsOf: part, at: position) }
        case 6:
            let other = random.pick(corpus)
            let start = random.below(other.count)
            bytes.replaceSubrange(position..., with: other[start...])
        default: bytes.removeSubrange(position...)
        }
    }
}
