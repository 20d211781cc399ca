"""Clients that do not read their streams: they hold connections while nobody else wants them, never the threads that others need."""

import unittest

import postgres
from harness import StartTestCase, Server
from raw import Request, code, messages, outcome, query

ROWS = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 10000000) select i, 'padding padding' from n"

CONFIG = """
limits:
  stream_window: 64KiB
  stream_stall: 1h
backends:
  - name: main
    kind: sqlite
    path: {path}
    readers: 4
    reader_connections: 6
    acquire_timeout: 200ms
"""


class StreamTests(StartTestCase):
    def setUp(self):
        directory = self.directory()
        self.server = self.enterContext(
            Server(config=CONFIG.format(path=f"{directory}/data.db"), sqlite=False))
        self.db = self.client(self.server)
        self.db.put(b"k", b"v")

    def stream(self, id=1):
        """A client with a stream that has begun and that it does not go on reading."""
        raw = self.raw(self.server, receive_buffer=4096)
        raw.send(query(id, ROWS, read_only=True))
        first = raw.receive()
        self.assertTrue(first.more)
        return raw

    def test_gets_go_on_beside_as_many_unread_streams_as_there_are_leases(self):
        streams = [self.stream() for _ in range(4)]  # 6 connections, 2 of them kept for gets
        for _ in range(200):
            self.assertEqual(self.db.get(b"k").value, b"v")
        waiting = self.raw(self.server)
        waiting.send(query(1, "select 1", read_only=True))
        answer = waiting.final(1)[-1]
        self.assertEqual((code(answer), outcome(answer)), ("RESOURCE_EXHAUSTED", "NOT_EXECUTED"))
        self.assertIn("acquire_timeout", answer.failure.message)
        self.assertTrue(answer.failure.retryable)
        streams.pop().close()
        # Its connection comes back, and nothing else was harmed.
        self.assertEqual(self.db.query("select 1", read_only=True, timeout=10).scalar(), 1)
        for raw in streams:
            self.assertTrue(raw.receive().more)

    def test_one_in_a_transaction_that_nobody_reads_ends_with_the_idle_limit(self):
        server = self.enterContext(Server(config="transactions: {sqlite_write_idle: 200ms, sqlite_write_total: 1h}\n"))
        client = self.client(server)
        client.query("create table t as " + ROWS.replace("10000000", "100000"))
        raw = self.raw(server, receive_buffer=4096)
        raw.send(Request(id=1, begin=messages.Begin()))
        raw.send(query(2, "select * from t", transaction=raw.final(1)[-1].begin.transaction))
        raw.receive()
        # The only writer is free again.
        client.put("k", b"v")
        self.assertEqual(code(raw.final(2)[-1]), "ABORTED")

    def test_streams_that_are_read_slowly_are_whole(self):
        count = 100_000
        raws = []
        for _ in range(8):  # twice as many as there are leases
            raw = self.raw(self.server)
            raw.send(query(1, ROWS.replace("10000000", str(count)), read_only=True, timeout_microseconds=60_000_000))
            raws.append(raw)
        answered = 0
        for raw in raws:
            *parts, final = raw.final(1)
            if code(final) == "OK":
                rows = [row.values[0].integer for part in [*parts, final] for row in part.query.rows]
                self.assertEqual(rows, list(range(1, count + 1)))
                answered += 1
            else:
                self.assertEqual((code(final), outcome(final), parts), ("RESOURCE_EXHAUSTED", "NOT_EXECUTED", []))
        self.assertGreaterEqual(answered, 4)


@postgres.needed
class PostgreSQLStreamTests(StartTestCase):
    def test_one_that_nobody_reads_gives_its_connection_to_a_request_that_waits(self):
        cluster = postgres.Cluster()
        self.addCleanup(cluster.close)
        server = self.enterContext(Server(
            config="limits: {stream_stall: 200ms}\nruntime: {reactors: 1}\nbackends:\n  - {name: main, kind: postgresql, "
            f"connections_min: 1, connections_max: 1, conninfo: {cluster.conninfo()}}}\n", sqlite=False))
        raw = self.raw(server, receive_buffer=4096)
        raw.send(query(1, "select i, repeat('x', 100) from generate_series(1, 200000) i", read_only=True))
        raw.receive()
        # Of the same user, and the only connection is taken.
        self.assertEqual(self.client(server, timeout=20).query("select 1").scalar(), 1)
        answer = raw.final(1)[-1]
        self.assertEqual((code(answer), outcome(answer)), ("RESOURCE_EXHAUSTED", "NOT_EXECUTED"))
        self.assertIn("limits.stream_stall", answer.failure.message)
        self.assertIn('prism_limit_reached_total{limit="limits.stream_stall"} 1\n', server.admin("GET", "/metrics")[1])


if __name__ == "__main__":
    unittest.main()
