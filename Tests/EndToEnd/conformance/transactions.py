"""Transactions: isolation, savepoints, poisoning, limits, and who may use a handle."""

import time

import prism
from conformance.backends import series
from conformance.case import ConformanceCase
from raw import code, messages, outcome, query

Request = messages.Request


class RawTransaction:
    """Of a client that builds its own frames: nothing is checked on its side."""

    def __init__(self, case, raw):
        self.raw = raw
        raw.send(Request(id=1, begin=messages.Begin()))
        self.begin = raw.final(1)[0].begin
        self.handle = self.begin.transaction
        case.assertNotEqual(self.handle, 0)
        self._last_id = 1

    def request(self, **operation):
        self._last_id += 1
        return Request(id=self._last_id, transaction=self.handle, **operation)

    def query(self, sql, *parameters, **fields):
        self._last_id += 1
        return query(self._last_id, sql, *parameters, transaction=self.handle, **fields)

    def answer(self, request):
        self.raw.send(request)
        return self.raw.final(request.id)[-1]


class Atomicity(ConformanceCase):
    """Commit and rollback"""

    def setUp(self):
        super().setUp()
        self.create_table()

    def test_a_commit_makes_everything_visible_and_not_before(self):
        with self.db.transaction() as tx:
            self.insert(tx, 1)
            tx.put("k", "v", **self.ns)
            self.assertEqual(tx.query(f"select count(*) from {self.table}").scalar(), 1)
            self.assertEqual(tx.get("k", **self.ns).value, b"v")
            self.assertEqual(self.ids(), [])
            self.assertIsNone(self.db.get("k", **self.ns))
        self.assertEqual(self.ids(), [1])
        self.assertEqual(self.db.get("k", **self.ns).value, b"v")

    def test_a_rollback_leaves_nothing_of_sql_and_key_value(self):
        self.db.put("there", "before", **self.ns)
        tx = self.db.transaction()
        self.insert(tx, 1)
        tx.put("k", "v", **self.ns)
        tx.delete("there", **self.ns)
        tx.increment("n", **self.ns)
        tx.rollback()
        self.assertEqual(self.ids(), [])
        self.assertEqual([entry.key for entry in self.db.scan(**self.ns)], [b"there"])

    def test_all_key_value_operations_join_in(self):
        with self.db.transaction() as tx:
            version = tx.put("a", "1", **self.ns)
            self.assertEqual(tx.increment("n", 4, **self.ns), 4)
            self.assertTrue(tx.touch("a", 1000, **self.ns))
            self.assertEqual(tx.write([prism.Put("b", "2", **self.ns), prism.Delete("none", **self.ns)])[1], False)
            self.assertEqual([entry.value for entry in tx.get_many(["a", "b"], **self.ns)], [b"1", b"2"])
            self.assertEqual([entry.key for entry in tx.scan(**self.ns)], [b"a", b"b", b"n"])
            self.assertEqual(tx.count(**self.ns), 3)
            tx.put("a", "3", if_version=version, **self.ns)
            self.assertTrue(tx.delete("b", **self.ns))
        self.assertEqual([(entry.key, entry.value) for entry in self.db.scan(**self.ns)], [(b"a", b"3"), (b"n", b"4")])

    def test_a_batch_joins_it(self):
        with self.assertRaises(KeyError):
            with self.db.transaction() as tx:
                tx.batch(f"insert into {self.table} (id) values ($1)", parameter_sets=[(n,) for n in range(5)])
                self.assertEqual(tx.query(f"select count(*) from {self.table}").scalar(), 5)
                raise KeyError()
        self.assertEqual(self.ids(), [])

    def test_a_long_answer_is_read_to_its_end_inside(self):
        with self.db.transaction() as tx:
            tx.put("k", "v", **self.ns)
            self.assertEqual(len(tx.query(series(60_000))), 60_000)
        self.assertEqual(self.db.get("k", **self.ns).value, b"v")

    def test_requests_run_in_the_order_sent_without_waiting_for_answers(self):
        tx = RawTransaction(self, self.raw())
        requests = [tx.query(f"insert into {self.table} (id, v) values (1, '')")]
        requests += [tx.query(f"update {self.table} set v = v || $1", chr(97 + n)) for n in range(26)]
        requests.append(tx.request(commit=messages.Commit()))
        tx.raw.send(*requests)
        order = [tx.raw.receive() for _ in requests]
        self.assertEqual([answer.id for answer in order], [request.id for request in requests])
        self.assertEqual({code(answer) for answer in order}, {"OK"})
        self.assertEqual(self.db.query(f"select v from {self.table}").scalar(), "abcdefghijklmnopqrstuvwxyz")

    def test_an_empty_transaction_commits_and_rolls_back(self):
        for end in ("commit", "rollback"):
            getattr(self.db.transaction(), end)()

    def test_every_isolation_level_is_accepted(self):
        for isolation in ("read committed", "repeatable read", "serializable", None):
            for read_only in (False, True):
                with self.db.transaction(isolation=isolation, read_only=read_only) as tx:
                    self.assertEqual(tx.query("select 1").scalar(), 1)

    def test_a_repeatable_read_sees_one_snapshot(self):
        self.insert(self.db, 1)
        self.db.put("k", "old", **self.ns)
        with self.db.transaction(read_only=True, isolation="repeatable read") as tx:
            self.assertEqual(len(tx.query(f"select id from {self.table}")), 1)
            self.assertEqual(tx.get("k", **self.ns).value, b"old")
            self.insert(self.db, 2)
            self.db.put("k", "new", **self.ns)
            self.assertEqual(len(tx.query(f"select id from {self.table}")), 1)
            self.assertEqual(tx.get("k", **self.ns).value, b"old")
        self.assertEqual(self.ids(), [1, 2])

    def test_a_read_only_one_writes_nothing(self):
        for write in (lambda tx: self.insert(tx, 1), lambda tx: tx.put("k", "v", **self.ns),
                      lambda tx: tx.batch([f"insert into {self.table} (id) values (1)"])):
            tx = self.db.transaction(read_only=True)
            self.assert_fails("INVALID_ARGUMENT", write, tx)
            tx.rollback()
        self.assertEqual(self.ids(), [])
        self.assertIsNone(self.db.get("k", **self.ns))

    def test_a_closed_connection_rolls_back(self):
        self.insert(self.db, 1)
        tx = RawTransaction(self, self.server.raw())
        self.assertEqual(code(tx.answer(tx.query(f"update {self.table} set v = 'held' where id = 1"))), "OK")
        tx.raw.close()
        # Waits for the row until the transaction has ended.
        self.db.query(f"update {self.table} set v = coalesce(v, '') || 'free' where id = 1")
        self.assertEqual(self.db.query(f"select v from {self.table}").scalar(), "free")


