import CSQLite
import Testing

/// The database as SQLite itself sees it, without Prism and through the default VFS.
final class PlainFile {
    private let handle: OpaquePointer

    init(_ directory: TemporaryDirectory) throws {
        var opened: OpaquePointer?
        let result = sqlite3_open_v2(directory.database, &opened, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nil)
        guard result == SQLITE_OK, let opened else {
            sqlite3_close(opened)
            throw PlainFileError(code: result, message: "cannot open")
        }
        handle = opened
        sqlite3_busy_timeout(handle, 10_000)
    }

    deinit { sqlite3_close_v2(handle) }

    struct PlainFileError: Error {
        var code: Int32
        var message: String
    }

    @discardableResult
    func rows(_ sql: String) throws -> [[Value]] {
        var statement: OpaquePointer?
        guard sqlite3_prepare_v2(handle, sql, -1, &statement, nil) == SQLITE_OK else { throw error() }
        defer { sqlite3_finalize(statement) }
        var rows: [[Value]] = []
        while true {
            switch sqlite3_step(statement) {
            case SQLITE_DONE: return rows
            case SQLITE_ROW: rows.append((0..<sqlite3_column_count(statement)).map { column(statement, $0) })
            default: throw error()
            }
        }
    }

    /// Each statement of a script.
    func run(_ sql: String) throws {
        guard sqlite3_exec(handle, sql, nil, nil, nil) == SQLITE_OK else { throw error() }
    }

    func integer(_ sql: String) throws -> Int64? {
        guard case .integer(let value)? = try rows(sql).first?.first else { return nil }
        return value
    }

    /// The values of all key-value entries, by key; expired ones too.
    func entries() throws -> [String: String] {
        var entries: [String: String] = [:]
        for row in try rows("SELECT CAST(key AS TEXT), CAST(value AS TEXT) FROM prism_entry") {
            guard case .text(let key) = row[0] else { continue }
            if case .text(let value) = row[1] { entries[key] = value } else { entries[key] = "" }
        }
        return entries
    }

    func expectIntact(_ comment: @autoclosure () -> String = "", _ location: SourceLocation = #_sourceLocation) throws {
        let found = try rows("PRAGMA integrity_check")
        #expect(found == [[.text("ok")]], "\(comment())", sourceLocation: location)
    }

    private func column(_ statement: OpaquePointer?, _ index: Int32) -> Value {
        switch sqlite3_column_type(statement, index) {
        case SQLITE_INTEGER: return .integer(sqlite3_column_int64(statement, index))
        case SQLITE_FLOAT: return .double(sqlite3_column_double(statement, index))
        case SQLITE_TEXT: return .text(String(cString: sqlite3_column_text(statement, index)))
        case SQLITE_BLOB:
            let count = Int(sqlite3_column_bytes(statement, index))
            return .bytes(Array(UnsafeRawBufferPointer(start: sqlite3_column_blob(statement, index), count: count)))
        default: return .null
        }
    }

    private func error() -> PlainFileError {
        PlainFileError(code: sqlite3_extended_errcode(handle), message: String(cString: sqlite3_errmsg(handle)))
    }
}
