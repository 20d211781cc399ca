public import PrismWire

/// Statements that the configuration gives names to (CONTRACT 9): what a client may run that must not send SQL of its own.
///
/// A request that names one is rewritten before it goes on: everything behind admission, and the fingerprint of an idempotency
/// key, sees the text.
public final class NamedStatements: Sendable {
    public struct Statement: Sendable, Equatable {
        public var name: String
        /// Where it runs.
        public var backend: String
        public var sql: String
        /// It counts as marked `read_only`.
        public var isReadOnly: Bool

        public init(name: String, backend: String, sql: String, isReadOnly: Bool = false) {
            self.name = name
            self.backend = backend
            self.sql = sql
            self.isReadOnly = isReadOnly
        }
    }

    /// What the named statements of a request have in common.
    struct Use: Equatable {
        var backend: String
        /// All its statements are named, and read only.
        var isReadOnly: Bool
        /// It also has SQL of its own.
        var hasOwnSQL: Bool
    }

    private struct Entry: Sendable {
        let backend: String
        let isReadOnly: Bool
        let text: FrameBox
    }

    private let entries: [String: Entry]

    /// - Parameter statements: with unique names.
    public init(_ statements: [Statement] = []) {
        entries = Dictionary(
            statements.map { statement in
                var sql = statement.sql
                let text = sql.withUTF8 { FrameBox(UnsafeRawBufferPointer($0)) }
                return (
                    statement.name, Entry(backend: statement.backend, isReadOnly: statement.isReadOnly, text: text)
                )
            }, uniquingKeysWith: { first, _ in first })
    }

    /// Puts the texts in place of the names. Nil: the request names none.
    /// - Throws: NOT_FOUND for a name that is not configured, INVALID_ARGUMENT where statements belong to different backends.
    func resolve(_ request: RequestMessage) throws(Failure) -> Use? {
        var use: Use?
        var hasOwnSQL = false
        try request.forEachStatement { index, query throws(Failure) in
            guard !query.pointee.statement.isEmpty else {
                hasOwnSQL = true
                return
            }
            let name = query.pointee.statement.string
            let item = request.kind == .batch ? UInt32(index + 1) : 0
            guard let entry = entries[name] else {
                throw refusal(.notFound, item, "there is no statement \(name) in the configuration")
            }
            if let known = use, known.backend != entry.backend {
                throw refusal(
                    .invalidArgument, item,
                    "statement \(name) is for backend \(entry.backend), one before it for \(known.backend)")
            }
            use = Use(
                backend: entry.backend, isReadOnly: entry.isReadOnly && use?.isReadOnly ?? true, hasOwnSQL: false)
            query.pointee.sql = ProtobufCBinaryData(
                len: entry.text.count,
                data: UnsafeMutablePointer(
                    mutating: entry.text.bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)))
            query.pointee.statement = ProtobufCBinaryData(len: 0, data: nil)
        }
        if hasOwnSQL {
            use?.hasOwnSQL = true
            use?.isReadOnly = false
        }
        return use
    }

    private func refusal(_ code: StatusCode, _ item: UInt32, _ message: String) -> Failure {
        var failure = Failure(code, at: .admission, message)
        failure.item = item
        return failure
    }
}