class Savepoints(ConformanceCase):
    """Savepoints and poisoning"""

    def setUp(self):
        super().setUp()
        self.create_table()

    def test_rolling_back_to_one_undoes_what_came_after_it(self):
        with self.db.transaction() as tx:
            self.insert(tx, 1)
            tx.savepoint("a")
            self.insert(tx, 2)
            tx.put("k", "v", **self.ns)
            tx.savepoint("b")
            self.insert(tx, 3)
            tx.rollback_to("b")
            self.insert(tx, 4)
            tx.rollback_to("a")
            self.insert(tx, 5)
        self.assertEqual(self.ids(), [1, 5])
        self.assertIsNone(self.db.get("k", **self.ns))

    def test_it_can_be_rolled_back_to_again_and_set_again(self):
        with self.db.transaction() as tx:
            tx.savepoint("s")
            for number in range(3):
                self.insert(tx, number)
                tx.rollback_to("s")
            self.insert(tx, 7)
            tx.savepoint("s")
            self.insert(tx, 8)
            tx.rollback_to("s")
        self.assertEqual(self.ids(), [7])

    def test_any_error_poisons_and_only_rollback_to_heals(self):
        for error in (lambda tx: self.insert(tx, 1), lambda tx: tx.query("selec"), lambda tx: tx.get("", **self.ns),
                      lambda tx: tx.put("none", "v", if_present=True, **self.ns)):
            self.db.query(f"delete from {self.table}")
            with self.db.transaction() as tx:
                self.insert(tx, 1)
                tx.savepoint("s")
                self.fails(error, tx)
                self.assert_fails("FAILED_PRECONDITION", self.insert, tx, 2)
                self.assert_fails("FAILED_PRECONDITION", tx.get, "k", **self.ns)
                self.assert_fails("FAILED_PRECONDITION", tx.query, "select 1")
                tx.rollback_to("s")
                self.insert(tx, 3)
            self.assertEqual(self.ids(), [1, 3])

    def test_a_poisoned_transaction_cannot_be_committed(self):
        tx = self.db.transaction()
        self.insert(tx, 1)
        self.assert_fails("FAILED_PRECONDITION", tx.put, "none", "v", if_present=True, **self.ns)
        self.assert_fails("FAILED_PRECONDITION", tx.commit)
        tx.rollback()
        self.assertEqual(self.ids(), [])

    def test_a_refused_statement_poisons_too(self):
        tx = self.db.transaction()
        self.insert(tx, 1)
        self.fails(tx.query, "commit")
        self.assert_fails("FAILED_PRECONDITION", tx.commit)
        tx.rollback()
        self.assertEqual(self.ids(), [])

    def test_a_deadline_inside_poisons(self):
        tx = self.db.transaction()
        self.insert(tx, 1)
        with self.assertRaises(prism.DeadlineExceeded):
            tx.query(self.backend.endless, timeout=0.2)
        self.fails(tx.commit)
        tx.rollback()
        self.assertEqual(self.ids(), [])

    def test_names_outside_their_rule_are_refused(self):
        for name in ("", "1a", "a b", "a;", "x" * 65, "ä", 'a"'):
            with self.subTest(name=name):
                tx = self.db.transaction()
                self.assert_fails("INVALID_ARGUMENT", tx.savepoint, name)
                tx.rollback()
        with self.db.transaction() as tx:
            for name in ("x" * 64, "_", "Select", "A", "a"):
                tx.savepoint(name)

    def test_names_are_told_apart_by_case_and_to_their_last_letter(self):
        for one, other in (("a", "A"), ("x" * 63 + "a", "x" * 63 + "b")):
            self.db.query(f"delete from {self.table}")
            with self.db.transaction() as tx:
                tx.savepoint(one)
                self.insert(tx, 1)
                tx.savepoint(other)
                self.insert(tx, 2)
                tx.rollback_to(one)
                self.insert(tx, 3)
            self.assertEqual(self.ids(), [3])

    def test_one_that_is_not_there_is_refused(self):
        for name in ("never", "inner"):
            with self.subTest(name=name):
                tx = self.db.transaction()
                tx.savepoint("outer")
                tx.savepoint("inner")
                tx.rollback_to("outer")  # takes the inner one away
                self.assertEqual(self.assert_fails("NOT_FOUND", tx.rollback_to, name).stage, "EXECUTE")
                tx.rollback()


