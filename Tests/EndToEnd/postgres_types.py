"""Values for every type of PostgreSQL's catalogue: ordinary ones, and the ends of what the type can hold."""

import textwrap

# Types that no client can write: their input functions refuse everything. By name in pg_type.
EXCLUDED = {
    "gtsvector": "the inside of an index over tsvector; has no input",
    "pg_brin_bloom_summary": "the inside of an index; has no input",
    "pg_brin_minmax_multi_summary": "the inside of an index; has no input",
    "pg_dependencies": "the planner's statistics; has no input",
    "pg_mcv_list": "the planner's statistics; has no input",
    "pg_ndistinct": "the planner's statistics; has no input",
    "pg_node_tree": "a parsed expression; has no input",
}

_TEXTS = ["", "x", "ä€😀", "' \" \\ , { } ( ) NULL", " led and trailed ", "line\nline\ttab\r", "x" * 100_000]
_TIMES = ["00:00:00", "23:59:59.999999", "24:00:00", "12:34:56.000001"]
_TIMESTAMPS = ["4713-01-01 00:00:00 BC", "294276-12-31 23:59:59.999999", "infinity", "-infinity", "0001-01-01 00:00:00",
               "0001-12-31 23:59:59.999999 BC", "2000-02-29 12:34:56.000001", "1582-10-10 00:00:00"]
_SNAPSHOTS = ["1:1:", "10:20:10,14,15", "1:9223372036854775807:", "9223372036854775806:9223372036854775807:9223372036854775806"]

