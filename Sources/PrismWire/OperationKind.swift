/// The operations of CONTRACT 3; raw values are the field numbers in `prism.v1.Request`.
public enum OperationKind: UInt8, Sendable, CaseIterable {
    case get = 16
    case getMany = 17
    case put = 18
    case delete = 19
    case increment = 20
    case touch = 21
    case write = 22
    case scan = 23
    case count = 24
    case watch = 25

    case query = 32
    case batch = 33
    case begin = 34
    case commit = 35
    case rollback = 36
    case savepoint = 37
    case rollbackTo = 38

    case hello = 48
    case ping = 49
    case cancel = 50

    /// As labels of metrics and in messages.
    public var name: String {
        switch self {
        case .get: "get"
        case .getMany: "get_many"
        case .put: "put"
        case .delete: "delete"
        case .increment: "increment"
        case .touch: "touch"
        case .write: "write"
        case .scan: "scan"
        case .count: "count"
        case .watch: "watch"
        case .query: "query"
        case .batch: "batch"
        case .begin: "begin"
        case .commit: "commit"
        case .rollback: "rollback"
        case .savepoint: "savepoint"
        case .rollbackTo: "rollback_to"
        case .hello: "hello"
        case .ping: "ping"
        case .cancel: "cancel"
        }
    }

    /// Answered by the session itself; never reaches a backend.
    public var isControl: Bool { self == .hello || self == .ping || self == .cancel }

    /// A key-value operation that changes entries.
    public var isKeyValueWrite: Bool {
        switch self {
        case .put, .delete, .increment, .touch, .write: true
        default: false
        }
    }

    /// A key-value operation that reads only.
    public var isKeyValueRead: Bool {
        switch self {
        case .get, .getMany, .scan, .count: true
        default: false
        }
    }

    /// Answered in several parts when the result is large.
    public var isStreamed: Bool { self == .scan || self == .query }

    /// Makes sense only on an open transaction.
    public var needsTransaction: Bool {
        switch self {
        case .commit, .rollback, .savepoint, .rollbackTo: true
        default: false
        }
    }
}
