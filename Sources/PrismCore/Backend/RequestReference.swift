/// Names one request in flight across threads: which reactor's table, which slot, which use of that slot.
///
/// A late answer or cancel for a slot that has been used again does not match its generation and is dropped.
public struct RequestReference: Hashable, Sendable {
    /// Reactor (8 bits), slot (24 bits), generation (32 bits, never 0).
    public let rawValue: UInt64

    public static let slotsMax = 1 << 24
    public static let none = RequestReference(rawValue: 0)

    public init(rawValue: UInt64) { self.rawValue = rawValue }

    public init(reactor: UInt8, slot: Int, generation: UInt32) {
        rawValue = UInt64(reactor) << 56 | UInt64(slot & 0xFF_FFFF) << 32 | UInt64(generation)
    }

    public func _rawHashValue(seed: Int) -> Int { mixedHash(rawValue, seed) }

    public var reactor: UInt8 { UInt8(rawValue >> 56) }
    public var slot: Int { Int(rawValue >> 32 & 0xFF_FFFF) }
    public var generation: UInt32 { UInt32(truncatingIfNeeded: rawValue) }
}

/// Names one interactive transaction; its raw value is the handle that the client gets. 0 is none.
public struct TransactionReference: Hashable, Sendable {
    public let rawValue: UInt64

    public static let none = TransactionReference(rawValue: 0)

    public init(rawValue: UInt64) { self.rawValue = rawValue }

    public init(reactor: UInt8, slot: Int, generation: UInt32) {
        rawValue = UInt64(reactor) << 56 | UInt64(slot & 0xFF_FFFF) << 32 | UInt64(generation)
    }

    public var reactor: UInt8 { UInt8(rawValue >> 56) }
    public var slot: Int { Int(rawValue >> 32 & 0xFF_FFFF) }
    public var generation: UInt32 { UInt32(truncatingIfNeeded: rawValue) }
}

/// A hash of a number that no client chooses, at a fraction of the cost of `Hasher`. Both ends of it are good.
@inline(__always)
func mixedHash(_ value: UInt64, _ seed: Int) -> Int {
    let product = (value ^ UInt64(bitPattern: Int64(seed))).multipliedFullWidth(by: 0x9E37_79B9_7F4A_7C15)
    return Int(truncatingIfNeeded: product.high ^ product.low)
}
