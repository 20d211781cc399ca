"""Every settable limit is gone beyond, on a server that has it small: a test for each name in docs/limits.md, and a test that
none is missing."""

import os
import re
import shutil
import signal
import socket
import sqlite3
import tempfile
import threading
import time
import unittest

import paths
import postgres
import prism
from limit_case import SMALL, LimitCase
from raw import Request, code, frame, get, outcome, ping, put, query
from prism._messages import messages

DOCUMENT = os.path.join(paths.ROOT, "docs", "limits.md")
SLOW = "with recursive n(i) as (select 1 union all select i + 1 from n where i < $1) select max(i) from n"


def documented():
    with open(DOCUMENT) as file:
        settable = file.read().split("## Settable", 1)[1].split("## Fixed", 1)[0]
    return re.findall(r"^\| `([a-z_.]+)`(?: \((SQLite|PostgreSQL|of a rule)\))? \|", settable, re.M)


def test_name(name, of):
    return "test_" + {"SQLite": "sqlite_", "PostgreSQL": "postgresql_", "of a rule": "rule_"}.get(of, "") + name.replace(".", "_")


class LimitTests(LimitCase):
    def test_none_is_missing(self):
        names = {test_name(*each) for each in documented()}
        self.assertGreater(len(names), 40)
        here = {name for case in (LimitTests, PostgreSQLLimitTests) for name in dir(case) if name.startswith("test_")}
        self.assertEqual(names - here, set())
        self.assertEqual(here - names, {"test_none_is_missing"})

    # Of sockets and frames

    def test_socket_backlog(self):
        server = self.serve("socket: {backlog: 2}\n")
        os.kill(server.pid, signal.SIGSTOP)
        waiting = []
        try:
            with self.assertRaises(BlockingIOError):
                for _ in range(10):
                    waiting.append(socket.socket(socket.AF_UNIX))
                    waiting[-1].setblocking(False)
                    waiting[-1].connect(server.socket_path)
        finally:
            os.kill(server.pid, signal.SIGCONT)
            for each in waiting:
                each.close()
        self.assertEqual(self.client(server).ping(b"x"), b"x")

    def test_limits_frame_bytes(self):
        server = self.serve(SMALL + "}\n")
        client = self.client(server)
        self.assertEqual(client.ping(b"x" * 60_000), b"x" * 60_000)
        raw = self.raw(server)
        try:
            raw.send(ping(1, b"x" * 70_000))
        except BrokenPipeError:
            pass  # Its length was enough.
        self.ended(raw, "limits.frame_bytes")

    def test_limits_connections(self):
        server = self.serve("limits: {connections: 3}\n")
        clients = [self.raw(server) for _ in range(3)]
        for raw in clients:
            raw.send(ping(1))
            raw.final(1)
        last = self.raw(server).rest()[-1]
        self.assertEqual(last.id, 0)
        self.full(last, "limits.connections")
        clients[0].close()
        self.until("a place", lambda: "prism_clients 2\n" in server.admin("GET", "/metrics")[1])
        again = self.raw(server)
        again.send(ping(1))
        again.final(1)
        self.assertEqual(self.counted(server, "limits.connections"), 1)

    def test_limits_in_flight_per_connection(self):
        server = self.serve("limits: {in_flight_per_connection: 3}\n")
        self.hold_writer(server)
        raw, other = self.raw(server), self.raw(server)
        for id in range(1, 5):
            raw.send(put(id, b"k", b"v", timeout_microseconds=300_000))
        raw.send(ping(9))
        other.send(ping(1))
        other.final(1)
        # Not before the writes that are in front of it are answered.
        answers = [raw.receive() for _ in range(5)]
        self.assertNotEqual(answers[0].id, 9)
        self.assertEqual({answer.id for answer in answers}, {1, 2, 3, 4, 9})
        self.assertGreaterEqual(self.counted(server, "limits.in_flight_per_connection"), 1)

    def test_limits_in_flight(self):
        server = self.serve("runtime: {reactors: 1}\nlimits: {in_flight: 3}\n")
        self.hold_writer(server)
        raw = self.raw(server)
        raw.send(*[put(id, b"k", b"v", timeout_microseconds=1_000_000) for id in range(1, 6)])
        for _ in range(2):
            answer = raw.receive()
            self.full(answer, "limits.in_flight")
            self.assertGreater(answer.failure.retry_after_microseconds, 0)
        self.assertEqual(self.counted(server, "limits.in_flight"), 2)

    def test_limits_buffered_bytes_per_connection(self):
        server = self.serve(SMALL + ", buffered_bytes_per_connection: 64KiB}\n")
        self.client(server).put("k", b"x" * 40_000)
        raw = self.raw(server, receive_buffer=4096)

        def send():
            # One at a time: what is read at once is taken at once. In the end it is not read any more, until it has read.
            for id in range(1, 301):
                raw.send(get(id, b"k"))
                time.sleep(0.002)

        sender = threading.Thread(target=send)
        sender.start()
        self.until("paused", lambda: self.counted(server, "limits.buffered_bytes_per_connection") > 0)
        self.assertEqual(self.client(server).ping(b"x"), b"x")
        # What does not fit even so is answered without its value.
        answers = raw.finals(300).values()
        sender.join()
        self.assertEqual({code(answer) for answer in answers} - {"OK", "RESOURCE_EXHAUSTED"}, set())

    def test_limits_buffered_bytes(self):
        server = self.serve("runtime: {reactors: 1}\n" + SMALL + ", buffered_bytes: 1MiB, buffered_bytes_per_connection: 1MiB}\n")
        self.client(server).put("k", b"x" * 40_000)
        raw = self.raw(server, receive_buffer=4096)
        raw.send(*[get(id, b"k") for id in range(1, 201)])
        # Another one is served even while this one does not read.
        other = self.client(server)
        for _ in range(20):
            self.assertEqual(len(other.get("k").value), 40_000)
        answers = raw.finals(200).values()
        self.assertEqual({code(answer) for answer in answers}, {"OK", "RESOURCE_EXHAUSTED"})

    def test_limits_frame_timeout(self):
        server = self.serve("runtime: {reactors: 1}\n" + SMALL + ", buffered_bytes: 64KiB, buffered_bytes_per_connection: 64KiB, "
                            "frame_timeout: 200ms}\n")
        slow, other = self.raw(server), self.raw(server)
        slow.send_bytes(frame(put(1, b"k", b"x" * 40_000))[:20_000])
        self.until("room", lambda: self.buffered(server) > 40_000)
        large = frame(put(1, b"k", b"y" * 40_000))
        other.send_bytes(large[:20_000])
        # There is room for one of them: the other one waits, and then the first one has taken too long.
        self.until("a wait", lambda: self.counted(server, "limits.buffered_bytes") > 0)
        last = slow.rest()[-1]
        self.assertEqual(last.id, 0)
        self.full(last, "limits.frame_timeout")
        other.send_bytes(large[20_000:])
        self.assertEqual(code(other.final(1)[-1]), "OK")
        self.assertEqual(self.counted(server, "limits.frame_timeout"), 1)
        self.until("nothing buffered", lambda: self.buffered(server) == 0)

    def test_limits_decode_bytes(self):
        server = self.serve(SMALL + ", decode_bytes: 64KiB}\n")
        raw = self.raw(server)
        raw.send(Request(id=1, get_many=messages.GetMany(keys=[b"k"] * 1_000)))
        raw.final(1)
        # A short frame of many small parts.
        raw.send(Request(id=2, get_many=messages.GetMany(keys=[b"k"] * 20_000)))
        self.ended(raw, "limits.decode_bytes")

    # Of requests

    def test_limits_transactions(self):
        server = self.serve("runtime: {reactors: 1}\nlimits: {transactions: 2}\n")
        raw = self.raw(server)
        raw.send(*[Request(id=id, read_only=True, begin=messages.Begin()) for id in range(1, 4)])
        answers = raw.finals(3)
        self.assertEqual([code(answers[1]), code(answers[2])], ["OK", "OK"])
        self.full(answers[3], "limits.transactions")

    def test_limits_stream_window(self):
        server = self.serve("limits: {stream_window: 4KiB}\n")
        raw = self.raw(server, receive_buffer=4096)
        raw.send(query(1, SLOW.replace("max(i)", "i, 'padding padding padding'"), 200_000, read_only=True))
        # It waits for its reader with a window of it, and whatever the kernel holds, in memory.
        self.assertEqual(self.client(server).ping(b"x"), b"x")
        highest = 0
        for _ in range(50):
            highest = max(highest, self.buffered(server))
        self.assertLess(highest, 1 << 20)
        parts = raw.final(1)
        self.assertEqual(sum(len(part.query.rows) for part in parts), 200_000)

    def test_limits_batch_statements(self):
        client = self.client(self.serve("limits: {batch_statements: 3}\n"))
        client.batch([prism.statement("select 1")] * 3)
        self.refused("INVALID_ARGUMENT", client.batch, [prism.statement("select 1")] * 4, words="3")
        self.refused("INVALID_ARGUMENT", client.batch, "select $1", parameter_sets=[[1]] * 4)

    def test_limits_write_items(self):
        client = self.client(self.serve("limits: {write_items: 3}\n"))
        client.write([prism.Put(f"k{number}", b"v") for number in range(3)])
        self.refused("INVALID_ARGUMENT", client.write, [prism.Put(f"k{number}", b"v") for number in range(4)], words="3")

    def test_limits_get_many_keys(self):
        client = self.client(self.serve("limits: {get_many_keys: 3}\n"))
        self.assertEqual(len(client.get_many([b"a", b"b", b"c"])), 3)
        self.refused("INVALID_ARGUMENT", client.get_many, [b"a", b"b", b"c", b"d"], words="3")

    def test_limits_value_bytes(self):
        client = self.client(self.serve("limits: {value_bytes: 100}\n"))
        client.put("k", b"x" * 100)
        self.refused("INVALID_ARGUMENT", client.put, "k", b"x" * 101, words="100")

    def test_limits_result_bytes(self):
        client = self.client(self.serve("limits: {result_bytes: 1KiB}\n"))
        client.query("create table t (v text)")
        self.refused("RESOURCE_EXHAUSTED", client.query, "insert into t values ($1) returning v", "x" * 2_000,
                     words="limits.result_bytes")
        self.assertEqual(client.query("select count(*) from t").scalar(), 0)

    def test_limits_sql_bytes(self):
        client = self.client(self.serve("limits: {sql_bytes: 100}\n"))
        client.query("select 1 -- " + "x" * 88)
        self.refused("INVALID_ARGUMENT", client.query, "select 1 -- " + "x" * 89, words="100")

    def test_limits_parameters(self):
        client = self.client(self.serve("limits: {parameters: 2}\n"))
        self.assertEqual(client.query("select $1 + $2", 1, 2).scalar(), 3)
        self.refused("INVALID_ARGUMENT", client.query, "select $1 + $2 + $3", 1, 2, 3, words="2")
        # It is none of Prism's own statements'.
        client.put("key", b"value", idempotency_key="once")
        self.assertEqual(client.get("key").value, b"value")

    # Of time

    def test_deadlines_default(self):
        server = self.serve("deadlines: {default: 50ms}\n")
        raw = self.raw(server)
        raw.send(query(1, SLOW, 1_000_000_000, read_only=True))
        answer = raw.final(1)[-1]
        self.assertEqual((code(answer), outcome(answer)), ("DEADLINE_EXCEEDED", "NOT_EXECUTED"))

    def test_deadlines_maximum(self):
        server = self.serve("deadlines: {default: 20ms, maximum: 50ms}\n")
        raw = self.raw(server)
        raw.send(query(1, SLOW, 1_000_000_000, read_only=True, timeout_microseconds=3_600_000_000))
        self.assertEqual(code(raw.final(1)[-1]), "DEADLINE_EXCEEDED")

    def transaction_ends(self, name, read_only, keep_busy=False):
        client = self.client(self.serve(f"transactions: {{{name}: 100ms}}\n"))
        transaction = client.transaction(read_only=read_only)
        with self.assertRaises(prism.Error) as raised:
            with transaction as tx:
                while keep_busy:
                    tx.get("k")
                self.until("the end", lambda: time.sleep(0.3) is None)
                tx.get("k")
        self.assertEqual((raised.exception.code, raised.exception.outcome), ("ABORTED", "NOT_EXECUTED"))
        with client.transaction(read_only=read_only) as tx:
            tx.get("k")

    def test_transactions_idle(self):
        self.transaction_ends("idle", read_only=True)

    def test_transactions_total(self):
        self.transaction_ends("idle: 80ms, total", read_only=True, keep_busy=True)

    def test_transactions_sqlite_write_idle(self):
        self.transaction_ends("sqlite_write_idle", read_only=False)

    def test_transactions_sqlite_write_total(self):
        self.transaction_ends("sqlite_write_idle: 80ms, sqlite_write_total", read_only=False, keep_busy=True)

    def test_idempotency_retention(self):
        server = self.serve("idempotency: {retention: 1s}\n")
        client = self.client(server)
        self.assertEqual([client.increment("n", idempotency_key="once") for _ in range(2)], [1, 1])
        self.until("forgotten", lambda: client.increment("n", idempotency_key="once") == 2)

    def test_idempotency_answer_bytes(self):
        client = self.client(self.serve("idempotency: {answer_bytes: 10}\n"))
        client.query("create table t (v text)")
        answers = [client.query("insert into t values ('some text') returning v", idempotency_key="once").rows for _ in range(2)]
        self.assertEqual(answers, [[("some text",)], []])
        self.assertEqual(client.query("select count(*) from t").scalar(), 1)

    # Of a rule

    def rule(self, limit):
        return self.serve(f"runtime: {{reactors: 1}}\nrules:\n  - {{uid: {os.getuid()}, {limit}}}\n")

    def test_rule_connections(self):
        server = self.rule("connections: 2")
        clients = [self.raw(server) for _ in range(2)]
        for raw in clients:
            raw.send(ping(1))
            raw.final(1)
        last = self.raw(server).rest()[-1]
        self.assertEqual(last.id, 0)
        self.full(last, "rules.connections")

    def test_rule_in_flight(self):
        server = self.rule("in_flight: 2")
        first, second = self.raw(server), self.raw(server)
        self.block_writer(server)
        first.send(put(1, b"k", b"v"))
        second.send(put(1, b"k", b"v"), put(2, b"k", b"v"))
        self.full(second.receive(), "rules.in_flight")

    def test_rule_buffered_bytes(self):
        server = self.rule("buffered_bytes: 64KiB")
        self.block_writer(server)
        raw = self.raw(server)
        raw.send(put(1, b"k", b"x" * 40_000), put(2, b"k", b"x" * 40_000))
        answer = raw.receive()
        self.assertEqual(answer.id, 2)
        self.full(answer, "rules.buffered_bytes")

    def test_rule_transactions(self):
        server = self.rule("transactions: 1")
        raw = self.raw(server)
        raw.send(*[Request(id=id, read_only=True, begin=messages.Begin()) for id in (1, 2)])
        answers = raw.finals(2)
        self.assertEqual(code(answers[1]), "OK")
        self.full(answers[2], "rules.transactions")

    def block_writer(self, server):
        """Another process has the file's lock: writes wait, and hold nothing of Prism's limits."""
        lock = sqlite3.connect(server.database_path, isolation_level=None)
        self.addCleanup(lock.close)
        lock.execute("begin immediate")

    # Of SQLite

    def sqlite(self, limits, config=""):
        directory = tempfile.mkdtemp(prefix="prism-limits-")
        self.addCleanup(shutil.rmtree, directory, True)
        path = os.path.join(directory, "data.db")
        server = self.serve(config + f"backends:\n  - {{name: main, kind: sqlite, path: {path}, {limits}}}\n", sqlite=False)
        server.database_path = path
        return server

    def test_queue_requests(self):
        server = self.sqlite("queue_requests: 2")
        self.hold_writer(server)
        raw = self.raw(server)
        raw.send(*[put(id, b"k", b"v", timeout_microseconds=2_000_000) for id in range(1, 5)])
        for _ in range(2):
            answer = raw.receive()
            self.full(answer, "queue")
            self.assertGreater(answer.failure.retry_after_microseconds, 0)

    def test_sqlite_readers(self):
        client_count, server = 8, self.sqlite("readers: 1")
        raw = [self.raw(server, seconds=30) for _ in range(client_count)]
        for each in raw:
            each.send(query(1, SLOW, 20_000, read_only=True))
        for each in raw:
            self.assertEqual(each.final(1)[-1].query.rows[0].values[0].integer, 20_000)

    # More than fits into a stream's window and the socket.
    STREAM = ("with recursive n(i) as (select 1 union all select i + 1 from n where i < 100000) "
              "select i, 'padding padding padding padding' as padding from n")

    def streams(self, server, count):
        """Streams that nobody reads, each with a connection."""
        raws = [self.raw(server, receive_buffer=4096) for _ in range(count)]
        for raw in raws:
            raw.send(query(1, self.STREAM, read_only=True))
            raw.receive()
        return raws

    def test_sqlite_reader_connections(self):
        server = self.sqlite("reader_connections: 4, acquire_timeout: 200ms", "limits: {stream_stall: 1h}\n")
        self.streams(server, 2)
        client = self.client(server)
        self.refused("RESOURCE_EXHAUSTED", client.query, "select 1", read_only=True, words="acquire_timeout")
        self.assertFalse(client.get("k"))

    def test_limits_stream_stall(self):
        server = self.sqlite("reader_connections: 4", "limits: {stream_stall: 200ms}\n")
        streams = self.streams(server, 2)
        client = self.client(server)
        # Both connections are taken: one of the two streams makes room, and says why to those who read it later.
        self.assertEqual(client.query("select 1", read_only=True).scalar(), 1)
        self.assertEqual(self.counted(server, "limits.stream_stall"), 1)
        answers = [raw.final(1)[-1] for raw in streams]
        stalled = [answer for answer in answers if code(answer) != "OK"]
        self.assertEqual(len(stalled), 1)
        self.full(stalled[0], "limits.stream_stall")
        self.assertEqual(client.query("select 2", read_only=True).scalar(), 2)

    def test_sqlite_acquire_timeout(self):
        server = self.sqlite("acquire_timeout: 100ms")
        self.hold_writer(server)
        self.refused("RESOURCE_EXHAUSTED", self.client(server).put, "k", b"v", words="acquire_timeout")

    def test_sqlite_busy_timeout(self):
        server = self.sqlite("busy_timeout: 100ms")
        client = self.client(server)
        client.put("k", b"v")
        self.block_writer(server)
        error = self.refused("UNAVAILABLE", client.put, "k", b"w")
        self.assertGreater(error.retry_after, 0)

    def test_sqlite_group_requests(self):
        server = self.sqlite("group_requests: 2")
        raw = self.raw(server)
        raw.send(*[put(id, b"k%d" % id, b"v") for id in range(1, 101)])
        self.assertEqual({code(answer) for answer in raw.finals(100).values()}, {"OK"})
        self.assertEqual(self.client(server).count(), 100)

    def test_sqlite_statement_cache(self):
        client = self.client(self.sqlite("statement_cache: 2, readers: 1"))
        for number in list(range(10)) * 3:
            self.assertEqual(client.query(f"select {number}", read_only=True).scalar(), number)

    def test_sqlite_checkpoint_pages(self):
        server = self.sqlite("checkpoint_pages: 10")
        client = self.client(server)
        for number in range(200):
            client.put(f"k{number % 5}", b"%d" % number * 1_000)
        # Some commits, with their pages, may stand behind the last checkpoint.
        self.assertLess(os.path.getsize(server.database_path + "-wal"), 1 << 20)

    def test_sqlite_cache_size(self):
        server = self.sqlite("cache_size: 64KiB, readers: 1")
        client = self.client(server)
        for number in range(20):
            client.put(f"k{number}", b"x" * 500_000)
        before = server.memory_kilobytes()
        for number in list(range(20)) * 3:
            self.assertEqual(len(client.get(f"k{number}").value), 500_000)
        self.assertLess(server.memory_kilobytes() - before, 16 << 10)

    def test_sqlite_statement_memory(self):
        client = self.client(self.sqlite("statement_memory: 1MiB"))
        self.refused("RESOURCE_EXHAUSTED", client.query, "select length(hex(zeroblob(20000000)))", read_only=True)
        self.assertEqual(client.query("select 1").scalar(), 1)

    def test_sqlite_sweep_rows(self):
        server = self.sqlite("sweep_rows: 1, sweep_interval: 10ms")
        client = self.client(server)
        client.write([prism.Put(f"k{number}", b"v", ttl=0.001) for number in range(20)])
        self.until("swept", lambda: server.read_file("select count(*) from prism_entry") == [(0,)])


