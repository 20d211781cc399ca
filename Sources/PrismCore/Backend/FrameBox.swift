public import PrismWire

/// One request's message, copied out of the read buffer because it crosses to another thread. Immutable; copies share the bytes.
///
/// The backend reads it again in an arena of its own: cheaper than carrying a structure over, and it leaves nothing shared. Only a
/// plain query is kept as it was decoded: short, and read more often than anything else.
public struct FrameBox: @unchecked Sendable {
    private struct Header {
        /// Of the message.
        let count: Int
        /// Of what stands in front of it; 0: nothing does.
        let queryBytes: Int
        /// Where a plain request's operation stands in it.
        let operation: Range<Int>?
    }

    /// A query that is kept, and the message, behind their header in one piece of memory.
    private final class Storage: ManagedBuffer<Header, UInt64> {}

    /// Only read after its making.
    private let storage: Storage

    /// Bytes that have not been decoded.
    public init(_ bytes: UnsafeRawBufferPointer) {
        self.init(count: bytes.count, queryBytes: 0, operation: nil) { $0.copyMemory(from: bytes) }
    }

    /// - Parameters:
    ///   - request: as it was decoded from `frame`.
    ///   - keepsQuery: also what it was decoded to, if it is a plain query.
    public init(_ frame: UnsafeRawBufferPointer, _ request: RequestMessage, keepsQuery: Bool) {
        var range: Range<Int>?
        if let operation = request.operation, let start = operation.baseAddress, let first = frame.baseAddress {
            range = start - first..<start - first + operation.count
        }
        let size = keepsQuery ? KeptQuery.size(of: request) : 0
        self.init(count: frame.count, queryBytes: size, operation: range) { $0.copyMemory(from: frame) }
        if size > 0 {
            storage.withUnsafeMutablePointerToElements {
                let base = UnsafeMutableRawPointer($0)
                KeptQuery.keep(
                    request, of: frame, copiedTo: base + size,
                    in: UnsafeMutableRawBufferPointer(start: base, count: size))
            }
        }
    }

    /// A message that has been rewritten.
    init(packing request: RequestMessage) {
        self.init(count: request.packedBytes, queryBytes: 0, operation: nil) { request.pack(into: $0) }
    }

    @inline(__always)
    private init(
        count: Int, queryBytes: Int, operation: Range<Int>?, _ fill: (UnsafeMutableRawBufferPointer) -> Void
    ) {
        let words = (queryBytes + count + 7) / 8
        storage = unsafeDowncast(
            Storage.create(minimumCapacity: words) { _ in
                Header(count: count, queryBytes: queryBytes, operation: operation)
            }, to: Storage.self)
        storage.withUnsafeMutablePointerToElements {
            fill(UnsafeMutableRawBufferPointer(start: UnsafeMutableRawPointer($0) + queryBytes, count: count))
        }
    }

    public var count: Int { storage.header.count }
    /// Valid as long as the box.
    public var bytes: UnsafeRawBufferPointer {
        storage.withUnsafeMutablePointers {
            UnsafeRawBufferPointer(start: UnsafeRawPointer($1) + $0.pointee.queryBytes, count: $0.pointee.count)
        }
    }

    /// A plain query, decoded; nil: it is not kept. Valid as long as the box.
    var query: UnsafePointer<Prism__V1__Query>? {
        storage.withUnsafeMutablePointers {
            $0.pointee.queryBytes == 0 ? nil : UnsafeRawPointer($1).assumingMemoryBound(to: Prism__V1__Query.self)
        }
    }

    /// What a backend is to carry out, borrowed from the box: without anything else of the request where it is plain.
    func operation(_ kind: OperationKind, in arena: borrowing Arena) -> RequestMessage? {
        guard let range = storage.header.operation else { return RequestMessage(borrowing: bytes, in: arena) }
        return RequestMessage(operation: UnsafeRawBufferPointer(rebasing: bytes[range]), kind: kind, in: arena)
    }
}
