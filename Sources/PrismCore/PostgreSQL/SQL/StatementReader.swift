internal import PrismWire

/// One pass over the tokens of a statement: its head keyword by keyword, its body by the few patterns that matter.
///
/// A pattern that takes too much for a keyword costs a refusal that the client does not understand, one that takes too
/// little only leaves the judgement to the server and to the reset; so names and labels are let pass.
struct StatementReader {
    typealias Token = SQLScanner.Token

    private let text: UnsafeRawBufferPointer
    private(set) var scanner: SQLScanner
    private var verdict = SQLVerdict()

    /// The token at hand and the two before it.
    private var current = Token(kind: .other, start: 0, word: .none)
    private var previous = Token(kind: .other, start: 0, word: .none)
    private var beforePrevious = Token(kind: .other, start: 0, word: .none)
    private var isAtEnd = false
    /// Open parentheses, and how many of them stand before the first keyword.
    private var depth = 0
    private var headDepth = 0

    private var isExplainOnly = false
    /// SELECT, VALUES, TABLE, WITH.
    private var isQuery = false
    /// WITH before its main statement.
    private var awaitsMainStatement = false
    /// CREATE, and CREATE TABLE before its AS.
    private var isCreate = false
    private var awaitsTableQuery = false
    /// CREATE FUNCTION and CREATE PROCEDURE may have a body of several statements; how deep in it.
    private var mayHaveBody = false
    private var bodyDepth = 0
    private var isEnded = false
    private var namesEscaped = false

    init(_ text: UnsafeRawBufferPointer) {
        self.text = text
        scanner = SQLScanner(text)
    }

    mutating func judge() -> SQLVerdict {
        guard !text.contains(0) else { return refused(.zeroByte, at: 0) }
        while advance(), current.kind == .open || current.kind == .semicolon {}
        guard !isAtEnd else { return refused(.empty, at: 0) }
        let start = current.start
        if let refusal = head() ?? body() {
            return refused(refusal, at: refusal == .several ? current.start : start)
        }
        if isExplainOnly { verdict.kind = .reading }
        switch verdict.command {
        case .select, .values, .table, .with:
            verdict.sharesPipeline =
                verdict.kind == .reading && !namesEscaped && !namesAdvisoryLock && PlainText(text).isPlain
        default: break
        }
        return verdict
    }

    private mutating func refused(_ refusal: SQLRefusal, at offset: Int) -> SQLVerdict {
        var failure = refusal.failure
        // In characters, from 1, as the server counts.
        failure.position = UInt32(clamping: text[..<offset].reduce(into: 1) { $0 += $1 & 0xC0 == 0x80 ? 0 : 1 })
        verdict.refusal = failure
        return verdict
    }

    // MARK: Tokens

    /// False: the text is over, and the token at hand stays.
    @discardableResult
    private mutating func advance() -> Bool {
        guard let token = scanner.next() else {
            isAtEnd = true
            return false
        }
        beforePrevious = previous
        previous = current
        current = token
        if token.kind == .open { depth += 1 }
        if token.kind == .close { depth = max(depth - 1, 0) }
        return true
    }

    private mutating func peek() -> Token? {
        var ahead = scanner
        let token = ahead.next()
        scanner.bytesExamined = ahead.bytesExamined
        return token
    }

    private mutating func peekThree() -> (Token?, Token?, Token?) {
        var ahead = scanner
        let tokens = (ahead.next(), ahead.next(), ahead.next())
        scanner.bytesExamined = ahead.bytesExamined
        return tokens
    }

    // MARK: Head

    private mutating func head() -> SQLRefusal? {
        verdict.command = current.kind == .word ? SQLCommand(current.word) : .other
        guard verdict.command == .explain else { return head(of: verdict.command) }
        isExplainOnly = !skipExplainOptions()
        while advance(), current.kind == .open {}
        let command = current.kind == .word && !isAtEnd ? SQLCommand(current.word) : .other
        // Not twice: the server takes none within another.
        return command == .explain ? nil : head(of: command)
    }

    /// True: it also runs the statement.
    private mutating func skipExplainOptions() -> Bool {
        var runs = false
        while let next = peek(), next.is(.analyze) || next.is(.analyse) || next.is(.verbose) {
            advance()
            if !current.is(.verbose) { runs = true }
        }
        let (open, option, _) = peekThree()
        guard open?.kind == .open, let option, option.kind == .word, !Self.beginsQuery(option.word) else { return runs }
        advance()
        let outside = depth - 1
        // `analyze off` counts as well: what it costs is a more careful outcome.
        while depth > outside, advance() { if current.is(.analyze) || current.is(.analyse) { runs = true } }
        return runs
    }

    private static func beginsQuery(_ word: SQLWord) -> Bool {
        word == .select || word == .values || word == .table || word == .with
    }