# By name in pg_type; None (NULL) is added to each.
SAMPLES = {
    "aclitem": ["=r/postgres", "postgres=arwdDxt/postgres", "postgres=r*w*/postgres", "=/postgres"],
    "bit": ["0", "1", "10101010101010101", "1" * 1_000, ""],
    "bool": ["true", "false"],
    "box": ["(1,2),(0,0)", "(Infinity,1e308),(-Infinity,-1e308)", "(0.1,0.2),(-0,-0)"],
    "bpchar": _TEXTS,
    "bytea": ["", r"\x00", "\\x" + bytes(range(256)).hex(), "\\x" + "ff" * 100_000, r"\x5c5c78", r"\x2700"],
    "char": ["", "x", " ", "\\", "'", "\x7f", "\x01"],
    "cid": ["0", "1", "4294967295"],
    "cidr": ["0.0.0.0/0", "255.255.255.255/32", "10.1.0.0/16", "::/0", "2001:db8::/32",
             "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128", "::ffff:1.2.3.4/128"],
    "circle": ["<(0,0),0>", "<(1e308,-1e308),1e308>", "<(0.1,0.2),0.3>", "<(0,0),Infinity>", "<(0,0),NaN>"],
    "date": ["4713-01-01 BC", "5874897-12-31", "infinity", "-infinity", "2000-02-29", "0001-01-01", "0001-12-31 BC"],
    "float4": ["0", "-0", "1e-45", "1.1754944e-38", "3.4028235e+38", "-3.4028235e+38", "0.1", "16777217", "NaN", "Infinity",
               "-Infinity"],
    "float8": ["0", "-0", "5e-324", "2.2250738585072014e-308", "1.7976931348623157e+308", "-1.7976931348623157e+308", "0.1",
               "9007199254740993", "NaN", "Infinity", "-Infinity"],
    "inet": ["0.0.0.0", "255.255.255.255", "10.1.2.3/8", "::", "2001:db8::1/64", "::ffff:1.2.3.4", "0.0.0.0/0"],
    "int2": ["0", "-32768", "32767"],
    "int2vector": ["", "0", "-32768 32767", " ".join(["1"] * 1_000)],
    "int4": ["0", "-2147483648", "2147483647"],
    "int8": ["0", "-9223372036854775808", "9223372036854775807"],
    "interval": ["0", "178000000 years", "-178000000 years", "1 year -2 mons +3 days -04:05:06.789012", "2147483647 days",
                 "-2147483648 days", "2147483647:59:59.999999", "-00:00:00.000001", "1 mon 30 days 24:00:00"],
    "json": ["null", "{}", "[]", '""', '{"b": 1, "a": 1.50, "a":  2}', "1e400", '"\\u0000 \\ud83d\\ude00"',
             "[" * 1_000 + "]" * 1_000, '"' + "x" * 100_000 + '"', ' { "spaced" :  1 } '],
    "jsonb": ["null", "{}", "[]", '""', '{"b": 1, "a": 1.50, "a":  2}', "1e400", '"\\ud83d\\ude00"', "1.000",
              "[" * 1_000 + "]" * 1_000, '"' + "x" * 100_000 + '"', "-0", "0.1e-100"],
    "jsonpath": ["$", "$.a[*] ? (@ > 1)", 'strict $."b c".type()', "lax $[0 to last]", '$.** ? (@ like_regex "^x" flag "i")'],
    "line": ["{1,2,3}", "{0,-1,1e308}", "{-1,0,0.1}", "{1,-1,Infinity}"],
    "lseg": ["[(0,0),(1,1)]", "[(1e308,-1e308),(Infinity,-Infinity)]", "[(0.1,0.2),(-0,NaN)]"],
    "macaddr": ["00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff", "08:00:2b:01:02:03"],
    "macaddr8": ["00:00:00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff:ff:ff", "08:00:2b:ff:fe:01:02:03"],
    "money": ["0", "-92233720368547758.08", "92233720368547758.07", "0.01", "-1234.50"],
    "name": ["", "x", "ä€😀", "x" * 63, 'with "quotes" and \' and \\'],
    "numeric": ["0", "-0.0", "1.000", "NaN", "Infinity", "-Infinity", "9" * 131_072, "-" + "9" * 131_072,
                "0." + "0" * 16_382 + "1", "123456789012345678901234567890.123456789", "1e-16383", "1e131071", "0.00000"],
    "oid": ["0", "1", "4294967295"],
    "oidvector": ["", "0", "4294967295 1", " ".join(["7"] * 1_000)],
    "path": ["((0,0),(1,1))", "[(0,0),(1,1),(1e308,-1e308)]", "[(0.1,0.2)]", "((NaN,Infinity))"],
    "pg_lsn": ["0/0", "FFFFFFFF/FFFFFFFF", "16/B374D848"],
    "pg_snapshot": _SNAPSHOTS,
    "point": ["(0,0)", "(1e308,-1e308)", "(Infinity,-Infinity)", "(NaN,NaN)", "(-0,5e-324)", "(0.1,0.30000000000000004)"],
    "polygon": ["((0,0),(1,1),(1,0))", "((1e308,-1e308))", "((Infinity,0),(0.1,-0))"],
    "refcursor": _TEXTS,
    "regclass": ["pg_class", "information_schema.tables", "-", "4294967295"],
    "regcollation": ['"C"', '"default"', "-", "4294967295"],
    "regconfig": ["english", "simple", "-", "4294967295"],
    "regdictionary": ["simple", "english_stem", "-", "4294967295"],
    "regnamespace": ["pg_catalog", "public", "-", "4294967295"],
    "regoper": ["||/", "pg_catalog.|/", "0", "4294967295"],
    "regoperator": ["+(integer,integer)", "-(NONE,bigint)", "0", "4294967295"],
    "regproc": ["now", "pg_catalog.version", "-", "4294967295"],
    "regprocedure": ["abs(bigint)", "now()", "-", "4294967295"],
    "regrole": ["postgres", "pg_monitor", "-", "4294967295"],
    "regtype": ["integer", "timestamp with time zone[]", "pg_class", "-", "4294967295"],
    "text": _TEXTS,
    "tid": ["(0,0)", "(4294967295,65535)", "(1,2)"],
    "time": _TIMES,
    "timestamp": _TIMESTAMPS,
    "timestamptz": [f"{one} UTC" if "BC" not in one and "inf" not in one else one for one in _TIMESTAMPS]
    + ["2000-01-01 00:00:00+15:59:59", "2000-01-01 00:00:00-15:59:59", "4713-11-24 00:00:00+00 BC"],
    "timetz": [f"{time}{zone}" for time in _TIMES for zone in ("+00", "+15:59:59", "-15:59:59", "+05:30")],
    "tsquery": ["", "'a' & 'b' | !'c'", "'super':*AB & 'x' <-> 'y' <2> 'z'", "'it''s \\\\ quoted'", "'ä€😀'"],
    "tsvector": ["", "'a' 'b'", "'a':1A,16383D 'b':2B,3C", "'it''s' '\\\\'", "'ä€😀':1", " ".join(f"'w{n}':{n}" for n in range(1, 1_000))],
    "txid_snapshot": _SNAPSHOTS,
    "uuid": ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"],
    "varbit": ["", "0", "1" * 1_000, "10101010101010101"],
    "varchar": _TEXTS,
    "xid": ["0", "1", "4294967295"],
    "xid8": ["0", "1", "18446744073709551615"],
    "xml": ["", "<a/>", "plain", '<a b="&lt;&amp;">ä€😀<!-- c --><![CDATA[ d ]]></a>', '<?xml version="1.0" standalone="yes"?><a>' + "x" * 100_000 + "</a>"],
    # Ranges and multiranges
    "daterange": ["empty", "(,)", "[4713-01-01 BC,5874897-12-31)", "[2000-02-29,infinity]", "[-infinity,2000-01-01)"],
    "datemultirange": ["{}", "{(,)}", "{[2000-01-01,2000-02-01),[2000-03-01,)}"],
    "int4range": ["empty", "(,)", "[-2147483648,2147483647)", "[1,1]", "(,5)", "[5,)"],
    "int4multirange": ["{}", "{(,)}", "{[-2147483648,1),[3,2147483647)}", "{(,0),[5,)}"],
    "int8range": ["empty", "(,)", "[-9223372036854775808,9223372036854775807)", "[1,1]"],
    "int8multirange": ["{}", "{(,)}", "{[-9223372036854775808,1),[3,9223372036854775807)}"],
    "numrange": ["empty", "(,)", "[1.000,1.0000]", "(-Infinity,NaN]", "[0.1,1e1000)"],
    "nummultirange": ["{}", "{(,)}", "{[1.0,2.00],(3,4)}", "{(-Infinity,0),[5,NaN]}"],
    "tsrange": ["empty", "(,)", '["4713-01-01 00:00:00 BC","294276-12-31 23:59:59.999999"]', "[-infinity,infinity)"],
    "tsmultirange": ["{}", "{(,)}", '{["2000-01-01 00:00:00","2000-01-01 00:00:00.000001"),["2001-01-01 00:00:00",infinity)}'],
    "tstzrange": ["empty", "(,)", '["4713-11-24 00:00:00+00 BC","294276-12-31 23:59:59.999999+00"]', "[-infinity,infinity)"],
    "tstzmultirange": ["{}", "{(,)}", '{["2000-01-01 00:00:00+15:59","2001-01-01 00:00:00-15:59"]}'],
    # Domains of the information schema
    "cardinal_number": ["0", "2147483647"],
    "character_data": ["", "ä€😀"],
    "sql_identifier": ["x", "x" * 63],
    "time_stamp": ["2000-02-29 12:34:56.78+00", "infinity"],
    "yes_or_no": ["YES", "NO"],
    # The test's own
    "mood": ["sad", "it's, \"ok\" (ä€😀)", ""],
    "positive": ["1", "99999999999999999999.990"],
    "floatrange": ["empty", "[0.1,NaN]", "[-Infinity,5e-324)"],
    "floatmultirange": ["{}", "{[0.1,0.2],[0.3,Infinity]}"],
    "pair": ["(,)", "(1,x)", '(-2147483648,"a ""quoted"" \\\\ (one), ä€😀")', '(,"")'],
    "pairs": ["{}", '{"(1,x)",NULL}'],
}

