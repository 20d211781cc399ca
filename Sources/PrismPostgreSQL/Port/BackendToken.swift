/// What epoll gives back for a connection to a server: which backend, which place, which use of it.
///
/// Bit 63 tells it from a client's token; then 7 bits of backend, 24 of slot, 32 of generation.
public struct BackendToken: Hashable, Sendable {
    /// One less than the bits can hold, so that no token is one of the reactor's own.
    public static let backendsMax = 127
    public static let slotsMax = 1 << 24

    public let rawValue: UInt64

    /// - Parameters:
    ///   - backend: 0 to `backendsMax - 1`.
    ///   - slot: 0 to `slotsMax - 1`.
    public init(backend: Int, slot: Int, generation: UInt32) {
        rawValue = 1 << 63 | UInt64(backend & 0x7F) << 56 | UInt64(slot & 0xFF_FFFF) << 32 | UInt64(generation)
    }

    /// Nil: the token of something else.
    @inlinable
    public init?(rawValue: UInt64) {
        guard rawValue >> 63 == 1 else { return nil }
        self.init(unchecked: rawValue)
    }

    @usableFromInline init(unchecked: UInt64) { rawValue = unchecked }

    public var backend: Int { Int(rawValue >> 56 & 0x7F) }
    public var slot: Int { Int(rawValue >> 32 & 0xFF_FFFF) }
    public var generation: UInt32 { UInt32(truncatingIfNeeded: rawValue) }
}
