internal import CSQLite
internal import PrismCore
internal import PrismWire

/// Carries out one request on one connection. Begins and ends no transaction: that is the scheduler's.
final class Executor {
    enum Progress {
        /// The final body is in the output.
        case answered
        /// On a reader: the statement writes. Nothing has been done.
        case needsWriter
        /// A part is in the output; more follow.
        case streaming(ReadStream)
    }

    let connection: Connection
    let settings: SQLiteSettings
    /// For answers; emptied with each request and each part of a stream.
    let arena: Arena
    /// Outside of the arena, which is emptied with each part of a stream.
    let response: UnsafeMutablePointer<Prism__V1__Response>
    // Of the client's statement that is being read.
    var rows = ResultWriter()
    var columns = ByteQueue()
    /// For requests. The connection's own, because a stream's parameters stay in it while the stream is parked.
    private let decoding: Arena
    private let versions: VersionSource?

    /// - Parameter versions: nil: a reader.
    init(connection: Connection, versions: VersionSource?) {
        self.connection = connection
        self.versions = versions
        settings = connection.settings
        arena = Arena(limitBytes: settings.limits.decodeBytesMax + settings.resultBytesMax * 4 + (4 << 20))
        decoding = Arena(limitBytes: settings.limits.decodeBytesMax)
        response = .allocate(capacity: 1)
    }

    deinit { response.deallocate() }

    var isReader: Bool { versions == nil }

    /// The message, valid until the next call.
    func decode(_ frame: FrameBox) throws(Failure) -> RequestMessage {
        decoding.reset()
        guard let request = RequestMessage(frame.bytes, in: decoding) else {
            throw Failure(.resourceExhausted, at: .execute, "the request needs more memory than limits.decode_bytes")
        }
        return request
    }

    /// Runs a request up to its answer or the first part of it.
    ///
    /// - Parameters:
    ///   - request: decoded by this executor; must stay so until a stream has ended.
    ///   - mayStream: false: the answer must be one piece, bounded by `resultBytesMax`.
    ///   - output: gets the body.
    func start(
        _ request: RequestMessage, isReadOnly: Bool, wallMilliseconds: Int64, mayStream: Bool,
        into output: inout ByteQueue
    ) throws(Failure) -> Progress {
        try connection.checkThread()
        arena.reset()
        prism__v1__response__init(response)
        let keyValue = KeyValueExecutor(connection: connection, versions: versions, wallMilliseconds: wallMilliseconds)
        switch request.kind {
        case .get: try get(request, keyValue, into: &output)
        case .getMany:
            try getMany(request, keyValue)
            try pack(into: &output)
        case .put, .delete, .increment, .touch:
            try write(request, keyValue)
            try pack(into: &output)
        case .write:
            try writeMany(request, keyValue)
            try pack(into: &output)
        case .count:
            try count(request, wallMilliseconds)
            try pack(into: &output)
        case .scan:
            guard let message = request.scan else { throw outOfMemory }
            let scan = try ScanStream(message, wallMilliseconds: wallMilliseconds, on: self)
            return try first(of: .scan(scan), mayStream, into: &output)
        case .query:
            guard let message = request.query else { throw outOfMemory }
            let sql = SQLExecutor(executor: self, isReadOnly: isReadOnly)
            guard let query = try sql.start(message) else { return .needsWriter }
            return try first(of: .query(query), mayStream, into: &output)
        case .batch:
            guard let message = request.batch else { throw outOfMemory }
            let sql = SQLExecutor(executor: self, isReadOnly: isReadOnly)
            guard try sql.batch(message, into: &output) else { return .needsWriter }
        default: throw Failure(.unimplemented, at: .execute, "the backend does not know this operation")
        }
        return .answered
    }

    private func first(of stream: ReadStream, _ mayStream: Bool, into output: inout ByteQueue) throws(Failure)
        -> Progress
    {
        try stream.next(mayBeCut: mayStream, into: &output) ? .answered : .streaming(stream)
    }

    // MARK: reading

    private func get(_ request: RequestMessage, _ keyValue: KeyValueExecutor, into output: inout ByteQueue)
        throws(Failure)
    {
        guard let message = request.get else { throw outOfMemory }
        var result = Prism__V1__GetResult()
        prism__v1__get_result__init(&result)
        response.pointee.payload_case = PRISM__V1__RESPONSE__PAYLOAD_GET
        // Packed before the statement is reset: the value is SQLite's memory.
        try keyValue.get(message.namespace_, message.key) { row throws(Failure) in
            if let row { KeyValueExecutor.fill(&result, row) }
            var tooLarge: Failure?
            withUnsafeMutablePointer(to: &result) {
                response.pointee.get = $0
                do throws(Failure) { try pack(into: &output) } catch { tooLarge = error }
            }
            if let tooLarge { throw tooLarge }
        }
    }

    private func getMany(_ request: RequestMessage, _ keyValue: KeyValueExecutor) throws(Failure) {
        guard let message = request.getMany,
            let entries = arena.allocate(UnsafeMutablePointer<Prism__V1__GetResult>?.self, count: message.n_keys)
        else { throw outOfMemory }
        for (index, key) in elements(message.keys, message.n_keys).enumerated() {
            let entry = try make(Prism__V1__GetResult.self) { prism__v1__get_result__init($0) }
            entries[index] = entry
            try keyValue.get(message.namespace_, key) { row throws(Failure) in
                guard let row else { return }
                KeyValueExecutor.fill(&entry.pointee, row)
                entry.pointee.value = try copy(entry.pointee.value.bytes)
            }
            guard arena.usedBytes <= settings.limits.frameBytesMax * 4 else { throw outOfMemory }
        }
        let result = try make(Prism__V1__GetManyResult.self) { prism__v1__get_many_result__init($0) }
        result.pointee.entries = entries
        result.pointee.n_entries = message.n_keys
        response.pointee.payload_case = PRISM__V1__RESPONSE__PAYLOAD_GET_MANY
        response.pointee.get_many = result
    }

    private func count(_ request: RequestMessage, _ wall: Int64) throws(Failure) {
        guard let message = request.count else { throw outOfMemory }
        let bounds = KeyBounds(message.range)
        let statement = try connection.statement(bounds.upper == nil ? .count : .countBelow)
        defer { statement.reset() }
        statement.bind(1, text: KeyValueRules.namespace(message.namespace_))
        statement.bind(3, integer: wall)
        bounds.bind(statement, transient: prism_sqlite3_transient())
        let stepped = connection.step(statement)
        guard stepped == SQLITE_ROW else { throw connection.failure(stepped, doing: "counting") }
        let result = try make(Prism__V1__CountResult.self) { prism__v1__count_result__init($0) }
        result.pointee.count = UInt64(statement.integer(0))
        response.pointee.payload_case = PRISM__V1__RESPONSE__PAYLOAD_COUNT
        response.pointee.count = result
    }
}
