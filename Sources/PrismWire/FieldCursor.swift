/// Writes fields of protobuf's wire format to memory that has room for them.
struct FieldCursor {
    private(set) var position: UnsafeMutablePointer<UInt8>

    /// Most bytes of a number.
    static let varintBytesMax = 10

    init(_ position: UnsafeMutableRawPointer) { self.position = position.assumingMemoryBound(to: UInt8.self) }

    static func varintBytes(_ value: UInt64) -> Int { (70 - (value | 1).leadingZeroBitCount) / 7 }

    /// Of a length-delimited field with a tag of one byte.
    static func fieldBytes(_ count: Int) -> Int { 1 + varintBytes(UInt64(count)) + count }

    mutating func put(byte: UInt8) {
        position.pointee = byte
        position += 1
    }

    mutating func put(varint value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            put(byte: UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        put(byte: UInt8(truncatingIfNeeded: rest))
    }

    mutating func put(_ tag: UInt8, varint value: UInt64) {
        put(byte: tag)
        put(varint: value)
    }

    mutating func put(bytes: UnsafeRawBufferPointer) {
        guard let source = bytes.baseAddress else { return }
        UnsafeMutableRawPointer(position).copyMemory(from: source, byteCount: bytes.count)
        position += bytes.count
    }

    mutating func put(_ tag: UInt8, bytes: UnsafeRawBufferPointer) {
        put(tag, varint: UInt64(bytes.count))
        put(bytes: bytes)
    }
}
