/// What an idempotency key stands for: the request's bytes without id, timeout, deadline, idempotency key and traceparent.
/// FNV-1a with 128 bits; a guard against mistakes of one client, not against attackers, who share the uid anyway.
public struct RequestFingerprint: Equatable, Sendable {
    public let high: UInt64
    public let low: UInt64

    /// Nil: the bytes are no well-formed message (a decoded request always is).
    public init?(_ message: UnsafeRawBufferPointer) {
        var hash: UInt128 = 0x6C62_272E_07BB_0142_62B8_2175_6295_C58D
        var index = 0
        while index < message.count {
            let start = index
            guard let tag = Self.varint(message, &index) else { return nil }
            switch tag & 7 {
            case 0: guard Self.varint(message, &index) != nil else { return nil }
            case 1: index += 8
            case 2:
                guard let length = Self.varint(message, &index), length <= UInt64(message.count - index) else {
                    return nil
                }
                index += Int(length)
            case 5: index += 4
            default: return nil
            }
            guard index <= message.count else { return nil }
            switch tag >> 3 {
            case 1, 2, 3, 7, 8: continue
            default:
                for byte in message[start..<index] {
                    hash = (hash ^ UInt128(byte)) &* 0x0000_0000_0100_0000_0000_0000_0000_013B
                }
            }
        }
        high = UInt64(truncatingIfNeeded: hash >> 64)
        low = UInt64(truncatingIfNeeded: hash)
    }

    private static func varint(_ bytes: UnsafeRawBufferPointer, _ index: inout Int) -> UInt64? {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while index < bytes.count, shift < 70 {
            let byte = bytes[index]
            index += 1
            value |= UInt64(byte & 0x7F) << shift
            if byte & 0x80 == 0 { return value }
            shift += 7
        }
        return nil
    }
}