# Arrays whose elements ARRAY[…] would take for dimensions.
ARRAY_SAMPLES = {"int2vector": ["{}", '{"1 2","-32768",NULL}'], "oidvector": ["{}", '{"1 2","4294967295",NULL}']}

OWN_TYPES = textwrap.dedent("""
    create type public.mood as enum ('sad', 'it''s, "ok" (ä€😀)', '');
    create domain public.positive as numeric check (value > 0);
    create type public.floatrange as range (subtype = float8, multirange_type_name = floatmultirange);
    create type public.pair as (n int, t text);
    create domain public.pairs as public.pair[];
    create schema "odd Schema";
    create type "odd Schema"."odd ""Type" as enum ('x');
""")
SAMPLES['odd "Type'] = ["x"]

# What a client gets of a type, by its base type's name in pg_type; all others come as Typed.
KINDS = {"bool": bool, "int2": int, "int4": int, "int8": int, "oid": int, "float4": float, "float8": float, "bytea": bytes,
         "text": str, "varchar": str, "bpchar": str, "name": str, "char": str}

# Everything but the row types of tables and views, and arrays of row types; with the element's name for arrays.
CATALOGUE = """
    select t.oid, n.nspname, t.typname, format_type(coalesce(nullif(t.typbasetype, 0), t.oid), null),
           coalesce(b.typname, t.typname), case when t.typcategory = 'A' and e.typarray = t.oid then e.typname else '' end
    from pg_type t join pg_namespace n on n.oid = t.typnamespace
        left join pg_type e on e.oid = t.typelem left join pg_type b on b.oid = t.typbasetype
    where (t.typtype in ('b', 'r', 'm', 'e', 'd') or t.typname = 'pair')
        and (e.oid is null or e.typarray <> t.oid or e.typtype in ('b', 'r', 'm', 'e', 'd') or e.typname = 'pair')
    order by t.oid
"""


def literal(text):
    return "'" + text.replace("'", "''") + "'"


def identifier(name):
    return '"' + name.replace('"', '""') + '"'
