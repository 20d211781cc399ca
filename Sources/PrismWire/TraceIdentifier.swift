/// The trace id of a W3C `traceparent`: 16 bytes, kept as numbers so that a request in flight carries it without memory of its
/// own (https://www.w3.org/TR/trace-context/, version 00 and later ones of the same shape).
public struct TraceIdentifier: Equatable, Sendable, CustomStringConvertible {
    public let high: UInt64
    public let low: UInt64

    /// Nil: no `traceparent` of that shape, or the invalid id of zeros.
    public init?(traceparent bytes: UnsafeRawBufferPointer) {
        // version "-" trace id "-" parent id "-" flags; later versions may add "-" and more.
        guard bytes.count >= 55, bytes[2] == 0x2D, bytes[35] == 0x2D, bytes[52] == 0x2D,
            bytes.count == 55 || bytes[55] == 0x2D,
            let high = Self.number(bytes, at: 3), let low = Self.number(bytes, at: 19), high | low != 0
        else { return nil }
        self.high = high
        self.low = low
    }

    /// 32 lower-case hexadecimal digits.
    public var description: String { Self.text(high) + Self.text(low) }

    private static func number(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> UInt64? {
        var value: UInt64 = 0
        for byte in bytes[offset..<offset + 16] {
            switch byte {
            case 0x30...0x39: value = value << 4 | UInt64(byte - 0x30)
            case 0x61...0x66: value = value << 4 | UInt64(byte - 0x61 + 10)
            default: return nil
            }
        }
        return value
    }

    private static func text(_ value: UInt64) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
