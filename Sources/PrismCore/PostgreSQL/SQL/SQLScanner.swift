/// Splits a SQL text into tokens by the lexical rules of PostgreSQL (its src/backend/parser/scan.l), as far as they decide
/// where a token begins and ends. Any bytes are accepted; what the server would not accept ends somewhere.
///
/// Plain strings are read with standard_conforming_strings on. A transaction that switches it off is read differently from
/// its first string on; the first keyword, which decides what is refused, always stands before that.
struct SQLScanner {
    enum Kind: UInt8 {
        /// A keyword or a name without quotes.
        case word
        case quotedIdentifier
        /// `U&"…"`: its name is written with escapes.
        case escapedIdentifier
        case string
        case open, close, semicolon, dot
        /// Numbers, operators, parameters, commas.
        case other
    }

    struct Token {
        var kind: Kind
        var start: Int
        /// Of a word, and of a quoted identifier without quotes in it.
        var word: SQLWord

        func `is`(_ word: SQLWord) -> Bool { kind == .word && self.word == word }
    }

    private let text: UnsafeRawBufferPointer
    private var position = 0
    /// How many bytes were looked at, some of them twice: at most three times the text.
    var bytesExamined = 0

    init(_ text: UnsafeRawBufferPointer) { self.text = text }

    mutating func next() -> Token? {
        skipBlanks()
        let start = position
        guard start < text.count else { return nil }
        defer { bytesExamined += position - start }
        position += 1
        let byte = text[start]
        switch byte {
        case UInt8(ascii: "("): return token(.open, start)
        case UInt8(ascii: ")"): return token(.close, start)
        case UInt8(ascii: ";"): return token(.semicolon, start)
        case UInt8(ascii: "."): return token(.dot, start)
        case UInt8(ascii: "'"):
            skipString()
            return token(.string, start)
        case UInt8(ascii: "\""):
            return quotedIdentifier(start)
        case UInt8(ascii: "$"):
            return token(skipDollarQuote() ? .string : .other, start)
        case _ where Self.beginsWord(byte):
            return wordOrPrefixed(byte, start)
        default:
            return token(.other, start)
        }
    }

    private func token(_ kind: Kind, _ start: Int, _ word: SQLWord = .none) -> Token {
        Token(kind: kind, start: start, word: word)
    }

    private func byte(_ index: Int) -> UInt8 { index < text.count ? text[index] : 0 }

    // MARK: Blanks and comments

    private mutating func skipBlanks() {
        let start = position
        defer { bytesExamined += position - start }
        while position < text.count {
            switch text[position] {
            // The vertical tab is a space since PostgreSQL 16 and an error before. No other Unicode space is one.
            case UInt8(ascii: " "), 9, 10, 11, 12, 13: position += 1
            case UInt8(ascii: "-") where byte(position + 1) == UInt8(ascii: "-"): skipLine()
            case UInt8(ascii: "/") where byte(position + 1) == UInt8(ascii: "*"): skipBlockComment()
            default: return
            }
        }
    }

    private mutating func skipLine() {
        while position < text.count, text[position] != 10, text[position] != 13 { position += 1 }
    }

    /// Block comments nest.
    private mutating func skipBlockComment() {
        var depth = 0
        while position < text.count {
            let byte = text[position]
            if byte == UInt8(ascii: "/"), self.byte(position + 1) == UInt8(ascii: "*") {
                depth += 1
                position += 2
            } else if byte == UInt8(ascii: "*"), self.byte(position + 1) == UInt8(ascii: "/") {
                depth -= 1
                position += 2
                if depth == 0 { return }
            } else {
                position += 1
            }
        }
    }

    // MARK: Words

    private static func beginsWord(_ byte: UInt8) -> Bool {
        (byte | 0x20) &- 0x61 < 26 || byte >= 0x80 || byte == UInt8(ascii: "_")
    }

    static func continuesWord(_ byte: UInt8) -> Bool {
        beginsWord(byte) || byte &- 0x30 < 10 || byte == UInt8(ascii: "$")
    }

