import PrismWire

/// One request as a test says it.
struct Request {
    enum Condition {
        case absent, present
        case version(UInt64)
    }

    enum Item {
        case put(String, [UInt8], ttl: UInt64 = 0, condition: Condition? = nil, namespace: String = "")
        case delete(String, version: UInt64? = nil, namespace: String = "")
        case increment(String, by: Int64, ttl: UInt64 = 0, namespace: String = "")
        case touch(String, ttl: UInt64, namespace: String = "")
    }

    struct Statement {
        var sql: String
        var parameters: [Value] = []
        var names: [String] = []

        init(_ sql: String, _ parameters: [Value] = [], names: [String] = []) {
            self.sql = sql
            self.parameters = parameters
            self.names = names
        }
    }

    struct Range {
        var prefix: String = ""
        var start: [UInt8] = []
        var end: [UInt8] = []
    }

    let kind: OperationKind
    private(set) var header = ProtobufWriter()
    private var operation = ProtobufWriter()
    var isReadOnly = false
    private(set) var hasIdempotencyKey = false

    private init(_ kind: OperationKind, _ fill: (inout ProtobufWriter) -> Void = { _ in }) {
        self.kind = kind
        operation.message(UInt64(kind.rawValue), fill)
    }

    var bytes: [UInt8] {
        var all = header
        all.unsigned(1, 1)
        if isReadOnly { all.unsigned(6, 1) }
        return all.bytes + operation.bytes
    }

    func readOnly() -> Request {
        var copy = self
        copy.isReadOnly = true
        return copy
    }

    func idempotent(_ key: String) -> Request {
        var copy = self
        copy.header.text(7, key)
        copy.hasIdempotencyKey = true
        return copy
    }

    // MARK: key-value

    static func get(_ key: String, namespace: String = "") -> Request {
        Request(.get) {
            $0.text(1, namespace)
            $0.text(2, key)
        }
    }

    static func getMany(_ keys: [String], namespace: String = "") -> Request {
        Request(.getMany) { writer in
            writer.text(1, namespace)
            for key in keys { writer.text(2, key) }
        }
    }

    static func put(
        _ key: String, _ value: [UInt8], ttl: UInt64 = 0, condition: Condition? = nil, namespace: String = ""
    ) -> Request {
        Request(.put) { Self.fill(&$0, .put(key, value, ttl: ttl, condition: condition, namespace: namespace)) }
    }

    static func put(_ key: String, _ value: String, ttl: UInt64 = 0, condition: Condition? = nil) -> Request {
        put(key, Array(value.utf8), ttl: ttl, condition: condition)
    }

    static func delete(_ key: String, version: UInt64? = nil) -> Request {
        Request(.delete) { Self.fill(&$0, .delete(key, version: version)) }
    }

    static func increment(_ key: String, by delta: Int64 = 1, ttl: UInt64 = 0) -> Request {
        Request(.increment) { Self.fill(&$0, .increment(key, by: delta, ttl: ttl)) }
    }

    static func touch(_ key: String, ttl: UInt64) -> Request {
        Request(.touch) { Self.fill(&$0, .touch(key, ttl: ttl)) }
    }

    static func write(_ items: [Item]) -> Request {
        Request(.write) { writer in
            for item in items {
                writer.message(1) { inner in
                    let field: UInt64 =
                        switch item {
                        case .put: 1
                        case .delete: 2
                        case .increment: 3
                        case .touch: 4
                        }
                    inner.message(field) { Self.fill(&$0, item) }
                }
            }
        }
    }

    static func scan(
        _ range: Range = Range(), reverse: Bool = false, keysOnly: Bool = false, limit: UInt64 = 0,
        cursor: [UInt8] = [], namespace: String = ""
    ) -> Request {
        Request(.scan) {
            $0.text(1, namespace)
            $0.message(2) { Self.fill(&$0, range) }
            $0.unsigned(3, reverse ? 1 : 0)
            $0.unsigned(4, keysOnly ? 1 : 0)
            $0.unsigned(5, limit)
            $0.bytes(6, cursor)
        }
    }

    static func count(_ range: Range = Range(), namespace: String = "") -> Request {
        Request(.count) {
            $0.text(1, namespace)
            $0.message(2) { Self.fill(&$0, range) }
        }
    }

    // MARK: SQL

    static func query(_ sql: String, _ parameters: [Value] = [], names: [String] = []) -> Request {
        Request(.query) { Self.fill(&$0, Statement(sql, parameters, names: names)) }
    }

    static func batch(_ statements: [Statement]) -> Request {
        Request(.batch) { writer in
            for statement in statements { writer.message(1) { Self.fill(&$0, statement) } }
        }
    }

    static func batch(_ sql: String, sets: [[Value]]) -> Request {
        Request(.batch) { writer in
            writer.message(1) { Self.fill(&$0, Statement(sql)) }
            for set in sets {
                writer.message(2) { inner in
                    for value in set { inner.message(1) { Self.fill(&$0, value) } }
                }
            }
        }
    }

    static let begin = Request(.begin)
    static let commit = Request(.commit)
    static let rollback = Request(.rollback)
    static func savepoint(_ name: String) -> Request { Request(.savepoint) { $0.text(1, name) } }
    static func rollbackTo(_ name: String) -> Request { Request(.rollbackTo) { $0.text(1, name) } }

    // MARK: parts

    private static func fill(_ writer: inout ProtobufWriter, _ item: Item) {
        switch item {
        case .put(let key, let value, let ttl, let condition, let namespace):
            writer.text(1, namespace)
            writer.text(2, key)
            writer.bytes(3, value)
            writer.unsigned(4, ttl)
            if let condition { writer.message(5) { Self.fill(&$0, condition) } }
        case .delete(let key, let version, let namespace):
            writer.text(1, namespace)
            writer.text(2, key)
            if let version { writer.message(3) { Self.fill(&$0, .version(version)) } }
        case .increment(let key, let delta, let ttl, let namespace):
            writer.text(1, namespace)
            writer.text(2, key)
            writer.zigzag(3, delta)
            writer.unsigned(4, ttl)
        case .touch(let key, let ttl, let namespace):
            writer.text(1, namespace)
            writer.text(2, key)
            writer.unsigned(3, ttl)
        }
    }

    private static func fill(_ writer: inout ProtobufWriter, _ condition: Condition) {
        switch condition {
        case .absent: writer.unsigned(1, 1)
        case .present: writer.unsigned(2, 1)
        case .version(let version): writer.unsigned(3, version)
        }
    }

    private static func fill(_ writer: inout ProtobufWriter, _ range: Range) {
        writer.text(1, range.prefix)
        writer.bytes(2, range.start)
        writer.bytes(3, range.end)
    }

    private static func fill(_ writer: inout ProtobufWriter, _ statement: Statement) {
        writer.text(1, statement.sql)
        for value in statement.parameters { writer.message(2) { Self.fill(&$0, value) } }
        for name in statement.names { writer.text(3, name) }
    }

    private static func fill(_ writer: inout ProtobufWriter, _ value: Value) {
        switch value {
        case .null: writer.message(1) { _ in }
        case .boolean(let value): writer.unsigned(2, value ? 1 : 0)
        case .integer(let value): writer.zigzag(3, value)
        case .double(let value): writer.double(4, value)
        case .text(let value): writer.text(5, value)
        case .bytes(let value): writer.bytes(6, value)
        }
    }
}

/// A parameter or a value of a row.
enum Value: Equatable, Sendable {
    case null
    case boolean(Bool)
    case integer(Int64)
    case double(Double)
    case text(String)
    case bytes([UInt8])
}
