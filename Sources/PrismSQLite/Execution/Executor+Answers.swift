internal import PrismWire

/// Building answers in the arena, and packing them.
extension Executor {
    /// Room in a frame for what the session adds around a body: id, more, cost.
    static let frameOverheadBytes = 64

    /// Appends the response as a body.
    /// - Throws: RESOURCE_EXHAUSTED when it would not fit into a frame.
    func pack(into output: inout ByteQueue) throws(Failure) {
        let size = prism__v1__response__get_packed_size(response)
        guard size <= settings.limits.frameBytesMax - Self.frameOverheadBytes else {
            throw Failure(
                .resourceExhausted, at: .execute,
                "the answer has \(size) bytes, above limits.frame_bytes (\(settings.limits.frameBytesMax)); ask for less at a time"
            )
        }
        output.append(upTo: size) { target in
            prism__v1__response__pack(response, target.assumingMemoryBound(to: UInt8.self))
        }
    }

    var outOfMemory: Failure {
        Failure(
            .resourceExhausted, at: .execute,
            "the answer needs more memory than limits.result_bytes and limits.decode_bytes allow; ask for less at a time"
        )
    }

    func make<T>(_ type: T.Type, _ initialise: (UnsafeMutablePointer<T>) -> Void) throws(Failure)
        -> UnsafeMutablePointer<T>
    {
        guard let made = arena.allocate(type) else { throw outOfMemory }
        initialise(made)
        return made
    }

    func copy(_ bytes: UnsafeRawBufferPointer) throws(Failure) -> ProtobufCBinaryData {
        guard let copied = arena.copy(bytes) else { throw outOfMemory }
        return copied
    }

    /// As the generated C wants a repeated field.
    func pointers<T>(_ items: [UnsafeMutablePointer<T>]) throws(Failure) -> UnsafeMutablePointer<
        UnsafeMutablePointer<T>?
    > {
        guard let target = arena.allocate(UnsafeMutablePointer<T>?.self, count: max(items.count, 1)) else {
            throw outOfMemory
        }
        for (index, item) in items.enumerated() { target[index] = item }
        return target
    }
}
