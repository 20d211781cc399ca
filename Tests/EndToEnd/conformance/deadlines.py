"""Deadlines and cancelling: the client is answered in time, the work is stopped, and nobody else notices."""

import threading
import time

import prism
from conformance.case import ConformanceCase
from raw import code, messages, outcome, ping, query

Request = messages.Request


class Deadlines(ConformanceCase):
    """Deadlines"""

    def test_one_that_has_passed_on_arrival_is_not_executed(self):
        self.create_table()
        raw = self.raw()
        raw.send(query(1, f"insert into {self.table} (id) values (1)", deadline_nanoseconds=1),
                 Request(id=2, deadline_nanoseconds=1, put=messages.Put(key=b"k", value=b"v", **self.ns)))
        for answer in raw.finals(2).values():
            self.assertEqual((code(answer), outcome(answer)), ("DEADLINE_EXCEEDED", "NOT_EXECUTED"))
        self.assertEqual(self.ids(), [])
        self.assertIsNone(self.db.get("k", **self.ns))

    def test_a_running_statement_is_answered_at_it_and_stopped(self):
        for read_only in (True, False):
            error = self.assert_fails("DEADLINE_EXCEEDED", self.db.query, self.backend.endless, read_only=read_only, timeout=0.3,
                                      outcome="NOT_EXECUTED" if read_only else self.outcome_of_stopped)
            self.assertEqual(error.stage, "EXECUTE")
        # Were the work not stopped, these many would leave nothing to answer with.
        for _ in range(24):
            self.fails(self.db.query, self.backend.endless, read_only=True, timeout=0.05)
        self.assertEqual(self.db.query("select 1", read_only=True, timeout=10).scalar(), 1)
        self.create_table()

    @property
    def outcome_of_stopped(self):
        """Of a statement that may write, at its deadline: PostgreSQL has not yet said whether it stopped."""
        return "NOT_EXECUTED" if self.backend.name == "sqlite" else "UNKNOWN"

    def test_a_write_that_is_stopped_leaves_nothing(self):
        self.create_table()
        self.fails(self.db.query, self.endless_insert(), timeout=0.2)
        self.insert(self.db, 5)
        self.assertEqual(self.ids(), [5])

    def test_an_absolute_one_counts_on_the_monotonic_clock(self):
        raw = self.raw()
        raw.send(query(1, self.backend.endless, read_only=True, deadline_nanoseconds=time.monotonic_ns() + 300_000_000))
        self.assertEqual(code(raw.final(1)[-1]), "DEADLINE_EXCEEDED")

    def test_the_earlier_of_both_counts(self):
        raw = self.raw()
        far = time.monotonic_ns() + 3_600_000_000_000
        raw.send(query(1, self.backend.endless, read_only=True, timeout_microseconds=200_000, deadline_nanoseconds=far),
                 query(2, self.backend.endless, read_only=True, timeout_microseconds=3_600_000_000, deadline_nanoseconds=1))
        answers = raw.finals(2)
        self.assertEqual({code(answer) for answer in answers.values()}, {"DEADLINE_EXCEEDED"})

    def test_other_requests_of_the_same_connection_overtake_a_long_one(self):
        raw = self.raw()
        raw.send(query(1, self.backend.endless, read_only=True, timeout_microseconds=1_500_000), ping(2),
                 query(3, "select 3", read_only=True), Request(id=4, put=messages.Put(key=b"k", value=b"v", **self.ns)))
        order = [raw.receive().id for _ in range(4)]
        self.assertEqual(sorted(order), [1, 2, 3, 4])
        self.assertEqual(order[-1], 1)

    def test_a_write_that_waits_for_another_says_what_may_become_of_it(self):
        self.create_table()
        self.insert(self.db, 1)
        with self.client().transaction() as tx:
            tx.query(f"update {self.table} set v = 'first' where id = 1")
            error = self.fails(self.db.query, f"update {self.table} set v = 'second' where id = 1", timeout=0.2)
            self.assertEqual(error.code, "DEADLINE_EXCEEDED")
        value = self.client().query(f"select v from {self.table}").scalar()
        # Where the database is asked to stop it, the transaction's end may come first.
        self.assertIn(value, ("first",) if error.outcome == "NOT_EXECUTED" else ("first", "second"))
        self.assertIn(error.outcome, ("NOT_EXECUTED", self.outcome_of_stopped))

    def test_deadlines_beside_it_do_not_harm_a_request(self):
        self.create_table()
        victim, others = self.client(), [self.client() for _ in range(3)]

        def expire(client):
            for _ in range(15):
                self.fails(client.query, self.backend.endless, read_only=True, timeout=0.02)

        def work():
            for number in range(150):
                self.insert(victim, number)
                self.assertEqual(victim.query("select $1", number, read_only=True).scalar(), number)
                victim.put("k", str(number), **self.ns)

        self.together([work] + [lambda c=c: expire(c) for c in others])
        self.assertEqual(self.ids(), list(range(150)))


