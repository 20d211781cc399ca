/// Where a scan goes on: behind the last key that was answered. Opaque to clients; the first byte is its format.
public struct ScanCursor {
    private static let format: UInt8 = 1

    /// The last key answered. Borrows the bytes it was read from.
    public let lastKey: UnsafeRawBufferPointer

    /// Nil: not a cursor of ours.
    public init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count >= 2, bytes.count <= WireLimits.keyBytesMax + 1, bytes[0] == Self.format else { return nil }
        lastKey = UnsafeRawBufferPointer(rebasing: bytes[1...])
    }

    /// The cursor behind `lastKey`; nil when the arena is full.
    public static func encode(lastKey: UnsafeRawBufferPointer, in arena: Arena) -> ProtobufCBinaryData? {
        guard let target = arena.allocate(UInt8.self, count: lastKey.count + 1) else { return nil }
        target[0] = format
        UnsafeMutableRawBufferPointer(start: target + 1, count: lastKey.count).copyMemory(from: lastKey)
        return ProtobufCBinaryData(len: lastKey.count + 1, data: target)
    }
}
