internal import PrismCore
internal import PrismWire

/// The little that must be known of a SQL text besides what SQLite says: its first word, and whether anything follows.
struct SQLText {
    let bytes: UnsafeRawBufferPointer

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    /// The first word after space, comments and semicolons; empty: there is none.
    var firstKeyword: UnsafeRawBufferPointer {
        let start = skipNothing(from: 0)
        var end = start
        while end < bytes.count, Self.isLetter(bytes[end]) { end += 1 }
        return UnsafeRawBufferPointer(rebasing: bytes[start..<end])
    }

    /// Whether only space, comments and semicolons stand at and behind `offset`.
    func isNothing(from offset: Int) -> Bool { skipNothing(from: offset) >= bytes.count }

    /// A byte offset as a position in characters, from 1.
    func position(ofByte offset: Int) -> UInt32 {
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
    /// Whether an unmarked request may turn out to read only: then it is tried on a reader first. Looks for the first word of
    /// the first statement in the raw message, so that it need not be decoded here; a wrong guess costs a hop, nothing else.
    static func maybeReads(_ frame: FrameBox) -> Bool {
        let arena = Arena(limitBytes: 1 << 20, firstBlockBytes: 1 << 10)
        guard frame.count <= 64 << 10, let request = RequestMessage(frame.bytes, in: arena) else { return false }
        let sql = request.query?.sql.bytes ?? request.batch?.statements?[0]?.pointee.sql.bytes
        guard let sql else { return false }
        let word = String(decoding: SQLText(sql).firstKeyword, as: UTF8.self).uppercased()
        return ["SELECT", "VALUES", "WITH", "EXPLAIN", "PRAGMA"].contains(word)
    }
}