class Cancelling(ConformanceCase):
    """Cancelling"""

    def test_it_ends_the_named_request_and_no_other(self):
        raw = self.raw()
        raw.send(query(1, self.backend.endless, read_only=True),
                 query(2, self.backend.endless, read_only=True, timeout_microseconds=1_000_000), ping(3))
        self.assertEqual(raw.receive().id, 3)
        raw.send(Request(id=4, cancel=messages.Cancel(request_id=1)))
        answers = raw.finals(3)
        self.assertEqual((code(answers[1]), outcome(answers[1])), ("CANCELLED", "NOT_EXECUTED"))
        self.assertTrue(answers[4].cancel.found)
        self.assertEqual(code(answers[2]), "DEADLINE_EXCEEDED")

    def test_what_is_not_in_flight_is_not_found(self):
        raw = self.raw()
        raw.send(ping(1))
        raw.final(1)
        for id, wanted in ((2, 1), (3, 99)):
            raw.send(Request(id=id, cancel=messages.Cancel(request_id=wanted)))
            answer = raw.final(id)[0]
            self.assertEqual((code(answer), answer.cancel.found), ("OK", False))

    def test_a_running_write_leaves_nothing(self):
        self.create_table()
        cancellation = prism.Cancellation()
        timer = threading.Timer(0.3, cancellation.cancel)
        timer.start()
        self.addCleanup(timer.join)
        error = self.fails(self.db.query, self.endless_insert(), cancellation=cancellation)
        self.assertEqual(error.code, "CANCELLED")
        self.insert(self.db, 5)
        self.assertEqual(self.ids(), [5])

    def test_a_write_that_waits_for_another_says_what_may_become_of_it(self):
        self.create_table()
        self.insert(self.db, 1)
        raw = self.raw()
        with self.client().transaction() as tx:
            tx.query(f"update {self.table} set v = 'first' where id = 1")
            raw.send(query(1, f"update {self.table} set v = 'second' where id = 1"),
                     Request(id=2, cancel=messages.Cancel(request_id=1)))
            answers = raw.finals(2)
            self.assertTrue(answers[2].cancel.found)
            self.assertEqual(code(answers[1]), "CANCELLED")
        if outcome(answers[1]) == "NOT_EXECUTED":
            self.assertEqual(self.client().query(f"select v from {self.table}").scalar(), "first")

    def test_inside_a_transaction_it_poisons(self):
        raw = self.raw()
        raw.send(Request(id=1, begin=messages.Begin()))
        handle = raw.final(1)[0].begin.transaction
        raw.send(query(2, self.backend.endless, transaction=handle), query(3, "select 1", transaction=handle),
                 Request(id=4, cancel=messages.Cancel(request_id=2)))
        answers = raw.finals(3)
        self.assertEqual(code(answers[2]), "CANCELLED")
        self.assertEqual((code(answers[3]), outcome(answers[3])), ("FAILED_PRECONDITION", "NOT_EXECUTED"))
        raw.send(Request(id=5, transaction=handle, rollback=messages.Rollback()))
        self.assertEqual(code(raw.final(5)[0]), "OK")

    def test_a_closed_connection_stops_its_work(self):
        for read_only in (True, False):
            for _ in range(8):
                raw = self.server.raw()
                raw.send(query(1, self.backend.endless, read_only=read_only))
                raw.close()
        # Were it not stopped, these would have nothing to run on.
        self.assertEqual(self.db.query("select 1", read_only=True, timeout=10).scalar(), 1)
        self.create_table()
