import Testing

@testable import PrismCore

@Suite("PostgreSQL plans that may share a pipeline")
struct PlainPlanTests {
    private func isPlain(_ line: String) -> Bool {
        var line = line
        return line.withUTF8 { PlainPlan.isPlain(UnsafeRawBufferPointer($0)) }
    }

    @Test("what is PostgreSQL's own is plain")
    func plain() {
        for line in [
            "Index Scan using t_pkey on public.t", "  Output: id, value", "  Index Cond: (t.id = $1)",
            "  ->  Function Scan on pg_catalog.generate_series g", "        Function Call: generate_series(1, 20)",
            "  Output: (count(*)), PARTIAL sum((x)::numeric(10,2))", "  InitPlan 1 (returns $0)",
            "  Filter: ((t.name ~~ 'a(b'::text) AND t.flag)", "  Sort Key: t.a DESC, t.b COLLATE \"C\"",
            "  Output: ((j -> 'a'::text) ->> 0), (ts)::timestamp with time zone, '{1,2}'::integer[]",
            "  Output: CASE WHEN (a IS NULL) THEN 1 ELSE 2 END, COALESCE(b, 'x'::character varying)",
        ] {
            #expect(isPlain(line), "\(line)")
        }
    }

    @Test("functions, casts and operators of somebody's own are not")
    func others() {
        for line in [
            "  Output: held(t.*)", "  Output: hostile.hold('815'::bigint), set_config('a'::text, 'b'::text, false)",
            "  Output: ('4710'::bigint)::hostile.box", "  Output: ('x'::text)::settled",
            "  Output: ('x'::text)::\"Settled\"",
            "  Output: (### '1'::bigint)", "  Output: OPERATOR(hostile.###) '4709'::bigint",
            "  Filter: (t.tenant = current_setting('app.tenant'::text))", "  Output: \"Run It\"('x'::text)",
            "  Output: first(a)", "  Output: 'x\ny'::text, held(t.*)", "  Subplans Removed: 2",
            "  ->  Values Scan on \"*VALUES*\"",
            "  Filter: (NOT (hashed SubPlan 1))", "  Output: sum(a) OVER (?)",
            "  Function Call: pg_catalog.pg_advisory_lock(1)",
        ] {
            #expect(!isPlain(line), "\(line)")
        }
    }
}
