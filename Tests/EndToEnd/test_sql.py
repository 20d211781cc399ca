"""SQL through the socket: typed values, streams with backpressure, batches, refusals with their remedy, deadlines, cancel."""

import threading
import time
import unittest

import prism
from harness import ServerTestCase
from raw import messages, outcome, ping, query

# Runs until it is stopped.
ENDLESS = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n"


def series(count):
    return f"with recursive n(i) as (select 1 union all select i + 1 from n where i < {count}) select i from n"


class SQLTests(ServerTestCase):
    def setUp(self):
        super().setUp()
        self.db = self.client()
        self.table = "t" + str(abs(hash(self.id())))[:12]

    def test_values_keep_their_types_and_bytes(self):
        values = (None, 0, -(1 << 63), (1 << 63) - 1, 1.5, -0.1, "", "ä€😀 \0 '", b"", bytes(range(256)))
        for value in values:
            result = self.db.query("select $1 as v", value, read_only=True)
            self.assertEqual(result.rows, [(value,)])
            self.assertIs(type(result.rows[0][0]), type(value))
        self.assertEqual(self.db.query("select $1", True).scalar(), 1)  # SQLite has no boolean

    def test_columns_tag_and_rows_affected_are_told(self):
        self.assertEqual(self.db.query(f"create table {self.table} (id integer primary key, name text, data blob)").tag, "CREATE")
        result = self.db.query(f"insert into {self.table} (name) values ($1), ($2)", "a", "b")
        self.assertEqual((result.tag, result.rows_affected), ("INSERT", 2))
        result = self.db.query(f"select id, name, 1 + 1 as two from {self.table} order by id", read_only=True)
        self.assertEqual([column.name for column in result.columns], ["id", "name", "two"])
        self.assertEqual([column.type.upper() for column in result.columns], ["INTEGER", "TEXT", ""])
        self.assertEqual((result.rows, result.tag), ([(1, "a", 2), (2, "b", 2)], "SELECT"))
        self.assertEqual(self.db.query(f"update {self.table} set name = 'x'").rows_affected, 2)
        self.assertEqual(self.db.query(f"delete from {self.table} where id = 2 returning name").rows, [("x",)])
        empty = self.db.query(f"select id from {self.table} where id = 99")
        self.assertEqual((empty.columns[0].name, empty.rows), ("id", []))

    def test_parameters_in_sqlites_own_forms(self):
        self.assertEqual(self.db.query("select ?, ?", 1, 2).rows, [(1, 2)])
        self.assertEqual(self.db.query("select ?2, ?1", 1, 2).rows, [(2, 1)])
        self.assertEqual(self.db.query("select $2, $1", 1, 2).rows, [(2, 1)])
        self.assertEqual(self.db.query("select :a, @b, $c", 1, 2, 3, names=["a", "b", "c"]).rows, [(1, 2, 3)])
        self.assertEqual(self.db.query("select :b, :a, :b", 1, 2, names=["a", "b"]).rows, [(2, 1, 2)])

    def test_wrong_parameters_are_refused_with_what_is_wrong(self):
        self.assert_fails("INVALID_ARGUMENT", self.db.query, "select $1")
        self.assert_fails("INVALID_ARGUMENT", self.db.query, "select $1", 1, 2)
        self.assert_fails("INVALID_ARGUMENT", self.db.query, "select 1", 1)
        self.assert_fails("INVALID_ARGUMENT", self.db.query, "select :a", 1, names=["b"])
        self.assert_fails("INVALID_ARGUMENT", self.db.query, "select :a", 1, 2, names=["a"])

    def test_bad_sql_says_what_and_where(self):
        error = self.assert_fails("INVALID_ARGUMENT", self.db.query, "selec 1")
        self.assertNotEqual(error.sqlite_code, 0)
        self.assertIn("selec", error.message)
        self.assert_fails("INVALID_ARGUMENT", self.db.query, "select * from no_such_table")
        self.assert_fails("INVALID_ARGUMENT", self.db.query, "")
        self.assert_fails("INVALID_ARGUMENT", self.db.query, "   -- nothing")

    def test_two_statements_in_one_are_refused_and_neither_runs(self):
        self.db.query(f"create table {self.table} (a)")
        self.assert_fails("INVALID_ARGUMENT", self.db.query,
                          f"insert into {self.table} values (1); insert into {self.table} values (2)")
        self.assertEqual(self.db.query(f"select count(*) from {self.table}").scalar(), 0)
        self.assertEqual(self.db.query("select 1;").scalar(), 1)

    def test_constraints_have_their_codes(self):
        self.db.query(f"create table {self.table} (id integer primary key, n integer not null check (n > 0), u text unique)")
        self.db.query(f"insert into {self.table} values (1, 1, 'u')")
        error = self.assert_fails("ALREADY_EXISTS", self.db.query, f"insert into {self.table} values (1, 1, 'v')")
        self.assertEqual(error.sqlite_code, 1555)  # SQLITE_CONSTRAINT_PRIMARYKEY
        self.assertFalse(error.retryable)
        error = self.assert_fails("ALREADY_EXISTS", self.db.query, f"insert into {self.table} values (2, 1, 'u')")
        self.assertEqual(error.sqlite_code, 2067)  # SQLITE_CONSTRAINT_UNIQUE
        for row in ("(3, null, 'w')", "(3, -1, 'w')"):
            with self.assertRaises(prism.Error) as raised:
                self.db.query(f"insert into {self.table} values {row}")
            self.assertIn(raised.exception.code, ("INVALID_ARGUMENT", "FAILED_PRECONDITION"))
            self.assertEqual(raised.exception.outcome, "NOT_EXECUTED")
        self.assertEqual(self.db.query(f"select count(*) from {self.table}").scalar(), 1)

    def test_session_state_is_refused_with_a_remedy(self):
        for sql in ("begin", "BEGIN IMMEDIATE", "commit", "end", "rollback", "savepoint s", "release s",
                    "attach database ':memory:' as other", "detach database main", "pragma journal_mode = delete",
                    "pragma synchronous = off", "pragma writable_schema = 1", "create temp table x (a)",
                    "create temporary view v as select 1", "/* c */ begin", "vacuum into '/tmp/prism-e2e-should-not-be'"):
            with self.subTest(sql=sql):
                with self.assertRaises(prism.Error) as raised:
                    self.db.query(sql)
                self.assertIn(raised.exception.code, ("INVALID_ARGUMENT", "PERMISSION_DENIED", "UNIMPLEMENTED"))
                self.assertEqual(raised.exception.outcome, "NOT_EXECUTED")
        self.assertEqual(self.db.query("select 1").scalar(), 1)

    def test_prisms_own_tables_cannot_be_reached(self):
        self.db.put("k", "v")
        names = [name for (name,) in self.server.read_file("select name from sqlite_master where type = 'table'")]
        own = [name for name in names if "prism" in name.lower()]
        self.assertTrue(own)
        for name in own:
            for sql in (f"select * from \"{name}\"", f"delete from \"{name}\"", f"drop table \"{name}\""):
                with self.subTest(sql=sql):
                    with self.assertRaises(prism.Error) as raised:
                        self.db.query(sql)
                    self.assertIn(raised.exception.code, ("PERMISSION_DENIED", "INVALID_ARGUMENT"))
        self.assertEqual(self.db.get("k").value, b"v")

    def test_a_write_marked_read_only_is_refused(self):
        self.db.query(f"create table {self.table} (a)")
        self.assert_fails("INVALID_ARGUMENT", self.db.query, f"insert into {self.table} values (1)", read_only=True)
        self.assert_fails("INVALID_ARGUMENT", self.db.query, f"with x as (select 1) insert into {self.table} select * from x",
                          read_only=True)
        self.assertEqual(self.db.query(f"select count(*) from {self.table}").scalar(), 0)

    def test_a_large_answer_is_streamed_in_order(self):
        expected = 0
        with self.db.stream(series(200_000), read_only=True) as rows:
            for (number,) in rows:
                expected += 1
                self.assertEqual(number, expected)
        self.assertEqual(expected, 200_000)

    def test_a_stream_is_not_run_ahead_of_its_reader_and_others_go_on(self):
        # Ten times what a connection may buffer: unread, it must neither fill the server's memory nor stop neighbours.
        slow = self.raw(receive_buffer=4096)
        before = self.server.memory_kilobytes()
        slow.send(query(1, "with recursive n(i) as (select 1 union all select i + 1 from n where i < 2000) "
                           "select i, randomblob(100000) from n", read_only=True))
        for _ in range(50):
            self.assertEqual(self.db.query("select 1", read_only=True).scalar(), 1)
        grown = self.server.memory_kilobytes() - before
        self.assertLess(grown, 100_000, "the server holds what the client does not read")
        parts = slow.final(1)
        self.assertEqual(sum(len(part.query.rows) for part in parts), 2000)
        self.assertEqual(parts[-1].status, messages.OK)

    def test_other_requests_of_the_same_connection_overtake_a_long_one(self):
        raw = self.raw()
        raw.send(query(1, ENDLESS, read_only=True, timeout_microseconds=1_500_000), ping(2), query(3, "select 3", read_only=True))
        order = [raw.receive().id for _ in range(3)]
        self.assertEqual(sorted(order), [1, 2, 3])
        self.assertEqual(order[-1], 1)

    def test_the_client_is_answered_at_its_deadline_and_the_work_is_stopped(self):
        for read_only in (True, False):
            error = self.assert_fails("DEADLINE_EXCEEDED", self.db.query, ENDLESS, read_only=read_only, timeout=0.3)
            self.assertEqual(error.stage, "EXECUTE")
        # Were the work not stopped, these many would leave no worker to answer.
        for _ in range(16):
            with self.assertRaises(prism.DeadlineExceeded):
                self.db.query(ENDLESS, read_only=True, timeout=0.05)
        self.assertEqual(self.db.query("select 1", read_only=True, timeout=5).scalar(), 1)
        self.db.query(f"create table {self.table} (a)", timeout=5)

    def test_a_deadline_that_has_passed_is_not_executed(self):
        self.db.query(f"create table {self.table} (a)")
        raw = self.raw()
        raw.send(query(1, f"insert into {self.table} values (1)", deadline_nanoseconds=1))
        (answer,) = raw.final(1)
        self.assertEqual((answer.status, outcome(answer)), (messages.DEADLINE_EXCEEDED, "NOT_EXECUTED"))
        self.assertEqual(self.db.query(f"select count(*) from {self.table}").scalar(), 0)

    def test_an_absolute_deadline_counts_on_the_monotonic_clock(self):
        raw = self.raw()
        raw.send(query(1, ENDLESS, read_only=True, deadline_nanoseconds=time.monotonic_ns() + 300_000_000))
        self.assertEqual(raw.final(1)[-1].status, messages.DEADLINE_EXCEEDED)

    def test_cancel_ends_the_named_request_and_no_other(self):
        raw = self.raw()
        raw.send(query(1, ENDLESS, read_only=True), query(2, ENDLESS, read_only=True, timeout_microseconds=1_000_000), ping(3))
        self.assertEqual(raw.receive().id, 3)
        raw.send(messages.Request(id=4, cancel=messages.Cancel(request_id=1)))
        answers = raw.finals(3)
        self.assertEqual(answers[1].status, messages.CANCELLED)
        self.assertEqual(answers[4].status, messages.OK)
        self.assertTrue(answers[4].cancel.found)
        self.assertEqual(answers[2].status, messages.DEADLINE_EXCEEDED)
        raw.send(messages.Request(id=5, cancel=messages.Cancel(request_id=1)))
        self.assertFalse(raw.final(5)[0].cancel.found)

    def test_a_cancelled_write_is_not_executed(self):
        self.db.query(f"create table {self.table} (a)")
        cancellation = prism.Cancellation()
        timer = threading.Timer(0.3, cancellation.cancel)
        timer.start()
        self.addCleanup(timer.join)
        self.assert_fails("CANCELLED", self.db.query, f"insert into {self.table} {ENDLESS}", cancellation=cancellation)
        self.assertEqual(self.db.query(f"select count(*) from {self.table}").scalar(), 0)

    def test_a_closed_connection_stops_its_work(self):
        for read_only in (True, False):
            for _ in range(8):
                raw = self.server.raw()
                raw.send(query(1, ENDLESS, read_only=read_only))
                raw.close()
        self.assertEqual(self.db.query("select 1", read_only=True, timeout=10).scalar(), 1)
        self.db.query(f"create table {self.table} (a)", timeout=10)

    def test_a_half_closed_connection_still_gets_its_answers(self):
        raw = self.raw()
        raw.send(query(1, "select 1", read_only=True), query(2, series(50_000), read_only=True), ping(3))
        raw.end_sending()
        answers = raw.rest()
        self.assertEqual(sorted(answer.id for answer in answers if not answer.more), [1, 2, 3])
        self.assertTrue(all(answer.status == messages.OK for answer in answers))
        self.assertEqual(sum(len(answer.query.rows) for answer in answers if answer.id == 2), 50_000)

    def test_a_batch_is_atomic_and_names_the_statement_that_failed(self):
        results = self.db.batch([f"create table {self.table} (id integer primary key)",
                                 prism.statement(f"insert into {self.table} values ($1)", 7),
                                 f"select id from {self.table}"])
        self.assertEqual([result.tag for result in results], ["CREATE", "INSERT", "SELECT"])
        self.assertEqual(results[2].rows, [(7,)])
        error = self.assert_fails("ALREADY_EXISTS", self.db.batch, [
            f"insert into {self.table} values (8)", f"insert into {self.table} values (7)", f"insert into {self.table} values (9)"])
        self.assertEqual(error.item, 2)
        self.assertEqual(self.db.query(f"select id from {self.table}").rows, [(7,)])

    def test_a_batch_with_parameter_sets_is_atomic(self):
        self.db.query(f"create table {self.table} (id integer primary key, n text)")
        results = self.db.batch(f"insert into {self.table} values ($1, $2)", parameter_sets=[(n, f"n{n}") for n in range(1000)])
        self.assertEqual([result.rows_affected for result in results], [1] * 1000)
        error = self.assert_fails("ALREADY_EXISTS", self.db.batch, f"insert into {self.table} values ($1, $2)",
                                  parameter_sets=[(5000, "a"), (5001, "b"), (3, "c")])
        self.assertEqual(error.item, 3)
        self.assertEqual(self.db.query(f"select count(*) from {self.table}").scalar(), 1000)
        self.assert_fails("INVALID_ARGUMENT", self.db.batch, f"insert into {self.table} values ($1, $2)",
                          parameter_sets=[(n, "") for n in range(6000, 7001)])
        self.assert_fails("INVALID_ARGUMENT", self.db.batch, [])

    def test_or_rollback_in_a_group_harms_no_neighbour(self):
        self.db.query(f"create table {self.table} (id integer primary key)")
        self.db.query(f"insert into {self.table} values (0)")
        clients = [self.client() for _ in range(8)]
        confirmed, wrong = [], []

        def good(number):
            for index in range(50):
                identity = 1000 * number + index + 1
                try:
                    clients[number].query(f"insert into {self.table} values ($1)", identity)
                    confirmed.append(identity)
                except prism.Error as error:
                    wrong.append(str(error))

        def bad(number):
            for _ in range(50):
                try:
                    clients[number].query(f"insert or rollback into {self.table} values (0)")
                    wrong.append("a duplicate was taken")
                except prism.AlreadyExists:
                    pass
                except prism.Error as error:
                    wrong.append(str(error))

        threads = [threading.Thread(target=bad if number % 4 == 0 else good, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        self.assertEqual(wrong, [])
        rows = {identity for (identity,) in self.server.read_file(f"select id from {self.table}")}
        self.assertEqual(rows, {0, *confirmed})

    def test_a_repeated_statement_with_an_idempotency_key_happens_once(self):
        self.db.query(f"create table {self.table} (id integer primary key, v text)")
        sql = f"insert into {self.table} (v) values ($1) returning id, v"
        first = self.db.query(sql, "a", idempotency_key="sql-" + self.table)
        again = self.client().query(sql, "a", idempotency_key="sql-" + self.table)
        self.assertEqual((again.rows, again.columns, again.replayed), (first.rows, first.columns, True))
        self.assertFalse(first.replayed)
        self.assert_fails("INVALID_ARGUMENT", self.db.query, sql, "b", idempotency_key="sql-" + self.table)
        self.assertEqual(self.db.query(f"select count(*) from {self.table}").scalar(), 1)

    def test_an_answer_too_large_to_keep_is_replayed_without_payload(self):
        self.db.query(f"create table {self.table} (v text)")
        sql = f"insert into {self.table} select printf('%0300000d', i) from ({series(3)}) returning v"
        first = self.db.query(sql, idempotency_key="large-" + self.table)
        self.assertEqual(len(first.rows), 3)
        again = self.db.query(sql, idempotency_key="large-" + self.table)
        self.assertEqual((again.rows, again.replayed), ([], True))
        self.assertEqual(self.db.query(f"select count(*) from {self.table}").scalar(), 3)

    def test_a_row_larger_than_a_frame_is_an_error_of_that_request_only(self):
        with self.assertRaises(prism.Error) as raised:
            self.db.query("select zeroblob(20000000)", read_only=True)
        self.assertIn(raised.exception.code, ("RESOURCE_EXHAUSTED", "OUT_OF_RANGE", "INVALID_ARGUMENT"))
        self.assertEqual(self.db.query("select 1").scalar(), 1)

    def test_every_final_answer_tells_its_cost(self):
        raw = self.raw()
        raw.send(query(1, "select 1", read_only=True))
        self.assertTrue(raw.final(1)[-1].HasField("cost"))


if __name__ == "__main__":
    unittest.main()
