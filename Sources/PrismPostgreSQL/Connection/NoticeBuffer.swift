internal import CPostgreSQL
internal import Glibc

/// Warnings that libpq has reported while it parsed, until they can be passed on outside of its calls.
///
/// Bounded: a statement may raise any number of them. Those by which the server says that a commit is not replicated always
/// have room.
struct NoticeBuffer {
    struct Notice: Hashable {
        var sqlState: String
        var sourceFunction: String
    }

    static let noticesMax = 64
    private static let replicationPrefix = "SyncRep"

    private(set) var notices: [Notice] = []
    /// What the server said last before it ends a connection on which nothing runs: `ERROR`s outside of a command come as notices.
    private(set) var lastWord: String?

    /// Of one notice so far, with what libpq needs around it.
    private(set) var largestBytes = 0

    /// Something has come in since it was looked at last.
    var isNews = false

    var isEmpty: Bool { notices.isEmpty }

    /// - Parameter result: libpq's, borrowed.
    mutating func add(_ result: OpaquePointer) {
        isNews = true
        largestBytes = max(largestBytes, PQresultMemorySize(result))
        let severity = field(result, PRISM_PG_DIAG_SEVERITY_NONLOCALIZED)
        switch severity {
        case "FATAL", "PANIC": lastWord = field(result, PRISM_PG_DIAG_MESSAGE_PRIMARY)
        case "WARNING", "ERROR": break
        default: return
        }
        add(
            Notice(
                sqlState: field(result, PRISM_PG_DIAG_SQLSTATE),
                sourceFunction: field(result, PRISM_PG_DIAG_SOURCE_FUNCTION)))
    }

    mutating func add(_ notice: Notice) {
        isNews = true
        let hasRoom = notices.count < Self.noticesMax || notice.sourceFunction.hasPrefix(Self.replicationPrefix)
        guard hasRoom, !notices.contains(notice) else { return }
        notices.append(notice)
    }

    mutating func take() -> [Notice] {
        defer { notices = [] }
        return notices
    }
}

/// How much of a field is taken, bytes: a function can raise one of a gigabyte, and nobody is answered that much.
let fieldBytesMax = 16 << 10

/// A field of an error or a notice, cut where it is above `fieldBytesMax`; empty when it has none.
func field(_ result: OpaquePointer, _ code: PrismDiagnosticField) -> String {
    guard let text = PQresultErrorField(result, Int32(code.rawValue)) else { return "" }
    let bytes = UnsafeRawBufferPointer(start: text, count: strnlen(text, fieldBytesMax))
    return String(decoding: bytes, as: UTF8.self)
}
