import PrismWire

/// Builds one answer, of key-value operations in an arena and of client SQL as rows come, and packs it.
final class AnswerBuilder {
    let arena: Arena
    /// Outside of the arena, which is emptied with each part of a stream.
    let response: UnsafeMutablePointer<Prism__V1__Response>
    /// Of the present execution of client SQL.
    var rows = ResultWriter()
    /// The executions of a Batch so far.
    private var batch = ByteQueue()
    /// What a frame has room for.
    let bytesMax: Int

    init(settings: EngineSettings) {
        bytesMax = settings.limits.frameBytesMax - ResponseFrame.overheadBytesMax
        arena = Arena(
            limitBytes: settings.limits.decodeBytesMax + settings.resultBytesMax * 4 + (4 << 20),
            firstBlockBytes: 16 << 10)
        response = .allocate(capacity: 1)
        prism__v1__response__init(response)
    }

    deinit { response.deallocate() }

    func reset() {
        arena.reset()
        rows.removeAll()
        batch.removeAll(keepingUpTo: 0)
        prism__v1__response__init(response)
    }

    /// Appends the response as a body.
    /// - Throws: RESOURCE_EXHAUSTED when it would not fit into a frame.
    func pack(into output: inout ByteQueue, bytesMax: Int = .max) throws(Failure) {
        let size = prism__v1__response__get_packed_size(response)
        guard size <= min(self.bytesMax, bytesMax) else { throw .answerTooLarge(bytes: size, above: self.bytesMax) }
        output.append(upTo: size) { target in
            prism__v1__response__pack(response, target.assumingMemoryBound(to: UInt8.self))
        }
    }

    /// Appends a row to a part of a stream.
    ///
    /// - Parameter isFirstPart: the columns stand on it.
    /// - Returns: false: there is no room for it beside the rows so far, which are to be packed first.
    /// - Throws: RESOURCE_EXHAUSTED when it would not fit into a frame alone.
    func append(_ row: ServerRow, _ columns: ResultColumns, isFirstPart: Bool) throws(Failure) -> Bool {
        guard rows.byteCount > 0 else {
            try rows.append(row, columns, bytesMax: bytesMax)
            return true
        }
        do throws(Failure) {
            try rows.append(row, columns, bytesMax: bytesMax)
        } catch {
            guard error.code == .resourceExhausted else { throw error }
            return false
        }
        guard writtenBytes(in: .response, isFirstPart ? columns : nil, nil) > bytesMax else { return true }
        rows.dropRow()
        return false
    }

    /// Appends the rows so far as a body.
    /// - Parameters:
    ///   - columns: nil: an earlier part has had them.
    ///   - tag: nil: another part follows.
    /// - Throws: RESOURCE_EXHAUSTED when it would not fit into a frame.
    func packRows(
        _ columns: ResultColumns?, _ tag: CommandTag?, into output: inout ByteQueue, bytesMax: Int = .max
    ) throws(Failure) {
        let size = writtenBytes(in: .response, columns, tag)
        guard size <= min(self.bytesMax, bytesMax) else { throw .answerTooLarge(bytes: size, above: self.bytesMax) }
        write(in: .response, columns, tag, to: &output)
    }

    /// Ends one execution of a Batch.
    /// - Throws: RESOURCE_EXHAUSTED when all of them would not fit into a frame.
    func addToBatch(_ columns: ResultColumns, _ tag: CommandTag) throws(Failure) {
        let size = batch.count + writtenBytes(in: .batch, columns, tag)
        guard size <= bytesMax else { throw .answerTooLarge(bytes: size, above: bytesMax) }
        write(in: .batch, columns, tag, to: &batch)
        rows.removeAll()
    }

    /// Of the executions of a Batch that have ended, and of the present one.
    var batchBytes: Int { batch.count + rows.byteCount }

    /// Appends all executions of a Batch as a body.
    func packBatch(into output: inout ByteQueue) throws(Failure) {
        let size = ResultWriter.batchBytes(batch.count)
        guard size <= bytesMax else { throw .answerTooLarge(bytes: size, above: bytesMax) }
        ResultWriter.writeBatch(batch.bytes, to: &output)
    }

    private func writtenBytes(in place: ResultWriter.Place, _ columns: ResultColumns?, _ tag: CommandTag?) -> Int {
        rows.writtenBytes(
            in: place, columns: columns?.fields.count ?? 0, tag: tag?.wordBytes.count ?? 0,
            rowsAffected: tag?.rowsAffected ?? 0)
    }

    private func write(
        in place: ResultWriter.Place, _ columns: ResultColumns?, _ tag: CommandTag?, to output: inout ByteQueue
    ) {
        (columns ?? ResultColumns.none).fields.withBytes { columns in
            (tag ?? CommandTag.empty).wordBytes.withBytes { word in
                rows.write(
                    in: place, columns: columns, tag: word, rowsAffected: tag?.rowsAffected ?? 0, to: &output)
            }
        }
    }

    static let outOfMemory = Failure(
        .resourceExhausted, at: .execute,
        "the answer needs more memory than limits.result_bytes and limits.decode_bytes allow; ask for less at a time")

    func make<T>(_ type: T.Type, _ initialise: (UnsafeMutablePointer<T>) -> Void) throws(Failure)
        -> UnsafeMutablePointer<T>
    {
        guard let made = arena.allocate(type) else { throw Self.outOfMemory }
        initialise(made)
        return made
    }

    /// As the generated C wants a repeated field.
    func pointers<T>(_ items: [UnsafeMutablePointer<T>]) throws(Failure) -> UnsafeMutablePointer<
        UnsafeMutablePointer<T>?
    > {
        guard let target = arena.allocate(UnsafeMutablePointer<T>?.self, count: max(items.count, 1)) else {
            throw Self.outOfMemory
        }
        for (index, item) in items.enumerated() { target[index] = item }
        return target
    }
}
