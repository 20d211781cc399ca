import PrismWire
import Testing

@Suite struct FramingTests {
    static func scan(_ bytes: [UInt8], max: Int = 100) -> FrameScan {
        bytes.withUnsafeBytes { Frame.scan($0, bytesMax: max) }
    }

    @Test("the front of a frame, byte by byte, says how much is missing at the least, and never more than there is")
    func everyPrefix() {
        let whole: [UInt8] = [0, 0, 0, 5, 1, 2, 3, 4, 5]
        for count in 0..<4 { #expect(Self.scan(Array(whole.prefix(count))) == .incomplete(missing: 4 - count)) }
        for count in 4..<9 { #expect(Self.scan(Array(whole.prefix(count))) == .incomplete(missing: 9 - count)) }
        #expect(Self.scan(whole) == .frame(length: 5))
        #expect(Self.scan(whole + [9, 9]) == .frame(length: 5))
    }

    @Test("1 ≤ N ≤ the limit, judged by the header alone")
    func lengths() {
        #expect(Self.scan([0, 0, 0, 0]) == .invalid(length: 0))
        #expect(Self.scan([0, 0, 0, 1, 7]) == .frame(length: 1))
        #expect(Self.scan([0, 0, 0, 100]) == .incomplete(missing: 100))
        #expect(Self.scan([0, 0, 0, 101]) == .invalid(length: 101))
        #expect(Self.scan([0xFF, 0xFF, 0xFF, 0xFF], max: 64 << 20) == .invalid(length: 0xFFFF_FFFF))
        #expect(Self.scan([0x80, 0, 0, 0], max: 64 << 20) == .invalid(length: 1 << 31))
    }

    @Test("every vector of several frames is split at the same places whether or not it lies aligned in memory")
    func alignment() {
        let bytes = Vector.all("responses").flatMap(\.bytes)
        var counts: Set<Int> = []
        for shift in 0..<8 {
            let shifted = Array(repeating: UInt8(0xEE), count: shift) + bytes
            shifted.withUnsafeBytes { all in
                var rest = UnsafeRawBufferPointer(rebasing: all[shift...])
                var frames = 0
                while case .frame(let length) = Frame.scan(rest, bytesMax: 4 << 20) {
                    frames += 1
                    rest = UnsafeRawBufferPointer(rebasing: rest[(4 + length)...])
                }
                #expect(rest.isEmpty)
                counts.insert(frames)
            }
        }
        #expect(counts.count == 1 && (counts.first ?? 0) > 30)
    }
}
