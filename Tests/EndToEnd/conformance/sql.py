"""SQL: the database's own, with typed parameters, rows and errors that are told alike."""

import math

import prism
from conformance.backends import series
from conformance.case import ConformanceCase


class Values(ConformanceCase):
    """Values and parameters"""

    def test_parameters_come_back_with_their_kind(self):
        for value in (0, 1, -1, (1 << 63) - 1, -(1 << 63), 1.5, -0.1, "", "ä€😀 ' \" \\ $1", "x" * 100_000, b"",
                      bytes(range(256)), b"\xff" * 100_000, None):
            with self.subTest(value=repr(value)[:40]):
                result = self.db.query("select $1 as v", value, read_only=True)
                self.assertEqual(result.rows, [(value,)])
                self.assertIs(type(result.rows[0][0]), type(value))
        self.assertEqual(self.db.query("select $1", True).scalar(), self.backend.true)

    def test_doubles_keep_every_bit(self):
        for value in (0.0, -0.0, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 0.1, 1 / 3, -1e100,
                      math.inf, -math.inf):
            with self.subTest(value=value):
                (got,) = self.db.query("select $1", value, read_only=True).rows[0]
                self.assertEqual((got, math.copysign(1, got)), (value, math.copysign(1, value)))

    def test_stored_values_come_back_with_their_column_s_kind(self):
        self.create_table(f"b boolean, n bigint, d double precision, t text, y {self.backend.bytes_type}")
        rows = [(1, False, 0, 0.0, "", b""), (2, True, (1 << 63) - 1, 1e300, "ä", bytes(range(256))),
                (3, None, None, None, None, None), (4, True, -(1 << 63), -0.5, "'; --", b"\0")]
        for row in rows:
            self.db.query(f"insert into {self.table} values ($1, $2, $3, $4, $5, $6)", *row)
        for read_only in (False, True):
            self.assertEqual(self.db.query(f"select * from {self.table} order by id", read_only=read_only).rows, rows)

    def test_a_parameter_takes_the_type_that_its_place_asks_for(self):
        self.create_table("small integer, d double precision, t text")
        self.db.query(f"insert into {self.table} values ($1, $2, $3, $4)", 1, 7, 2, "x")
        self.assertEqual(self.db.query(f"select small, d, t from {self.table} where id = $1 and small = $2 and t = $3", 1, 7, "x")
                         .rows, [(7, 2.0, "x")])
        self.assertEqual(self.db.query(f"select count(*) from {self.table} where small in ($1, $2) limit $3", 7, 8, 1).scalar(), 1)

    def test_null_goes_everywhere(self):
        self.create_table(f"n bigint, d double precision, t text, y {self.backend.bytes_type}")
        self.db.query(f"insert into {self.table} values ($1, $2, $3, $4, $5)", 1, None, None, None, None)
        self.assertEqual(self.db.query(f"select n, d, t, y from {self.table}").rows, [(None,) * 4])
        self.assertEqual(self.db.query(f"select count(*) from {self.table} where n is null and t is null").scalar(), 1)

    def test_numbers_name_parameters_in_any_order_and_again(self):
        self.assertEqual(self.db.query("select $2, $1, $2", 1, 2, read_only=True).rows, [(2, 1, 2)])
        self.assertEqual(self.db.query("select $1 where $1 = $1", 5, read_only=True).rows, [(5,)])

    def test_many_parameters_fit(self):
        sql = "select " + " + ".join(f"${number}" for number in range(1, 1001))
        self.assertEqual(self.db.query(sql, *range(1000), read_only=True).scalar(), sum(range(1000)))

    def test_a_number_of_parameters_that_the_statement_does_not_have_is_refused(self):
        self.assert_fails("INVALID_ARGUMENT", self.db.query, "select $1")
        self.assert_fails("INVALID_ARGUMENT", self.db.query, "select $1", 1, 2)
        self.assert_fails("INVALID_ARGUMENT", self.db.query, "select 1", 1)
        self.assertEqual(self.db.query("select '$1'", read_only=True).scalar(), "$1")


