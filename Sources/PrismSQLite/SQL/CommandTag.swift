internal import CSQLite
internal import PrismWire

/// A statement's command, as `QueryResult.tag` says it: its first word, and for WITH the command behind it.
enum CommandTag: UInt8, CaseIterable {
    case none, select, values, insert, replace, update, delete, create, drop, alter, pragma, explain, analyze, reindex
    case vacuum, other

    /// - Parameters:
    ///   - keyword: the statement's first word, any case.
    ///   - firstWrite: the authorizer's first write of the statement; tells what stands behind a WITH.
    init(keyword: UnsafeRawBufferPointer, firstWrite: Int32) {
        let word = String(decoding: keyword, as: UTF8.self).uppercased()
        if word == "WITH" {
            switch firstWrite {
            case SQLITE_INSERT: self = .insert
            case SQLITE_UPDATE: self = .update
            case SQLITE_DELETE: self = .delete
            default: self = .select
            }
        } else {
            self = Self.allCases.first { $0.rawValue != 0 && $0.text.description == word } ?? .other
        }
    }

    var text: StaticString {
        switch self {
        case .none, .other: ""
        case .select: "SELECT"
        case .values: "VALUES"
        case .insert: "INSERT"
        case .replace: "REPLACE"
        case .update: "UPDATE"
        case .delete: "DELETE"
        case .create: "CREATE"
        case .drop: "DROP"
        case .alter: "ALTER"
        case .pragma: "PRAGMA"
        case .explain: "EXPLAIN"
        case .analyze: "ANALYZE"
        case .reindex: "REINDEX"
        case .vacuum: "VACUUM"
        }
    }

    /// For a field of an answer; static memory.
    var bytes: ProtobufCBinaryData {
        ProtobufCBinaryData(
            len: text.utf8CodeUnitCount, data: UnsafeMutablePointer(mutating: text.utf8Start))
    }

    /// sqlite3_changes64 counts only these, and keeps its old value for all others.
    var countsRows: Bool {
        switch self {
        case .insert, .replace, .update, .delete: true
        default: false
        }
    }

    /// Others are compiled anew each time: SQLite's answer whether they write may change with the schema
    /// (`CREATE TABLE IF NOT EXISTS` is read-only while the table is there).
    var isCacheable: Bool { countsRows || self == .select || self == .values }
}
