"""SQL as it is on PostgreSQL alone; what holds on every backend is in conformance/."""

import itertools
import unittest

import postgres
import prism
from conformance import backends
from harness import ServerTestCase

_tables = itertools.count(1)


@postgres.needed
class PostgresSQLTests(ServerTestCase):
    @classmethod
    def setUpClass(cls):
        cls.place = backends.PostgreSQL.Place()
        cls.addClassCleanup(cls.place.close)
        super().setUpClass()

    @classmethod
    def serve(cls):
        return cls.place.start()

    def setUp(self):
        super().setUp()
        self.db = self.client()
        self.table = f"t{next(_tables)}"

    def test_errors_carry_what_the_server_says(self):
        self.db.query(f"create table {self.table} (id int primary key)")
        self.db.query(f"insert into {self.table} values (1)")
        error = self.assert_fails("ALREADY_EXISTS", self.db.query, f"insert into {self.table} values (1)")
        self.assertEqual((error.sqlstate, error.detail, error.sqlite_code), ("23505", "Key (id)=(1) already exists.", 0))
        error = self.assert_fails("INVALID_ARGUMENT", self.db.query, "select 'ä', lenght('x')")
        self.assertEqual((error.sqlstate, error.position), ("42883", 13))
        self.assertIn("No function matches", error.hint)
        error = self.assert_fails("INVALID_ARGUMENT", self.db.query, "select 1 / $1", 0)
        self.assertEqual(error.sqlstate, "22012")

    def test_parameters_have_no_names(self):
        self.assert_fails("INVALID_ARGUMENT", self.db.query, "select $1", 1, names=["a"])

    def test_a_text_with_a_zero_byte_is_refused_and_named(self):
        error = self.assert_fails("INVALID_ARGUMENT", self.db.query, "select $1::text, $2::text", "a", "b\0c")
        self.assertIn("parameter 2", error.message)
        error = self.assert_fails("INVALID_ARGUMENT", self.db.batch, "select $1::text", parameter_sets=[("a",), ("b\0c",)])
        self.assertEqual(error.item, 2)

    def test_a_kind_that_does_not_fit_is_sent_as_its_place_s_type(self):
        self.db.query(f"create table {self.table} (t text, n numeric, i int, d date, y bytea)")
        self.db.query(f"insert into {self.table} values ($1, $2, $3, $4, $5)", 7, 0.1, 3, "2000-02-29", b"\0\xff")
        for where, value in (("t = $1", 7), ("n = $1", 0.1), ("n = $1", prism.Typed("numeric", "0.10")), ("i = $1", "3"),
                             ("d = $1", "2000-02-29"), ("d = $1", prism.Typed("date", "2000-02-29")), ("y = $1", b"\0\xff"),
                             ("t || 'x' = $1 || 'x'", 7), ("i = any($1)", prism.Typed("int4[]", "{1,3}")),
                             ("i = any($1)", "{1,3}"), ("substr(t, $1) = '7'", 1)):
            with self.subTest(where=where, value=value):
                self.assertEqual(self.db.query(f"select count(*) from {self.table} where {where}", value).scalar(), 1)

    def test_a_statement_takes_other_kinds_in_the_same_place(self):
        for value, text in ((1, "1"), ("a", "a"), (1.5, "1.5"), (prism.Typed("numeric", "1.0"), "1.0"), (None, None),
                            (True, "true"), (b"\1", "\\x01"), (2, "2")):
            with self.subTest(value=value):
                self.assertEqual(self.db.query("select $1::text", value).scalar(), text)

    def test_a_number_keeps_its_value_when_its_place_gets_another_type(self):
        """Where it was left to the server to say which type that is, it says so anew with each preparation."""
        self.db.query(f"create table {self.table} (a bigint, s text)")
        self.db.query(f"insert into {self.table} values (7, '5')")
        for type, seven in (("bigint", 7), ("float8", 7.0), ("numeric", prism.Typed("numeric", "7"))):
            postgres.shared().sql(f"alter table {self.table} alter a type {type}", self.place.database)
            for _ in range(3):
                result = self.db.query(f"select * from {self.table} where a = $1 and s = $2", 7, 5, read_only=True)
                self.assertEqual(result.rows, [(seven, "5")], type)

    def test_a_column_of_another_type_is_compared_with_what_fits_it(self):
        """What the types were is forgotten with the first error that they cause."""
        self.db.query(f"create table {self.table} (a bigint)")
        self.db.query(f"insert into {self.table} values (7)")
        numeric = prism.Typed("numeric", "7")
        for type, seven in (("bigint", 7), ("text", "7"), ("bigint", 7), ("date", None), ("numeric", numeric), ("text", "7")):
            how = "null" if type == "date" else f"'7'::{type}"
            postgres.shared().sql(f"alter table {self.table} alter a type {type} using {how}", self.place.database)
            for read_only in (False, True):
                sql = f"select * from {self.table} where a = $1"
                try:
                    self.db.query(sql, 7, read_only=read_only)
                except (prism.InvalidArgument, prism.OutOfRange):
                    pass
                if seven is not None:
                    self.assertEqual(self.db.query(sql, 7, read_only=read_only).rows, [(seven,)], type)

    def test_a_value_that_a_former_type_does_not_read_is_read_as_the_present_one(self):
        """Also where it is no date: each type has its own words for that."""
        sql = f"select count(*) from {self.table} where a = $1"
        self.db.query(f"create table {self.table} (a date)")
        self.assertEqual(self.db.query(sql, 20200101).scalar(), 0)
        postgres.shared().sql(f"alter table {self.table} alter a type bigint using 1", self.place.database)
        self.db.query(f"insert into {self.table} values (20269999)")
        for _ in range(2):
            try:
                self.db.query(sql, 20269999)
            except (prism.InvalidArgument, prism.OutOfRange):
                pass
        self.assertEqual(self.db.query(sql, 20269999).scalar(), 1)

    def test_results_of_other_types_name_their_type(self):
        self.assertEqual(self.db.query("select 6::numeric, array[1, null], row(1, 'x'), '1 day'::interval, pg_sleep(0)").rows,
                         [(prism.Typed("numeric", "6"), prism.Typed("integer[]", "{1,NULL}"), prism.Typed("record", "(1,x)"),
                           prism.Typed("interval", "1 day"), None)])

    def test_a_type_of_a_client_s_own_is_known_by_its_name(self):
        self.db.query("create schema other")
        self.db.query("create type other.mood as enum ('sad', 'ok')")
        for name in ("other.mood", "OTHER.Mood"):
            self.assertEqual(self.db.query("select $1", prism.Typed(name, "ok")).scalar(), prism.Typed("other.mood", "ok"))
        result = self.db.query("select array['sad'::other.mood], null::other.mood")
        self.assertEqual(result.rows, [(prism.Typed("other.mood[]", "{sad}"), None)])
        self.assertEqual([column.type for column in result.columns], ["other.mood[]", "other.mood"])

    def test_a_type_that_was_dropped_and_made_again_is_found_again(self):
        sql = "select $1"
        for number in range(3):
            self.db.query("create type again as enum ('a')")
            for _ in range(3):
                self.assertEqual(self.db.query(sql, prism.Typed("again", "a")).scalar(), prism.Typed("again", "a"), number)
            self.db.query("drop type again")
            error = self.assert_fails("INVALID_ARGUMENT", self.db.query, sql, prism.Typed("again", "a"))
            self.assertIn("again", error.message)

    def test_a_type_that_nobody_knows_is_refused_and_named(self):
        for name in ("no_such_type", "int4[", "numeric(1", "a;b", "x" * 64, '"'):
            with self.subTest(name=name):
                error = self.assert_fails("INVALID_ARGUMENT", self.db.query, "select $1", prism.Typed(name, "x"))
                self.assertIn(name[:20], error.message)

    def test_a_value_that_its_type_cannot_read_is_the_database_s_error(self):
        for value, code, state in ((prism.Typed("uuid", "x"), "INVALID_ARGUMENT", "22P02"),
                                   (prism.Typed("date", "2000-02-30"), "OUT_OF_RANGE", "22008"),
                                   (prism.Typed("jsonb", "{"), "INVALID_ARGUMENT", "22P02")):
            with self.subTest(value=value):
                error = self.assert_fails(code, self.db.query, "select $1", value)
                self.assertEqual(error.sqlstate, state)

    def test_a_deferred_constraint_fails_the_request_that_committed(self):
        self.db.query(f"create table {self.table} (id int primary key, parent int references {self.table} "
                      "deferrable initially deferred)")
        self.assert_fails("FAILED_PRECONDITION", self.db.query, f"insert into {self.table} values (1, 99)")
        self.assert_fails("FAILED_PRECONDITION", self.db.query, f"insert into {self.table} values (1, 99) returning id")
        self.assert_fails("FAILED_PRECONDITION", self.db.batch, f"insert into {self.table} values ($1, $2)",
                          parameter_sets=[(1, None), (2, 99)])
        tx = self.db.transaction()
        tx.query(f"insert into {self.table} values (1, 99)")
        self.assert_fails("FAILED_PRECONDITION", tx.commit)
        self.assertEqual(self.db.query(f"select count(*) from {self.table}").scalar(), 0)

    def test_what_a_function_changes_in_the_session_is_gone_for_the_next(self):
        for sql in ("select set_config('datestyle', 'SQL, DMY', false)", "select set_config('search_path', 'pg_temp', false)",
                    "select set_config('timezone', 'Asia/Tokyo', false)", "select set_config('bytea_output', 'escape', false)",
                    "select set_config('extra_float_digits', '-15', false)", "select set_config('role', 'pg_monitor', false)",
                    "select pg_advisory_lock(1)", "select set_config('default_transaction_read_only', 'on', false)",
                    "select set_config('statement_timeout', '1', false)", "select set_config('client_encoding', 'LATIN1', false)"):
            with self.subTest(sql=sql):
                for read_only in (False, True):
                    try:
                        self.db.query(sql, read_only=read_only)
                    except prism.Error as error:
                        self.assertEqual(error.outcome, "NOT_EXECUTED")
                # More than there are connections, so that each is met.
                for _ in range(30):
                    self.assertEqual(
                        self.db.query("select '2000-01-02 03:04:05+00'::timestamptz, '\\x00ff'::bytea::text, 0.1::float8::text, "
                                      "current_user::text = session_user::text, 'ä'").rows,
                        [(prism.Typed("timestamp with time zone", "2000-01-02 03:04:05+00"), "\\x00ff", "0.1", True, "ä")])
        self.db.query(f"create table {self.table} (n int)")
        self.assertEqual(self.db.query("select count(*) from pg_locks where locktype = 'advisory'").scalar(), 0)

    def test_as_many_columns_as_there_can_be(self):
        result = self.db.query("select " + ", ".join(f"{n} as c{n}" for n in range(1664)), read_only=True)
        self.assertEqual(result.rows, [tuple(range(1664))])
        self.assert_fails("RESOURCE_EXHAUSTED", self.db.query, "select " + ", ".join("1" for _ in range(1665)))

    def test_notices_and_notifications_are_no_part_of_an_answer(self):
        self.db.query("create or replace function noisy() returns int language plpgsql as "
                      "$$ begin raise notice 'listen %', repeat('x', 10000); raise warning 'careful'; return 1; end $$")
        for _ in range(10):
            self.assertEqual(self.db.query("select noisy()").scalar(), 1)
        self.db.query("notify nobody, 'x'")

    def test_an_error_that_a_function_raises_keeps_its_own_state(self):
        self.db.query("create or replace function fails(state text) returns int language plpgsql as "
                      "$$ begin raise exception 'mine' using errcode = state, detail = 'a detail', hint = 'a hint'; end $$")
        error = self.fails("select fails('ZZ123')")
        self.assertEqual((error.sqlstate, error.detail, error.hint, error.outcome), ("ZZ123", "a detail", "a hint", "NOT_EXECUTED"))
        self.assertIn("mine", error.message)
        # It says "serialization failure", so it can be tried again.
        error = self.fails("select fails('40001')")
        self.assertEqual((error.code, error.retryable), ("ABORTED", True))

    def fails(self, sql):
        with self.assertRaises(prism.Error) as raised:
            self.db.query(sql)
        return raised.exception


if __name__ == "__main__":
    unittest.main()
