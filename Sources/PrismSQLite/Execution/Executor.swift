internal import CSQLite
internal import PrismCore
internal import PrismWire

/// Carries out one request on one connection. Begins and ends no transaction: that is the scheduler's.
final class Executor {
    enum Result {
        /// The final body is in `output`.
        case answered
        /// On a reader: the statement writes.
        case needsWriter
    }

    let connection: Connection
    private let versions: VersionSource?
    let arena: Arena
    let settings: SQLiteSettings
    /// Outside of the arena, which is emptied with each part of a stream.
    private let response: UnsafeMutablePointer<Prism__V1__Response>

    init(connection: Connection, versions: VersionSource?) {
        self.connection = connection
        self.versions = versions
        settings = connection.settings
        arena = Arena(limitBytes: settings.limits.decodeBytesMax + settings.resultBytesMax * 4 + (4 << 20))
        response = .allocate(capacity: 1)
    }

    deinit { response.deallocate() }

    /// - Parameters:
    ///   - parts: nil: the answer must be one piece, bounded by `resultBytesMax`.
    ///   - output: gets the final body.
    func execute(
        _ request: RequestMessage, isReadOnly: Bool, wallMilliseconds: Int64, parts: (any PartSink)?,
        into output: inout ByteQueue
    ) throws(Failure) -> Result {
        try connection.checkThread()
        let keyValue = KeyValueExecutor(
            connection: connection, versions: versions, wallMilliseconds: wallMilliseconds)
        arena.reset()
        prism__v1__response__init(response)
        switch request.kind {
        case .get:
            guard let message = request.get else { throw outOfMemory }
            var result = Prism__V1__GetResult()
            prism__v1__get_result__init(&result)
            response.pointee.payload_case = PRISM__V1__RESPONSE__PAYLOAD_GET
            // Packed before the statement is reset: the value is SQLite's memory.
            try keyValue.get(message.namespace_, message.key) { row in
                if let row { KeyValueExecutor.fill(&result, row) }
                withUnsafeMutablePointer(to: &result) {
                    response.pointee.get = $0
                    ResponseBody.append(response, to: &output)
                }
            }
            return .answered
        case .getMany: try getMany(request, keyValue, response)
        case .put, .delete, .increment, .touch: try write(request, keyValue, response)
        case .write: try writeMany(request, keyValue, response)
        case .scan: try scan(request, wallMilliseconds, response, parts, &output)
        case .count: try count(request, wallMilliseconds, response)
        case .query:
            guard let query = request.query else { throw outOfMemory }
            let sql = SQLExecutor(executor: self, isReader: versions == nil, isReadOnly: isReadOnly, parts: parts)
            return try sql.query(query, response, into: &output)
        case .batch:
            guard let batch = request.batch else { throw outOfMemory }
            let sql = SQLExecutor(executor: self, isReader: versions == nil, isReadOnly: isReadOnly, parts: nil)
            guard try sql.batch(batch, response) else { return .needsWriter }
        default: throw Failure(.unimplemented, at: .execute, "the backend does not know this operation")
        }
        ResponseBody.append(response, to: &output)
        return .answered
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

    private func getMany(
        _ request: RequestMessage, _ keyValue: KeyValueExecutor, _ response: UnsafeMutablePointer<Prism__V1__Response>
    ) throws(Failure) {
        guard let message = request.getMany,
            let entries = arena.allocate(UnsafeMutablePointer<Prism__V1__GetResult>?.self, count: message.n_keys)
        else { throw outOfMemory }
        for (index, key) in elements(message.keys, message.n_keys).enumerated() {
            let entry = try make(Prism__V1__GetResult.self) { prism__v1__get_result__init($0) }
            entries[index] = entry
            var isFull = false
            try keyValue.get(message.namespace_, key) { row in
                guard let row else { return }
                KeyValueExecutor.fill(&entry.pointee, row)
                guard let copied = arena.copy(entry.pointee.value.bytes) else {
                    isFull = true
                    return
                }
                entry.pointee.value = copied
            }
            if isFull || arena.usedBytes > settings.limits.frameBytesMax * 4 { throw outOfMemory }
        }
        let result = try make(Prism__V1__GetManyResult.self) { prism__v1__get_many_result__init($0) }
        result.pointee.entries = entries
        result.pointee.n_entries = message.n_keys
        response.pointee.payload_case = PRISM__V1__RESPONSE__PAYLOAD_GET_MANY
        response.pointee.get_many = result
    }

    private func write(
        _ request: RequestMessage, _ keyValue: KeyValueExecutor, _ response: UnsafeMutablePointer<Prism__V1__Response>
    ) throws(Failure) {
        if let message = request.put {
            response.pointee.put = try result(put: message, keyValue)
            response.pointee.payload_case = PRISM__V1__RESPONSE__PAYLOAD_PUT
        } else if let message = request.delete {
            response.pointee.delete_ = try result(delete: message, keyValue)
            response.pointee.payload_case = PRISM__V1__RESPONSE__PAYLOAD_DELETE
        } else if let message = request.increment {
            response.pointee.increment = try result(increment: message, keyValue)
            response.pointee.payload_case = PRISM__V1__RESPONSE__PAYLOAD_INCREMENT
        } else if let message = request.touch {
            response.pointee.touch = try result(touch: message, keyValue)
            response.pointee.payload_case = PRISM__V1__RESPONSE__PAYLOAD_TOUCH
        }
    }

    private func writeMany(
        _ request: RequestMessage, _ keyValue: KeyValueExecutor, _ response: UnsafeMutablePointer<Prism__V1__Response>
    ) throws(Failure) {
        guard let message = request.write,
            let items = arena.allocate(UnsafeMutablePointer<Prism__V1__WriteItemResult>?.self, count: message.n_items)
        else { throw outOfMemory }
        for (index, item) in elements(message.items, message.n_items).enumerated() {
            let target = try make(Prism__V1__WriteItemResult.self) { prism__v1__write_item_result__init($0) }
            items[index] = target
            do throws(Failure) {
                guard let item = item?.pointee else { throw outOfMemory }
                switch item.operation_case {
                case PRISM__V1__WRITE_ITEM__OPERATION_PUT:
                    target.pointee.put = try result(put: item.put.pointee, keyValue)
                    target.pointee.result_case = PRISM__V1__WRITE_ITEM_RESULT__RESULT_PUT
                case PRISM__V1__WRITE_ITEM__OPERATION_DELETE:
                    target.pointee.delete_ = try result(delete: item.delete_.pointee, keyValue)
                    target.pointee.result_case = PRISM__V1__WRITE_ITEM_RESULT__RESULT_DELETE
                case PRISM__V1__WRITE_ITEM__OPERATION_INCREMENT:
                    target.pointee.increment = try result(increment: item.increment.pointee, keyValue)
                    target.pointee.result_case = PRISM__V1__WRITE_ITEM_RESULT__RESULT_INCREMENT
                default:
                    target.pointee.touch = try result(touch: item.touch.pointee, keyValue)
                    target.pointee.result_case = PRISM__V1__WRITE_ITEM_RESULT__RESULT_TOUCH
                }
            } catch {
                var failure = error
                failure.item = UInt32(index + 1)
                throw failure
            }
        }
        let result = try make(Prism__V1__WriteResult.self) { prism__v1__write_result__init($0) }
        result.pointee.items = items
        result.pointee.n_items = message.n_items
        response.pointee.payload_case = PRISM__V1__RESPONSE__PAYLOAD_WRITE
        response.pointee.write = result
    }

    private func result(put message: Prism__V1__Put, _ keyValue: KeyValueExecutor)
        throws(Failure) -> UnsafeMutablePointer<Prism__V1__PutResult>
    {
        let version = try keyValue.put(message)
        let result = try make(Prism__V1__PutResult.self) { prism__v1__put_result__init($0) }
        result.pointee.version = version
        return result
    }

    private func result(delete message: Prism__V1__Delete, _ keyValue: KeyValueExecutor)
        throws(Failure) -> UnsafeMutablePointer<Prism__V1__DeleteResult>
    {
        let found = try keyValue.delete(message)
        let result = try make(Prism__V1__DeleteResult.self) { prism__v1__delete_result__init($0) }
        result.pointee.found = found ? 1 : 0
        return result
    }

    private func result(increment message: Prism__V1__Increment, _ keyValue: KeyValueExecutor)
        throws(Failure) -> UnsafeMutablePointer<Prism__V1__IncrementResult>
    {
        let (value, version) = try keyValue.increment(message)
        let result = try make(Prism__V1__IncrementResult.self) { prism__v1__increment_result__init($0) }
        result.pointee.value = value
        result.pointee.version = version
        return result
    }

    private func result(touch message: Prism__V1__Touch, _ keyValue: KeyValueExecutor)
        throws(Failure) -> UnsafeMutablePointer<Prism__V1__TouchResult>
    {
        let found = try keyValue.touch(message)
        let result = try make(Prism__V1__TouchResult.self) { prism__v1__touch_result__init($0) }
        result.pointee.found = found ? 1 : 0
        return result
    }

    private func count(
        _ request: RequestMessage, _ wall: Int64, _ response: UnsafeMutablePointer<Prism__V1__Response>
    ) throws(Failure) {
        guard let message = request.count else { throw outOfMemory }
        let bounds = KeyBounds(message.range)
        let statement = try connection.statement(bounds.upper == nil ? .count : .countBelow)
        defer { statement.reset() }
        statement.bind(1, text: KeyValueExecutor.namespace(message.namespace_))
        statement.bind(3, integer: wall)
        bounds.bind(statement, transient: prism_sqlite3_transient())
        let stepped = connection.step(statement)
        guard stepped == SQLITE_ROW else { throw connection.failure(stepped, doing: "counting") }
        let result = try make(Prism__V1__CountResult.self) { prism__v1__count_result__init($0) }
        result.pointee.count = UInt64(statement.integer(0))
        response.pointee.payload_case = PRISM__V1__RESPONSE__PAYLOAD_COUNT
        response.pointee.count = result
    }

    private func scan(
        _ request: RequestMessage, _ wall: Int64, _ response: UnsafeMutablePointer<Prism__V1__Response>,
        _ parts: (any PartSink)?, _ output: inout ByteQueue
    ) throws(Failure) {
        guard let message = request.scan else { throw outOfMemory }
        let reverse = message.reverse != 0
        let bounds = KeyBounds(message.range, cursor: message.cursor, reverse: reverse)
        let which: OwnStatement =
            bounds.upper == nil ? (reverse ? .scanDown : .scanUp) : (reverse ? .scanDownBelow : .scanUpBelow)
        let statement = try connection.statement(which)
        defer { statement.reset() }
        statement.bind(1, text: KeyValueExecutor.namespace(message.namespace_))
        statement.bind(3, integer: wall)
        bounds.bind(statement, transient: prism_sqlite3_transient())
        var part = PartBuilder<Prism__V1__Entry>(executor: self)
        var answered: UInt64 = 0
        var cursor = ProtobufCBinaryData()
        while true {
            let stepped = connection.step(statement)
            if stepped == SQLITE_DONE { break }
            guard stepped == SQLITE_ROW else { throw connection.failure(stepped, doing: "scanning") }
            if message.limit > 0, answered == message.limit {
                // There is one more: the limit has ended the scan.
                let made = part.lastKey.withUnsafeBytes { ScanCursor.encode(lastKey: $0, in: arena) }
                guard let made else { throw outOfMemory }
                cursor = made
                break
            }
            // Never cut right behind the last one asked for: its key is needed for the cursor.
            if part.bytes >= settings.streamPartBytes, let parts {
                try emit(&part, response, parts, &output)
            }
            let entry = try make(Prism__V1__Entry.self) { prism__v1__entry__init($0) }
            entry.pointee.key = try copy(statement.blob(0).bytes)
            if message.keys_only == 0 { entry.pointee.value = try copy(statement.blob(1).bytes) }
            entry.pointee.version = UInt64(bitPattern: statement.integer(2))
            entry.pointee.expires_at_milliseconds = UInt64(clamping: statement.integer(3))
            part.append(entry, bytes: entry.pointee.key.len + entry.pointee.value.len + 16)
            part.lastKey = Array(entry.pointee.key.bytes)
            answered += 1
        }
        try fill(response, part, cursor)
    }

    private func emit(
        _ part: inout PartBuilder<Prism__V1__Entry>, _ response: UnsafeMutablePointer<Prism__V1__Response>,
        _ parts: any PartSink, _ output: inout ByteQueue
    ) throws(Failure) {
        try fill(response, part, ProtobufCBinaryData())
        ResponseBody.append(response, to: &output)
        try parts.emit(output.bytes)
        output.removeAll(keepingUpTo: 1 << 16)
        part.removeAll()
        arena.reset()
    }

    private func fill(
        _ response: UnsafeMutablePointer<Prism__V1__Response>, _ part: borrowing PartBuilder<Prism__V1__Entry>,
        _ cursor: ProtobufCBinaryData
    ) throws(Failure) {
        let result = try make(Prism__V1__ScanResult.self) { prism__v1__scan_result__init($0) }
        (result.pointee.entries, result.pointee.n_entries) = try part.pointers()
        result.pointee.cursor = cursor
        response.pointee.payload_case = PRISM__V1__RESPONSE__PAYLOAD_SCAN
        response.pointee.scan = result
    }
}

/// Rows of the part being built. Their bytes are in an arena that is emptied with each part.
struct PartBuilder<Item> {
    private let executor: Executor
    private var items: [UnsafeMutablePointer<Item>] = []
    private(set) var bytes = 0
    /// Outlives the part it was in.
    var lastKey: [UInt8] = []

    init(executor: Executor) { self.executor = executor }

    var count: Int { items.count }

    mutating func append(_ item: UnsafeMutablePointer<Item>, bytes: Int) {
        items.append(item)
        self.bytes += bytes
    }

    /// As the generated C wants a repeated field.
    func pointers() throws(Failure) -> (UnsafeMutablePointer<UnsafeMutablePointer<Item>?>?, Int) {
        guard let target = executor.arena.allocate(UnsafeMutablePointer<Item>?.self, count: max(items.count, 1)) else {
            throw executor.outOfMemory
        }
        for (index, item) in items.enumerated() { target[index] = item }
        return (target, items.count)
    }

    mutating func removeAll() {
        items.removeAll(keepingCapacity: true)
        bytes = 0
    }
}
