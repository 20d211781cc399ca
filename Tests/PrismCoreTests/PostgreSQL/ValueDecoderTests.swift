import PrismCore
import PrismWire
import Testing

@Suite struct ValueDecoderTests {
    /// nil: refused.
    private func decode(_ bytes: [UInt8]?, _ type: TypeOID, _ format: ValueFormat) -> PlainValue? {
        var writer = ResultWriter()
        writer.beginRow()
        // An empty array has no base address of its own, which would be NULL.
        func append(_ bytes: UnsafeRawBufferPointer) -> Bool {
            ValueDecoder.append(
                bytes, type: type, format: format, typeName: TypeCatalog.name(type) ?? "mood", to: &writer)
        }
        let isDecoded =
            bytes.map { bytes in
                (bytes + [0]).withUnsafeBytes { append(UnsafeRawBufferPointer(rebasing: $0[..<bytes.count])) }
            } ?? append(UnsafeRawBufferPointer(start: nil, count: 0))
        guard isDecoded else { return nil }
        writer.endRow()
        var output = ByteQueue()
        let none = UnsafeRawBufferPointer(start: nil, count: 0)
        writer.write(in: .response, columns: none, tag: none, rowsAffected: 0, to: &output)
        let arena = Arena(limitBytes: 1 << 20)
        let written = output.bytes.bindMemory(to: UInt8.self)
        guard
            let response = prism__v1__response__unpack(arena.allocator, written.count, written.baseAddress),
            let row = response.pointee.query.pointee.rows[0]?.pointee, row.n_values == 1, let value = row.values[0]
        else { return nil }
        return PlainValue(value.pointee)
    }

    private func text(_ text: String, _ type: TypeOID) -> PlainValue? { decode(Array(text.utf8), type, .text) }

    @Test("NULL is null in every type and format, and an empty value is not NULL")
    func nulls() {
        for type: TypeOID in [16, 17, 18, 20, 25, 701, 3802, 16_400] {
            #expect(decode(nil, type, .text) == .null)
            #expect(decode(nil, type, .binary) == .null)
        }
        #expect(text("", 25) == .text(""))
        #expect(text("", 3802) == .typed("jsonb", ""))
        #expect(decode([], 17, .binary) == .bytes([]))
        #expect(decode([], 25, .binary) == .text(""))
        #expect(text("", 2278) == .null, "void has nothing in it")
    }

    @Test("booleans and integers, at their extremes, the same in both formats")
    func integers() {
        #expect(text("t", 16) == .boolean(true) && decode([1], 16, .binary) == .boolean(true))
        #expect(text("f", 16) == .boolean(false) && decode([0], 16, .binary) == .boolean(false))
        for value: Int16 in [.min, -1, 0, 1, .max] {
            #expect(text(String(value), 21) == .integer(Int64(value)))
            #expect(decode(bigEndian(value), 21, .binary) == .integer(Int64(value)))
        }
        for value: Int32 in [.min, -1, 0, 1, .max] {
            #expect(text(String(value), 23) == .integer(Int64(value)))
            #expect(decode(bigEndian(value), 23, .binary) == .integer(Int64(value)))
        }
        for value: Int64 in [.min, -1, 0, 1, .max] {
            #expect(text(String(value), 20) == .integer(value))
            #expect(decode(bigEndian(value), 20, .binary) == .integer(value))
        }
        #expect(text("4294967295", 26) == .integer(4_294_967_295))
        #expect(decode(bigEndian(UInt32.max), 26, .binary) == .integer(4_294_967_295))
    }

    @Test("doubles keep every bit")
    func doubles() {
        let extremes: [Double] = [
            0, -0.0, 1.5, -1e300, 5e-324, .greatestFiniteMagnitude, .leastNormalMagnitude, 0.1, .infinity, -.infinity,
        ]
        for value in extremes {
            #expect(decode(bigEndian(value.bitPattern), 701, .binary) == .number(value))
        }
        #expect(text("5e-324", 701) == .number(5e-324))
        #expect(text("1.7976931348623157e+308", 701) == .number(.greatestFiniteMagnitude))
        #expect(text("-0", 701) == .number(-0.0))
        #expect(text("Infinity", 701) == .number(.infinity) && text("-Infinity", 701) == .number(-.infinity))
        #expect(text("NaN", 701) == .number(.nan))
        #expect(decode(bigEndian(Double.nan.bitPattern), 701, .binary) == .number(.nan))
    }

