import PrismWire

/// Builds one answer in an arena, and packs it.
final class AnswerBuilder {
    /// Room in a frame for what the session adds around a body: id, more, cost.
    static let frameOverheadBytes = 64

    let arena: Arena
    /// Outside of the arena, which is emptied with each part of a stream.
    let response: UnsafeMutablePointer<Prism__V1__Response>
    let frameBytesMax: Int

    init(settings: EngineSettings) {
        frameBytesMax = settings.limits.frameBytesMax
        arena = Arena(
            limitBytes: settings.limits.decodeBytesMax + settings.resultBytesMax * 4 + (4 << 20),
            firstBlockBytes: 16 << 10)
        response = .allocate(capacity: 1)
        prism__v1__response__init(response)
    }

    deinit { response.deallocate() }

    func reset() {
        arena.reset()
        prism__v1__response__init(response)
    }

    /// Appends the response as a body.
    /// - Throws: RESOURCE_EXHAUSTED when it would not fit into a frame.
    func pack(into output: inout ByteQueue, bytesMax: Int = .max) throws(Failure) {
        let size = prism__v1__response__get_packed_size(response)
        guard size <= min(frameBytesMax - Self.frameOverheadBytes, bytesMax) else {
            throw Failure(
                .resourceExhausted, at: .execute,
                "the answer has \(size) bytes, above limits.frame_bytes (\(frameBytesMax)); ask for less at a time")
        }
        output.append(upTo: size) { target in
            prism__v1__response__pack(response, target.assumingMemoryBound(to: UInt8.self))
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
