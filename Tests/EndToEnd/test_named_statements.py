"""CONTRACT 9, named statements: SQL of the configuration that clients run by name, and clients that may run nothing else."""

import os
import unittest

import postgres
import prism
from harness import Server, StartTestCase
from prism._messages import messages
from raw import Request, code, outcome, query

STATEMENTS = """
statements:
  - {name: create, sql: "create table t (id integer primary key, v text)"}
  - {name: add, sql: "insert into t (id, v) values ($1, $2)"}
  - name: by_id
    sql: |
      select v
      from t where id = $1
    read_only: true
  - {name: all, sql: select id from t order by id, read_only: true}
"""


class Cases:
    """On each backend; `self.backends` is the configuration of the backend `main`."""

    def serve(self, rule=""):
        rules = f"rules:\n  - {{uid: {os.getuid()}, {rule}}}\n" if rule else ""
        server = Server(config=self.backends() + STATEMENTS + rules, sqlite=False)
        self.addCleanup(server.close)
        client = server.connect(timeout=20)
        self.addCleanup(client.close)
        return server, client

    def refused(self, code, function, *arguments, **options):
        with self.assertRaises(prism.Error) as raised:
            function(*arguments, **options)
        self.assertEqual((raised.exception.code, raised.exception.outcome), (code, "NOT_EXECUTED"), str(raised.exception))
        return raised.exception

    def test_they_run_with_parameters_in_batches_transactions_and_once(self):
        _, client = self.serve("statements: named")
        client.query(prism.named("create"))
        self.assertEqual(client.query(prism.named("add", 1, "one")).rows_affected, 1)
        self.assertEqual(client.query(prism.named("by_id", 1)).rows, [("one",)])
        client.batch([prism.named("add", 2, "two"), prism.named("add", 3, "three")])
        with client.transaction() as tx:
            tx.query(prism.named("add", 4, "four"))
            self.assertEqual(tx.query(prism.named("by_id", 4)).rows, [("four",)])
        for _ in range(2):
            client.query(prism.named("add", 5, "five"), idempotency_key="once")
        self.assertEqual([row[0] for row in client.stream(prism.named("all"))], [1, 2, 3, 4, 5])
        error = self.refused("ALREADY_EXISTS", client.batch, [prism.named("add", 6, "six"), prism.named("add", 1, "again")])
        self.assertEqual(error.item, 2)
        self.assertEqual(len(client.query(prism.named("all")).rows), 5)
        self.refused("INVALID_ARGUMENT", client.query, prism.named("by_id"))

    def test_a_client_with_such_a_rule_can_run_nothing_else(self):
        server, client = self.serve("statements: named")
        client.query(prism.named("create"))
        for sql in ("select 1", "drop table t"):
            self.refused("PERMISSION_DENIED", client.query, sql)
            self.refused("PERMISSION_DENIED", client.query, sql, read_only=True)
            self.refused("PERMISSION_DENIED", client.batch, [prism.named("add", 1, "one"), sql])
        with self.assertRaises(prism.Error) as raised, client.transaction() as tx:
            tx.query("drop table t")
        self.assertEqual(raised.exception.code, "PERMISSION_DENIED")
        self.assertIn("none", self.refused("NOT_FOUND", client.query, prism.named("none")).message)
        self.assertEqual(client.query(prism.named("all")).rows, [])
        # Key-value has rules of its own.
        client.put("k", b"v")
        self.assertEqual(client.get("k").value, b"v")
        raw = server.raw()
        self.addCleanup(raw.close)
        raw.send(Request(id=1, query=messages.Query(sql="select 1", statement="all")))
        answer = raw.final(1)[-1]
        self.assertEqual((code(answer), outcome(answer)), ("INVALID_ARGUMENT", "NOT_EXECUTED"))

    def test_a_client_that_only_reads_runs_those_that_only_read(self):
        _, client = self.serve("statements: named, read_only: true")
        self.refused("PERMISSION_DENIED", client.query, prism.named("create"))
        # It is let through to the database, which has no such table.
        self.refused("INVALID_ARGUMENT", client.query, prism.named("all"))

    def test_without_such_a_rule_both_run(self):
        _, client = self.serve()
        client.query(prism.named("create"))
        client.query("insert into t (id, v) values (1, 'one')")
        self.assertEqual(client.query(prism.named("by_id", 1)).scalar(), "one")

    def test_what_is_read_only_in_the_configuration_is_held_to_it(self):
        server = Server(config=self.backends() + "statements:\n  - {name: wrong, sql: create table t (id integer), read_only: true}\n",
                        sqlite=False)
        self.addCleanup(server.close)
        client = server.connect(timeout=20)
        self.addCleanup(client.close)
        self.refused("INVALID_ARGUMENT", client.query, prism.named("wrong"))


class SQLiteNamedStatementTests(Cases, StartTestCase):
    def backends(self):
        return f"backends:\n  - {{name: main, kind: sqlite, path: {self.directory()}/data.db}}\n"

    def test_the_command_runs_them(self):
        server, client = self.serve("statements: named")
        client.query(prism.named("create"))
        client.query(prism.named("add", 17, "seventeen"))
        done = server.command("sql", "--named", "by_id", "17", "--json")
        self.assertEqual((done.returncode, '"seventeen"' in done.stdout), (0, True), done)
        self.assertEqual(server.command("sql", "--named", "none").returncode, 1)
        self.assertEqual(server.command("sql", "select 1").returncode, 1)


@postgres.needed
class PostgreSQLNamedStatementTests(Cases, StartTestCase):
    def backends(self):
        cluster = postgres.Cluster()
        self.addCleanup(cluster.close)
        return f"backends:\n  - {{name: main, kind: postgresql, connections_min: 0, conninfo: {cluster.conninfo()}}}\n"


if __name__ == "__main__":
    unittest.main()
