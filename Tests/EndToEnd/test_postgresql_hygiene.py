"""Session state never crosses requests on PostgreSQL: one server connection for all clients, each of which tries to poison it
or to escape, and a look at the session by the next one. A connection may also be given up instead of being put back."""

import json
import random
import unittest

import postgres
import prism
from harness import Server, ServerTestCase

# Everything that a session has and that a statement can change. What is Prism's own is prepared by the protocol.
STATE = """
select json_build_object(
    'user', current_user, 'session_user', session_user, 'role', current_setting('role'), 'path', current_schemas(false)::text,
    'settings', (select json_object_agg(name, setting order by name) from pg_settings where name not like 'plpgsql.%'),
    'locks', (select count(*) from pg_locks where pid = pg_backend_pid() and locktype = 'advisory'),
    'cursors', (select coalesce(json_agg(name), '[]') from pg_cursors where is_holdable),
    'channels', (select count(*) from pg_listening_channels()),
    'prepared', (select coalesce(json_agg(name), '[]') from pg_prepared_statements where from_sql),
    'temporary', (select count(*) from pg_class where relnamespace = pg_my_temp_schema())
        + (select count(*) from pg_proc where pronamespace = pg_my_temp_schema())
        + (select count(*) from pg_type where typnamespace = pg_my_temp_schema()),
    'custom', nullif(current_setting('my.secret', true), ''),
    'transaction', pg_current_xact_id_if_assigned()::text)::text"""

SETUP = """
create role poisoner login;
create role other;
grant other to poisoner;
grant create on database {database} to poisoner;
grant all on schema public to poisoner, other;
set role poisoner;
create schema evil;
create schema kind;
create table kind.t (a numeric, note text);
create table kind.written (a int);
create sequence kind.s;
insert into kind.t values (0.5, 'kind');
create table evil.t (a int);
insert into evil.t values (666);
create function kind.set_role() returns text language plpgsql as 'begin set role other; return current_user; end';
create function kind.set_quietly(name text, value text) returns void language plpgsql as
    'begin perform set_config(name, value, false); end';
create function kind.run(sql text) returns void language plpgsql as 'begin execute sql; end';
create procedure kind.commits() language plpgsql as
    $$ begin perform set_config('search_path', 'evil', false); commit; perform set_config('work_mem', '64kB', false); end $$;
"""

POISONS = {
    "search_path": "select set_config('search_path', 'evil', false)",
    "read-only by default": "select set_config('default_transaction_read_only', 'on', false)",
    "read-only now": "select set_config('transaction_read_only', 'on', false)",
    "isolation": "select set_config('default_transaction_isolation', 'serializable', false)",
    "timeout": "select set_config('statement_timeout', '1', false)",
    "lock timeout": "select set_config('lock_timeout', '1', false)",
    "idle timeouts": "select set_config('idle_session_timeout', '50', false), "
                     "set_config('idle_in_transaction_session_timeout', '50000', false)",
    "texts": "select set_config('timezone', 'Asia/Tokyo', false), set_config('datestyle', 'German', false), "
             "set_config('bytea_output', 'escape', false), set_config('extra_float_digits', '-15', false), "
             "set_config('intervalstyle', 'sql_standard', false), set_config('standard_conforming_strings', 'off', false)",
    "encoding": "select set_config('client_encoding', 'LATIN1', false)",
    "name": "select set_config('application_name', 'evil', false)",
    "planner": "select set_config('enable_seqscan', 'off', false), set_config('work_mem', '64kB', false)",
    "own setting": "select set_config('my.secret', 'hunter2', false)",
    "role": "select set_config('role', 'other', false)",
    "role in a function": "select kind.set_role()",
    "setting in a function": "select kind.set_quietly('search_path', 'evil')",
    "role in a block": "do 'begin set role other; end'",
    "session authorization": "do 'begin set session authorization poisoner; end'",
    "advisory lock": "select pg_advisory_lock(4711), pg_advisory_lock(4711), pg_advisory_lock_shared(1, 2)",
    "temporary objects": "do $$ begin create temp table t (a int); create temp view v as select 1; "
                         "create function pg_temp.now() returns int language sql as 'select 1'; end $$",
    "temporary table in a function": "select kind.run('create temp table t as select 666 as a')",
    "channel": "do 'begin listen poison; end'",
    "channel in a function": "select kind.run('listen poison')",
    "cursor": "do $$ begin execute 'declare c cursor with hold for select 1'; end $$",
    "commits": "call kind.commits()",
    "commits in a block": "do $$ begin perform set_config('search_path', 'evil', false); commit; set role other; commit; end $$",
    "sequence": "select nextval('kind.s')",
    "deallocate": "do 'begin deallocate all; end'",
    "large object": "select lo_open(lo_create(0), 393216)",
    "notify": "notify poison, 'x'",
    "explain": "explain analyze select set_config('search_path', 'evil', false)",
    "returning": "insert into kind.written values (1) returning set_config('search_path', 'evil', false)",
    "in with": "with x as materialized (select set_config('search_path', 'evil', false) as s) select s from x",
}

