"""Statements that run somebody's own function and do not look like it: none of them shares a server connection with others, who would
see what it changes."""

import re
import unittest

import postgres
import raw
from harness import Server, StartTestCase
from raw import messages

TIMES = 20
GENEROUS = 60_000_000

SETUP = """
grant create on database {database} to app;
grant all on schema public to app;
set role app;
create table public.marked (note text);
insert into public.marked values ('kind');
create schema hostile;
create table hostile.marked (note text);
insert into hostile.marked values ('evil');
create table public.t (a bigint);
insert into public.t values (1);
create function hostile.bad(n bigint) returns bigint language plpgsql volatile as
  $$ begin perform set_config('search_path', 'hostile, public', false); return n; end $$;
create function hostile.constant(n bigint) returns bigint language plpgsql immutable as
  $$ begin perform set_config('search_path', 'hostile, public', false); return n; end $$;
create function hostile.checks(n bigint) returns bool language plpgsql immutable as
  $$ begin perform hostile.bad(1); return true; end $$;
create function hostile.checks(n text) returns bool language plpgsql immutable as
  $$ begin perform hostile.bad(1); return true; end $$;
"""

DISGUISES = {
    "an operator that is worked out while it is planned": (
        "create operator public.### (rightarg = bigint, function = hostile.constant)", "select ### 5::bigint"),
    "an operator that the plan does not print": (
        "create operator public.##@ (rightarg = bigint, function = hostile.bad)", "select a from t limit ##@ 5::bigint"),
    "a domain that the plan does not print": (
        "create domain public.lim as bigint check (hostile.checks(value))", "select a from t limit 5::lim"),
    "a literal of a domain": (
        "create domain public.lim as bigint check (hostile.checks(value))", "select a from t limit lim '5'"),
    "a domain in an array, of which nothing is left": (
        "create domain public.dt as text check (hostile.checks(value))", "select cardinality('{x}'::dt[])"),
    "a literal of a column's type": (
        "create domain public.dt as text check (hostile.checks(value)); create table public.td (c public.dt[])",
        "select 1 from td where false and c = '{x}'"),
    "a function with the name of a keyword": (
        'create function public."full"(n bigint) returns bigint language plpgsql as $$ begin return hostile.bad(n); end $$',
        "select a from t limit full(5::bigint)"),
    "a function that looks like a column, and is printed as PostgreSQL's own": (
        "create function public.lower(public.t) returns text language plpgsql as $$ begin perform hostile.bad(1); return 'x'; end $$",
        "select t.lower from t"),
    "an aggregate with the name of a built-in one": (
        "create function public.mx(bool, bool) returns bool language plpgsql as $$ begin perform hostile.bad(1); return true; end $$; "
        "create aggregate public.max(bool) (sfunc = public.mx, stype = bool, initcond = 'f')", "select max(true) from t"),
    "a function with the name of a built-in one": (
        "create function public.lower(bigint) returns text language plpgsql as $$ begin perform hostile.bad(1); return 'x'; end $$",
        "select lower(a) from t"),
    "an index's predicate": ("create index on public.t (a) where hostile.constant(5) > 0", "select a from t where a = 1"),
    "an expression of statistics": (
        "create statistics public.st on (a + hostile.constant(5)), a from public.t", "select count(*) from t where a = 1"),
    "a check of a table that is searched with others": (
        "create table public.par (a bigint) partition by list (a); create table public.par_1 partition of public.par for values in (1); "
        "alter table public.par_1 add check (hostile.constant(5) > 0)", "select a from par where a > 0"),
    "a partition's expression": (
        "create table public.par (a bigint) partition by list ((a + hostile.constant(0))); "
        "create table public.par_1 partition of public.par for values in (1)", "select a from par where a > 0"),
    "a cast of which nothing is left": (
        "create type public.bx as (n bigint); create function public.made(bigint) returns public.bx language plpgsql immutable as "
        "$$ begin return row(hostile.constant($1))::public.bx; end $$; create cast (bigint as public.bx) with function public.made(bigint)",
        "select (1::bigint::bx).n"),
}


@postgres.needed
class SharedDisguiseTests(StartTestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = postgres.Cluster()
        cls.addClassCleanup(cls.cluster.close)
        cls.cluster.sql("create role app login")

    def shared(self, server):
        metrics = server.admin("GET", "/metrics")[1]
        return int(float(re.search(r'prism_shared_requests_total\{backend="main"\} (\S+)', metrics).group(1)))

    def ask(self, client, statements):
        """Together; the final answers in the order asked."""
        client.send(*(raw.Request(id=number + 1, read_only=True, timeout_microseconds=GENEROUS, query=messages.Query(sql=sql))
                      for number, sql in enumerate(statements)))
        answers = {}
        while len(answers) < len(statements):
            answer = client.receive()
            if not answer.more:
                answers[answer.id] = answer
        return [answers[number + 1] for number in range(len(statements))]

    def test_no_disguise_shares_a_connection(self):
        for name, (setup, sql) in DISGUISES.items():
            with self.subTest(name):
                database = self.cluster.new_database()
                self.cluster.sql(SETUP.format(database=database) + setup, database)
                server = self.start(sqlite=False, config=f"""
backends:
  - name: main
    kind: postgresql
    conninfo: "{self.cluster.conninfo(database, 'app')}"
    connections_min: 1
    connections_max: 8
""")
                client = self.raw(server)
                plain = "select note from marked"
                for _ in range(4):
                    self.ask(client, [plain, sql])
                before = self.shared(server)
                for answer in self.ask(client, [sql] * TIMES):
                    self.assertEqual(answer.status, 0, answer.failure)
                self.assertEqual(self.shared(server), before)
                for answer in self.ask(client, [plain, sql] * TIMES)[::2]:
                    self.assertEqual(answer.query.rows[0].values[0].text, "kind")
                # Else there was nothing in whose company it could have been.
                self.assertGreater(self.shared(server), before)
                client.close()
                server.stop()

    def test_what_runs_while_a_statement_is_read_changes_nothing(self):
        """A domain's check runs when a literal of it is read, which is before anything is executed."""
        database = self.cluster.new_database()
        self.cluster.sql(SETUP.format(database=database) + """
            create function hostile.writes(n text) returns bool language plpgsql as
              $$ begin perform hostile.bad(1); insert into public.t values (7); return true; end $$;
            create domain public.dt as text check (hostile.writes(value));""", database)
        server = self.start(sqlite=False, config=f"""
backends:
  - name: main
    kind: postgresql
    conninfo: "{self.cluster.conninfo(database, 'app')}"
    connections_min: 1
    connections_max: 1
""")
        client = self.raw(server)
        (answer,) = self.ask(client, ["select cardinality('{x}'::public.dt[])"])
        self.assertEqual(answer.failure.sqlstate, "25006", answer)
        self.assertEqual(self.cluster.sql("select a from public.t", database), [("1",)])
        (answer,) = self.ask(client, ["select note from marked"])
        self.assertEqual(answer.query.rows[0].values[0].text, "kind")


if __name__ == "__main__":
    unittest.main()
