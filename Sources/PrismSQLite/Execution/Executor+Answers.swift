internal import PrismWire

/// Building answers in the arena, and packing them.
extension Executor {
    /// What a frame has room for, bytes of a body.
    var answerBytesMax: Int { settings.limits.frameBytesMax - ResponseFrame.overheadBytesMax }

    /// Appends the response as a body.
    /// - Throws: RESOURCE_EXHAUSTED when it would not fit into a frame.
    func pack(into output: inout ByteQueue) throws(Failure) {
        let size = prism__v1__response__get_packed_size(response)
        guard size <= answerBytesMax else { throw .answerTooLarge(bytes: size, above: answerBytesMax) }
        output.append(upTo: size) { target in
            prism__v1__response__pack(response, target.assumingMemoryBound(to: UInt8.self))
        }
    }

    /// Appends the rows and columns so far as one result; in a batch, behind the results so far.
    /// - Throws: RESOURCE_EXHAUSTED when it would not fit into a frame.
    func writeRows(
        as place: ResultWriter.Place, tag: CommandTag, rowsAffected: UInt64, into output: inout ByteQueue
    ) throws(Failure) {
        let word = tag.bytes.bytes
        let size =
            (place == .batch ? output.count : 0)
            + rows.writtenBytes(in: place, columns: columns.count, tag: word.count, rowsAffected: rowsAffected)
        guard size <= answerBytesMax else { throw .answerTooLarge(bytes: size, above: answerBytesMax) }
        rows.write(in: place, columns: columns.bytes, tag: word, rowsAffected: rowsAffected, to: &output)
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