class Results(ConformanceCase):
    """Results"""

    def test_columns_have_names_and_types_also_without_rows(self):
        self.create_table(f"t text, y {self.backend.bytes_type}, d double precision")
        for read_only in (False, True):
            result = self.db.query(f"select id, t, y, d, t as other from {self.table}", read_only=read_only)
            self.assertEqual([column.name for column in result.columns], ["id", "t", "y", "d", "other"])
            self.assertEqual([column.type.lower() for column in result.columns][:4], self.backend.column_types)
            self.assertEqual((result.rows, result.tag, result.rows_affected), ([], "SELECT", 0))

    def test_the_tag_is_the_command_and_rows_affected_what_it_changed(self):
        self.assertEqual(self.db.query(f"create table {self.table} ({self.backend.id_column}, v text)").tag, "CREATE")
        for sql, tag, count in (
                (f"insert into {self.table} (v) values ('a'), ('b'), ('c')", "INSERT", 3),
                (f"update {self.table} set v = 'x' where id < 3", "UPDATE", 2),
                (f"update {self.table} set v = 'x' where id > 99", "UPDATE", 0),
                (f"with d as (select 3 as i) delete from {self.table} where id in (select i from d)", "DELETE", 1),
                (f"select * from {self.table}", "SELECT", 0),
                (f"drop table {self.table}", "DROP", 0)):
            with self.subTest(sql=sql):
                result = self.db.query(sql)
                self.assertEqual((result.tag, result.rows_affected), (tag, count))

    def test_returning_answers_rows_and_counts_them(self):
        self.create_table()
        result = self.db.query(f"insert into {self.table} (id, v) values (1, 'a'), (2, 'b') returning v, id")
        self.assertEqual((result.rows, result.tag, result.rows_affected), ([("a", 1), ("b", 2)], "INSERT", 2))
        result = self.db.query(f"update {self.table} set v = 'x' where id = 99 returning v")
        self.assertEqual((result.rows, [column.name for column in result.columns], result.rows_affected), ([], ["v"], 0))
        self.assertEqual(self.db.query(f"delete from {self.table} where id = 2 returning v").rows, [("b",)])

    def test_a_statement_without_rows_has_no_columns(self):
        result = self.db.query(f"create table {self.table} (v text)")
        self.assertEqual((list(result.columns), result.rows), ([], []))

    def test_a_trailing_semicolon_and_comments_are_no_second_statement(self):
        for sql in ("select 1;", "select 1 ; ", "/* c */ select 1; -- d", "-- c\nselect 1"):
            self.assertEqual(self.db.query(sql, read_only=True).scalar(), 1)

    def test_a_statement_that_has_run_before_sees_a_changed_table(self):
        self.create_table()
        self.db.query(f"insert into {self.table} values (1, 'a')")
        for _ in range(3):
            self.assertEqual(self.db.query(f"select * from {self.table}", read_only=True).rows, [(1, "a")])
        self.db.query(f"alter table {self.table} add column w text")
        self.db.query(f"update {self.table} set w = 'b'")
        result = self.db.query(f"select * from {self.table}", read_only=True)
        self.assertEqual(([column.name for column in result.columns], result.rows), (["id", "v", "w"], [(1, "a", "b")]))
        self.db.query(f"drop table {self.table}")
        self.assert_fails("INVALID_ARGUMENT", self.db.query, f"select * from {self.table}", read_only=True)


