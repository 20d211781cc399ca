import PrismWire
import Testing

@Suite struct QueryViewTests {
    private let arena = Arena(limitBytes: 64 << 20)

    /// A statement with its values, as text.
    private func text(_ sql: UnsafeRawBufferPointer, _ values: [Prism__V1__Value?]) -> String {
        let values = values.map { value -> String in
            guard let value else { return "missing" }
            switch value.kind_case {
            case PRISM__V1__VALUE__KIND_NULL: return "null"
            case PRISM__V1__VALUE__KIND_BOOLEAN: return "boolean \(value.boolean)"
            case PRISM__V1__VALUE__KIND_INTEGER: return "integer \(value.integer)"
            case PRISM__V1__VALUE__KIND_DOUBLE: return "double \(value.double_.bitPattern)"
            case PRISM__V1__VALUE__KIND_TEXT: return "text \(Array(value.text.bytes))"
            case PRISM__V1__VALUE__KIND_BYTES: return "bytes \(Array(value.bytes.bytes))"
            case PRISM__V1__VALUE__KIND_TYPED:
                return "typed \(Array(value.typed.pointee.type.bytes)) \(Array(value.typed.pointee.text.bytes))"
            default: return "none"
            }
        }
        return "\(Array(sql)) \(values)"
    }

    private func viewed(_ frame: [UInt8]) -> String? {
        frame.withUnsafeBytes { bytes in
            guard let view = QueryView(bytes, in: arena) else { return nil }
            return text(view.sql, elements(view.parameters, view.parameterCount).map { $0?.pointee })
        }
    }

    /// Nil: not decodable, or no Query.
    private func decoded(_ frame: [UInt8]) -> String? {
        frame.withUnsafeBytes { bytes in
            guard let query = RequestMessage(bytes, in: arena)?.query else { return nil }
            return text(query.sql.bytes, elements(query.parameters, query.n_parameters).map { $0?.pointee })
        }
    }

    private func field(_ number: Int, _ bytes: [UInt8]) -> [UInt8] {
        varint(UInt64(number << 3 | 2)) + varint(UInt64(bytes.count)) + bytes
    }

    private func number(_ number: Int, _ value: UInt64) -> [UInt8] { varint(UInt64(number << 3)) + varint(value) }

    private func varint(_ value: UInt64) -> [UInt8] {
        var bytes: [UInt8] = []
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        return bytes + [UInt8(rest)]
    }

    private func value(_ random: inout SplitMix) -> [UInt8] {
        let size = [0, 1, 5, 127, 128, 2_000][random.below(6)]
        switch random.below(7) {
        case 0: return field(1, [])
        case 1: return number(2, random.next() & 1)
        case 2: return number(3, random.next() >> UInt64(random.below(64)))
        case 3: return [0x21] + random.bytes(8)
        case 4: return field(5, Array(repeating: 0x61, count: size))
        case 5: return field(6, random.bytes(size))
        default: return field(7, field(1, Array("inet".utf8)) + field(2, Array(repeating: 0x62, count: size)))
        }
    }

    private func request(_ random: inout SplitMix) -> [UInt8] {
        var query = field(1, Array("select \(random.next())".utf8))
        for _ in 0..<[0, 1, 2, 9][random.below(4)] { query += field(2, value(&random)) }
        return number(1, random.next()) + number(2, 1_000) + field(4, Array("main".utf8)) + number(6, 1)
            + field(32, query)
    }

    @Test("what it says of a query is what a whole decoding says", arguments: 0..<50 as Range<UInt64>)
    func agrees(seed: UInt64) throws {
        var random = SplitMix(seed)
        for _ in 0..<20 {
            arena.reset()
            let frame = request(&random)
            #expect(try #require(viewed(frame)) == decoded(frame))
        }
    }

    @Test("of changed bytes it says nothing, or what a whole decoding says", arguments: 0..<12 as Range<UInt64>)
    func agreesOnChanged(seed: UInt64) {
        var random = SplitMix(seed &+ 1_000)
        for _ in 0..<200 {
            arena.reset()
            var frame = request(&random)
            for _ in 0...random.below(3) {
                let position = random.below(min(frame.count, 80))
                switch random.below(3) {
                case 0: frame[position] ^= 1 << UInt8(random.below(8))
                case 1: frame.removeSubrange(position..<min(frame.count, position + 1 + random.below(3)))
                default: frame.insert(contentsOf: random.bytes(1 + random.below(3)), at: position)
                }
            }
            // What is not decodable never comes so far; then it must only not trap.
            if let viewed = viewed(frame), let decoded = decoded(frame) { #expect(viewed == decoded) }
        }
    }

    @Test("what is not the plain case is left to a whole decoding")
    func refusals() {
        let plain = field(1, Array("select 1".utf8))
        let null = field(2, field(1, []))
        #expect(viewed(field(32, plain + null)) != nil)
        for query in [
            [], null, plain + plain, plain + field(3, Array("n".utf8)), field(4, Array("named".utf8)),
            plain + field(2, []), plain + field(2, number(2, 1) + number(3, 2)), plain + number(2, 1),
            plain + field(2, field(9, [])), plain + [0x12, 0x05],
        ] { #expect(viewed(field(32, query)) == nil, "\(query)") }
        #expect(viewed(field(16, [])) == nil && viewed([]) == nil)
        #expect(viewed(field(32, plain) + field(32, plain)) == nil)
        #expect(viewed(field(32, plain) + field(16, [])) == nil)
        #expect(viewed(field(32, plain) + [0x08]) == nil, "the end is missing")
    }

    @Test("without room it is left to a whole decoding")
    func limits() {
        let frame = field(32, field(1, Array("select 1".utf8)) + field(2, field(7, field(1, Array("inet".utf8)))))
        for limit in 0..<200 {
            let small = Arena(limitBytes: limit)
            frame.withUnsafeBytes { bytes in
                if let view = QueryView(bytes, in: small) { #expect(view.parameterCount == 1) }
            }
        }
        #expect(viewed(frame) == decoded(frame))
    }
}
