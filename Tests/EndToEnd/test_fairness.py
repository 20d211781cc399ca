"""One client floods, or all together ask for more than there is: the others are served in their turn, and what is served is
served in time. Judged by counts."""

import contextlib
import os
import selectors
import threading
import time
import unittest

import paths
import postgres
from harness import Server
from raw import RawClient, Request, code, messages, put, query

FLOOD = 1000
POLITE_UID = 65534
# A limit for what hangs, not a measurement.
SECONDS_MAX = 120


@contextlib.contextmanager
def as_uid(uid):
    """The kernel tells the server the effective uid of whoever connects."""
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)


class Flood:
    """A client with 1,000 requests in flight at any time; counts its answers."""

    def __init__(self, path, request):
        self._raw = RawClient(path, seconds=SECONDS_MAX)
        self._request = request
        self._stop = threading.Event()
        self.answered = 0
        self.failures = []
        self._raw.send(*[request(id) for id in range(1, FLOOD + 1)])
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        next_id = FLOOD + 1
        while not self._stop.is_set():
            answer = self._raw.receive()
            if answer is None:
                return
            if code(answer) != "OK":
                self.failures.append(answer)
            self.answered += 1
            self._raw.send(self._request(next_id))
            next_id += 1

    def close(self):
        self._stop.set()
        self._thread.join()
        self._raw.close()