class Errors(ConformanceCase):
    """Errors"""

    def assert_says(self, error, *words):
        self.assertTrue(error.sqlstate or error.sqlite_code, "the database's own code is missing")
        for word in words:
            self.assertIn(word, error.message)

    def test_bad_syntax_is_an_invalid_argument_and_says_where(self):
        for read_only in (False, True):
            error = self.assert_fails("INVALID_ARGUMENT", self.db.query, "select 1 + from 2", read_only=read_only)
            self.assert_says(error, "from")
            self.assertEqual(error.position, 12)
            self.assertFalse(error.retryable)
        # In characters, not bytes.
        self.assertEqual(self.assert_fails("INVALID_ARGUMENT", self.db.query, "select 'ä€😀', , 2").position, 15)

    def test_an_unknown_table_or_column_is_an_invalid_argument(self):
        self.assert_says(self.assert_fails("INVALID_ARGUMENT", self.db.query, "select * from no_such_table"), "no_such_table")
        self.create_table()
        self.assert_says(self.assert_fails("INVALID_ARGUMENT", self.db.query, f"select no_such_column from {self.table}"),
                         "no_such_column")

    def test_nothing_is_no_statement(self):
        for sql in ("", "   ", "-- nothing", "/* nothing */", ";"):
            with self.subTest(sql=sql):
                self.assert_fails("INVALID_ARGUMENT", self.db.query, sql)

    def test_two_statements_in_one_are_refused_and_neither_runs(self):
        self.create_table()
        self.assert_fails("INVALID_ARGUMENT", self.db.query,
                          f"insert into {self.table} (id) values (1); insert into {self.table} (id) values (2)")
        self.assertEqual(self.ids(), [])

    def test_a_broken_unique_constraint_already_exists(self):
        self.create_table("u text unique")
        self.db.query(f"insert into {self.table} values (1, 'u')")
        for row in ("(1, 'v')", "(2, 'u')"):
            error = self.assert_fails("ALREADY_EXISTS", self.db.query, f"insert into {self.table} values {row}")
            self.assert_says(error)
            self.assertFalse(error.retryable)
        self.assertEqual(self.ids(), [1])

    def test_any_other_broken_constraint_is_a_failed_precondition(self):
        self.create_table(f"n integer not null check (n > 0), parent bigint references {self.table} (id)")
        self.db.query(f"insert into {self.table} values (1, 1, null)")
        for row in ("(3, null, null)", "(3, -1, null)", "(3, 1, 99)"):
            with self.subTest(row=row):
                self.assert_says(self.assert_fails("FAILED_PRECONDITION", self.db.query, f"insert into {self.table} values {row}"))
        self.assertEqual(self.ids(), [1])

    def test_an_error_in_the_middle_leaves_nothing_behind(self):
        self.create_table()
        self.insert(self.db, 5)
        self.assert_fails("ALREADY_EXISTS", self.db.query, f"insert into {self.table} (id) {series(10)}")
        self.assertEqual(self.ids(), [5])

    def test_an_error_harms_nobody_else(self):
        self.create_table()
        good, bad = self.client(), self.client()

        def fail():
            for _ in range(50):
                self.fails(bad.query, "select * from no_such_table", read_only=True)
                self.fails(bad.query, f"insert into {self.table} (id) select 1 from no_such_table")

        def work():
            for number in range(50):
                self.insert(good, number)
                self.assertEqual(good.query("select $1", number, read_only=True).scalar(), number)

        self.together([fail, work])
        self.assertEqual(self.ids(), list(range(50)))

    def test_a_row_larger_than_a_frame_is_an_error_of_that_request_only(self):
        error = self.fails(self.db.query, f"select {self.backend.padding(20_000_000)}", read_only=True)
        self.assertEqual(error.code, "RESOURCE_EXHAUSTED")
        self.assertEqual(self.db.query("select 1", read_only=True).scalar(), 1)


class Refusals(ConformanceCase):
    """What a statement may not do"""

    def test_a_write_marked_read_only_is_refused(self):
        self.create_table()
        self.insert(self.db, 1)
        for sql in (f"insert into {self.table} (id) values (2)", f"update {self.table} set v = 'x'", f"delete from {self.table}",
                    f"with x as (select 2 as i) insert into {self.table} (id) select i from x", f"drop table {self.table}",
                    f"create table {self.table}x (a integer)"):
            with self.subTest(sql=sql):
                self.assert_fails("INVALID_ARGUMENT", self.db.query, sql, read_only=True)
        self.assertEqual(self.ids(), [1])

    def test_what_would_change_the_session_is_refused_with_a_remedy(self):
        for sql in self.backend.session_statements:
            for read_only in (False, True):
                with self.subTest(sql=sql, read_only=read_only):
                    error = self.fails(self.db.query, sql, read_only=read_only)
                    self.assertIn(error.code, ("INVALID_ARGUMENT", "PERMISSION_DENIED"))
                    self.assertEqual((error.outcome, error.retryable), ("NOT_EXECUTED", False))
        self.assertEqual(self.db.query("select 1", read_only=True).scalar(), 1)

    def test_it_is_refused_in_a_transaction_and_in_a_batch_too(self):
        for sql in self.backend.session_statements[:4]:
            with self.subTest(sql=sql):
                tx = self.db.transaction()
                self.assertIn(self.fails(tx.query, sql).code, ("INVALID_ARGUMENT", "PERMISSION_DENIED"))
                tx.rollback()
                error = self.fails(self.db.batch, ["select 1", sql])
                self.assertIn(error.code, ("INVALID_ARGUMENT", "PERMISSION_DENIED"))
                self.assertEqual(error.item, 2)


