internal import PrismWire

/// One request's message, copied out of the read buffer because it crosses to another thread. Immutable; copies share the bytes.
///
/// The backend reads it again in an arena of its own: cheaper than carrying a structure over, and it leaves nothing shared.
public struct FrameBox: @unchecked Sendable {
    /// Bytes behind their number, in one piece of memory.
    private final class Storage: ManagedBuffer<Int, UInt8> {}

    /// Only read after its making.
    private let storage: Storage

    public init(_ bytes: UnsafeRawBufferPointer) {
        self.init(count: bytes.count) { $0.copyMemory(from: bytes) }
    }

    /// A message that has been rewritten.
    init(packing request: RequestMessage) {
        self.init(count: request.packedBytes) { request.pack(into: $0) }
    }

    private init(count: Int, _ fill: (UnsafeMutableRawBufferPointer) -> Void) {
        storage = unsafeDowncast(Storage.create(minimumCapacity: count) { _ in count }, to: Storage.self)
        storage.withUnsafeMutablePointerToElements { fill(UnsafeMutableRawBufferPointer(start: $0, count: count)) }
    }

    public var count: Int { storage.header }
    /// Valid as long as the box.
    public var bytes: UnsafeRawBufferPointer {
        storage.withUnsafeMutablePointers { UnsafeRawBufferPointer(start: $1, count: $0.pointee) }
    }
}
