import PrismWire
import Testing

@Suite struct TextTests {
    static func isValid(_ bytes: [UInt8]) -> Bool { bytes.withUnsafeBytes(isValidUTF8) }

    @Test("UTF-8 is judged as the standard library judges it: every sequence of two bytes, every scalar, random ones")
    func utf8() {
        func agrees(_ bytes: [UInt8]) -> Bool {
            Self.isValid(bytes) == (String(validating: bytes, as: UTF8.self) != nil)
        }
        for first in UInt8.min...UInt8.max {
            for second in UInt8.min...UInt8.max { #expect(agrees([first, second])) }
        }
        for value in stride(from: UInt32(0), through: 0x10_FFFF, by: 61) {
            guard let scalar = Unicode.Scalar(value) else { continue }
            #expect(Self.isValid(Array("1234567".utf8) + Array(String(Character(scalar)).utf8)))
        }
        var random = SplitMix(1)
        // Mostly well-formed text with one byte changed: where judges differ.
        for _ in 0..<20_000 {
            var bytes = Array("aé€𝄞𐍈\u{7FF}\u{800}\u{FFFF}z".utf8)
            bytes[random.below(bytes.count)] = UInt8(truncatingIfNeeded: random.next())
            if random.below(3) == 0 { bytes.removeLast(random.below(bytes.count)) }
            #expect(agrees(bytes))
        }
    }

    static func fingerprint(_ bytes: [UInt8]) -> RequestFingerprint? {
        bytes.withUnsafeBytes { RequestFingerprint($0) }
    }

    /// `Request` with id, timeout, deadline, key and traceparent before a Put.
    static func request(id: UInt8, key: UInt8 = 1, value: UInt8 = 1, backend: UInt8 = 1) -> [UInt8] {
        [
            0x08, id, 0x10, id, 0x18, id, 0x22, 1, backend, 0x3A, 1, key, 0x42, 1, id, 0x92, 1, 6, 0x12, 1, 0x6B, 0x1A,
            1, value,
        ]
    }

    @Test("a fingerprint leaves out id, timeout, deadline, key and traceparent, and nothing else")
    func fingerprints() {
        let one = Self.fingerprint(Self.request(id: 1))
        #expect(one != nil)
        #expect(Self.fingerprint(Self.request(id: 2, key: 9)) == one)
        #expect(Self.fingerprint(Self.request(id: 1, value: 2)) != one)
        #expect(Self.fingerprint(Self.request(id: 1, backend: 2)) != one)
    }

    @Test("what is no message has no fingerprint, wherever it is cut")
    func noFingerprint() {
        let whole = Self.request(id: 1)
        let cutsBetweenFields: Set<Int> = [0, 2, 4, 6, 9, 12, 15, whole.count]
        for count in 0...whole.count {
            let isWhole = Self.fingerprint(Array(whole.prefix(count))) != nil
            #expect(isWhole == cutsBetweenFields.contains(count), "cut at \(count)")
        }
        #expect(Self.fingerprint([0x0A] + Array(repeating: 0xFF, count: 10)) == nil)
        #expect(Self.fingerprint([0x09, 1, 2, 3]) == nil)
    }

    @Test("a scan's cursor names the last key; what is not one is refused")
    func cursors() {
        let arena = Arena(limitBytes: 4_096)
        for key in [[UInt8(0)], Array(repeating: 0xFF, count: 1_024)] {
            let cursor = key.withUnsafeBytes { ScanCursor.encode(lastKey: $0, in: arena) }
            #expect(cursor.flatMap { ScanCursor($0.bytes) }.map { Array($0.lastKey) } == key)
        }
        for bytes in [[], [1], [2, 0x6B], [1] + Array(repeating: UInt8(0x6B), count: 1_025)] as [[UInt8]] {
            #expect(bytes.withUnsafeBytes { ScanCursor($0) == nil })
        }
    }
}
