"""A statement that has always returned little returns much: its rows are not gathered without bound, and everybody is answered."""

import re
import unittest

import postgres
import raw
from harness import StartTestCase
from raw import messages
from prism.values import to_value

ROWS = 3_000
GENEROUS = 60_000_000
SQL = "select value from wide where id <= $1 order by id"


@postgres.needed
class SharedRowsTests(StartTestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = postgres.Cluster()
        cls.addClassCleanup(cls.cluster.close)
        cls.cluster.sql(f"create table wide (id bigint primary key, value text); insert into wide select i, rpad(i::text, 1000, 'x') "
                        f"from generate_series(1, {ROWS}) i; create table small (id bigint primary key); insert into small values (7)")

    def metric(self, server, name):
        metrics = server.admin("GET", "/metrics")[1]
        return int(float(re.search(rf'prism_shared_{name}_total\{{backend="main"\}} (\S+)', metrics).group(1)))

    def connections(self):
        return {pid for (pid,) in self.cluster.sql("select pid from pg_stat_activity where datname is not null and pid <> pg_backend_pid()")}

    def ask(self, client, *queries):
        """Together; of each its rows' values, in the order asked."""
        client.send(*(raw.Request(id=number + 1, read_only=True, timeout_microseconds=GENEROUS,
                                  query=messages.Query(sql=sql, parameters=map(to_value, parameters)))
                      for number, (sql, *parameters) in enumerate(queries)))
        rows = {number + 1: [] for number in range(len(queries))}
        left = set(rows)
        while left:
            answer = client.receive()
            self.assertEqual(answer.status, 0, answer.failure)
            rows[answer.id] += [row.values[0].text or row.values[0].integer for row in answer.query.rows]
            if not answer.more:
                left.remove(answer.id)
        return list(rows.values())

    def test_short_for_long_and_then_large(self):
        server = self.start(sqlite=False, config=f"""
backends:
  - name: main
    kind: postgresql
    conninfo: {self.cluster.conninfo()}
    shared_connections: 1
    connections_min: 1
    connections_max: 4
""")
        client = self.raw(server)
        neighbour = ("select id from small",)
        expected = [str(number).ljust(1000, "x") for number in range(1, ROWS + 1)]
        for _ in range(30):
            self.assertEqual(self.ask(client, (SQL, 2), neighbour), [expected[:2], [7]])
        before, connections = self.metric(server, "reruns"), self.connections()
        # Between others: those run again with it.
        answers = self.ask(client, neighbour, (SQL, 1), (SQL, ROWS), (SQL, 2), neighbour)
        self.assertEqual(answers, [[7], expected[:1], expected, expected[:2], [7]])
        self.assertGreater(self.metric(server, "reruns"), before)
        self.assertTrue(connections - self.connections(), "the connection that gathered too much was to be given up")
        shared = self.metric(server, "requests")
        for _ in range(30):
            self.assertEqual(self.ask(client, (SQL, 2), neighbour), [expected[:2], [7]])
        self.assertGreater(self.metric(server, "requests"), shared)

    def test_fewer_statements_kept_than_travel_together(self):
        """Those behind one that fails are not prepared, and give way to each other all the same."""
        for kept in (0, 2):
            server = self.start(sqlite=False, config=f"""
runtime:
  reactors: 1
backends:
  - name: main
    kind: postgresql
    conninfo: {self.cluster.conninfo()}
    shared_connections: 1
    connections_min: 1
    connections_max: 2
    statement_cache: {kept}
""")
            client = self.raw(server)
            good = [(f"select $1::bigint + {number}", 1) for number in range(40)]
            division = "select 1 / ($1::bigint - 5)"
            for _ in range(5):
                self.ask(client, *good, (division, 6))
            for _ in range(30):
                client.send(*(raw.query(number + 1, sql, parameter, read_only=True, timeout_microseconds=GENEROUS)
                              for number, (sql, parameter) in enumerate([(division, 5), *good, (division, 6)])))
                answers = client.finals(len(good) + 2)
                self.assertEqual({id: answer.failure.sqlstate for id, answer in answers.items() if answer.status}, {1: "22012"})


if __name__ == "__main__":
    unittest.main()
