public import PrismWire

/// The little that must be known of a SQL text besides what SQLite says: its first word, and whether anything follows.
public struct SQLText {
    public let bytes: UnsafeRawBufferPointer

    public init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    /// The first word after space, comments and semicolons; empty: there is none.
    public var firstKeyword: UnsafeRawBufferPointer {
        let start = skipNothing(from: 0)
        var end = start
        while end < bytes.count, Self.isLetter(bytes[end]) { end += 1 }
        return UnsafeRawBufferPointer(rebasing: bytes[start..<end])
    }

    /// Whether only space, comments and semicolons stand at and behind `offset`.
    public func isNothing(from offset: Int) -> Bool { skipNothing(from: offset) >= bytes.count }

    /// A byte offset as a position in characters, from 1.
    public func position(ofByte offset: Int) -> UInt32 {
        var characters: UInt32 = 1
        for byte in bytes.prefix(offset) where byte & 0xC0 != 0x80 { characters += 1 }
        return characters
    }

    private func skipNothing(from offset: Int) -> Int {
        var index = offset
        while index < bytes.count {
            switch bytes[index] {
            case 0x20, 0x09, 0x0A, 0x0C, 0x0D, 0x3B:
                index += 1
            case 0x2D where index + 1 < bytes.count && bytes[index + 1] == 0x2D:
                while index < bytes.count, bytes[index] != 0x0A { index += 1 }
            case 0x2F where index + 1 < bytes.count && bytes[index + 1] == 0x2A:
                index += 2
                while index + 1 < bytes.count, !(bytes[index] == 0x2A && bytes[index + 1] == 0x2F) { index += 1 }
                // Like SQLite: a comment that is not closed ends with the text.
                index = min(index + 2, bytes.count)
            case 0xEF where index + 2 < bytes.count && bytes[index + 1] == 0xBB && bytes[index + 2] == 0xBF:
                index += 3
            default: return index
            }
        }
        return index
    }

    private static func isLetter(_ byte: UInt8) -> Bool {
        (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) || byte == 0x5F
    }
}

extension SQLText {
    /// Whether the statement may turn out to read only, judged by its first word. A wrong guess costs a hop, nothing else:
    /// the database decides.
    public var beginsLikeRead: Bool {
        let word = firstKeyword
        return Self.readWords.contains { candidate in
            word.count == candidate.utf8CodeUnitCount
                && zip(word, UnsafeBufferPointer(start: candidate.utf8Start, count: candidate.utf8CodeUnitCount))
                    .allSatisfy { $0 & 0xDF == $1 }
        }
    }

    private static let readWords: [StaticString] = ["SELECT", "VALUES", "WITH", "EXPLAIN", "PRAGMA"]
}

extension RequestMessage {
    /// Whether unmarked client SQL may be tried where only reading is possible: its first statement begins like one that reads.
    public var beginsLikeRead: Bool {
        if let query { return SQLText(query.sql.bytes).beginsLikeRead }
        guard let batch, let first = elements(batch.statements, batch.n_statements).first, let first else {
            return false
        }
        return SQLText(first.pointee.sql.bytes).beginsLikeRead
    }
}
