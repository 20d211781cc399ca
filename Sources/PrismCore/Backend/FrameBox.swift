internal import PrismWire

/// One request's message, copied out of the read buffer because it crosses to another thread. Immutable; copies share the bytes.
///
/// The backend reads it again in an arena of its own: cheaper than carrying a structure over, and it leaves nothing shared.
public struct FrameBox: @unchecked Sendable {
    private struct Header {
        let count: Int
        /// Of a plain request.
        let operation: Range<Int>?
    }

    /// Bytes behind their number, in one piece of memory.
    private final class Storage: ManagedBuffer<Header, UInt8> {}

    /// Only read after its making.
    private let storage: Storage

    /// - Parameter operation: where a plain request's operation stands in it; nil: nobody knows.
    public init(_ bytes: UnsafeRawBufferPointer, operation: UnsafeRawBufferPointer? = nil) {
        var range: Range<Int>?
        if let operation, let start = operation.baseAddress, let first = bytes.baseAddress {
            range = start - first..<start - first + operation.count
        }
        self.init(count: bytes.count, operation: range) { $0.copyMemory(from: bytes) }
    }

    /// A message that has been rewritten.
    init(packing request: RequestMessage) {
        self.init(count: request.packedBytes) { request.pack(into: $0) }
    }

    private init(count: Int, operation: Range<Int>? = nil, _ fill: (UnsafeMutableRawBufferPointer) -> Void) {
        storage = unsafeDowncast(
            Storage.create(minimumCapacity: count) { _ in Header(count: count, operation: operation) }, to: Storage.self
        )
        storage.withUnsafeMutablePointerToElements { fill(UnsafeMutableRawBufferPointer(start: $0, count: count)) }
    }

    public var count: Int { storage.header.count }
    /// Valid as long as the box.
    public var bytes: UnsafeRawBufferPointer {
        storage.withUnsafeMutablePointers { UnsafeRawBufferPointer(start: $1, count: $0.pointee.count) }
    }

    /// What a backend is to carry out, borrowed from the box: without anything else of the request where it is plain.
    func operation(_ kind: OperationKind, in arena: borrowing Arena) -> RequestMessage? {
        guard let range = storage.header.operation else { return RequestMessage(borrowing: bytes, in: arena) }
        return RequestMessage(operation: UnsafeRawBufferPointer(rebasing: bytes[range]), kind: kind, in: arena)
    }
}
