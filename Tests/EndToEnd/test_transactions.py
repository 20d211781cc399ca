"""Interactive transactions: isolation, savepoints, poisoning, limits, who may use a handle, idempotent commits."""

import threading
import time
import unittest

import prism
from harness import ServerTestCase
from raw import code, messages, outcome, query

Request = messages.Request


class TransactionTests(ServerTestCase):
    def setUp(self):
        super().setUp()
        self.db = self.client()
        self.table = "t" + str(abs(hash(self.id())))[:12]
        self.db.query(f"create table {self.table} (id integer primary key, v text)")

    def rows(self):
        return [value for (value,) in self.client().query(f"select id from {self.table} order by id", read_only=True)]

    def insert(self, on, identity):
        on.query(f"insert into {self.table} (id) values ($1)", identity)

    def test_a_commit_makes_everything_visible_and_not_before(self):
        with self.db.transaction() as tx:
            self.insert(tx, 1)
            tx.put("in-" + self.table, "v")
            self.assertEqual(tx.query(f"select count(*) from {self.table}").scalar(), 1)
            self.assertEqual(tx.get("in-" + self.table).value, b"v")
            self.assertEqual(self.rows(), [])
            self.assertIsNone(self.db.get("in-" + self.table))
        self.assertEqual(self.rows(), [1])
        self.assertEqual(self.db.get("in-" + self.table).value, b"v")

    def test_an_exception_rolls_back_sql_and_key_value(self):
        with self.assertRaises(KeyError):
            with self.db.transaction() as tx:
                self.insert(tx, 1)
                tx.put("in-" + self.table, "v")
                raise KeyError()
        self.assertEqual(self.rows(), [])
        self.assertIsNone(self.db.get("in-" + self.table))

    def test_savepoints_undo_what_came_after_them(self):
        with self.db.transaction() as tx:
            self.insert(tx, 1)
            tx.savepoint("a")
            self.insert(tx, 2)
            tx.savepoint("b")
            self.insert(tx, 3)
            tx.rollback_to("b")
            self.insert(tx, 4)
            tx.rollback_to("a")
            self.insert(tx, 5)
        self.assertEqual(self.rows(), [1, 5])

    def test_an_error_poisons_and_rollback_to_heals(self):
        with self.db.transaction() as tx:
            self.insert(tx, 1)
            tx.savepoint("s")
            self.assert_fails("ALREADY_EXISTS", self.insert, tx, 1)
            self.assert_fails("FAILED_PRECONDITION", self.insert, tx, 2)
            self.assert_fails("FAILED_PRECONDITION", tx.get, "k")
            tx.rollback_to("s")
            self.insert(tx, 3)
        self.assertEqual(self.rows(), [1, 3])

    def test_a_poisoned_transaction_cannot_be_committed(self):
        tx = self.db.transaction()
        self.insert(tx, 1)
        self.assert_fails("FAILED_PRECONDITION", tx.put, "never-there", "v", if_present=True)
        self.assert_fails("FAILED_PRECONDITION", tx.commit)
        tx.rollback()
        self.assertEqual(self.rows(), [])

    def test_or_rollback_inside_a_transaction_ends_it_and_nothing_commits_alone(self):
        tx = self.db.transaction()
        self.insert(tx, 1)
        self.assert_fails("ALREADY_EXISTS", tx.query, f"insert or rollback into {self.table} (id) values (1)")
        with self.assertRaises(prism.Error):
            self.insert(tx, 2)
        tx.rollback()
        self.assertEqual(self.rows(), [])

    def test_transaction_control_in_sql_is_refused(self):
        tx = self.db.transaction()
        with self.assertRaises(prism.Error):
            tx.query("commit")
        tx.rollback()

    def test_an_unknown_savepoint_and_a_bad_name_are_refused(self):
        for name in ("", "1a", "a b", "a;", "x" * 65, "ä"):
            with self.subTest(name=name):
                tx = self.db.transaction()
                self.assert_fails("INVALID_ARGUMENT", tx.savepoint, name)
                tx.rollback()
        tx = self.db.transaction()
        with self.assertRaises(prism.Error) as raised:
            tx.rollback_to("never")
        self.assertIn(raised.exception.code, ("NOT_FOUND", "INVALID_ARGUMENT", "FAILED_PRECONDITION"))
        tx.rollback()

    def test_a_read_only_transaction_sees_one_snapshot_and_writes_nothing(self):
        self.insert(self.db, 1)
        with self.db.transaction(read_only=True) as tx:
            self.assertEqual(len(tx.query(f"select id from {self.table}")), 1)
            self.insert(self.db, 2)
            self.assertEqual(len(tx.query(f"select id from {self.table}")), 1)
        tx = self.db.transaction(read_only=True)
        self.assert_fails("INVALID_ARGUMENT", self.insert, tx, 3)
        tx.rollback()
        self.assertEqual(self.rows(), [1, 2])

    def test_a_handle_belongs_to_its_connection(self):
        raw, other = self.raw(), self.raw()
        raw.send(Request(id=1, begin=messages.Begin()))
        handle = raw.final(1)[0].begin.transaction
        self.assertNotEqual(handle, 0)
        other.send(query(1, f"insert into {self.table} (id) values (1)", transaction=handle),
                   Request(id=2, transaction=handle, commit=messages.Commit()))
        for answer in other.finals(2).values():
            self.assertEqual((code(answer), outcome(answer)), ("NOT_FOUND", "NOT_EXECUTED"))
        raw.send(Request(id=2, transaction=handle, rollback=messages.Rollback()))
        self.assertEqual(raw.final(2)[0].status, messages.OK)

    def test_an_ended_handle_is_not_found(self):
        raw = self.raw()
        raw.send(Request(id=1, begin=messages.Begin()))
        handle = raw.final(1)[0].begin.transaction
        raw.send(Request(id=2, transaction=handle, commit=messages.Commit()))
        self.assertEqual(raw.final(2)[0].status, messages.OK)
        raw.send(query(3, "select 1", transaction=handle))
        self.assertEqual(code(raw.final(3)[0]), "NOT_FOUND")

    def test_requests_of_a_handle_run_in_the_order_sent_without_waiting_for_answers(self):
        raw = self.raw()
        raw.send(Request(id=1, begin=messages.Begin()))
        handle = raw.final(1)[0].begin.transaction
        requests = [query(2, f"insert into {self.table} (id, v) values (1, '')", transaction=handle)]
        requests += [query(3 + n, f"update {self.table} set v = v || $1", chr(97 + n), transaction=handle) for n in range(26)]
        requests.append(Request(id=29, transaction=handle, commit=messages.Commit()))
        raw.send(*requests)
        order = [raw.receive() for _ in requests]
        self.assertEqual([answer.id for answer in order], list(range(2, 30)))
        self.assertTrue(all(answer.status == messages.OK for answer in order))
        self.assertEqual(self.db.query(f"select v from {self.table}").scalar(), "abcdefghijklmnopqrstuvwxyz")

    def test_a_closed_connection_rolls_back_and_frees_the_writer(self):
        raw = self.server.raw()
        raw.send(Request(id=1, begin=messages.Begin()))
        handle = raw.final(1)[0].begin.transaction
        raw.send(query(2, f"insert into {self.table} (id) values (1)", transaction=handle))
        raw.final(2)
        raw.close()
        self.insert(self.db, 2)
        self.assertEqual(self.rows(), [2])

    def test_an_idle_write_transaction_is_rolled_back_and_told_until_rollback(self):
        raw = self.raw()
        raw.send(Request(id=1, begin=messages.Begin()))
        begin = raw.final(1)[0].begin
        self.assertEqual((begin.idle_limit_microseconds, begin.total_limit_microseconds), (1_000_000, 5_000_000))
        raw.send(query(2, f"insert into {self.table} (id) values (1)", transaction=begin.transaction))
        raw.final(2)
        # Only when the idle transaction has lost the writer can this run.
        self.db.query(f"insert into {self.table} (id) values (2)", timeout=15)
        for id in (3, 4):
            raw.send(query(id, "select 1", transaction=begin.transaction))
            (answer,) = raw.final(id)
            self.assertEqual((code(answer), outcome(answer)), ("ABORTED", "NOT_EXECUTED"))
        raw.send(Request(id=5, transaction=begin.transaction, commit=messages.Commit()))
        self.assertEqual(code(raw.final(5)[0]), "ABORTED")
        raw.send(Request(id=6, transaction=begin.transaction, rollback=messages.Rollback()))
        self.assertEqual(code(raw.final(6)[0]), "OK")
        self.assertEqual(self.rows(), [2])

    def test_a_transaction_that_is_never_idle_ends_at_its_total_limit(self):
        tx = self.db.transaction()
        began = time.monotonic()
        with self.assertRaises(prism.Aborted):
            while time.monotonic() < began + 20:
                tx.query("select 1")
                time.sleep(0.05)
        tx.rollback()

    def test_writers_queue_for_each_other_and_all_commit(self):
        errors = []

        def work(number):
            client = self.client()
            try:
                for index in range(10):
                    with client.transaction() as tx:
                        count = tx.query(f"select count(*) from {self.table}").scalar()
                        self.insert(tx, 1 + count)  # a lost update would collide
            except prism.Error as error:
                errors.append(str(error))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        self.assertEqual(errors, [])
        self.assertEqual(self.rows(), list(range(1, 81)))

    def test_a_deadline_inside_a_transaction_poisons_it(self):
        tx = self.db.transaction()
        self.insert(tx, 1)
        with self.assertRaises(prism.DeadlineExceeded):
            tx.query("with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n", timeout=0.2)
        with self.assertRaises(prism.Error):
            tx.commit()
        tx.rollback()
        self.assertEqual(self.rows(), [])

    def test_a_repeated_commit_with_an_idempotency_key_happens_once(self):
        for attempt in range(2):
            with self.db.transaction(idempotency_key="commit-" + self.table) as tx:
                tx.query(f"insert into {self.table} (v) values ('x')")
            self.assertEqual(tx.replayed, attempt == 1)
        self.assertEqual(len(self.rows()), 1)

    def test_an_idempotency_key_inside_a_transaction_is_refused(self):
        tx = self.db.transaction()
        self.assert_fails("INVALID_ARGUMENT", tx.put, "k", "v", idempotency_key="inside")
        tx.rollback()

    def test_every_isolation_level_is_accepted(self):
        for isolation in ("read committed", "repeatable read", "serializable", None):
            with self.db.transaction(isolation=isolation) as tx:
                self.assertEqual(tx.query("select 1").scalar(), 1)

    def test_commit_without_a_handle_and_a_wrong_handle_are_refused(self):
        raw = self.raw()
        raw.send(Request(id=1, commit=messages.Commit()), Request(id=2, transaction=12345, rollback=messages.Rollback()),
                 Request(id=3, savepoint=messages.Savepoint(name="s")))
        answers = raw.finals(3)
        self.assertEqual(code(answers[2]), "NOT_FOUND")
        for id in (1, 3):
            self.assertIn(code(answers[id]), ("INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION"))

    def test_a_batch_inside_a_transaction_joins_it(self):
        with self.assertRaises(KeyError):
            with self.db.transaction() as tx:
                tx.batch(f"insert into {self.table} (id) values ($1)", parameter_sets=[(n,) for n in range(5)])
                self.assertEqual(tx.query(f"select count(*) from {self.table}").scalar(), 5)
                raise KeyError()
        self.assertEqual(self.rows(), [])


if __name__ == "__main__":
    unittest.main()
