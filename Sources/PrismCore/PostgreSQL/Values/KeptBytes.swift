/// Bytes that never change, in memory of their own; lent for the length of a call, so that nobody holds them longer than their owner.
public struct KeptBytes: ~Copyable, @unchecked Sendable {
    private let bytes: UnsafeRawBufferPointer

    /// - Parameter source: copied.
    init(_ source: some Collection<UInt8>) {
        let kept = UnsafeMutableRawBufferPointer.allocate(byteCount: source.count, alignment: 1)
        kept.copyBytes(from: source)
        bytes = UnsafeRawBufferPointer(kept)
    }

    deinit { bytes.deallocate() }

    public var count: Int { bytes.count }

    /// - Parameter body: must not keep what it is lent.
    @inline(__always)
    public borrowing func withBytes<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R { body(bytes) }
}
