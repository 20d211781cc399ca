import PrismWire

/// The answer of a Scan on its way: one part's entries, and what is known of the whole.
struct ScanAnswer {
    private let limit: UInt64
    private let isKeysOnly: Bool
    private var answered: UInt64 = 0
    /// There is an entry behind the limit.
    private var isLimited = false
    /// The last key answered; for the cursor.
    private var lastKey: [UInt8] = []
    /// Of the present part, in the arena.
    private var entries: [UnsafeMutablePointer<Prism__V1__Entry>] = []
    /// Of the present part.
    private var size = ScanPartSize()
    var bytes: Int { size.bytes }

    init(_ message: Prism__V1__Scan) {
        limit = message.limit
        isKeysOnly = message.keys_only != 0
    }

    /// Whether the entry fits beside those of the present part.
    func hasRoom(for row: ServerRow, bytesMax: Int) throws(Failure) -> Bool {
        size.hasRoom(
            key: try row.bytes(0).count, value: isKeysOnly ? 0 : try row.bytes(3).count, bytesMax: bytesMax)
    }

    mutating func append(_ row: ServerRow, in answer: AnswerBuilder) throws(Failure) {
        // The statement asks for one entry more than may be answered.
        if limit > 0, answered == limit {
            isLimited = true
            return
        }
        let entry = try answer.make(Prism__V1__Entry.self) { prism__v1__entry__init($0) }
        let key = try row.bytes(0)
        entry.pointee.key = try answer.copy(key)
        entry.pointee.version = UInt64(bitPattern: try row.integer(1))
        entry.pointee.expires_at_milliseconds = try row.expiry(2)
        if !isKeysOnly { entry.pointee.value = try answer.copy(try row.bytes(3)) }
        if limit > 0 {
            lastKey.removeAll(keepingCapacity: true)
            lastKey.append(contentsOf: key)
        }
        entries.append(entry)
        answered += 1
        size.add(key: entry.pointee.key.len, value: entry.pointee.value.len)
    }

    /// Puts the present part into the response, and begins the next one: the arena may be emptied once it is packed.
    mutating func takePart(isLast: Bool, into answer: AnswerBuilder) throws(Failure) {
        let result = try answer.make(Prism__V1__ScanResult.self) { prism__v1__scan_result__init($0) }
        result.pointee.entries = try answer.pointers(entries)
        result.pointee.n_entries = entries.count
        if isLast, isLimited {
            guard let cursor = lastKey.withUnsafeBytes({ ScanCursor.encode(lastKey: $0, in: answer.arena) }) else {
                throw AnswerBuilder.outOfMemory
            }
            result.pointee.cursor = cursor
        }
        answer.response.pointee.payload_case = PRISM__V1__RESPONSE__PAYLOAD_SCAN
        answer.response.pointee.scan = result
        entries.removeAll(keepingCapacity: true)
        size = ScanPartSize()
    }
}
