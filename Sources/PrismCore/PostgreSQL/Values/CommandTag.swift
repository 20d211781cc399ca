/// What the server says a command did, such as `INSERT 0 3`: the command's first word, and the rows that it changed. Made once for
/// many commands.
public final class CommandTag: Equatable, @unchecked Sendable {
    /// As the server says it.
    public let text: String
    public let word: String
    /// Its UTF-8.
    let wordBytes: KeptBytes
    /// Of INSERT, UPDATE, DELETE and MERGE; 0 for all others, whose number counts what they returned.
    public let rowsAffected: UInt64

    /// Of a preparation, and of a statement that was empty.
    public static let empty = CommandTag("")

    /// - Parameter text: the command tag; empty for a statement that was empty.
    public init(_ text: String) {
        self.text = text
        var text = text
        (word, rowsAffected) = text.withUTF8 { bytes in
            let end = bytes.firstIndex(of: UInt8(ascii: " ")) ?? bytes.count
            let word = String(decoding: bytes[..<end], as: UTF8.self)
            return (word, Self.changes(bytes[..<end], word) ? Self.number(atTheEndOf: bytes) : 0)
        }
        wordBytes = KeptBytes(word.utf8)
    }

    public static func == (first: CommandTag, second: CommandTag) -> Bool { first.text == second.text }

    private static func changes(_ bytes: Slice<UnsafeBufferPointer<UInt8>>, _ word: String) -> Bool {
        switch bytes.first {
        case UInt8(ascii: "I"), UInt8(ascii: "U"), UInt8(ascii: "D"), UInt8(ascii: "M"):
            ["INSERT", "UPDATE", "DELETE", "MERGE"].contains(word)
        default: false
        }
    }

    private static func number(atTheEndOf bytes: UnsafeBufferPointer<UInt8>) -> UInt64 {
        guard let space = bytes.lastIndex(of: UInt8(ascii: " ")) else { return 0 }
        return UInt64(String(decoding: bytes[(space + 1)...], as: UTF8.self)) ?? 0
    }
}
