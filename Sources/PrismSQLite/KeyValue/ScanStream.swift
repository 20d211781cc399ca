internal import CSQLite
internal import PrismCore
internal import PrismWire

/// A scan on its way.
final class ScanStream {
    private let executor: Executor
    /// Nil: closed. Given up before the connection is: whoever drops the stream last may be another thread.
    private var statement: PreparedStatement?
    private let limit: UInt64
    private let isKeysOnly: Bool
    private var answered: UInt64 = 0
    /// The last key answered; for the cursor.
    private var lastKey: [UInt8] = []
    /// The statement stands on an entry that had no room in the last part.
    private var isOnEntry = false

    init(_ message: Prism__V1__Scan, wallMilliseconds: Int64, on executor: Executor) throws(Failure) {
        self.executor = executor
        limit = message.limit
        isKeysOnly = message.keys_only != 0
        let isReverse = message.reverse != 0
        let bounds = KeyBounds(message.range, cursor: message.cursor, reverse: isReverse)
        let statement = try executor.connection.statement(
            bounds.upper == nil ? (isReverse ? .scanDown : .scanUp) : (isReverse ? .scanDownBelow : .scanUpBelow))
        let transient = prism_sqlite3_transient()
        statement.bind(1, text: KeyValueRules.namespace(message.namespace_), transient)
        statement.bind(3, integer: wallMilliseconds)
        bounds.bind(statement, transient: transient)
        self.statement = statement
    }

    deinit { close() }

    func close() {
        statement?.reset()
        statement = nil
    }

    func next(mayBeCut: Bool, into output: inout ByteQueue) throws(Failure) -> Bool {
        do throws(Failure) {
            let isLast = try part(mayBeCut, into: &output)
            if isLast { close() }
            return isLast
        } catch {
            close()
            throw error
        }
    }

    private func part(_ mayBeCut: Bool, into output: inout ByteQueue) throws(Failure) -> Bool {
        let bytesMax = mayBeCut ? executor.settings.streamPartBytes : executor.settings.resultBytesMax
        executor.arena.reset()
        guard let statement else { throw Failure(.internal, at: .stream, "a stream was read after its end") }
        var entries: [UnsafeMutablePointer<Prism__V1__Entry>] = []
        var size = ScanPartSize()
        while true {
            let stepped = isOnEntry ? SQLITE_ROW : executor.connection.step(statement)
            isOnEntry = false
            if stepped == SQLITE_DONE { break }
            guard stepped == SQLITE_ROW else { throw executor.connection.failure(stepped, doing: "scanning") }
            if limit > 0, answered == limit {
                // There is one more: the limit has ended the scan.
                return try finish(entries, isLimited: true, into: &output)
            }
            let (key, value) = (statement.blob(0).len, isKeysOnly ? 0 : statement.blob(1).len)
            if mayBeCut, !size.hasRoom(key: key, value: value, bytesMax: executor.answerBytesMax) {
                isOnEntry = true
                try pack(entries, cursor: nil, into: &output)
                return false
            }
            let entry = try read(statement)
            entries.append(entry)
            answered += 1
            size.add(key: key, value: value)
            if size.bytes >= bytesMax {
                guard mayBeCut else {
                    throw Failure(
                        .resourceExhausted, at: .execute,
                        "the scan's answer is above limits.result_bytes (\(bytesMax)); ask for less at a time")
                }
                try pack(entries, cursor: nil, into: &output)
                return false
            }
        }
        return try finish(entries, isLimited: false, into: &output)
    }

    private func read(_ statement: PreparedStatement) throws(Failure) -> UnsafeMutablePointer<Prism__V1__Entry> {
        let entry = try executor.make(Prism__V1__Entry.self) { prism__v1__entry__init($0) }
        entry.pointee.key = try executor.copy(statement.blob(0).bytes)
        if !isKeysOnly { entry.pointee.value = try executor.copy(statement.blob(1).bytes) }
        entry.pointee.version = UInt64(bitPattern: statement.integer(2))
        entry.pointee.expires_at_milliseconds = UInt64(clamping: statement.integer(3))
        if limit > 0 {
            lastKey.removeAll(keepingCapacity: true)
            lastKey.append(contentsOf: entry.pointee.key.bytes)
        }
        return entry
    }

    private func finish(
        _ entries: [UnsafeMutablePointer<Prism__V1__Entry>], isLimited: Bool, into output: inout ByteQueue
    ) throws(Failure) -> Bool {
        guard isLimited else {
            try pack(entries, cursor: nil, into: &output)
            return true
        }
        let cursor = lastKey.withUnsafeBytes { ScanCursor.encode(lastKey: $0, in: executor.arena) }
        guard let cursor else { throw executor.outOfMemory }
        try pack(entries, cursor: cursor, into: &output)
        return true
    }

    private func pack(
        _ entries: [UnsafeMutablePointer<Prism__V1__Entry>], cursor: ProtobufCBinaryData?,
        into output: inout ByteQueue
    ) throws(Failure) {
        let result = try executor.make(Prism__V1__ScanResult.self) { prism__v1__scan_result__init($0) }
        result.pointee.entries = try executor.pointers(entries)
        result.pointee.n_entries = entries.count
        if let cursor { result.pointee.cursor = cursor }
        executor.response.pointee.payload_case = PRISM__V1__RESPONSE__PAYLOAD_SCAN
        executor.response.pointee.scan = result
        try executor.pack(into: &output)
    }
}