class Handles(ConformanceCase):
    """Handles and limits"""

    CONFIG = "transactions:\n  idle: 1s\n  total: 2s\n  sqlite_write_idle: 1s\n  sqlite_write_total: 2s\n"

    def setUp(self):
        super().setUp()
        self.create_table()

    def test_a_handle_belongs_to_its_connection(self):
        tx, other = RawTransaction(self, self.raw()), self.raw()
        other.send(query(1, f"insert into {self.table} (id) values (1)", transaction=tx.handle),
                   Request(id=2, transaction=tx.handle, commit=messages.Commit()))
        for answer in other.finals(2).values():
            self.assertEqual((code(answer), outcome(answer)), ("NOT_FOUND", "NOT_EXECUTED"))
        self.assertEqual(code(tx.answer(tx.request(rollback=messages.Rollback()))), "OK")
        self.assertEqual(self.ids(), [])

    def test_a_handle_that_has_ended_or_never_was_is_not_found(self):
        for end in ({"commit": messages.Commit()}, {"rollback": messages.Rollback()}):
            tx = RawTransaction(self, self.raw())
            self.assertEqual(code(tx.answer(tx.request(**end))), "OK")
            for request in (tx.query("select 1"), tx.request(commit=messages.Commit()), tx.request(rollback=messages.Rollback())):
                answer = tx.answer(request)
                self.assertEqual((code(answer), outcome(answer)), ("NOT_FOUND", "NOT_EXECUTED"))
        raw = self.raw()
        raw.send(Request(id=2, transaction=12345, rollback=messages.Rollback()))
        self.assertEqual(code(raw.final(2)[0]), "NOT_FOUND")

    def test_what_needs_a_handle_is_refused_without_one(self):
        raw = self.raw()
        raw.send(Request(id=1, commit=messages.Commit()), Request(id=2, rollback=messages.Rollback()),
                 Request(id=3, savepoint=messages.Savepoint(name="s")), Request(id=4, rollback_to=messages.RollbackTo(name="s")))
        for answer in raw.finals(4).values():
            self.assertEqual((code(answer), outcome(answer)), ("INVALID_ARGUMENT", "NOT_EXECUTED"))

    def test_begin_tells_the_limits(self):
        begin = RawTransaction(self, self.raw()).begin
        self.assertEqual((begin.idle_limit_microseconds, begin.total_limit_microseconds), (1_000_000, 2_000_000))

    def test_an_idle_transaction_is_rolled_back_and_told_until_rollback(self):
        self.insert(self.db, 1)
        tx = RawTransaction(self, self.raw())
        self.assertEqual(code(tx.answer(tx.query(f"update {self.table} set v = 'held' where id = 1"))), "OK")
        # Only when the idle transaction has ended can this run.
        self.db.query(f"update {self.table} set v = 'free' where id = 1", timeout=15)
        for request in (tx.query("select 1"), tx.query("select 1"), tx.request(commit=messages.Commit()),
                        tx.request(rollback_to=messages.RollbackTo(name="s"))):
            answer = tx.answer(request)
            self.assertEqual((code(answer), outcome(answer)), ("ABORTED", "NOT_EXECUTED"))
        self.assertEqual(code(tx.answer(tx.request(rollback=messages.Rollback()))), "OK")
        self.assertEqual(self.db.query(f"select v from {self.table}").scalar(), "free")

    def test_a_transaction_that_is_never_idle_ends_at_its_total_limit(self):
        tx = self.db.transaction()
        self.insert(tx, 1)
        began = time.monotonic()
        with self.assertRaises(prism.Aborted):
            while time.monotonic() < began + 20:
                tx.query("select 1")
                time.sleep(0.05)
        tx.rollback()
        self.assertEqual(self.ids(), [])

    def test_a_statement_that_runs_into_the_limit_is_stopped(self):
        tx = self.db.transaction()
        self.insert(tx, 1)
        self.assert_fails("ABORTED", tx.query, self.backend.endless)
        tx.rollback()
        self.assertEqual(self.ids(), [])