    private mutating func wordOrPrefixed(_ first: UInt8, _ start: Int) -> Token {
        let next = byte(position)
        switch first | 0x20 {
        case UInt8(ascii: "e") where next == UInt8(ascii: "'"):
            position += 1
            skipEscapedString()
            return token(.string, start)
        case UInt8(ascii: "b"), UInt8(ascii: "x"), UInt8(ascii: "n"):
            guard next == UInt8(ascii: "'") else { break }
            position += 1
            skipString()
            return token(.string, start)
        case UInt8(ascii: "u") where next == UInt8(ascii: "&"):
            if byte(position + 1) == UInt8(ascii: "'") {
                position += 2
                skipString()
                return token(.string, start)
            }
            if byte(position + 1) == UInt8(ascii: "\"") {
                position += 2
                return token(quotedIdentifier(start).kind == .quotedIdentifier ? .escapedIdentifier : .other, start)
            }
        default: break
        }
        while position < text.count, Self.continuesWord(text[position]) { position += 1 }
        return token(.word, start, SQLWord(UnsafeRawBufferPointer(rebasing: text[start..<position])))
    }

    // MARK: Quotes

    private mutating func quotedIdentifier(_ start: Int) -> Token {
        let first = position
        while position < text.count {
            position += 1
            guard text[position - 1] == UInt8(ascii: "\"") else { continue }
            guard byte(position) == UInt8(ascii: "\"") else {
                let name = UnsafeRawBufferPointer(rebasing: text[first..<position - 1])
                return token(.quotedIdentifier, start, SQLWord(name, isFolded: false))
            }
            position += 1
        }
        return token(.other, start)
    }

    /// From behind the opening quote to behind the closing one. Two quotes in a row end one string and begin the next, which
    /// comes to the same.
    private mutating func skipString() {
        while position < text.count {
            position += 1
            if text[position - 1] == UInt8(ascii: "'") { return }
        }
    }

    /// As `skipString`, with backslashes; also in what continues it on another line.
    private mutating func skipEscapedString() {
        while position < text.count {
            let byte = text[position]
            position += 1
            if byte == UInt8(ascii: "\\") {
                position = min(position + 1, text.count)
            } else if byte == UInt8(ascii: "'") {
                if self.byte(position) == UInt8(ascii: "'") {
                    position += 1
                } else if !continuesOnAnotherLine() {
                    return
                }
            }
        }
    }

    /// Strings with nothing but blanks and line comments between them, a line break among these, are one.
    private mutating func continuesOnAnotherLine() -> Bool {
        let start = position
        var hasLineBreak = false
        while position < text.count {
            switch text[position] {
            case 10, 13:
                hasLineBreak = true
                position += 1
            case UInt8(ascii: " "), 9, 11, 12: position += 1
            case UInt8(ascii: "-") where byte(position + 1) == UInt8(ascii: "-"): skipLine()
            case UInt8(ascii: "'") where hasLineBreak:
                position += 1
                return true
            default:
                bytesExamined += position - start
                position = start
                return false
            }
        }
        return false
    }

    /// From behind a `$`. False: it begins no dollar quote (a parameter), and nothing was skipped.
    private mutating func skipDollarQuote() -> Bool {
        let first = position
        var tagEnd = first
        if Self.beginsWord(byte(first)) {
            while tagEnd < text.count, text[tagEnd] != UInt8(ascii: "$"), Self.continuesWord(text[tagEnd]) {
                tagEnd += 1
            }
        }
        guard byte(tagEnd) == UInt8(ascii: "$") else {
            bytesExamined += tagEnd - first
            return false
        }
        // The tag with its closing `$`: it has no other, so that no byte is compared twice.
        let length = tagEnd + 1 - first
        position = tagEnd + 1
        while position < text.count {
            position += 1
            guard text[position - 1] == UInt8(ascii: "$") else { continue }
            var matched = 0
            while matched < length, position + matched < text.count, text[position + matched] == text[first + matched] {
                matched += 1
            }
            bytesExamined += matched
            if matched == length {
                position += length
                return true
            }
        }
        return true
    }
}
