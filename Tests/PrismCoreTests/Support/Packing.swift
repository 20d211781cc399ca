/// Requests as bytes, by hand: a test says exactly what a client sends.
enum Pack {
    static func varint(_ value: UInt64) -> [UInt8] {
        var rest = value
        var bytes: [UInt8] = []
        while rest > 0x7F {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        return bytes + [UInt8(rest)]
    }

    static func number(_ field: UInt64, _ value: UInt64) -> [UInt8] { varint(field << 3) + varint(value) }
    static func data(_ field: UInt64, _ bytes: [UInt8]) -> [UInt8] {
        varint(field << 3 | 2) + varint(UInt64(bytes.count)) + bytes
    }
    static func data(_ field: UInt64, _ text: String) -> [UInt8] { data(field, Array(text.utf8)) }

    static func frame(_ body: [UInt8]) -> [UInt8] {
        let count = UInt32(body.count)
        return [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: count >> $0) } + body
    }
}

/// A request of a test: an operation by its field number, and the header fields that matter to sessions.
struct TestRequest {
    var id: UInt64
    var operation: UInt64
    var body: [UInt8]
    var timeoutMicroseconds: UInt64 = 0
    var deadlineNanoseconds: UInt64 = 0
    var backend = ""
    var transaction: UInt64 = 0
    var isReadOnly = false

    var frame: [UInt8] {
        var bytes = Pack.number(1, id)
        if timeoutMicroseconds > 0 { bytes += Pack.number(2, timeoutMicroseconds) }
        if deadlineNanoseconds > 0 { bytes += Pack.number(3, deadlineNanoseconds) }
        if !backend.isEmpty { bytes += Pack.data(4, backend) }
        if transaction > 0 { bytes += Pack.number(5, transaction) }
        if isReadOnly { bytes += Pack.number(6, 1) }
        return Pack.frame(bytes + Pack.data(operation, body))
    }

    private static func keyed(_ operation: UInt64, _ id: UInt64, _ key: String) -> TestRequest {
        TestRequest(id: id, operation: operation, body: Pack.data(2, key))
    }

    static func get(_ id: UInt64, _ key: String = "k") -> TestRequest { keyed(16, id, key) }
    static func put(_ id: UInt64, _ key: String = "k") -> TestRequest { keyed(18, id, key) }
    static func query(_ id: UInt64, _ sql: String = "select 1") -> TestRequest {
        TestRequest(id: id, operation: 32, body: Pack.data(1, sql))
    }
    static func begin(_ id: UInt64) -> TestRequest { TestRequest(id: id, operation: 34, body: []) }
    static func commit(_ id: UInt64) -> TestRequest { TestRequest(id: id, operation: 35, body: []) }
    static func rollback(_ id: UInt64) -> TestRequest { TestRequest(id: id, operation: 36, body: []) }
    static func savepoint(_ id: UInt64) -> TestRequest { TestRequest(id: id, operation: 37, body: Pack.data(1, "s")) }
    static func rollbackTo(_ id: UInt64) -> TestRequest { TestRequest(id: id, operation: 38, body: Pack.data(1, "s")) }
    static func hello(_ id: UInt64) -> TestRequest { TestRequest(id: id, operation: 48, body: Pack.data(1, "test")) }
    static func ping(_ id: UInt64, _ payload: String = "") -> TestRequest {
        TestRequest(id: id, operation: 49, body: payload.isEmpty ? [] : Pack.data(1, payload))
    }
    static func cancel(_ id: UInt64, of target: UInt64) -> TestRequest {
        TestRequest(id: id, operation: 50, body: Pack.number(1, target))
    }

    func `in`(_ transaction: UInt64) -> TestRequest {
        var request = self
        request.transaction = transaction
        return request
    }

    func timeout(microseconds: UInt64) -> TestRequest {
        var request = self
        request.timeoutMicroseconds = microseconds
        return request
    }

    func readOnly() -> TestRequest {
        var request = self
        request.isReadOnly = true
        return request
    }

    func on(_ backend: String) -> TestRequest {
        var request = self
        request.backend = backend
        return request
    }
}