# Behind one of these nothing that came before may be left either.
ENDS = {
    "error": "select 1 / 0 from (select set_config('search_path', 'evil', false)) as x",
    "error in a block": "do 'begin set role other; raise exception ''x''; end'",
    "error behind a commit": "do $$ begin perform set_config('search_path', 'evil', false); commit; raise exception 'x'; end $$",
    "own timeout": "do $$ begin perform set_config('statement_timeout', '20', false); commit; end $$",
}

ESCAPES = (
    "select 1; begin", "select 1;begin", "begin; select 1", "select 1; set role other", "/* */ ; begin", "(select 1); commit",
    "select $$a$$; set search_path = evil", "select E'\\''; begin", "select '\\'; begin", "\u000bbegin", "--\rbegin",
    "set role other", "set session authorization other", "reset role", "explain execute prism_1", "create table x as execute prism_1",
    "select 1 into temp x", "create temp table x (a int)", "create table pg_temp.x (a int)", "copy kind.t to stdout",
    "copy kind.t from stdin", "fetch 1 from c", "prepare x as select 1", "deallocate all", "listen x", "discard all",
)


# Each reactor has connections of its own.
ONE_REACTOR = {"PRISM_RUNTIME_REACTORS": "1"}


def configuration(conninfo, connections=1, more=""):
    return (f"backends:\n  - name: main\n    kind: postgresql\n    conninfo: \"{conninfo}\"\n"
            f"    connections_min: 1\n    connections_max: {connections}\n{more}")