class Batches(ConformanceCase):
    """Batch: several statements at once"""

    def test_each_statement_has_its_result_in_order(self):
        results = self.db.batch([f"create table {self.table} ({self.backend.id_column})",
                                 prism.statement(f"insert into {self.table} (id) values ($1)", 7),
                                 f"select id from {self.table}", f"delete from {self.table}"])
        self.assertEqual([result.tag for result in results], ["CREATE", "INSERT", "SELECT", "DELETE"])
        self.assertEqual([result.rows_affected for result in results], [0, 1, 0, 1])
        self.assertEqual(results[2].rows, [(7,)])
        self.assertEqual([column.name for column in results[2].columns], ["id"])

    def test_it_is_atomic_and_names_the_statement_that_failed(self):
        self.create_table()
        self.insert(self.db, 7)
        error = self.assert_fails("ALREADY_EXISTS", self.db.batch, [
            f"insert into {self.table} (id) values (8)", f"insert into {self.table} (id) values (7)",
            f"insert into {self.table} (id) values (9)"])
        self.assertEqual(error.item, 2)
        error = self.assert_fails("INVALID_ARGUMENT", self.db.batch, [
            f"insert into {self.table} (id) values (8)", "select 1", "selec 1"])
        self.assertEqual(error.item, 3)
        self.assertEqual(self.ids(), [7])

    def test_many_parameter_sets_run_one_statement(self):
        self.create_table("n text")
        sql = f"insert into {self.table} values ($1, $2)"
        results = self.db.batch(sql, parameter_sets=[(n, f"n{n}") for n in range(1000)])
        self.assertEqual([result.rows_affected for result in results], [1] * 1000)
        error = self.assert_fails("ALREADY_EXISTS", self.db.batch, sql, parameter_sets=[(5000, "a"), (5001, None), (3, "c")])
        self.assertEqual(error.item, 3)
        self.assertEqual(self.db.query(f"select count(*), max(id) from {self.table}").rows, [(1000, 999)])

    def test_parameter_sets_may_hold_other_kinds_in_the_same_place(self):
        self.create_table("n text")
        self.db.batch(f"insert into {self.table} values ($1, $2)", parameter_sets=[(1, "a"), (2, None), (3, "c")])
        self.assertEqual(self.db.query(f"select n from {self.table} order by id").rows, [("a",), (None,), ("c",)])

    def test_a_wrong_number_of_parameters_names_the_set(self):
        self.create_table("n text")
        error = self.assert_fails("INVALID_ARGUMENT", self.db.batch, f"insert into {self.table} values ($1, $2)",
                                  parameter_sets=[(1, "a"), (2,)])
        self.assertEqual(error.item, 2)
        self.assertEqual(self.ids(), [])

    def test_too_many_and_none_are_refused(self):
        self.create_table("n text")
        self.assert_fails("INVALID_ARGUMENT", self.db.batch, f"insert into {self.table} values ($1, $2)",
                          parameter_sets=[(n, "") for n in range(1001)])
        self.assert_fails("INVALID_ARGUMENT", self.db.batch, [])
        self.assertEqual(self.ids(), [])

    def test_one_that_returns_more_than_a_result_may_hold_says_whether_it_stands(self):
        self.create_table()
        error = self.fails(self.db.batch, [
            f"insert into {self.table} (id) values (1)", f"select {self.backend.padding(600_000)}",
            f"select {self.backend.padding(600_000)}"])
        self.assertEqual((error.code, error.item), ("RESOURCE_EXHAUSTED", 3))
        self.assertIn("limits.result_bytes", error.message)
        self.assertEqual(error.outcome, "EXECUTED" if self.ids() else "NOT_EXECUTED")

    def test_a_read_only_batch_reads_and_refuses_to_write(self):
        self.create_table()
        self.assertEqual([result.rows for result in self.db.batch(["select 1", f"select * from {self.table}"], read_only=True)],
                         [[(1,)], []])
        error = self.assert_fails("INVALID_ARGUMENT", self.db.batch, ["select 1", f"insert into {self.table} (id) values (1)"],
                                  read_only=True)
        self.assertEqual(error.item, 2)
        self.assertEqual(self.ids(), [])
