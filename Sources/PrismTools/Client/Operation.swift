/// A request of the kinds that the commands send. Limits are the server's to judge, not checked here.
public enum Operation: Equatable, Sendable {
    case ping(payload: [UInt8])
    case hello(clientName: String, clientVersion: String)

    case get(namespace: String, key: [UInt8])
    case put(namespace: String, Put)
    case delete(namespace: String, key: [UInt8], versionEquals: UInt64?)
    case increment(namespace: String, key: [UInt8], delta: Int64, timeToLiveOnCreationMilliseconds: UInt64)
    /// 0 milliseconds: it does not expire any more.
    case touch(namespace: String, key: [UInt8], timeToLiveMilliseconds: UInt64)
    /// All or nothing.
    case putMany(namespace: String, [Put])
    /// All or nothing; keys that are not there do not matter.
    case deleteMany(namespace: String, keys: [[UInt8]])
    case scan(namespace: String, Scan)
    case count(namespace: String, KeyRange)

    case query(sql: String, parameters: [SQLValue])
    /// A statement of the configuration.
    case namedQuery(statement: String, parameters: [SQLValue])
    /// One statement, many times, atomic.
    case batch(sql: String, parameterSets: [[SQLValue]])

    public enum Condition: Equatable, Sendable {
        case absent
        case present
        case versionEquals(UInt64)
    }

    public struct Put: Equatable, Sendable {
        public var key: [UInt8]
        public var value: [UInt8]
        /// 0: it does not expire.
        public var timeToLiveMilliseconds: UInt64
        public var condition: Condition?

        public init(key: [UInt8], value: [UInt8], timeToLiveMilliseconds: UInt64 = 0, condition: Condition? = nil) {
            self.key = key
            self.value = value
            self.timeToLiveMilliseconds = timeToLiveMilliseconds
            self.condition = condition
        }
    }

    /// Keys with a prefix, or start ≤ key < end (empty end: no end).
    public struct KeyRange: Equatable, Sendable {
        public var prefix: [UInt8]
        public var start: [UInt8]
        public var end: [UInt8]

        public init(prefix: [UInt8] = [], start: [UInt8] = [], end: [UInt8] = []) {
            self.prefix = prefix
            self.start = start
            self.end = end
        }
    }

    public struct Scan: Equatable, Sendable {
        public var range: KeyRange
        public var isReverse: Bool
        public var isKeysOnly: Bool
        /// 0: no limit.
        public var limit: UInt64
        public var cursor: [UInt8]

        public init(
            range: KeyRange = KeyRange(), isReverse: Bool = false, isKeysOnly: Bool = false, limit: UInt64 = 0,
            cursor: [UInt8] = []
        ) {
            self.range = range
            self.isReverse = isReverse
            self.isKeysOnly = isKeysOnly
            self.limit = limit
            self.cursor = cursor
        }
    }
}
