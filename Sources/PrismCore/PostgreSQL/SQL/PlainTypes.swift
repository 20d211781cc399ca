/// PostgreSQL's own types without effects, by the first word of their names.
enum PlainTypes {
    /// Whether a token begins the name of one.
    static func isPlain(_ text: UnsafeRawBufferPointer, _ token: SQLScanner.Token) -> Bool {
        guard token.kind == .word else { return false }
        let word = text[token.start...].prefix { SQLScanner.continuesWord($0) }
        guard word.endIndex == text.endIndex || text[word.endIndex] != UInt8(ascii: ".") else { return false }
        return contains(String(decoding: word, as: UTF8.self).lowercased())
    }

    /// - Parameter word: in small letters.
    static func contains(_ word: String) -> Bool { printed.contains(word) || written.contains(word) }

    /// As `format_type` prints them.
    private static let printed: Set<String> = PlainFunctions.names(
        """
        bigint bit boolean box bpchar bytea character cidr circle date daterange datemultirange double inet int4multirange \
        int4range int8multirange int8range integer interval json jsonb jsonpath line lseg macaddr macaddr8 money name numeric \
        nummultirange numrange oid path point polygon real record regclass regtype smallint text tid time timestamp tsquery \
        tsrange tsmultirange tstzmultirange tstzrange tsvector unknown uuid xid xml varchar
        """)

    /// Other names that they have in statements.
    private static let written: Set<String> = PlainFunctions.names(
        "bool char dec decimal float float4 float8 int int2 int4 int8 national nchar timestamptz timetz varbit")
}
