internal import PrismWire

/// One request's message, copied out of the read buffer because it crosses to another thread. Immutable.
///
/// The backend decodes it again in an arena of its own: cheaper than carrying a structure over, and it leaves nothing shared.
public final class FrameBox: @unchecked Sendable {
    private let storage: UnsafeMutableRawBufferPointer

    public init(_ bytes: UnsafeRawBufferPointer) {
        storage = .allocate(byteCount: max(bytes.count, 1), alignment: 8)
        storage.copyMemory(from: bytes)
        count = bytes.count
    }

    /// A message that has been rewritten.
    init(packing request: RequestMessage) {
        count = request.packedBytes
        storage = .allocate(byteCount: max(count, 1), alignment: 8)
        request.pack(into: storage)
    }

    deinit { storage.deallocate() }

    public let count: Int
    public var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: storage.baseAddress, count: count) }
}
