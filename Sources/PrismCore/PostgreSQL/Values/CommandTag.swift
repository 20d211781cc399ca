/// What the server says a command did, such as `INSERT 0 3`: the command's first word, and the rows that it changed.
public struct CommandTag: Equatable, Sendable {
    public let word: String
    /// Of INSERT, UPDATE, DELETE and MERGE; 0 for all others, whose number counts what they returned.
    public let rowsAffected: UInt64

    /// - Parameter text: the command tag; empty for a statement that was empty.
    public init(_ text: String) {
        let bytes = text.utf8
        word = bytes.firstIndex(of: UInt8(ascii: " ")).map { String(text[..<$0]) } ?? text
        switch word {
        case "INSERT", "UPDATE", "DELETE", "MERGE":
            rowsAffected = bytes.lastIndex(of: UInt8(ascii: " ")).flatMap { UInt64(text[$0...].dropFirst()) } ?? 0
        default: rowsAffected = 0
        }
    }
}
