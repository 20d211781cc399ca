/// Judges a statement's text: whether it names nothing that could be a function, a cast or an operator of somebody's own.
///
/// The plan alone does not tell. What has constant arguments and calls itself immutable runs while the statement is planned, and a domain's
/// check while its text is read; of either only a constant is left in the plan. And the plan does not print LIMIT. What
/// a name means is known to the server alone, so those that a function or a type may have are collected, and it is asked for them.
struct PlainText {
    /// More, or longer ones, are not looked at.
    static let namesMax = 256
    static let nameBytesMax = 8 << 10

    typealias Token = SQLScanner.Token

    private let text: UnsafeRawBufferPointer
    private(set) var isPlain = true
    /// What it may call, and what it takes for types. As PostgreSQL compares names: without quotes, and otherwise in small letters.
    private(set) var functions: Set<String> = []
    private(set) var types: Set<String> = []
    private var nameBytes = 0

    private var depth = 0
    /// At which depths a CAST is open.
    private var casts: UInt64 = 0
    private var previous = Token(kind: .other, start: 0, word: .none)
    private var beforePrevious = Token(kind: .other, start: 0, word: .none)
    /// The token before was the name of a type.
    private var isBehindType = false

    init(_ text: UnsafeRawBufferPointer) {
        self.text = text
        var scanner = SQLScanner(text)
        while isPlain, let token = scanner.next() {
            let isType = judge(token)
            if isBehindType, token.kind == .dot { isPlain = false }
            isBehindType = isType
            beforePrevious = previous
            previous = token
        }
    }

    /// True: it is the name of a type.
    private mutating func judge(_ token: Token) -> Bool {
        switch token.kind {
        case .open: open()
        case .close:
            if depth < 64 { casts &= ~(1 << UInt64(depth)) }
            depth = max(depth - 1, 0)
        case .string: judgeLiteral()
        case .word, .quotedIdentifier, .escapedIdentifier:
            if isType(token) {
                note(token, isType: true)
                if !PlainTypes.isPlain(text, token) { isPlain = false }
                return true
            }
            // `t.lower` may be a function of t.
            if previous.kind == .dot { note(token) }
        case .other:
            if PlainOperators.isSign(text[token.start]), !PlainOperators.isContinued(previous, token, text),
                !PlainOperators.isPlain(PlainOperators.sign(text, token.start))
            {
                isPlain = false
            }
        case .semicolon, .dot: break
        }
        return false
    }

    private mutating func open() {
        depth += 1
        note(previous)
        if PlainFunctions.isUnknownCall(text, previous, behind: beforePrevious) { isPlain = false }
        guard previous.is("cast") || previous.is("treat") else { return }
        if depth < 64 { casts |= 1 << UInt64(depth) } else { isPlain = false }
    }

    private func isType(_ token: Token) -> Bool {
        if PlainOperators.isCast(text, previous, beforePrevious) { return true }
        return previous.is(.as) && depth < 64 && casts & (1 << UInt64(depth)) != 0
    }

    /// `type 'literal'`.
    private mutating func judgeLiteral() {
        switch previous.kind {
        case .word:
            note(previous, isType: true)
            let word = Self.word(text, previous)
            if beforePrevious.kind == .dot || !(Self.beforeLiterals.contains(word) || PlainTypes.contains(word)) {
                isPlain = false
            }
        case .quotedIdentifier, .escapedIdentifier: isPlain = false
        default: break
        }
    }

    private mutating func note(_ token: Token, isType: Bool = false) {
        var name: String
        switch token.kind {
        case .word: name = Self.word(text, token)
        case .quotedIdentifier:
            let rest = text[(token.start + 1)...]
            var end = rest.startIndex
            while end < rest.endIndex {
                guard rest[end] == UInt8(ascii: "\"") else {
                    end += 1
                    continue
                }
                guard end + 1 < rest.endIndex, rest[end + 1] == UInt8(ascii: "\"") else { break }
                end += 2
            }
            name = String(decoding: rest[..<end], as: UTF8.self)
            // Nothing of PostgreSQL's own needs them in its name.
            if name.utf8.contains(UInt8(ascii: "\"")) { isPlain = false }
        case .escapedIdentifier:
            isPlain = false
            return
        default: return
        }
        guard isType ? types.insert(name).inserted : functions.insert(name).inserted else { return }
        nameBytes += name.utf8.count
        if functions.count + types.count > Self.namesMax || nameBytes > Self.nameBytesMax { isPlain = false }
    }

    private static func word(_ text: UnsafeRawBufferPointer, _ token: Token) -> String {
        PlainFunctions.word(text, token).lowercased()
    }

    /// From the grammar: what may stand before a string that is no type.
    private static let beforeLiterals: Set<String> = PlainFunctions.names(
        """
        all and any asymmetric between both by case distinct else end escape except for from having ilike in intersect leading \
        like limit not offset on or placing precision select similar some symmetric then to trailing uescape union \
        varying when where zone
        """)
}
