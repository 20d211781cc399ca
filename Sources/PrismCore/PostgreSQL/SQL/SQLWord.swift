/// A word of a SQL text as PostgreSQL compares keywords: ASCII letters folded, nothing else. Longer ones than any keyword
/// that matters here are all the same, `none`.
struct SQLWord: Hashable, Sendable {
    static let bytesMax = 16

    private var first: UInt64 = 0
    private var second: UInt64 = 0

    static let none = SQLWord()

    private init() {}

    /// - Parameter isFolded: false for a quoted identifier, which is compared as it stands.
    init(_ bytes: UnsafeRawBufferPointer, isFolded: Bool = true) {
        guard bytes.count <= Self.bytesMax else { return }
        for byte in bytes {
            second = second << 8 | first >> 56
            first = first << 8 | UInt64(isFolded && byte &- 0x41 < 26 ? byte | 0x20 : byte)
        }
    }
}

extension SQLWord: ExpressibleByStringLiteral {
    init(stringLiteral value: StaticString) {
        self.init(UnsafeRawBufferPointer(start: value.utf8Start, count: value.utf8CodeUnitCount))
    }
}

/// The words that are looked for behind the first one.
extension SQLWord {
    static let analyse: SQLWord = "analyse"
    static let analyze: SQLWord = "analyze"
    static let `as`: SQLWord = "as"
    static let atomic: SQLWord = "atomic"
    static let begin: SQLWord = "begin"
    static let `case`: SQLWord = "case"
    static let concurrently: SQLWord = "concurrently"
    static let constraints: SQLWord = "constraints"
    static let database: SQLWord = "database"
    static let delete: SQLWord = "delete"
    static let end: SQLWord = "end"
    static let execute: SQLWord = "execute"
    static let function: SQLWord = "function"
    static let global: SQLWord = "global"
    static let insert: SQLWord = "insert"
    static let into: SQLWord = "into"
    static let local: SQLWord = "local"
    static let materialized: SQLWord = "materialized"
    static let merge: SQLWord = "merge"
    static let or: SQLWord = "or"
    static let pgTemp: SQLWord = "pg_temp"
    static let prepared: SQLWord = "prepared"
    static let procedure: SQLWord = "procedure"
    static let recursive: SQLWord = "recursive"
    static let replace: SQLWord = "replace"
    static let select: SQLWord = "select"
    static let session: SQLWord = "session"
    static let subscription: SQLWord = "subscription"
    static let system: SQLWord = "system"
    static let table: SQLWord = "table"
    static let tablespace: SQLWord = "tablespace"
    static let temp: SQLWord = "temp"
    static let temporary: SQLWord = "temporary"
    static let to: SQLWord = "to"
    static let transaction: SQLWord = "transaction"
    static let unique: SQLWord = "unique"
    static let unlogged: SQLWord = "unlogged"
    static let update: SQLWord = "update"
    static let values: SQLWord = "values"
    static let verbose: SQLWord = "verbose"
    static let with: SQLWord = "with"
    static let work: SQLWord = "work"
}