@postgres.needed
class PostgreSQLLimitTests(LimitCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = postgres.Cluster()
        cls.addClassCleanup(cls.cluster.close)

    def postgresql(self, limits, host=None):
        place = f"host={host} dbname=postgres user=postgres" if host else self.cluster.conninfo()
        return self.serve(f"runtime: {{reactors: 1}}\nbackends:\n  - {{name: main, kind: postgresql, {limits}, conninfo: {place}}}\n",
                          sqlite=False)

    def test_postgresql_connections_max(self):
        server = self.postgresql("connections_min: 0, connections_max: 3")
        raw = self.raw(server)
        raw.send(*[query(id, "select pg_backend_pid(), pg_sleep(0.1)", read_only=True) for id in range(1, 13)])
        pids = {answer.query.rows[0].values[0].integer for answer in self.parts(raw, 12)}
        # One of the three is for cancelling.
        self.assertEqual(len(pids), 2)

    def parts(self, raw, count):
        rows, finals = [], 0
        while finals < count:
            answer = raw.receive()
            self.assertEqual(code(answer), "OK", str(answer))
            if len(answer.query.rows):
                rows.append(answer)
            finals += not answer.more
        return rows

    def test_postgresql_acquire_timeout(self):
        server = self.postgresql("connections_min: 1, connections_max: 1, acquire_timeout: 100ms")
        idle = 'prism_backend_connections{backend="main",state="idle"} 1'
        self.until("connected", lambda: idle in server.admin("GET", "/metrics")[1])
        raw = self.raw(server)
        raw.send(query(1, "select pg_sleep(10)"), query(2, "select 1"))
        answer = raw.receive()
        self.assertEqual(answer.id, 2)
        self.full(answer, "acquire_timeout")

    def test_postgresql_connect_timeout(self):
        # It accepts, and says nothing.
        directory = self.cluster.directory
        path = os.path.join(directory, ".s.PGSQL.5999")
        with socket.socket(socket.AF_UNIX) as silent:
            silent.bind(path)
            silent.listen(8)
            server = self.postgresql("connections_min: 0, connect_timeout: 2s, acquire_timeout: 20s", host=f"{directory} port=5999")
            error = self.refused("UNAVAILABLE", self.client(server, timeout=25).query, "select 1")
            self.assertGreater(error.retry_after, 0)
        os.unlink(path)

    def test_postgresql_statement_cache(self):
        server = self.postgresql("connections_min: 0, connections_max: 1, statement_cache: 2")
        client = self.client(server)
        for number in list(range(10)) * 3:
            self.assertEqual(client.query(f"select {number}").scalar(), number)
        names = client.query("select count(*) from pg_prepared_statements where statement like 'select _'").scalar()
        self.assertLessEqual(names, 2)

    def test_postgresql_shared_requests(self):
        server = self.postgresql("shared_requests: 2")
        raw = self.raw(server)
        raw.send(*[get(id, b"k1") for id in range(1, 101)])
        self.assertEqual({code(answer) for answer in raw.finals(100).values()}, {"OK"})

    def test_postgresql_shared_answer_bytes(self):
        client = self.client(self.postgresql("shared_answer_bytes: 1KiB"))
        client.put("shared", b"x" * 5_000)
        for size in (10, 5_000, 10, 500_000, 10):
            self.assertEqual(len(client.get("shared").value), 5_000)
            self.assertEqual(len(client.query("select repeat('x', $1::int)", size, read_only=True).scalar()), size)

    def test_postgresql_sweep_rows(self):
        server = self.postgresql("connections_min: 0, sweep_rows: 1, sweep_interval: 10ms")
        client = self.client(server)
        client.write([prism.Put(f"k{number}", b"v", ttl=0.001) for number in range(20)])
        self.until("swept", lambda: self.cluster.value("select count(*) from prism.entry where key like 'k%'") == "0")


if __name__ == "__main__":
    unittest.main()
