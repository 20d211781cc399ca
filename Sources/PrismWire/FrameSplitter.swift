/// What stands at the front of a byte stream.
public enum FrameScan: Equatable, Sendable {
    /// More bytes are needed; `missing` at the least.
    case incomplete(missing: Int)
    /// A frame whose message has `length` bytes, after the 4 bytes of its header.
    case frame(length: Int)
    /// The length is 0 or above the limit. Nothing behind it can be read.
    case invalid(length: Int)
}

/// Framing: a 4-byte unsigned big-endian length N, then N bytes; 1 ≤ N ≤ the limit (CONTRACT 1).
public enum Frame {
    public static let headerBytes = 4
    /// The largest frame limit that may be configured.
    public static let bytesMaxCeiling = 64 << 20

    /// Looks at the front of `bytes`; reads nothing but the header.
    public static func scan(_ bytes: UnsafeRawBufferPointer, bytesMax: Int) -> FrameScan {
        guard bytes.count >= headerBytes else { return .incomplete(missing: headerBytes - bytes.count) }
        let length = Int(UInt32(bigEndian: bytes.loadUnaligned(as: UInt32.self)))
        guard length >= 1, length <= bytesMax else { return .invalid(length: length) }
        let missing = headerBytes + length - bytes.count
        return missing > 0 ? .incomplete(missing: missing) : .frame(length: length)
    }
}
