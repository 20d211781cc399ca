/// A decoded request. Borrows the arena it was decoded in: valid until that arena's next `reset()`.
public struct RequestMessage {
    public let pointer: UnsafePointer<Prism__V1__Request>
    /// Where the operation stands in the frame of a plain request; nil: the frame has to be decoded as a whole.
    public let operation: UnsafeRawBufferPointer?

    /// Decodes one message. Nil: not decodable, or above the arena's limit.
    public init?(_ bytes: UnsafeRawBufferPointer, in arena: borrowing Arena) {
        guard
            let message = prism__v1__request__unpack(
                arena.allocator, bytes.count, bytes.bindMemory(to: UInt8.self).baseAddress)
        else { return nil }
        pointer = UnsafePointer(message)
        operation = nil
    }

    /// The same, without copying what plain requests hold: valid only as long as `frame` as well. Nil where the other is: a backend
    /// decodes the frame again, as a whole, and must not be the first to find that it needs more than the limit.
    public init?(borrowing frame: UnsafeRawBufferPointer, in arena: borrowing Arena) {
        let mark = arena.mark
        var operation = UnsafeRawBufferPointer(start: nil, count: 0)
        if let plain = PlainRequest.decode(frame, in: arena, operation: &operation),
            arena.hasRoom(for: PlainRequest.moreBytesToCopy(plain, of: frame))
        {
            self.init(plain, operation)
        } else {
            arena.rewind(to: mark)
            self.init(frame, in: arena)
        }
    }

    /// The operation alone, without what stands beside it, of a request that was plain when it was decoded first. Borrows what it is
    /// decoded from.
    public init?(operation: UnsafeRawBufferPointer, kind: OperationKind, in arena: borrowing Arena) {
        guard let plain = PlainRequest.decode(operation: operation, kind: kind, in: arena) else { return nil }
        self.init(plain, operation)
    }

    private init(_ pointer: UnsafePointer<Prism__V1__Request>, _ operation: UnsafeRawBufferPointer) {
        self.pointer = pointer
        self.operation = operation
    }

    public var id: UInt64 { pointer.pointee.id }
    public var timeoutMicroseconds: UInt64 { pointer.pointee.timeout_microseconds }
    public var deadlineNanoseconds: UInt64 { pointer.pointee.deadline_nanoseconds }
    public var backend: UnsafeRawBufferPointer { pointer.pointee.backend.bytes }
    public var transaction: UInt64 { pointer.pointee.transaction }
    public var isReadOnly: Bool { pointer.pointee.read_only != 0 }
    public var idempotencyKey: UnsafeRawBufferPointer { pointer.pointee.idempotency_key.bytes }
    public var traceparent: UnsafeRawBufferPointer { pointer.pointee.traceparent.bytes }

    /// Nil: no operation, or one this version does not know.
    public var kind: OperationKind? {
        OperationKind(rawValue: UInt8(truncatingIfNeeded: pointer.pointee.operation_case.rawValue))
    }

    // The operation, by kind. Asking for another kind than `kind` is a programming error and answers nil.
    public var get: Prism__V1__Get? { kind == .get ? pointer.pointee.get?.pointee : nil }
    public var getMany: Prism__V1__GetMany? { kind == .getMany ? pointer.pointee.get_many?.pointee : nil }
    public var put: Prism__V1__Put? { kind == .put ? pointer.pointee.put?.pointee : nil }
    public var delete: Prism__V1__Delete? { kind == .delete ? pointer.pointee.delete_?.pointee : nil }
    public var increment: Prism__V1__Increment? { kind == .increment ? pointer.pointee.increment?.pointee : nil }
    public var touch: Prism__V1__Touch? { kind == .touch ? pointer.pointee.touch?.pointee : nil }
    public var write: Prism__V1__Write? { kind == .write ? pointer.pointee.write?.pointee : nil }
    public var scan: Prism__V1__Scan? { kind == .scan ? pointer.pointee.scan?.pointee : nil }
    public var count: Prism__V1__Count? { kind == .count ? pointer.pointee.count?.pointee : nil }
    public var watch: Prism__V1__Watch? { kind == .watch ? pointer.pointee.watch?.pointee : nil }
    public var query: Prism__V1__Query? { kind == .query ? pointer.pointee.query?.pointee : nil }
    public var batch: Prism__V1__Batch? { kind == .batch ? pointer.pointee.batch?.pointee : nil }
    public var begin: Prism__V1__Begin? { kind == .begin ? pointer.pointee.begin?.pointee : nil }
    public var savepoint: Prism__V1__Savepoint? { kind == .savepoint ? pointer.pointee.savepoint?.pointee : nil }
    public var rollbackTo: Prism__V1__RollbackTo? {
        kind == .rollbackTo ? pointer.pointee.rollback_to?.pointee : nil
    }
    public var hello: Prism__V1__Hello? { kind == .hello ? pointer.pointee.hello?.pointee : nil }
    public var ping: Prism__V1__Ping? { kind == .ping ? pointer.pointee.ping?.pointee : nil }
    public var cancel: Prism__V1__Cancel? { kind == .cancel ? pointer.pointee.cancel?.pointee : nil }
}

// Rewriting: what is pointed to must live until the message is not used any more.
extension RequestMessage {
    /// The statements of a Query or Batch with their index, to be changed in place; none of other kinds.
    public func forEachStatement(
        _ body: (Int, UnsafeMutablePointer<Prism__V1__Query>) throws(Failure) -> Void
    ) throws(Failure) {
        if kind == .query, let query = pointer.pointee.query { try body(0, query) }
        guard let batch else { return }
        for (index, query) in elements(batch.statements, batch.n_statements).enumerated() {
            if let query { try body(index, query) }
        }
    }

    /// Bytes of the message as it stands.
    public var packedBytes: Int { prism__v1__request__get_packed_size(pointer) }

    /// - Parameter target: has `packedBytes` at least.
    public func pack(into target: UnsafeMutableRawBufferPointer) {
        guard target.count >= packedBytes, let base = target.baseAddress else { return }
        prism__v1__request__pack(pointer, base.assumingMemoryBound(to: UInt8.self))
    }
}

extension ProtobufCBinaryData {
    /// The bytes, borrowed.
    public var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: data, count: data == nil ? 0 : len) }

    /// The bytes as text; ill-formed UTF-8 is repaired, so judge it first.
    public var string: String { String(decoding: bytes, as: UTF8.self) }

    public var isEmpty: Bool { len == 0 }
}

/// Elements of a repeated message field.
public func elements<T>(_ base: UnsafeMutablePointer<UnsafeMutablePointer<T>?>?, _ count: Int)
    -> UnsafeBufferPointer<UnsafeMutablePointer<T>?>
{
    UnsafeBufferPointer(start: base.map { UnsafePointer($0) }, count: base == nil ? 0 : count)
}

/// Elements of a repeated bytes (or string) field.
public func elements(_ base: UnsafeMutablePointer<ProtobufCBinaryData>?, _ count: Int)
    -> UnsafeBufferPointer<ProtobufCBinaryData>
{
    UnsafeBufferPointer(start: base.map { UnsafePointer($0) }, count: base == nil ? 0 : count)
}
