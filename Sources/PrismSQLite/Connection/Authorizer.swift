internal import CSQLite
internal import PrismWire

/// What client SQL may do, judged by SQLite itself while it compiles a statement (sqlite3_set_authorizer).
///
/// The text is never searched for words: comments, quoting and tricks of spelling end in the same action codes. SQLite also
/// compiles inside `sqlite3_step` (a changed schema, `pragma_…` table functions, full-text tables), so the mode of the
/// statement that runs is set before every step.
struct Authorizer {
    enum Mode: UInt8 {
        /// Prism's own statements.
        case trusted
        case client
    }

    enum Refusal: UInt8 {
        case transactionControl, savepoint, attach, vacuum, pragma, temporary, ownTable, nativeCode
    }

    var mode = Mode.trusted
    /// Why the last client statement was refused; cleared before a statement is compiled or stepped.
    var refusal: Refusal?
    /// The first of INSERT, UPDATE and DELETE that the statement itself (not a trigger) does; 0: none.
    var firstWrite: Int32 = 0
    /// The statement makes or alters a table: what it leaves behind is checked after it has run, since neither a new name nor
    /// the table that a foreign key refers to is told here.
    var shapesTable = false

    static let ownPrefix = "prism_"

    static func install(on handle: OpaquePointer, state: UnsafeMutablePointer<Authorizer>) -> Int32 {
        sqlite3_set_authorizer(
            handle,
            { data, action, first, second, database, trigger in
                guard let data else { return SQLITE_DENY }
                let state = data.assumingMemoryBound(to: Authorizer.self)
                if state.pointee.mode == .trusted { return SQLITE_OK }
                if let refusal = state.pointee.judge(action, first, second, database, trigger) {
                    state.pointee.refusal = refusal
                    return SQLITE_DENY
                }
                return SQLITE_OK
            }, state)
    }

    private mutating func judge(
        _ action: Int32, _ first: UnsafePointer<CChar>?, _ second: UnsafePointer<CChar>?,
        _ database: UnsafePointer<CChar>?, _ trigger: UnsafePointer<CChar>?
    ) -> Refusal? {
        switch action {
        case SQLITE_TRANSACTION: return .transactionControl
        case SQLITE_SAVEPOINT: return .savepoint
        case SQLITE_ATTACH, SQLITE_DETACH: return .attach
        case SQLITE_PRAGMA: return Self.mayRead(pragma: first, hasArgument: second != nil) ? nil : .pragma
        case SQLITE_CREATE_TEMP_TABLE, SQLITE_CREATE_TEMP_INDEX, SQLITE_CREATE_TEMP_TRIGGER, SQLITE_CREATE_TEMP_VIEW,
            SQLITE_DROP_TEMP_TABLE, SQLITE_DROP_TEMP_INDEX, SQLITE_DROP_TEMP_TRIGGER, SQLITE_DROP_TEMP_VIEW:
            return .temporary
        case SQLITE_FUNCTION: return Self.isNative(function: second) ? .nativeCode : nil
        case SQLITE_READ: return Self.isOwn(first) ? .ownTable : nil
        case SQLITE_INSERT, SQLITE_UPDATE, SQLITE_DELETE:
            if Self.isOwn(first) { return .ownTable }
            if firstWrite == 0, trigger == nil { firstWrite = action }
            return nil
        case SQLITE_CREATE_TABLE, SQLITE_CREATE_VIEW, SQLITE_CREATE_VTABLE, SQLITE_ALTER_TABLE:
            // `CREATE TABLE temp.t` counts as no temporary table here.
            if Self.matches(database, "temp") { return .temporary }
            if action == SQLITE_CREATE_TABLE || action == SQLITE_ALTER_TABLE { shapesTable = true }
            return Self.isOwn(first) || Self.isOwn(second) ? .ownTable : nil
        case SQLITE_CREATE_INDEX, SQLITE_CREATE_TRIGGER, SQLITE_DROP_TABLE, SQLITE_DROP_INDEX, SQLITE_DROP_TRIGGER,
            SQLITE_DROP_VIEW, SQLITE_DROP_VTABLE:
            return Self.isOwn(first) || Self.isOwn(second) ? .ownTable : nil
        // ANALYZE and REINDEX of everything also pass by Prism's tables, and change nothing that can be read from them.
        default: return nil
        }
    }

    /// Pragmas that only tell something about the schema or the file's contents. Not database_list: it tells the path.
    private static func mayRead(pragma: UnsafePointer<CChar>?, hasArgument: Bool) -> Bool {
        guard let pragma else { return false }
        switch String(cString: pragma).lowercased() {
        case "table_info", "table_xinfo", "table_list", "index_list", "index_info", "index_xinfo", "foreign_key_list",
            "foreign_key_check", "integrity_check", "quick_check":
            return true
        // With an argument these would set something.
        case "user_version", "function_list", "collation_list", "module_list", "compile_options", "data_version",
            "page_size", "page_count", "encoding":
            return !hasArgument
        default: return false
        }
    }

    /// Prism's own tables, and those through which any page and every client's statements can be read.
    private static func isOwn(_ name: UnsafePointer<CChar>?) -> Bool {
        guard let name else { return false }
        return sqlite3_strnicmp(name, ownPrefix, Int32(ownPrefix.utf8.count)) == 0 || matches(name, "sqlite_dbpage")
            || matches(name, "sqlite_stmt")
    }

    /// fts3_tokenizer answers a pointer, and takes a blob for one: a call to any address.
    private static func isNative(function: UnsafePointer<CChar>?) -> Bool {
        matches(function, "load_extension") || matches(function, "fts3_tokenizer")
    }

    private static func matches(_ name: UnsafePointer<CChar>?, _ expected: String) -> Bool {
        guard let name else { return false }
        return sqlite3_stricmp(name, expected) == 0
    }
}

extension Authorizer.Refusal {
    var failure: Failure {
        switch self {
        case .transactionControl:
            invalid("transaction control in SQL is refused: use the operations Begin, Commit and Rollback")
        case .savepoint:
            invalid("savepoints in SQL are refused: use the operations Savepoint and RollbackTo")
        case .attach:
            invalid("ATTACH and DETACH are refused: configure another backend and name it in Request.backend")
        case .vacuum:
            invalid(
                "VACUUM is refused: it would stop all other clients; run it while the sidecar is down, or use prism backup"
            )
        case .pragma:
            invalid(
                "this PRAGMA is refused: it changes the session or the file; settings belong into the sidecar's configuration "
                    + "(schema readers such as table_info and user_version are allowed)")
        case .temporary:
            invalid(
                "temporary objects are refused: the next request may run on another connection; use an ordinary table or WITH"
            )
        case .ownTable:
            Failure(
                .permissionDenied, at: .execute,
                "names that begin with prism_, sqlite_dbpage and sqlite_stmt belong to Prism: use the key-value operations, and other names for your own tables",
                sqliteCode: SQLITE_AUTH)
        case .nativeCode:
            Failure(
                .permissionDenied, at: .execute,
                "extensions cannot be loaded, nor tokenizers given or read as addresses (load_extension, fts3_tokenizer)",
                sqliteCode: SQLITE_AUTH)
        }
    }

    private func invalid(_ message: String) -> Failure {
        Failure(.invalidArgument, at: .execute, message, sqliteCode: SQLITE_AUTH)
    }
}
