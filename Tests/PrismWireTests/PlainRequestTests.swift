import CPrismWire
import Testing

@testable import PrismWire

@Suite struct PlainRequestTests {
    private let arena = Arena(limitBytes: 64 << 20)

    private func packed(_ pointer: UnsafePointer<Prism__V1__Request>) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: prism__v1__request__get_packed_size(pointer)) { target, count in
            count = target.baseAddress.map { prism__v1__request__pack(pointer, $0) } ?? 0
        }
    }

    /// What is made of it in place; nil: not plain.
    private func plain(_ frame: [UInt8]) -> [UInt8]? {
        frame.withUnsafeBytes { bytes in
            var operation = UnsafeRawBufferPointer(start: nil, count: 0)
            return PlainRequest.decode(bytes, in: arena, operation: &operation).map(packed)
        }
    }

    /// What protobuf-c makes of it; nil: not decodable.
    private func decoded(_ frame: [UInt8]) -> [UInt8]? {
        frame.withUnsafeBytes { bytes in RequestMessage(bytes, in: arena).map { packed($0.pointer) } }
    }

    /// What is made of its operation alone; nil: it is not plain.
    private func operationAlone(_ frame: [UInt8]) -> [UInt8]? {
        frame.withUnsafeBytes { bytes in
            guard let request = RequestMessage(borrowing: bytes, in: arena), let operation = request.operation,
                let kind = request.kind
            else { return nil }
            return RequestMessage(operation: operation, kind: kind, in: arena).map { packed($0.pointer) }
        }
    }

    /// What is kept of its query, with nothing left of the frame and the arena that it was decoded in; nil: nothing is.
    private func kept(_ frame: [UInt8]) -> [UInt8]? {
        let arena = Arena(limitBytes: 1 << 20)
        let source = UnsafeMutableRawBufferPointer.allocate(byteCount: frame.count, alignment: 1)
        source.copyBytes(from: frame)
        let bytes = UnsafeRawBufferPointer(source)
        guard let request = RequestMessage(borrowing: bytes, in: arena), KeptQuery.size(of: request) > 0 else {
            source.deallocate()
            return nil
        }
        let size = KeptQuery.size(of: request)
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: size + frame.count, alignment: 8)
        defer { memory.deallocate() }
        let copy = UnsafeMutableRawBufferPointer(rebasing: memory[size...])
        copy.copyBytes(from: frame)
        guard let start = copy.baseAddress else { return nil }
        KeptQuery.keep(
            request, of: bytes, copiedTo: start, in: UnsafeMutableRawBufferPointer(rebasing: memory[..<size]))
        for index in source.indices { source[index] = 0xAA }
        source.deallocate()
        arena.reset()
        while let next = arena.allocate(UInt64.self) { next.pointee = 0xAAAA_AAAA_AAAA_AAAA }
        guard let query = memory.baseAddress?.assumingMemoryBound(to: Prism__V1__Query.self) else { return nil }
        return [UInt8](unsafeUninitializedCapacity: prism__v1__query__get_packed_size(query)) { target, count in
            count = target.baseAddress.map { prism__v1__query__pack(query, $0) } ?? 0
        }
    }

    private func borrowed(_ frame: [UInt8]) -> [UInt8]? {
        frame.withUnsafeBytes { bytes in RequestMessage(borrowing: bytes, in: arena).map { packed($0.pointer) } }
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

    private func header(_ random: inout SplitMix) -> [UInt8] {
        var bytes = number(1, random.next() >> UInt64(random.below(64)))
        if random.below(2) == 0 { bytes += number(2, random.next() >> UInt64(random.below(64))) }
        if random.below(2) == 0 { bytes += number(3, random.next() >> UInt64(random.below(64))) }
        if random.below(2) == 0 { bytes += field(4, Array("main".utf8)) }
        if random.below(4) == 0 { bytes += number(5, random.next() >> 9) }
        if random.below(2) == 0 { bytes += number(6, random.next() & 1) }
        if random.below(4) == 0 { bytes += field(7, random.bytes(random.below(300))) }
        if random.below(4) == 0 { bytes += field(8, random.bytes(55)) }
        return bytes
    }

    private func operation(_ random: inout SplitMix) -> [UInt8] {
        guard random.below(4) > 0 else {
            return field(16, field(1, random.bytes(random.below(10))) + field(2, random.bytes(random.below(300))))
        }
        var query = field(random.below(4) == 0 ? 4 : 1, Array("select \(random.next())".utf8))
        for _ in 0..<[0, 1, 2, 9][random.below(4)] { query += field(2, value(&random)) }
        return field(32, query)
    }

    private func request(_ random: inout SplitMix) -> [UInt8] {
        random.below(8) == 0 ? operation(&random) + header(&random) : header(&random) + operation(&random)
    }

    private func change(_ frame: inout [UInt8], _ random: inout SplitMix) {
        let position = random.below(min(frame.count, 80))
        switch random.below(4) {
        case 0: frame[position] ^= 1 << UInt8(random.below(8))
        case 1: frame.removeSubrange(position..<min(frame.count, position + 1 + random.below(3)))
        case 2: frame.insert(contentsOf: random.bytes(1 + random.below(3)), at: position)
        // A number written longer than need be.
        default:
            if frame[position] < 0x80 { frame.replaceSubrange(position...position, with: [frame[position] | 0x80, 0]) }
        }
    }

    @Test("what is made of a request in place is what protobuf-c makes of it", arguments: 0..<50 as Range<UInt64>)
    func agrees(seed: UInt64) throws {
        var random = SplitMix(seed)
        var (plainOnes, keptOnes) = (0, 0)
        for _ in 0..<40 {
            arena.reset()
            let (header, operation) = (header(&random), operation(&random))
            let frame = random.below(8) == 0 ? operation + header : header + operation
            if let plain = plain(frame) {
                plainOnes += 1
                #expect(plain == decoded(frame))
                #expect(try #require(operationAlone(frame)) == decoded(operation))
                if let kept = kept(frame) {
                    keptOnes += 1
                    #expect(decoded(field(32, kept)) == decoded(operation))
                }
            }
            #expect(try #require(borrowed(frame)) == decoded(frame))
        }
        // Numbers of ten bytes are not plain; most frames have none.
        #expect(plainOnes > 20 && keptOnes > 5)
    }

    @Test("of changed bytes it says nothing, or what protobuf-c says", arguments: 0..<24 as Range<UInt64>)
    func agreesOnChanged(seed: UInt64) {
        var random = SplitMix(seed &+ 1_000)
        for _ in 0..<400 {
            arena.reset()
            var frame = request(&random)
            for _ in 0...random.below(3) where !frame.isEmpty { change(&frame, &random) }
            let decoded = decoded(frame)
            if let plain = plain(frame) { #expect(plain == decoded) }
            #expect(borrowed(frame) == decoded)
        }
    }

    @Test("a query is kept that is plain, has few parameters, and points to nothing but bytes")
    func keeps() throws {
        let sql = field(1, Array("select 1".utf8))
        let values = [
            number(2, 1), number(3, 4), [0x21] + Array(repeating: 7, count: 8), field(5, [0x61]), field(6, []),
        ]
        for parameters in [[], values, Array(repeating: values[3], count: KeptQuery.parametersMax)] {
            let query = sql + parameters.flatMap { field(2, $0) }
            #expect(try #require(kept(field(32, query))) == decoded(field(32, query)).map { Array($0.dropFirst(3)) })
        }
        let many = Array(repeating: values[3], count: KeptQuery.parametersMax + 1)
        for parameters in [many, [field(1, [])], [field(7, field(1, Array("inet".utf8)))]] {
            #expect(kept(field(32, sql + parameters.flatMap { field(2, $0) })) == nil)
        }
        // Another operation, and a query that is not plain.
        #expect(kept(field(16, field(2, [0x6B]))) == nil && kept(field(32, sql + sql)) == nil)
    }

    @Test("what is not plain is left to protobuf-c")
    func refusals() {
        let sql = field(1, Array("select 1".utf8))
        let null = field(2, field(1, []))
        #expect(plain(field(32, sql + null)) != nil && plain(field(16, [])) != nil && plain(field(32, [])) != nil)
        for query in [
            sql + sql, sql + field(3, Array("n".utf8)), field(4, [0x61]) + field(4, [0x61]), sql + field(2, []),
            sql + field(2, number(2, 1) + number(3, 2)), sql + number(2, 1), sql + field(2, field(9, [])),
            sql + [0x12, 0x05], sql + field(2, field(1, number(1, 1))), sql + field(2, field(7, field(3, []))),
            sql + field(2, field(7, field(1, [0x61]) + field(1, [0x61]))), sql + field(2, [0x19, 0, 0, 0]),
        ] { #expect(plain(field(32, query)) == nil, "\(query)") }
        for get in [field(1, []) + field(1, []), field(2, []) + field(2, []), field(3, []), number(1, 1)] {
            #expect(plain(field(16, get)) == nil, "\(get)")
        }
        for frame in [
            [], field(32, sql) + field(32, sql), field(32, sql) + field(16, []), field(32, sql) + [0x08],
            number(1, 1) + number(1, 1) + field(16, []), number(9, 1) + field(16, []), field(33, sql), field(17, []),
            number(1, .max) + field(16, []), [0x88, 0x00, 0x01] + field(16, []), field(1, []) + field(16, []),
        ] { #expect(plain(frame) == nil, "\(frame)") }
    }

    @Test("a length has five bytes at most, as protobuf-c has it", arguments: 1...9)
    func lengths(bytes: Int) {
        var length: [UInt8] = [0x81] + Array(repeating: 0x80, count: bytes - 1)
        length[bytes - 1] = bytes == 1 ? 0x01 : 0x00
        let frame = number(1, 1) + field(16, [0x12] + length + [0x6B])
        #expect((plain(frame) != nil) == (bytes <= 5))
        #expect((decoded(frame) != nil) == (bytes <= 5) && borrowed(frame) == decoded(frame))
    }

    @Test("what it points to is the frame's")
    func borrows() throws {
        let frame = field(32, field(1, Array("select $1".utf8)) + field(2, field(5, [0x61, 0x62])))
        try frame.withUnsafeBytes { bytes in
            let query = try #require(RequestMessage(borrowing: bytes, in: arena)?.query)
            let places = try [query.sql, #require(query.parameters[0]).pointee.text].map {
                try #require($0.bytes.baseAddress)
            }
            let (start, end) = (try #require(bytes.baseAddress), try #require(bytes.baseAddress) + bytes.count)
            for place in places { #expect(place >= start && place < end) }
        }
    }

    @Test("without room there is no request, and what was tried leaves nothing in the arena")
    func limits() throws {
        // Not plain, but only its last parameter says so.
        let frame = field(
            32,
            field(1, Array("select 1".utf8)) + field(2, field(7, field(1, Array("inet".utf8))))
                + field(2, number(2, 1) + number(3, 2)))
        let whole = Arena(limitBytes: 1 << 20)
        try frame.withUnsafeBytes { _ = try #require(RequestMessage($0, in: whole)) }
        for limit in [0, 100, whole.usedBytes - 1, whole.usedBytes] {
            let small = Arena(limitBytes: limit)
            frame.withUnsafeBytes { bytes in
                #expect((RequestMessage(borrowing: bytes, in: small) != nil) == (limit == whole.usedBytes))
                #expect(small.usedBytes <= limit)
            }
        }
    }

    @Test("what is too large for protobuf-c is too large in place", arguments: [1, 14, 15, 50, 1_000])
    func sameLimit(parameters: Int) throws {
        var query = field(1, Array(repeating: 0x20, count: 300))
        for index in 0..<parameters { query += field(2, index % 3 == 0 ? field(1, []) : field(5, [0x61, 0x62])) }
        let frame = number(1, 1) + field(32, query)
        let whole = Arena(limitBytes: 1 << 20)
        try frame.withUnsafeBytes { _ = try #require(RequestMessage($0, in: whole)) }
        let limits = stride(from: whole.usedBytes / 4, to: whole.usedBytes, by: max(16, whole.usedBytes / 200))
        for limit in Array(limits) + [whole.usedBytes - 1, whole.usedBytes] {
            let small = Arena(limitBytes: limit)
            frame.withUnsafeBytes { bytes in
                #expect((RequestMessage(borrowing: bytes, in: small) != nil) == (limit == whole.usedBytes))
            }
        }
        // With room to spare it stays in the frame, and takes less.
        let spacious = Arena(limitBytes: whole.usedBytes * 2)
        frame.withUnsafeBytes { bytes in
            #expect(RequestMessage(borrowing: bytes, in: spacious) != nil && spacious.usedBytes < whole.usedBytes)
        }
    }
}
