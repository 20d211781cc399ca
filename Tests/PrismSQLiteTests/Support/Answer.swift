import PrismCore
import PrismWire

/// A final answer, with the parts before it put together.
struct Answer: Sendable {
    struct Entry: Equatable, Sendable {
        var found = true
        var key: [UInt8] = []
        var value: [UInt8] = []
        var version: UInt64 = 0
        var expiresAt: UInt64 = 0

        var text: String { String(decoding: value, as: UTF8.self) }
        var keyText: String { String(decoding: key, as: UTF8.self) }
    }

    struct Result: Equatable, Sendable {
        var columns: [String] = []
        var rows: [[Value]] = []
        var tag = ""
        var rowsAffected: UInt64 = 0
    }

    var code = StatusCode.ok
    var effect = Completion.TransactionEffect.unchanged
    var parts = 0
    /// What the VFS had recorded when it came.
    var position: UInt64 = 0
    var replayed = false
    /// Nothing but status and `replayed`.
    var isEmpty = true
    /// Of Get and GetMany, or of Scan.
    var entries: [Entry] = []
    var version: UInt64 = 0
    var found = false
    var integer: Int64 = 0
    var count: UInt64 = 0
    var cursor: [UInt8] = []
    /// Of Write: each item's version, or whether it was found.
    var items: [UInt64] = []
    var results: [Result] = []
    var failure: Failure?

    var isOK: Bool { code == .ok }
    var outcome: Outcome { failure?.outcome ?? .executed }
    var message: String { failure?.message ?? "" }
    var entry: Entry { entries.first ?? Entry(found: false) }
    var rows: [[Value]] { results.first?.rows ?? [] }
    var value: Value? { rows.first?.first }

    mutating func take(_ body: [UInt8]) -> Bool {
        let decoded = body.withUnsafeBufferPointer {
            prism__v1__response__unpack(nil, $0.count, $0.count > 0 ? $0.baseAddress : nil)
        }
        guard let response = decoded else { return false }
        defer { prism__v1__response__free_unpacked(response, nil) }
        let message = response.pointee
        replayed = message.replayed != 0
        if let body = message.failure?.pointee {
            failure = Failure(
                StatusCode(rawValue: UInt8(truncatingIfNeeded: message.status.rawValue)) ?? .unknown,
                at: Stage(rawValue: UInt8(truncatingIfNeeded: body.stage.rawValue)) ?? .unspecified,
                outcome: Outcome(rawValue: UInt8(truncatingIfNeeded: body.outcome.rawValue)) ?? .unspecified,
                body.message.string, isRetryable: body.retryable != 0,
                retryAfterMicroseconds: body.retry_after_microseconds, sqliteCode: body.sqlite_code,
                currentVersion: body.current_version, item: body.item, position: body.position)
        }
        isEmpty = message.payload_case.rawValue == 0
        takePayload(message)
        return true
    }

    private mutating func takePayload(_ message: Prism__V1__Response) {
        switch message.payload_case {
        case PRISM__V1__RESPONSE__PAYLOAD_GET: entries.append(Self.entry(message.get.pointee))
        case PRISM__V1__RESPONSE__PAYLOAD_GET_MANY:
            for entry in elements(message.get_many.pointee.entries, message.get_many.pointee.n_entries) {
                if let entry { entries.append(Self.entry(entry.pointee)) }
            }
        case PRISM__V1__RESPONSE__PAYLOAD_PUT: version = message.put.pointee.version
        case PRISM__V1__RESPONSE__PAYLOAD_DELETE: found = message.delete_.pointee.found != 0
        case PRISM__V1__RESPONSE__PAYLOAD_INCREMENT:
            integer = message.increment.pointee.value
            version = message.increment.pointee.version
        case PRISM__V1__RESPONSE__PAYLOAD_TOUCH: found = message.touch.pointee.found != 0
        case PRISM__V1__RESPONSE__PAYLOAD_WRITE:
            for item in elements(message.write.pointee.items, message.write.pointee.n_items) {
                guard let item = item?.pointee else { continue }
                switch item.result_case {
                case PRISM__V1__WRITE_ITEM_RESULT__RESULT_PUT: items.append(item.put.pointee.version)
                case PRISM__V1__WRITE_ITEM_RESULT__RESULT_INCREMENT: items.append(item.increment.pointee.version)
                case PRISM__V1__WRITE_ITEM_RESULT__RESULT_DELETE: items.append(item.delete_.pointee.found != 0 ? 1 : 0)
                default: items.append(item.touch.pointee.found != 0 ? 1 : 0)
                }
            }
        case PRISM__V1__RESPONSE__PAYLOAD_SCAN:
            let scan = message.scan.pointee
            for entry in elements(scan.entries, scan.n_entries) {
                guard let entry = entry?.pointee else { continue }
                entries.append(
                    Entry(
                        key: Array(entry.key.bytes), value: Array(entry.value.bytes), version: entry.version,
                        expiresAt: entry.expires_at_milliseconds))
            }
            cursor = Array(scan.cursor.bytes)
        case PRISM__V1__RESPONSE__PAYLOAD_COUNT: count = message.count.pointee.count
        case PRISM__V1__RESPONSE__PAYLOAD_QUERY: add(message.query.pointee)
        case PRISM__V1__RESPONSE__PAYLOAD_BATCH:
            for result in elements(message.batch.pointee.results, message.batch.pointee.n_results) {
                if let result { results.append(Self.result(result.pointee)) }
            }
        default: break
        }
    }

    /// Parts of a Query go together into one result.
    private mutating func add(_ message: Prism__V1__QueryResult) {
        let part = Self.result(message)
        guard var whole = results.first else {
            results = [part]
            return
        }
        whole.rows += part.rows
        whole.tag = part.tag
        whole.rowsAffected = part.rowsAffected
        results = [whole]
    }

    private static func entry(_ message: Prism__V1__GetResult) -> Entry {
        Entry(
            found: message.found != 0, value: Array(message.value.bytes), version: message.version,
            expiresAt: message.expires_at_milliseconds)
    }

    private static func result(_ message: Prism__V1__QueryResult) -> Result {
        var result = Result(tag: message.tag.string, rowsAffected: message.rows_affected)
        result.columns = elements(message.columns, message.n_columns).compactMap { $0?.pointee.name.string }
        result.rows = elements(message.rows, message.n_rows).compactMap { row in
            guard let row = row?.pointee else { return nil }
            return elements(row.values, row.n_values).map { $0.map { Self.value($0.pointee) } ?? .null }
        }
        return result
    }

    private static func value(_ message: Prism__V1__Value) -> Value {
        switch message.kind_case {
        case PRISM__V1__VALUE__KIND_BOOLEAN: .boolean(message.boolean != 0)
        case PRISM__V1__VALUE__KIND_INTEGER: .integer(message.integer)
        case PRISM__V1__VALUE__KIND_DOUBLE: .double(message.double_)
        case PRISM__V1__VALUE__KIND_TEXT: .text(message.text.string)
        case PRISM__V1__VALUE__KIND_BYTES: .bytes(Array(message.bytes.bytes))
        default: .null
        }
    }
}
