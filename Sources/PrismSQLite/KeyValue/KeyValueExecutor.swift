internal import CSQLite
internal import PrismCore
internal import PrismWire

/// The key-value operations on one connection, inside whatever transaction the caller has begun.
struct KeyValueExecutor {
    let connection: Connection
    /// Nil on readers.
    let versions: VersionSource?
    let wallMilliseconds: Int64

    /// An entry as it is found. The value is borrowed until the statement is reset.
    private struct Found {
        var version: Int64
        var expiry: Int64
        var number: Int64?
    }

    // MARK: reading

    /// Reads one entry; `use` sees the row before the statement is reset.
    func get(
        _ namespace: ProtobufCBinaryData, _ key: ProtobufCBinaryData,
        _ use: (PreparedStatement?) throws(Failure) -> Void
    ) throws(Failure) {
        let statement = try connection.statement(.get)
        defer { statement.reset() }
        statement.bind(1, text: KeyValueRules.namespace(namespace))
        statement.bind(2, blob: key.bytes)
        statement.bind(3, integer: wallMilliseconds)
        let result = connection.step(statement)
        switch result {
        case SQLITE_ROW: try use(statement)
        case SQLITE_DONE: try use(nil)
        default: throw connection.failure(result, doing: "reading")
        }
    }

    static func fill(_ result: inout Prism__V1__GetResult, _ row: PreparedStatement) {
        result.found = 1
        result.value = row.blob(0)
        result.version = UInt64(bitPattern: row.integer(1))
        result.expires_at_milliseconds = UInt64(clamping: row.integer(2))
    }

    private func find(_ namespace: ProtobufCBinaryData, _ key: ProtobufCBinaryData) throws(Failure) -> Found? {
        var found: Found?
        try get(namespace, key) { row in
            guard let row else { return }
            found = Found(
                version: row.integer(1), expiry: row.integer(2), number: KeyValueRules.number(row.blob(0).bytes))
        }
        return found
    }

    // MARK: writing

    func put(_ message: Prism__V1__Put) throws(Failure) -> UInt64 {
        if let condition = message.condition?.pointee {
            try check(condition, try find(message.namespace_, message.key))
        }
        return try store(
            message.namespace_, message.key, message.value.bytes, expiry: expiry(message.ttl_milliseconds))
    }

    func delete(_ message: Prism__V1__Delete) throws(Failure) -> Bool {
        let found = try find(message.namespace_, message.key)
        if let condition = message.condition?.pointee { try check(condition, found) }
        guard found != nil else { return false }
        try run(.delete, message.namespace_, message.key) { _ in }
        return true
    }

    func increment(_ message: Prism__V1__Increment) throws(Failure) -> (value: Int64, version: UInt64) {
        let found = try find(message.namespace_, message.key)
        if let found, found.number == nil { throw .notANumber(version: found.version) }
        let (sum, overflow) = (found?.number ?? 0).addingReportingOverflow(message.delta)
        guard !overflow else { throw .sumOverflows(version: found?.version ?? 0) }
        let expiry = found.map(\.expiry) ?? expiry(message.ttl_on_creation_milliseconds)
        var text = String(sum)
        let stored: Result<UInt64, Failure> = text.withUTF8 { utf8 in
            do throws(Failure) {
                return .success(
                    try store(message.namespace_, message.key, UnsafeRawBufferPointer(utf8), expiry: expiry))
            } catch { return .failure(error) }
        }
        return (sum, try stored.get())
    }

    func touch(_ message: Prism__V1__Touch) throws(Failure) -> Bool {
        guard try find(message.namespace_, message.key) != nil else { return false }
        try run(.setExpiry, message.namespace_, message.key) { $0.bind(3, expiry: expiry(message.ttl_milliseconds)) }
        return true
    }

    private func store(
        _ namespace: ProtobufCBinaryData, _ key: ProtobufCBinaryData, _ value: UnsafeRawBufferPointer, expiry: Int64
    ) throws(Failure) -> UInt64 {
        guard let versions else { throw Failure(.internal, at: .execute, "a write came to a reader") }
        let version = try versions.take()
        try run(.put, namespace, key) { statement in
            statement.bind(3, blob: value)
            statement.bind(4, integer: version)
            statement.bind(5, expiry: expiry)
        }
        return UInt64(bitPattern: version)
    }

    private func run(
        _ which: OwnStatement, _ namespace: ProtobufCBinaryData, _ key: ProtobufCBinaryData,
        _ bindRest: (PreparedStatement) -> Void
    ) throws(Failure) {
        let statement = try connection.statement(which)
        statement.bind(1, text: KeyValueRules.namespace(namespace))
        statement.bind(2, blob: key.bytes)
        bindRest(statement)
        try connection.run(statement)
    }

    /// 0: does not expire.
    private func expiry(_ ttlMilliseconds: UInt64) -> Int64 {
        ttlMilliseconds == 0 ? 0 : wallMilliseconds + Int64(clamping: ttlMilliseconds)
    }

    private func check(_ condition: Prism__V1__Condition, _ found: Found?) throws(Failure) {
        let version = found?.version
        guard KeyValueRules.holds(condition, version: version) else {
            throw .conditionFailed(condition, version: version)
        }
    }
}
