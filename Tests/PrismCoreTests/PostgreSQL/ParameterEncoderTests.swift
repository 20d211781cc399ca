import PrismCore
import PrismWire
import Testing

@Suite struct ParameterEncoderTests {
    private let arena = Arena(limitBytes: 1 << 20)

    private func declared(_ value: PlainValue) throws -> ParameterEncoder.DeclaredType {
        ParameterEncoder.declaredType(of: try #require(value.wire(in: arena)).pointee)
    }

    private func encode(_ value: PlainValue, as type: TypeOID) throws -> PlainParameter {
        var list = ParameterList()
        try ParameterEncoder.append(try #require(value.wire(in: arena)), declared: type, to: &list)
        #expect(list.count == 1)
        return try #require(list.plain.first)
    }

    @Test("each kind declares its type; text and null leave it to the server")
    func declaredTypes() throws {
        #expect(try declared(.boolean(true)) == .known(16))
        #expect(try declared(.integer(1)) == .known(20))
        #expect(try declared(.number(1)) == .known(701))
        #expect(try declared(.bytes([1])) == .known(17))
        #expect(try declared(.text("a")) == .known(0))
        #expect(try declared(.null) == .known(0))
        #expect(try declared(.typed("uuid", "")) == .known(2950))
        #expect(try declared(.typed("timestamptz[]", "")) == .known(1185))
        #expect(try declared(.typed("public.mood", "")) == .named("public.mood"))
        #expect(try declared(.typed("", "x")) == .known(0))
    }

    @Test("values of the declared type go in binary")
    func binary() throws {
        #expect(try encode(.boolean(true), as: 16) == .binary([1]))
        #expect(try encode(.boolean(false), as: 16) == .binary([0]))
        #expect(try encode(.integer(.min), as: 20) == .binary([0x80, 0, 0, 0, 0, 0, 0, 0]))
        #expect(try encode(.number(-0.0), as: 701) == .binary([0x80, 0, 0, 0, 0, 0, 0, 0]))
        #expect(try encode(.bytes([0, 255]), as: 17) == .binary([0, 255]))
        #expect(try encode(.bytes([]), as: 17) == .binary([]))
        #expect(try encode(.bytes([0xFF]), as: 18) == .binary([0xFF]))
    }

    @Test("values of a type that the server inferred go as that type's text")
    func text() throws {
        #expect(try encode(.boolean(true), as: 25) == .text("true"))
        #expect(try encode(.boolean(false), as: 0) == .text("false"))
        #expect(try encode(.integer(.min), as: 23) == .text("-9223372036854775808"))
        #expect(try encode(.integer(7), as: 1700) == .text("7"))
        #expect(try encode(.number(0.1), as: 1700) == .text("0.1"))
        #expect(try encode(.number(5e-324), as: 25) == .text("5e-324"))
        #expect(try encode(.number(.nan), as: 700) == .text("NaN"))
        #expect(try encode(.number(.infinity), as: 700) == .text("Infinity"))
        #expect(try encode(.number(-.infinity), as: 1700) == .text("-Infinity"))
        #expect(try encode(.bytes([0, 0x5C, 0xFF]), as: 25) == .text("\\x005cff"))
        #expect(try encode(.text("Zoë"), as: 0) == .text("Zoë"))
        #expect(try encode(.text(""), as: 25) == .text(""))
        #expect(try encode(.typed("jsonb", "{}"), as: 3802) == .text("{}"))
        #expect(try encode(.null, as: 23) == .null)
    }

    @Test("a double's text is read as the same double again")
    func doubleTexts() throws {
        var state: UInt64 = 1
        for _ in 0..<2_000 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            let value = Double(bitPattern: state)
            guard value.isFinite else { continue }
            let encoded = try encode(.number(value), as: 1700)
            let text = String(decoding: encoded.bytes ?? [], as: UTF8.self)
            #expect(Double(text)?.bitPattern == value.bitPattern)
        }
    }

    @Test("a zero byte in a text is refused, and the parameter is named")
    func zeroBytes() throws {
        for value: PlainValue in [.text("a\0b"), .typed("jsonb", "\"\0\"")] {
            var list = ParameterList()
            list.appendNull()
            let wire = try #require(value.wire(in: arena))
            let failure = #expect(throws: Failure.self) {
                try ParameterEncoder.append(wire, declared: 0, to: &list)
            }
            #expect(failure?.code == .invalidArgument)
            #expect(failure?.outcome == .notExecuted)
            #expect(failure?.message.hasPrefix("parameter 2: ") == true)
            #expect(list.count == 1)
        }
        #expect(try encode(.bytes([0]), as: 17) == .binary([0]), "bytes may hold any")
    }
}