    @Test("a float4 is widened to the same double in both formats")
    func floats() {
        for (written, value): (String, Float) in [
            ("0.1", 0.1), ("1.1754944e-38", .leastNormalMagnitude), ("1e-45", .leastNonzeroMagnitude),
            ("3.4028235e+38", .greatestFiniteMagnitude), ("-16777216", -16_777_216), ("Infinity", .infinity),
        ] {
            #expect(text(written, 700) == .number(Double(value)))
            #expect(decode(bigEndian(value.bitPattern), 700, .binary) == .number(Double(value)))
        }
        #expect(text("0.1", 700) != .number(0.1))
        #expect(text("NaN", 700) == .number(.nan))
    }

    @Test("text in all its types; what is no UTF-8 comes as bytes")
    func texts() {
        for type: TypeOID in [19, 25, 1042, 1043] {
            #expect(text("Zoë 🜁 ", type) == .text("Zoë 🜁 "))
            #expect(decode(Array("Zoë".utf8), type, .binary) == .text("Zoë"))
        }
        #expect(text("x", 18) == .text("x") && text("x", 705) == .text("x"))
        #expect(decode([0xFF], 18, .text) == .bytes([0xFF]))
        #expect(decode([0xC3], 25, .binary) == .bytes([0xC3]))
        #expect(decode([0x7B, 0xFF, 0x7D], 1002, .text) == .bytes([0x7B, 0xFF, 0x7D]))
    }

    @Test("bytea in binary and in both text forms")
    func bytea() {
        let all = (0...255).map { UInt8($0) }
        #expect(decode(all, 17, .binary) == .bytes(all))
        let hexadecimal = all.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        #expect(text("\\x" + hexadecimal, 17) == .bytes(all))
        #expect(text("\\x" + hexadecimal.uppercased(), 17) == .bytes(all))
        let escaped = all.map { byte in
            if byte == 0x5C { return "\\\\" }
            if (0x20...0x7E).contains(byte) { return String(UnicodeScalar(byte)) }
            let octal = String(byte, radix: 8)
            return "\\" + String(repeating: "0", count: 3 - octal.count) + octal
        }
        #expect(text(escaped.joined(), 17) == .bytes(all))
        #expect(text("\\x", 17) == .bytes([]) && text("", 17) == .bytes([]))
    }

    @Test("every other type comes with its name, as the server writes it")
    func others() {
        #expect(text("12345678901234567890.000", 1700) == .typed("numeric", "12345678901234567890.000"))
        #expect(text("{1,NULL}", 1007) == .typed("integer[]", "{1,NULL}"))
        #expect(text("happy", 16_400) == .typed("mood", "happy"))
    }

    @Test(
        "what the type cannot look like is refused, and never traps",
        arguments: [
            ([], 16, .binary), ([1, 2], 16, .binary), ([1], 21, .binary), ([1, 2, 3], 23, .binary), ([], 20, .binary),
            ([1, 2, 3, 4, 5], 26, .binary), ([0], 700, .binary), ([0, 0, 0, 0], 701, .binary), ([1], 3802, .binary),
            (Array("maybe".utf8), 16, .text), ([], 16, .text), ([], 23, .text), (Array("-".utf8), 23, .text),
            (Array("1e5".utf8), 20, .text), (Array("9223372036854775808".utf8), 20, .text),
            (Array("99999999999999999999999".utf8), 20, .text), (Array("-9223372036854775809".utf8), 20, .text),
            ([], 701, .text), (Array("ten".utf8), 701, .text), (Array("\\x0".utf8), 17, .text),
            (Array("\\xzz".utf8), 17, .text), (Array("\\".utf8), 17, .text), (Array("\\40".utf8), 17, .text),
            (Array("\\400".utf8), 17, .text), (Array("a\\9".utf8), 17, .text),
        ] as [([UInt8], TypeOID, ValueFormat)])
    func malformed(_ bytes: [UInt8], _ type: TypeOID, _ format: ValueFormat) {
        #expect(decode(bytes, type, format) == nil)
        (bytes + [0]).withUnsafeBytes {
            let bytes = UnsafeRawBufferPointer(rebasing: $0[..<bytes.count])
            #expect(!ValueDecoder.isWellFormed(bytes, type: type, format: format))
        }
    }

    @Test("binary is for results whose columns the decoder knows, all of them")
    func binarySupport() {
        let known = [16, 17, 19, 20, 21, 23, 25, 26, 700, 701, 1042, 1043].map {
            ServerColumn(name: "c", type: TypeOID($0))
        }
        #expect(ValueDecoder.supportsBinary(known))
        #expect(ValueDecoder.supportsBinary([]))
        for type: TypeOID in [0, 18, 1700, 2950, 1184, 16_400] {
            #expect(!ValueDecoder.supportsBinary(known + [ServerColumn(name: "c", type: type)]))
        }
    }
}