@postgres.needed
class HygieneTests(ServerTestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = postgres.Cluster()
        cls.addClassCleanup(cls.cluster.close)
        cls.database = cls.cluster.new_database()
        cls.cluster.sql(SETUP.format(database=cls.database), cls.database)
        cls.conninfo = cls.cluster.conninfo(cls.database, "poisoner")
        super().setUpClass()

    @classmethod
    def serve(cls):
        return Server(config=configuration(cls.conninfo), sqlite=False, environment=ONE_REACTOR)

    def setUp(self):
        super().setUp()
        self.expected = self.state()

    def state(self):
        with self.server.connect(timeout=15) as client:
            return json.loads(client.query(STATE).scalar())

    def assert_pristine(self):
        found = self.state()
        changed = {key: (value, found[key]) for key, value in self.expected.items() if found[key] != value}
        if "settings" in changed:
            before, after = changed["settings"]
            changed["settings"] = {name: (value, after.get(name)) for name, value in before.items() if after.get(name) != value}
        self.assertEqual(changed, {})

    def assert_served(self):
        """What an innocent client does works, and is answered from its own tables."""
        with self.server.connect(timeout=15) as client:
            self.assertEqual(client.query("select note from kind.t where pg_sleep(0.01) is not null").scalar(), "kind")
            client.query("insert into kind.written values (2)")
            self.assertEqual(client.query("select current_user::text").scalar(), "poisoner")
            self.assertEqual(client.query("select '2026-01-02 03:04:05+00'::timestamptz::text").scalar(),
                             "2026-01-02 03:04:05+00")
            client.put("hygiene", "v")
            self.assertEqual(client.get("hygiene").value, b"v")

    def test_what_a_function_changes_is_gone_for_the_next_client(self):
        for name, sql in POISONS.items():
            with self.subTest(name):
                self.client().query(sql)
                self.assert_pristine()
                self.assert_served()

    def test_what_a_failing_statement_changes_is_gone_as_well(self):
        for name, sql in ENDS.items():
            with self.subTest(name):
                try:
                    self.client().query(sql)
                except prism.Error as error:
                    self.assertNotEqual(error.code, "INTERNAL", error)
                self.assert_pristine()
                self.assert_served()

    def test_what_a_transaction_changes_ends_with_it(self):
        for name, sql in POISONS.items():
            if name.startswith("commits"):
                continue
            for end in ("commit", "rollback", "leave"):
                with self.subTest(f"{name}, {end}"):
                    client = self.client()
                    tx = client.transaction()
                    tx.query(sql)
                    if end == "leave":
                        client.close()
                    else:
                        getattr(tx, end)()
                    self.assert_pristine()
        self.assert_served()

    def test_what_a_batch_and_an_idempotent_write_change_is_gone(self):
        for name in ("search_path", "role", "advisory lock", "temporary objects", "channel", "timeout"):
            with self.subTest(name):
                client = self.client()
                client.batch([prism.statement("select 1"), prism.statement(POISONS[name])])
                self.assert_pristine()
                try:
                    client.query(POISONS[name], idempotency_key=f"poison {name}")
                except prism.Error as error:
                    # The other role may not write the key, and a timeout of 1 ms is too short for it.
                    self.assertEqual((error.outcome, name in ("role", "timeout")), ("NOT_EXECUTED", True), error)
                self.assert_pristine()
        self.assert_served()

    def test_read_only_requests_cannot_write_nor_poison(self):
        client = self.client()
        for sql in ("select set_config('transaction_read_only', 'off', false)", "select kind.run('set transaction read write')",
                    "select kind.run('insert into kind.written values (3)')", "do 'begin insert into kind.written values (3); end'",
                    "do $$ begin perform set_config('transaction_read_only', 'off', false); insert into kind.written values (3); end $$",
                    "do 'begin commit; insert into kind.written values (3); end'", "insert into kind.written values (3)"):
            with self.subTest(sql):
                try:
                    client.query(sql, read_only=True)
                except prism.Error as error:
                    self.assertEqual(error.outcome, "NOT_EXECUTED", error)
                self.assert_pristine()
        self.assertEqual(client.query("select count(*) from kind.written where a = 3").scalar(), 0)

    def test_what_would_change_the_session_is_refused_with_a_remedy(self):
        client = self.client()
        for sql in ESCAPES:
            with self.subTest(sql):
                error = self.assert_fails("INVALID_ARGUMENT", client.query, sql)
                self.assertEqual(error.outcome, "NOT_EXECUTED")
                self.assert_pristine()
        self.assert_served()

    def test_a_session_lock_is_released_for_everyone(self):
        self.client().query("select pg_advisory_lock(99)")
        self.assertEqual(self.cluster.value("select pg_try_advisory_lock(99)", self.database), "t")

    def test_a_lock_table_is_for_transactions(self):
        client = self.client()
        self.assert_fails("INVALID_ARGUMENT", client.query, "lock table kind.t")
        with client.transaction() as tx:
            tx.query("lock table kind.t in share mode")
            tx.query("set constraints all deferred")

    def test_the_next_client_has_no_last_value(self):
        self.client().query("select nextval('kind.s')")
        error = self.assert_fails("FAILED_PRECONDITION", self.client().query, "select lastval()")
        self.assertEqual(error.sqlstate, "55000")

    def test_what_was_learned_under_another_search_path_does_not_stay(self):
        """The same text means another table, of another type, to the next client."""
        for path, minimum, expected in [("evil", 1, "666"), ("kind", 0, "0.5"), ("evil", 1, "666"), ("kind", 0, "0.5")]:
            self.assertEqual(prism.retry(lambda: self.read_under(path, minimum)), expected)

    def read_under(self, path, minimum):
        with self.client().transaction() as tx:
            tx.query("select set_config('search_path', $1, true)", path)
            value = tx.query("select a from t where a > $1 order by a", minimum).scalar()
            return getattr(value, "text", str(value))

    def test_a_table_that_changes_its_types_is_learned_again(self):
        client = self.client()
        client.query("create table kind.changing (a int, b text)")
        client.query("insert into kind.changing values ($1, $2)", 1, "x")
        self.assertEqual(list(client.query("select * from kind.changing where a = $1", 1)), [(1, "x")])
        client.query("alter table kind.changing alter a type text using a::text, add c int default 7")
        self.assertEqual(list(client.query("select * from kind.changing where b = $1", "x")), [("1", "x", 7)])
        client.query("insert into kind.changing values ($1, $2)", "2", "y")
        self.assertEqual(list(client.query("select a from kind.changing order by a")), [("1",), ("2",)])
        client.query("drop table kind.changing")

    def test_prisms_own_statements_cannot_be_taken_away(self):
        """A client that deallocates them all, by whatever way, costs a round trip and no answer."""
        client = self.client()
        for _ in range(3):
            self.assert_served()
            client.query("do 'begin deallocate all; end'")
        self.assert_served()
        with client.transaction() as tx:
            tx.put("hygiene", "w")
            tx.query("do 'begin deallocate all; end'")
            tx.query("select 1")
        # In its own transaction it may feel it, but not as something that it cannot repeat.
        try:
            with client.transaction() as tx:
                tx.query("do 'begin deallocate all; end'")
                tx.put("hygiene", "x")
        except prism.Aborted as error:
            self.assertTrue(error.retryable)
        self.assert_pristine()
        self.assert_served()

    def test_a_session_is_put_back_even_where_its_statements_were_replaced(self):
        """A client that prepares its own statements under Prism's names disables no reset."""
        self.client().query("""
            do $$ declare n text; begin
                for n in select name from pg_prepared_statements where name like 'prism%' loop
                    execute 'deallocate ' || n; execute 'prepare ' || n || ' as select 1';
                end loop;
                for i in 1..300 loop
                    begin execute 'prepare prism_' || i || ' as select 1'; exception when others then null; end;
                end loop;
                perform set_config('search_path', 'evil', false);
                perform pg_advisory_lock(77);
            end $$""")
        self.assertEqual(self.cluster.value("select pg_try_advisory_lock(77)", self.database), "t")
        self.assert_pristine()
        self.assert_served()

    def test_behind_a_pooler_nothing_is_prepared_by_name(self):
        """The next batch may run on another session of the pooler's."""
        server = self.start(config=configuration(self.conninfo, more="    pooled: true\n"), sqlite=False,
                            environment=ONE_REACTOR)
        client = self.client(server)
        for _ in range(3):
            client.put("pooled", "v")
            self.assertEqual(client.get("pooled").value, b"v")
            self.assertEqual(client.query("select count(*) + $1 from pg_prepared_statements", 1).scalar(), 1)

    def test_random_texts_leave_nothing(self):
        generator = random.Random(7)
        seeds = [sql for sql in POISONS.values()] + list(ESCAPES) + ["select 1", "values (1)", "table kind.t", "lock kind.t"]
        pieces = ["/**/", "--x\n", "--\r", ";", "(", ")", "'", "\"", "$$", "$a$", "E'", "\\", "\u000b", "\f", " begin ", " temp ",
                  "; set role other", "; begin", "as", "explain ", "explain analyze ", "\u00a0", "U&\"x\"", "/*", "*/"]
        client = self.client()
        for number in range(400):
            text = generator.choice(seeds)
            for _ in range(generator.randrange(4)):
                place = generator.choice([0, 0, len(text), generator.randrange(len(text) + 1)])
                text = text[:place] + generator.choice(pieces) + text[place:]
            try:
                client.query(text)
            except prism.Error as error:
                self.assertNotIn(error.code, ("INTERNAL", "UNKNOWN"), text)
            if number % 10 == 9:
                with self.subTest(f"up to {text!r}"):
                    self.assert_pristine()
        self.assert_served()


if __name__ == "__main__":
    unittest.main()
