/// Judges a statement's plan as the server prints it (`EXPLAIN (VERBOSE, COSTS OFF)`): whether what runs behind views, columns that
/// are functions, casts and operators is PostgreSQL's own as well. Such things can change the session for a neighbour in the
/// same transaction. What the plan does not show, `PlainText` and `HiddenObjects` look for.
enum PlainPlan {
    /// Objects with lower numbers are PostgreSQL's own.
    static let firstOwnObject: TypeOID = 16_384
    /// Longer plans are not looked at.
    static let bytesMax = 64 << 10

    /// Parts of a plan that do not show all that they run: pruned partitions with their filters, the rows of VALUES, what stands left
    /// of NOT IN, the frame of a window.
    private static let silent: [[UInt8]] = ["Subplans Removed", "Values Scan", "SubPlan", "OVER"].map { Array($0.utf8) }

    /// A whole plan.
    static func isPlain(_ line: UnsafeRawBufferPointer) -> Bool {
        for part in silent where contains(line, part) { return false }
        var scanner = SQLScanner(line)
        var previous = SQLScanner.Token(kind: .other, start: 0, word: .none)
        var beforePrevious = previous
        while let token = scanner.next() {
            switch token.kind {
            case .open:
                if PlainFunctions.isUnknownCallInPlan(line, previous, behind: beforePrevious) { return false }
            case .word, .quotedIdentifier, .escapedIdentifier:
                if PlainOperators.isCast(line, previous, beforePrevious), !PlainTypes.isPlain(line, token) {
                    return false
                }
            case .other:
                if PlainOperators.isSign(line[token.start]), !PlainOperators.isContinued(previous, token, line),
                    !PlainOperators.isPlain(line[token.start...].prefix { PlainOperators.isSign($0) })
                {
                    return false
                }
            default: break
            }
            beforePrevious = previous
            previous = token
        }
        return true
    }

    private static func contains(_ text: UnsafeRawBufferPointer, _ part: [UInt8]) -> Bool {
        guard text.count >= part.count else { return false }
        return (0...text.count - part.count).contains { start in
            part.indices.allSatisfy { text[start + $0] == part[$0] }
        }
    }
}
