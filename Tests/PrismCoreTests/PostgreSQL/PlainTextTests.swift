import Testing

@testable import PrismCore

@Suite("PostgreSQL statements that may share a pipeline by their text")
struct PlainTextTests {
    private func look(_ text: String) -> PlainText {
        var text = text
        return text.withUTF8 { PlainText(UnsafeRawBufferPointer($0)) }
    }

    @Test("what names nothing of somebody's own is plain")
    func plain() {
        for text in [
            "select a, b.c from t b where id=-1 and n<>+$1 and x =-- y\n 5 limit $2 offset 3",
            "select a/*x*/-/*y*/b, a*-1, 'x'||'y', j->>'a', j#>>'{a}', a @> b, a<@b",
            "select cast(a as int), cast(cast(b as numeric(10, 2)) as double precision) as total, c::text[] as list",
            "select date '2020-01-01', interval '1 day', timestamp with time zone 'now', double precision '1'",
            "select 1 where a like 'x' escape 'y' and b in ('a') or c between 'a' and 'b' and not 'x' ~ 'y'",
            "select a at time zone 'utc', trim(both 'x' from 'y'), case 'a' when 'b' then 'c' else 'd' end",
            "with x as (select 1 as y) select * from x as z order by 1 fetch first 3 rows only",
        ] {
            #expect(look(text).isPlain, "\(text)")
        }
    }

    @Test("operators, types and functions of somebody's own are not, wherever they stand")
    func others() {
        for text in [
            "select ### 5", "select a from t limit ##@ 5", "select 'a' <## 'b'", "select 1 where a =## b", "select 5 !",
            "select a order by a using ###", "select a from t limit 5::lim", "select 5::hostile.int",
            "select 5::text .x",
            "select 5:: text . x", "select 5::\"int\"", "select cast(5 as lim)", "select cast(cast(5 as int) as lim)",
            "select cast(a as \"int\")", "select a from t limit lim '5'", "select \"lim\" '5'",
            "select hostile.date '5'",
            "select full(5, held(1))", "select operator(pg_catalog.+) 5", "select treat(a as lim)",
            "select U&\"\\0061\"(5)",
        ] {
            #expect(!look(text).isPlain, "\(text)")
        }
    }

    @Test("a CAST ends with its parenthesis")
    func castEnds() {
        #expect(look("select (cast(a as int)) as lim, (select 1 as b) as c").isPlain)
        #expect(!look("select (cast((select 1 as b) as lim))").isPlain)
        #expect(!look(String(repeating: "(", count: 70) + "select cast(1 as lim)").isPlain)
    }

    @Test("names are collected as PostgreSQL compares them")
    func names() {
        let text = look("select LOWER(a), t.Upper, t.\"Held\", full (1), x::INT, cast(y as text), date 'z' from t")
        #expect(text.functions == ["lower", "upper", "Held", "full", "cast"])
        #expect(text.types == ["int", "text", "date"])
        #expect(!look("select t.\"a\"\"b\" from t").isPlain)
        #expect(!look("select " + (0..<300).map { "t.a\($0)" }.joined(separator: ",") + " from t").isPlain)
    }

    @Test("what the server is asked holds names as strings, whatever is in them")
    func question() {
        let question = HiddenObjects.question(functions: ["it's", "lower"], types: [])
        #expect(question.contains("p.proname IN ('it''s','lower')"))
        #expect(question.contains("t.typname IN (NULL)"))
    }
}
