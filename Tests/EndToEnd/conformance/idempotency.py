"""Idempotency keys: a repeated write happens once."""

import prism
from conformance.backends import series
from conformance.case import ConformanceCase


class IdempotencyKeys(ConformanceCase):
    """Idempotency keys"""

    def setUp(self):
        super().setUp()
        self.key = "key-" + self.table

    def test_a_repeated_write_happens_once_and_gets_the_first_answer(self):
        self.assertEqual(self.db.increment("n", 5, idempotency_key=self.key, **self.ns), 5)
        self.db.increment("n", 1, **self.ns)
        self.assertEqual(self.client().increment("n", 5, idempotency_key=self.key, timeout=7, **self.ns), 5)
        self.assertEqual(self.db.get("n", **self.ns).value, b"6")

    def test_every_key_value_write_can_have_one(self):
        self.db.put("there", "v", **self.ns)
        for number, write in enumerate((
                lambda **o: self.db.put("p", "v", **o, **self.ns), lambda **o: self.db.delete("there", **o, **self.ns),
                lambda **o: self.db.increment("i", **o, **self.ns), lambda **o: self.db.touch("p", 1000, **o, **self.ns),
                lambda **o: self.db.write([prism.Put("w", "v", **self.ns), prism.Increment("x", **self.ns)], **o))):
            with self.subTest(number=number):
                first = write(idempotency_key=f"{self.key}-{number}")
                self.assertTrue(first)
                self.assertEqual(write(idempotency_key=f"{self.key}-{number}"), first)

    def test_the_same_key_with_another_request_is_refused(self):
        self.db.increment("n", 5, idempotency_key=self.key, **self.ns)
        self.assert_fails("INVALID_ARGUMENT", self.db.increment, "n", 6, idempotency_key=self.key, **self.ns)
        self.assert_fails("INVALID_ARGUMENT", self.db.put, "n", "5", idempotency_key=self.key, **self.ns)
        self.assertEqual(self.db.get("n", **self.ns).value, b"5")

    def test_a_write_that_did_not_apply_is_not_recorded(self):
        self.assert_fails("FAILED_PRECONDITION", self.db.put, "k", "v", if_present=True, idempotency_key=self.key, **self.ns)
        self.db.put("k", "there", **self.ns)
        self.db.put("k", "v", if_present=True, idempotency_key=self.key, **self.ns)
        self.assertEqual(self.db.get("k", **self.ns).value, b"v")

    def test_of_concurrent_repeats_one_happens_and_all_get_its_answer(self):
        clients = [self.client() for _ in range(8)]
        answers = self.together([lambda c=c: c.increment("n", 3, idempotency_key=self.key, **self.ns) for c in clients])
        self.assertEqual(answers, [3] * 8)
        self.assertEqual(self.db.get("n", **self.ns).value, b"3")

    def test_a_repeated_statement_happens_once(self):
        self.create_table()
        sql = f"insert into {self.table} (v) values ($1) returning id, v"
        first = self.db.query(sql, "a", idempotency_key=self.key)
        again = self.client().query(sql, "a", idempotency_key=self.key)
        self.assertEqual((again.rows, again.columns, again.tag, again.rows_affected),
                         (first.rows, first.columns, "INSERT", 1))
        self.assertEqual((first.replayed, again.replayed), (False, True))
        self.assert_fails("INVALID_ARGUMENT", self.db.query, sql, "b", idempotency_key=self.key)
        self.assertEqual(len(self.ids()), 1)

    def test_a_statement_that_failed_is_not_recorded(self):
        self.create_table()
        self.insert(self.db, 1)
        sql = f"insert into {self.table} (id) values (1)"
        self.assert_fails("ALREADY_EXISTS", self.db.query, sql, idempotency_key=self.key)
        self.db.query(f"delete from {self.table}")
        self.assertFalse(self.db.query(sql, idempotency_key=self.key).replayed)
        self.assertEqual(self.ids(), [1])

    def test_a_repeated_batch_happens_once(self):
        self.create_table()
        sql = f"insert into {self.table} (id) values ($1)"
        first = self.db.batch(sql, parameter_sets=[(1,), (2,)], idempotency_key=self.key)
        again = self.db.batch(sql, parameter_sets=[(1,), (2,)], idempotency_key=self.key)
        self.assertEqual([one.rows_affected for one in again], [one.rows_affected for one in first])
        self.assertTrue(again[0].replayed)
        self.assertEqual(self.ids(), [1, 2])

    def test_an_answer_too_large_to_keep_is_replayed_without_payload(self):
        self.create_table()
        sql = (f"insert into {self.table} (v) select {self.backend.padding(300_000)} from ({series(3)}) as s returning v")
        first = self.db.query(sql, idempotency_key=self.key)
        self.assertEqual([len(value) for (value,) in first], [300_000] * 3)
        again = self.db.query(sql, idempotency_key=self.key)
        self.assertEqual((again.rows, again.replayed), ([], True))
        self.assertEqual(len(self.ids()), 3)

    def test_a_repeated_commit_happens_once(self):
        self.create_table()
        for attempt in range(2):
            with self.db.transaction(idempotency_key=self.key) as tx:
                tx.query(f"insert into {self.table} (v) values ('x')")
                tx.increment("n", **self.ns)
            self.assertEqual(tx.replayed, attempt == 1)
        self.assertEqual(len(self.ids()), 1)
        self.assertEqual(self.db.get("n", **self.ns).value, b"1")

    def test_a_commit_that_was_rolled_back_is_not_recorded(self):
        self.create_table()
        for attempt in range(2):
            tx = self.db.transaction(idempotency_key=self.key)
            self.insert(tx, 1)
            if attempt == 0:
                tx.rollback()
            else:
                tx.commit()
        self.assertEqual((tx.replayed, self.ids()), (False, [1]))

    def test_inside_a_transaction_it_is_refused(self):
        tx = self.db.transaction()
        self.assert_fails("INVALID_ARGUMENT", tx.put, "k", "v", idempotency_key="inside", **self.ns)
        tx.rollback()

    def test_on_what_does_not_write_it_is_refused(self):
        self.assert_fails("INVALID_ARGUMENT", self.db.get, "k", idempotency_key=self.key, **self.ns)
        self.assert_fails("INVALID_ARGUMENT", self.db.query, "select 1", read_only=True, idempotency_key=self.key)
