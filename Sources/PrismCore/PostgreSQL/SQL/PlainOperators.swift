/// The signs of PostgreSQL's own operators, in statements and in plans.
enum PlainOperators {
    static func isSign(_ byte: UInt8) -> Bool { bytes.contains(byte) }

    /// `::` stands in front of the token at hand.
    static func isCast(
        _ text: UnsafeRawBufferPointer, _ previous: SQLScanner.Token, _ beforePrevious: SQLScanner.Token
    ) -> Bool {
        previous.kind == .other && text[previous.start] == UInt8(ascii: ":") && beforePrevious.kind == .other
            && beforePrevious.start == previous.start - 1 && text[beforePrevious.start] == UInt8(ascii: ":")
    }

    /// The token goes on with the operator that the one before it has begun.
    static func isContinued(
        _ previous: SQLScanner.Token, _ token: SQLScanner.Token, _ text: UnsafeRawBufferPointer
    ) -> Bool {
        previous.kind == .other && previous.start == token.start - 1 && isSign(text[previous.start])
    }

    /// The operator that begins here, as PostgreSQL's scanner cuts it: up to a comment, and without signs at its end unless a
    /// character of its own is in it.
    static func sign(_ text: UnsafeRawBufferPointer, _ start: Int) -> Slice<UnsafeRawBufferPointer> {
        var sign = text[start...].prefix { isSign($0) }
        for offset in sign.indices.dropLast() {
            let pair = (sign[offset], sign[offset + 1])
            if pair == (UInt8(ascii: "-"), UInt8(ascii: "-")) || pair == (UInt8(ascii: "/"), UInt8(ascii: "*")) {
                sign = sign[..<offset]
                break
            }
        }
        guard !sign.contains(where: { special.contains($0) }) else { return sign }
        while sign.count > 1, let last = sign.last, last == UInt8(ascii: "-") || last == UInt8(ascii: "+") {
            sign.removeLast()
        }
        return sign
    }

    // `->` also begins each node of a plan.
    static func isPlain(_ sign: Slice<UnsafeRawBufferPointer>) -> Bool {
        signs.contains(String(decoding: sign, as: UTF8.self))
    }

    private static let bytes = Set("+-*/<>=~!@#%^&|`?".utf8)
    private static let special = Set("~!@#%^&|`?".utf8)

    private static let signs: Set<String> = Set(
        """
        + - * / % ^ = <> != < > <= >= || && @> <@ ~ !~ ~* !~* ~~ !~~ ~~* !~~* -> ->> #> #>> #- ? ?| ?& << >> <<= >>= &< &> -|- @@ \
        @@@ @? <-> # & | @ !! |/ ||/ ^@ ~>=~ ~<=~ ~>~ ~<~ &&& <<| |>> &<| |&> ~= *
        """.split(separator: " ").map(String.init))
}