    private mutating func head(of command: SQLCommand) -> SQLRefusal? {
        verdict.kind = command.kind
        headDepth = depth
        let (first, second, _) = peekThree()
        let next = first?.kind == .word ? first?.word : nil
        let nextButOne = second?.kind == .word ? second?.word : nil
        switch command {
        case .begin, .start, .end, .abort: return .transactionControl
        case .commit: return next == .prepared ? .twoPhaseCommit : .transactionControl
        case .rollback:
            if next == .prepared { return .twoPhaseCommit }
            let isPartial = next == .to || ((next == .work || next == .transaction) && nextButOne == .to)
            return isPartial ? .savepoint : .transactionControl
        case .savepoint, .release: return .savepoint
        case .prepare: return next == .transaction ? .twoPhaseCommit : .prepared
        case .execute, .deallocate: return .prepared
        case .set:
            if next == .transaction || (next == .session && nextButOne == "characteristics") { return .transactionMode }
            if next != .constraints { return .setting }
            verdict.needsTransaction = true
        case .reset: return .setting
        case .listen, .unlisten: return .listen
        case .copy: return .copy
        case .discard: return .discard
        case .declare, .fetch, .move, .close: return .cursor
        case .load: return .load
        case .lock: verdict.needsTransaction = true
        case .create: return createHead()
        case .drop where next == .database || next == .tablespace || next == .subscription,
            .alter where next == .system || next == .database || next == .subscription:
            verdict.kind = .notTransactional
        case .select, .values, .table: isQuery = true
        case .with:
            isQuery = true
            awaitsMainStatement = true
        default: break
        }
        return nil
    }

    private mutating func createHead() -> SQLRefusal? {
        isCreate = true
        while let next = peek(), next.kind == .word {
            advance()
            switch next.word {
            case .temp, .temporary: return .temporary
            case .or, .replace, .global, .local, .unlogged, .recursive, .unique: continue
            case .table: awaitsTableQuery = true
            case .function, .procedure: mayHaveBody = true
            case .database, .tablespace, .subscription: verdict.kind = .notTransactional
            default: break
            }
            return nil
        }
        return nil
    }

    // MARK: Body

    private mutating func body() -> SQLRefusal? {
        while advance() {
            if isEnded, current.kind != .semicolon { return .several }
            switch current.kind {
            case .semicolon: isEnded = isEnded || depth == 0 && bodyDepth == 0
            case .escapedIdentifier: namesEscaped = true
            // An object in the session's own schema.
            case .dot where isCreate && previous.word == .pgTemp: return .temporary
            case .word: if let refusal = word() { return refusal }
            default: break
            }
        }
        return nil
    }

    private mutating func word() -> SQLRefusal? {
        // A label or the last part of a name may be any word.
        if previous.kind == .dot { return nil }
        switch current.word {
        case .as where awaitsTableQuery && depth == headDepth:
            awaitsTableQuery = false
            if peek()?.is(.execute) == true { return .prepared }
        case _ where previous.is(.as): return nil
        case .concurrently where depth == headDepth:
            switch verdict.command {
            case .create, .drop, .alter: verdict.kind = .notTransactional
            default: break
            }
        case .atomic where mayHaveBody && bodyDepth == 0 && depth == 0 && previous.is(.begin): bodyDepth = 1
        case .case where bodyDepth > 0 && depth == 0: bodyDepth += 1
        case .end where bodyDepth > 0 && depth == 0: bodyDepth -= 1
        case .into where isQuery && !previous.is(.insert) && !previous.is(.merge): return selectInto()
        case .insert, .update, .delete, .merge: if beginsStatementOfWith { verdict.kind = .writing }
        case .select, .values, .table: _ = beginsStatementOfWith
        default: break
        }
        return nil
    }

    /// `AS [MATERIALIZED] ( …`, or the main statement behind all of these.
    private var beginsStatementOfWith: Bool {
        mutating get {
            if awaitsMainStatement, depth == headDepth, previous.kind == .close {
                awaitsMainStatement = false
                return true
            }
            return isQuery && previous.kind == .open
                && (beforePrevious.is(.as) || beforePrevious.is(.materialized))
        }
    }

    /// SELECT … INTO makes a table; one of a name such as `temp` is an ordinary one.
    private mutating func selectInto() -> SQLRefusal? {
        verdict.kind = .writing
        var (first, second, third) = peekThree()
        if first?.is(.local) == true || first?.is(.global) == true { (first, second) = (second, third) }
        guard let first, let second else { return nil }
        if first.word == .pgTemp, second.kind == .dot { return .temporary }
        guard first.is(.temp) || first.is(.temporary) else { return nil }
        switch second.kind {
        case .quotedIdentifier, .escapedIdentifier: return .temporary
        case .word: return Self.followsIntoTarget(second.word) ? nil : .temporary
        default: return nil
        }
    }

    private static func followsIntoTarget(_ word: SQLWord) -> Bool {
        switch word {
        case "from", "where", "group", "having", "window", "union", "intersect", "except", "order", "limit", "offset",
            "fetch", "for":
            true
        default: false
        }
    }

    /// `pg_advisory_lock`, `pg_try_advisory_lock` and their kind, also within a string.
    private var namesAdvisoryLock: Bool {
        let name: StaticString = "advisory"
        let count = name.utf8CodeUnitCount
        var rest = text[...]
        while let underscore = rest.firstIndex(of: UInt8(ascii: "_")) {
            rest = rest[(underscore + 1)...]
            if rest.count >= count, (0..<count).allSatisfy({ rest[underscore + 1 + $0] | 0x20 == name.utf8Start[$0] }) {
                return true
            }
        }
        return false
    }
}
