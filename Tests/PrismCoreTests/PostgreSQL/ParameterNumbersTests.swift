import Testing

@testable import PrismCore

@Suite struct ParameterNumbersTests {
    @Test(
        "the largest parameter is found, and none in what is quoted or a comment",
        arguments: [
            ("", 0), ("select 1", 0), ("select $1", 1), ("select $2,$1", 2), ("select $1::text||$12", 12),
            ("select ($3)", 3), ("select '$9', $1", 1), ("select E'\\'$9', $2", 2), ("select \"$9\" + $1", 1),
            ("select $1 -- $9", 1), ("select /* $9 /* $8 */ */ $1", 1), ("select $$ $9 $$, $1", 1),
            ("select $tag$ $9 $tag$, $1", 1), ("select a$9, $1", 1), ("select $", 0), ("select $x", 0),
            ("select $99999999999999999999999999", 9_999_999), ("$", 0), ("select $1$2", 2),
        ])
    func largest(_ sql: String, _ number: Int) {
        var sql = sql
        #expect(sql.withUTF8 { ParameterNumbers.largest(in: UnsafeRawBufferPointer($0)) } == number)
    }
}
