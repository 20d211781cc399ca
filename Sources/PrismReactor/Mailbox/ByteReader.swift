/// Reads a record in the order in which `ByteWriter` wrote it. Borrows the bytes: valid only as long as they are.
public struct ByteReader {
    /// What is left to read.
    public private(set) var remaining: UnsafeRawBufferPointer

    public init(_ bytes: UnsafeRawBufferPointer) {
        remaining = bytes
    }

    /// Reads a plain value in native byte order; nil, reading nothing, if fewer bytes are left.
    public mutating func read<Value: BitwiseCopyable>(_ type: Value.Type) -> Value? {
        guard let bytes = read(count: MemoryLayout<Value>.size) else { return nil }
        return bytes.loadUnaligned(as: type)
    }

    /// The next `count` bytes, not copied; nil, reading nothing, if fewer are left.
    public mutating func read(count: Int) -> UnsafeRawBufferPointer? {
        guard count >= 0, count <= remaining.count else { return nil }
        let bytes = UnsafeRawBufferPointer(rebasing: remaining[..<count])
        remaining = UnsafeRawBufferPointer(rebasing: remaining[count...])
        return bytes
    }
}
