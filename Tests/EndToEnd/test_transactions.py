"""Transactions as they are on SQLite alone; what holds on every backend is in conformance/."""

import threading
import unittest

import prism
from harness import ServerTestCase
from raw import messages


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

    def test_or_rollback_inside_a_transaction_ends_it_and_nothing_commits_alone(self):
        tx = self.db.transaction()
        self.insert(tx, 1)
        self.assert_fails("ALREADY_EXISTS", tx.query, f"insert or rollback into {self.table} (id) values (1)")
        with self.assertRaises(prism.Error):
            self.insert(tx, 2)
        tx.rollback()
        self.assertEqual(self.rows(), [])

    def test_a_writing_one_has_short_limits_because_it_holds_the_only_writer(self):
        raw = self.raw()
        for id, read_only, idle, total in ((1, False, 1, 5), (2, True, 10, 60)):
            raw.send(messages.Request(id=id, begin=messages.Begin(), read_only=read_only))
            begin = raw.final(id)[0].begin
            self.assertEqual((begin.idle_limit_microseconds, begin.total_limit_microseconds), (idle * 1_000_000, total * 1_000_000))

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


if __name__ == "__main__":
    unittest.main()
