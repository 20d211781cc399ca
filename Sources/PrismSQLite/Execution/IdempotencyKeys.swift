internal import CSQLite
internal import PrismWire

/// A repeated write happens once: its key stands in the same transaction as its effect (CONTRACT 2).
struct IdempotencyKeys {
    let connection: Connection
    let uid: UInt32
    let wallMilliseconds: Int64

    /// The answer of an earlier request with this key, marked as replayed; nil: there was none.
    /// - Parameter fingerprint: nil: the key of a Commit, which has none.
    /// - Throws: INVALID_ARGUMENT when the key belongs to another request.
    func find(_ key: UnsafeRawBufferPointer, fingerprint: RequestFingerprint?) throws(Failure) -> [UInt8]? {
        let statement = try connection.statement(.findKey)
        defer { statement.reset() }
        statement.bind(1, integer: Int64(uid))
        statement.bind(2, text: key)
        statement.bind(
            3, integer: wallMilliseconds - Int64(clamping: connection.settings.idempotencyRetentionMilliseconds))
        let result = connection.step(statement)
        if result == SQLITE_DONE { return nil }
        guard result == SQLITE_ROW else { throw connection.failure(result, doing: "looking the idempotency key up") }
        guard Array(statement.blob(0).bytes) == Self.bytes(fingerprint) else {
            throw ClientStatement.invalid("the idempotency key was used for another request; use a new key for each")
        }
        // Field 6 of Response, replayed = true; concatenation merges.
        return Array(statement.blob(1).bytes) + [0x30, 0x01]
    }

    func record(_ key: UnsafeRawBufferPointer, fingerprint: RequestFingerprint?, answer: [UInt8]) throws(Failure) {
        let statement = try connection.statement(.recordKey)
        let transient = prism_sqlite3_transient()
        statement.bind(1, integer: Int64(uid))
        statement.bind(2, text: key)
        Self.bytes(fingerprint).withUnsafeBytes { _ = statement.bind(3, blob: $0, transient) }
        if answer.count <= connection.settings.idempotencyAnswerBytesMax {
            answer.withUnsafeBytes { _ = statement.bind(4, blob: $0, transient) }
        } else {
            sqlite3_bind_null(statement.handle, 4)
        }
        statement.bind(5, integer: wallMilliseconds)
        try connection.run(statement)
    }

    private static func bytes(_ fingerprint: RequestFingerprint?) -> [UInt8] {
        guard let fingerprint else { return [] }
        return withUnsafeBytes(of: (fingerprint.high.bigEndian, fingerprint.low.bigEndian)) { Array($0) }
    }
}
