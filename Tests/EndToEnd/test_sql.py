"""SQL as it is on SQLite alone; what holds on every backend is in conformance/."""

import threading
import unittest

import prism
from harness import ServerTestCase


class SQLTests(ServerTestCase):
    def setUp(self):
        super().setUp()
        self.db = self.client()
        self.table = "t" + str(abs(hash(self.id())))[:12]

    def test_parameters_in_sqlites_own_forms(self):
        self.assertEqual(self.db.query("select ?, ?", 1, 2).rows, [(1, 2)])
        self.assertEqual(self.db.query("select ?2, ?1", 1, 2).rows, [(2, 1)])
        self.assertEqual(self.db.query("select $2, $1", 1, 2).rows, [(2, 1)])
        self.assertEqual(self.db.query("select :a, @b, $c", 1, 2, 3, names=["a", "b", "c"]).rows, [(1, 2, 3)])
        self.assertEqual(self.db.query("select :b, :a, :b", 1, 2, names=["a", "b"]).rows, [(2, 1, 2)])

    def test_names_must_be_those_of_the_statement(self):
        self.assert_fails("INVALID_ARGUMENT", self.db.query, "select :a", 1, names=["b"])
        self.assert_fails("INVALID_ARGUMENT", self.db.query, "select :a", 1, 2, names=["a"])

    def test_a_text_may_hold_a_zero_byte(self):
        self.assertEqual(self.db.query("select $1", "a\0b", read_only=True).scalar(), "a\0b")

    def test_sqlites_own_code_is_told(self):
        self.db.query(f"create table {self.table} (id integer primary key, n integer not null check (n > 0), u text unique)")
        self.db.query(f"insert into {self.table} values (1, 1, 'u')")
        for row, code in (("(1, 1, 'v')", 1555), ("(2, 1, 'u')", 2067), ("(3, null, 'w')", 1299), ("(3, -1, 'w')", 275)):
            with self.assertRaises(prism.Error) as raised:
                self.db.query(f"insert into {self.table} values {row}")
            self.assertEqual((raised.exception.sqlite_code, raised.exception.sqlstate), (code, ""))

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


if __name__ == "__main__":
    unittest.main()
