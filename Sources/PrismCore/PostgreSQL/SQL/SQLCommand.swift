/// The first keyword of a statement.
public enum SQLCommand: String, Sendable, CaseIterable {
    // Read.
    case select, values, table, with, show, explain
    // Write in the transaction that they stand in.
    case insert, update, delete, merge, truncate
    case create, alter, drop, grant, revoke, comment, security, `import`, reassign, refresh, notify
    // Transaction control.
    case begin, start, commit, end, rollback, abort, savepoint, release
    // The session's state.
    case set, reset, discard, prepare, execute, deallocate, listen, unlisten, declare, fetch, move, close, load
    case copy, lock
    // May commit by themselves, or cannot be undone.
    case call, `do`, vacuum, analyze, analyse, cluster, reindex, checkpoint
    /// No keyword known here; the server judges it.
    case other = ""

    private static let byWord: [SQLWord: SQLCommand] = {
        var table: [SQLWord: SQLCommand] = [:]
        for command in allCases where command != .other {
            var name = command.rawValue
            name.withUTF8 { table[SQLWord(UnsafeRawBufferPointer($0))] = command }
        }
        return table
    }()

    init(_ word: SQLWord) { self = Self.byWord[word] ?? .other }

    /// As the server's documentation writes it.
    public var name: String { rawValue.uppercased() }

    var kind: StatementKind {
        switch self {
        case .select, .values, .table, .with, .show, .explain: .reading
        case .call, .do, .vacuum, .analyze, .analyse, .cluster, .reindex, .checkpoint, .other: .notTransactional
        default: .writing
        }
    }
}

/// What a statement may leave behind when it fails half-way.
public enum StatementKind: UInt8, Sendable, CaseIterable {
    /// Reads by its first words. A hint only: the functions that it calls may write.
    case reading
    /// Writes in a transaction: all of it or nothing.
    case writing
    /// Commits by itself, in parts, or outside of any transaction: when it fails, something may remain.
    case notTransactional
}
