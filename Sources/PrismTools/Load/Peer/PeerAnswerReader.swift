/// Reads what a PostgreSQL server answers to Bind, Execute and Sync (version 3; PostgreSQL documentation, 55.7), as far as the
/// load generator has to know: an answer ends at its ReadyForQuery. Pure.
struct PeerAnswerReader {
    enum Step: Equatable {
        /// Everything complete up to here has been read; the rest has to come again with more behind it.
        case incomplete(used: Int)
        /// One request's answer ends here. `error`: `SQLSTATE_` and the first error's code.
        case answer(error: String?, rows: Int, used: Int)
        /// No such message can come here.
        case malformed
    }

    /// Type and length.
    static let headerBytes = 5
    /// Longer messages count as malformed: the generator keeps a message until it is complete.
    static let messageBytesMax = 64 << 20

    /// Of the answer under way.
    private(set) var error: String?
    private var rows = 0

    /// Reads messages up to the end of an answer or of the bytes.
    mutating func read(_ bytes: UnsafeRawBufferPointer) -> Step {
        var used = 0
        while bytes.count - used >= Self.headerBytes {
            let type = bytes[used]
            let length = Int(UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: used + 1, as: UInt32.self)))
            guard Self.canCome(type), (4...Self.messageBytesMax).contains(length) else { return .malformed }
            let end = used + 1 + length
            guard end <= bytes.count else { break }
            let body = UnsafeRawBufferPointer(rebasing: bytes[(used + Self.headerBytes)..<end])
            used = end
            switch type {
            case UInt8(ascii: "D"): rows += 1
            case UInt8(ascii: "E"): if error == nil { error = Self.error(body) }
            case UInt8(ascii: "Z"):
                defer {
                    error = nil
                    rows = 0
                }
                return .answer(error: error, rows: rows, used: used)
            default: break
            }
        }
        return .incomplete(used: used)
    }

    /// ParseComplete, BindComplete, NotificationResponse, CommandComplete, DataRow, ErrorResponse, EmptyQueryResponse,
    /// NoticeResponse, ParameterStatus, ReadyForQuery. Nothing describes, nothing limits rows, and a COPY would wait for data.
    private static func canCome(_ type: UInt8) -> Bool {
        switch type {
        case UInt8(ascii: "1"), UInt8(ascii: "2"), UInt8(ascii: "A"), UInt8(ascii: "C"), UInt8(ascii: "D"),
            UInt8(ascii: "E"), UInt8(ascii: "I"), UInt8(ascii: "N"), UInt8(ascii: "S"), UInt8(ascii: "Z"):
            true
        default: false
        }
    }

    /// The code among the fields of an ErrorResponse: each a byte that names it, then text up to a zero byte.
    private static func error(_ body: UnsafeRawBufferPointer) -> String {
        for field in body.split(separator: 0) where field.first == UInt8(ascii: "C") {
            let code = field.dropFirst()
            let isCode = code.count == 5 && code.allSatisfy { (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) }
            if isCode { return "SQLSTATE_\(String(decoding: code, as: UTF8.self))" }
        }
        return "SQLSTATE_UNKNOWN"
    }
}
