/// Judges a statement's plan as the server prints it (`EXPLAIN (VERBOSE, COSTS OFF)`): whether what runs behind views, columns that
/// are functions, casts and operators is PostgreSQL's own as well. Such things can change the session for a neighbour in the
/// same transaction.
///
/// Not seen: an operator of somebody's own that has the sign of a built-in one.
enum PlainPlan {
    /// Objects with lower numbers are PostgreSQL's own.
    static let firstOwnObject: TypeOID = 16_384
    /// Longer plans are not looked at.
    static let bytesMax = 64 << 10

    /// Parts of a plan that do not show all that they run: pruned partitions with their filters, the rows of VALUES, what stands left
    /// of NOT IN, the frame of a window.
    private static let silent: [[UInt8]] = ["Subplans Removed", "Values Scan", "SubPlan", "OVER"].map { Array($0.utf8) }

    /// Asked behind the EXPLAIN, in its transaction: a row for what no plan shows. Views and row security among the relations
    /// that the statement has locked; and, anywhere in the database, casts and operators that look like PostgreSQL's own, or are not
    /// printed, by functions in SQL or another language.
    static let hidden = """
        SELECT 1 FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_class c ON c.oid = l.relation \
        WHERE l.pid = pg_catalog.pg_backend_pid() AND l.locktype = 'relation' \
        AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()) \
        AND c.oid >= \(firstOwnObject) AND (c.relrowsecurity OR c.relkind NOT IN ('r', 'p', 'i', 'I', 'm', 't', 'S')) \
        UNION ALL SELECT 1 FROM (SELECT castfunc AS function FROM pg_catalog.pg_cast \
        WHERE castcontext = 'i' OR casttarget < \(firstOwnObject) \
        UNION ALL SELECT oprcode FROM pg_catalog.pg_operator \
        WHERE oprname IN (SELECT oprname FROM pg_catalog.pg_operator WHERE oid < \(firstOwnObject))) AS o \
        JOIN pg_catalog.pg_proc p ON p.oid = o.function JOIN pg_catalog.pg_language g ON g.oid = p.prolang \
        WHERE p.oid >= \(firstOwnObject) AND g.lanname NOT IN ('internal', 'c') AND NOT EXISTS (\
        SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid \
        AND d.deptype = 'e') LIMIT 1
        """

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
                if isCast(line, previous, beforePrevious), !isPlainType(line, token) { return false }
            case .other:
                if isOperator(line[token.start]), !isContinued(previous, token, line),
                    !isPlainOperator(line, token.start)
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

    private static func isCast(
        _ line: UnsafeRawBufferPointer, _ previous: SQLScanner.Token, _ beforePrevious: SQLScanner.Token
    ) -> Bool {
        previous.kind == .other && line[previous.start] == UInt8(ascii: ":") && beforePrevious.kind == .other
            && beforePrevious.start == previous.start - 1 && line[beforePrevious.start] == UInt8(ascii: ":")
    }

    private static func isPlainType(_ line: UnsafeRawBufferPointer, _ token: SQLScanner.Token) -> Bool {
        guard token.kind == .word else { return false }
        let word = line[token.start...].prefix { SQLScanner.continuesWord($0) }
        guard word.endIndex == line.endIndex || line[word.endIndex] != UInt8(ascii: ".") else { return false }
        return types.contains(String(decoding: word, as: UTF8.self))
    }

    private static func isOperator(_ byte: UInt8) -> Bool { operatorBytes.contains(byte) }

    /// The token goes on with the operator that the one before it has begun.
    private static func isContinued(
        _ previous: SQLScanner.Token, _ token: SQLScanner.Token, _ line: UnsafeRawBufferPointer
    ) -> Bool {
        previous.kind == .other && previous.start == token.start - 1 && isOperator(line[previous.start])
    }

    private static func isPlainOperator(_ line: UnsafeRawBufferPointer, _ start: Int) -> Bool {
        let sign = line[start...].prefix { isOperator($0) }
        // `->` also begins each node of a plan.
        return operators.contains(String(decoding: sign, as: UTF8.self))
    }

    private static let operatorBytes = Set("+-*/<>=~!@#%^&|`?".utf8)

    private static let operators: Set<String> = Set(
        """
        + - * / % ^ = <> != < > <= >= || && @> <@ ~ !~ ~* !~* ~~ !~~ ~~* !~~* -> ->> #> #>> #- ? ?| ?& << >> <<= >>= &< &> -|- @@ \
        @@@ @? <-> # & | @ !! |/ ||/ ^@ ~>=~ ~<=~ ~>~ ~<~ &&& <<| |>> &<| |&> ~= *
        """.split(separator: " ").map(String.init))

    /// The first word of what `format_type` prints for PostgreSQL's own types without effects.
    private static let types: Set<String> = Set(
        """
        bigint bit boolean box bpchar bytea character cidr circle date daterange datemultirange double inet int4multirange \
        int4range int8multirange int8range integer interval json jsonb jsonpath line lseg macaddr macaddr8 money name numeric \
        nummultirange numrange oid path point polygon real record regclass regtype smallint text tid time timestamp tsquery \
        tsrange tsmultirange tstzmultirange tstzrange tsvector unknown uuid xid xml varchar
        """.split(separator: " ").map(String.init))
}