class FairnessCase(unittest.TestCase):
    def polite(self, server, flood, request, count):
        """How many answers the flood got between each of a polite client's requests and its answer."""
        with as_uid(POLITE_UID):
            raw = RawClient(server.socket_path, seconds=SECONDS_MAX)
        self.addCleanup(raw.close)
        while flood.answered < 50:
            time.sleep(0.001)
        ahead = []
        for id in range(1, count + 1):
            before = flood.answered
            raw.send(request(id))
            answer = raw.receive()
            ahead.append(flood.answered - before)
            self.assertEqual(code(answer), "OK", answer)
        return ahead

    def judge(self, server, flooding, request, at_once, count=20):
        flood = Flood(server.socket_path, flooding)
        try:
            ahead = self.polite(server, flood, request, count)
        finally:
            flood.close()
        self.assertEqual(flood.failures, [])
        ahead.sort()
        print(f"{self.id().rpartition('.')[2]}: answers of the flood before a polite one: {ahead}", flush=True)
        # What was begun before it, and what is done beside it; the rest is how late this process counts.
        self.assertLessEqual(ahead[len(ahead) // 2], 4 * at_once)
        self.assertLess(ahead[-1], FLOOD // 4)

    def serve(self, config, directory=None):
        server = Server(config="socket: {mode: '0666'}\nruntime: {reactors: 1}\n" + config, sqlite=False, directory=directory)
        self.addCleanup(server.close)
        os.chmod(server.directory, 0o755)
        return server


@unittest.skipUnless(os.geteuid() == 0, "connects as two users, which only root can")
@unittest.skipUnless(paths.binary(), "prism is not built: run `swift build`, or name a binary in PRISM_BINARY")
class SQLiteFairnessTests(FairnessCase):
    GROUP = 8

    def sqlite(self):
        return self.serve("backends:\n  - {name: main, kind: sqlite, path: data.db, readers: 2, "
                          f"group_requests: {self.GROUP}}}\n")

    def test_writes(self):
        self.judge(self.sqlite(), lambda id: put(id, b"flood", b"v"), lambda id: put(id, b"polite", b"v"), self.GROUP)

    def test_long_writes(self):
        server = self.serve("backends:\n  - {name: main, kind: sqlite, path: data.db, acquire_timeout: 1m}\n")
        with server.connect() as client:
            client.query("create table t (i integer)")
        long = "insert into t with recursive r(i) as (select 1 union all select i + 1 from r where i < ?1) select max(i) from r"
        self.judge(server, lambda id: query(id, long, 50_000), lambda id: put(id, b"polite", b"v"), 4)

    def test_queries(self):
        slow = ("with recursive r(i) as (select 1 union all select i + 1 from r where i < ?1) select max(i) from r")
        self.judge(self.sqlite(), lambda id: query(id, slow, 10_000, read_only=True),
                   lambda id: query(id, slow, 10, read_only=True), 2)


@unittest.skipUnless(os.geteuid() == 0, "connects as two users, which only root can")
@unittest.skipUnless(paths.binary(), "prism is not built: run `swift build`, or name a binary in PRISM_BINARY")
@postgres.needed
class PostgreSQLFairnessTests(FairnessCase):
    CONNECTIONS = 4

    @classmethod
    def setUpClass(cls):
        cls.cluster = postgres.Cluster()
        cls.addClassCleanup(cls.cluster.close)

    def postgres(self, connections):
        conninfo = f"host={self.cluster.directory} port={self.cluster.port} dbname=postgres user=postgres"
        # One connection of the budget is for cancelling.
        return self.serve(f"backends:\n  - {{name: main, kind: postgresql, conninfo: \"{conninfo}\", "
                          f"connections_min: {connections + 1}, connections_max: {connections + 1}}}\n")

    def test_queries(self):
        self.judge(self.postgres(self.CONNECTIONS), lambda id: query(id, "select pg_sleep(0.005)", read_only=True),
                   lambda id: query(id, "select 1", read_only=True), self.CONNECTIONS)

    def test_ten_times_the_capacity_leaves_most_of_it_answered_in_time(self):
        connections, seconds, per_tick = 2, 3, 10
        server = self.postgres(connections)
        with server.raw(seconds=SECONDS_MAX) as raw:
            self.assertEqual(code(raw_answer(raw, 1, "select pg_sleep(0.01)")), "OK")
            capacity = self.closed_loop(raw, connections, 1.0)
        good, late, refused = self.offer(server, seconds, per_tick)
        print(f"capacity {capacity:.0f}/s, offered {(good + late + refused) / seconds:.0f}/s: {good / seconds:.0f}/s in time, "
              f"{late} OK after their deadline, {refused} refused", flush=True)
        self.assertGreater(good + late + refused, 5 * capacity * seconds)
        self.assertGreater(good, 0.7 * capacity * seconds)  # 0.9 on a machine that does nothing else; see the simulator.
        self.assertLess(late, 0.1 * good)
        with server.raw(seconds=SECONDS_MAX) as raw:
            self.assertEqual(code(raw_answer(raw, 1, "select 1")), "OK")
        _, metrics = server.admin("GET", "/metrics")
        self.assertRegex(metrics, r'prism_queue_late_total\{backend="main"\} [1-9]')

    def closed_loop(self, raw, in_flight, seconds):
        """Answers a second with so many requests in flight, and one that waits for each."""
        raw.send(*[query(id, "select pg_sleep(0.01)", read_only=True) for id in range(10, 10 + 2 * in_flight)])
        next_id, count, start = 1_000, 0, time.monotonic()
        while (elapsed := time.monotonic() - start) < seconds:
            raw.receive()
            count += 1
            raw.send(query(next_id, "select pg_sleep(0.01)", read_only=True))
            next_id += 1
        for _ in range(2 * in_flight):
            raw.receive()
        return count / elapsed

    def offer(self, server, seconds, per_tick):
        """2,000 requests a second, whatever becomes of them: in time, OK too late, not OK."""
        with server.raw(seconds=SECONDS_MAX) as raw:
            interval = per_tick / 2_000
            sent, good, late, refused = {}, 0, 0, 0
            selector = selectors.DefaultSelector()
            selector.register(raw.socket, selectors.EVENT_READ)
            start = time.monotonic()
            next_tick, next_id = start, 1
            while sent or time.monotonic() - start < seconds:
                now = time.monotonic()
                if now >= next_tick and now - start < seconds:
                    batch = [query(id, "select pg_sleep(0.01)", read_only=True, timeout_microseconds=100_000)
                             for id in range(next_id, next_id + per_tick)]
                    sent.update((request.id, now) for request in batch)
                    next_id += per_tick
                    next_tick += interval
                    raw.send(*batch)
                if not raw._received and not selector.select(max(0, min(next_tick - time.monotonic(), interval))):
                    continue
                while answer := received(raw):
                    elapsed = time.monotonic() - sent.pop(answer.id)
                    if code(answer) != "OK":
                        refused += 1
                        self.assertIn(code(answer), ("DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"), answer)
                    elif elapsed <= 0.11:  # seen from here, with the way there and back
                        good += 1
                    else:
                        late += 1
            selector.close()
            return good, late, refused


def raw_answer(raw, id, sql):
    raw.send(query(id, sql, read_only=True))
    return raw.receive()


def received(raw):
    """The next answer, if there is something to read."""
    poll = selectors.DefaultSelector()
    poll.register(raw.socket, selectors.EVENT_READ)
    ready = bool(raw._received) or bool(poll.select(0))
    poll.close()
    return raw.receive() if ready else None


if __name__ == "__main__":
    unittest.main()
