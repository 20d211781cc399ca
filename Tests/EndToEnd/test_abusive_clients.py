"""Abusive clients beside polite ones: the polite are served, memory stays under its limit, descriptors come back.
PRISM_TEST_ABUSE_SECONDS is for how long (10, and a minute for all at once; with PRISM_TEST_FULL=1 a minute each,
PRISM_TEST_SECONDS_MAX allows more)."""

import os
import re
import statistics
import threading
import time
import unittest

import abuse
import paths
import postgres
from harness import Server
from processes import Processes
from raw import RawClient, code, get, ping, put, query

SECONDS = float(os.environ.get("PRISM_TEST_ABUSE_SECONDS", "60" if os.environ.get("PRISM_TEST_FULL") == "1" else "10"))
ALL_SECONDS = float(os.environ.get("PRISM_TEST_ABUSE_SECONDS", "60"))
# A limit for what hangs, not a measurement.
SECONDS_MAX = 60
POLITE = 10
POOL = 10
FIRST_UID = 60_001
MEBIBYTE = 1 << 20
BUFFERED_BYTES = 64 * MEBIBYTE
IN_FLIGHT = 262_144
READER_CONNECTIONS = 20
CACHE_BYTES = 2 * MEBIBYTE
STATEMENT_BYTES = 4 * MEBIBYTE
# Per request in flight, with its place in the queues, its timer, its decoded form and its answer.
REQUEST_BYTES = 2048
CONNECTIONS = 1000
CONFIG = f"""
socket: {{mode: '0666'}}
limits:
  connections: {CONNECTIONS}
  buffered_bytes: {BUFFERED_BYTES}
  in_flight: {IN_FLIGHT}
backends:
"""
SQLITE = CONFIG + (f"  - {{name: main, kind: sqlite, path: data.db, queue_requests: {IN_FLIGHT}, reader_connections: "
                   f"{READER_CONNECTIONS}, cache_size: {CACHE_BYTES}, statement_memory: {STATEMENT_BYTES}}}\n")
# What all of it may take: the caches and statements of each reader and the writer, one decoded request, the buffers, the requests.
MEMORY_BYTES_MAX = (BUFFERED_BYTES + 16 * MEBIBYTE + (READER_CONNECTIONS + 5) * (CACHE_BYTES + STATEMENT_BYTES)
                    + 100_000 * REQUEST_BYTES)


def slope(samples):
    """Of (seconds, value) by least squares, a second."""
    return statistics.linear_regression(*zip(*samples)).slope


class Polite:
    """Ten connections of one client with one request at a time each; now and then one of them connects anew."""

    def __init__(self, path, kinds):
        self._path, self._kinds = path, kinds
        self._raws = [self._connect() for _ in range(POLITE)]
        self.microseconds, self.not_served, self._id = [], {}, 0

    def _connect(self):
        deadline = time.monotonic() + SECONDS_MAX
        while True:
            try:
                return RawClient(self._path, seconds=SECONDS_MAX)
            except BlockingIOError:  # the kernel's backlog is full: `socket.backlog`
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.001)

    def _request(self, key):
        self._id += 1
        match self._kinds[self._id % len(self._kinds)]:
            case "put": return put(self._id, key, b"%d" % self._id)
            case "get": return get(self._id, key)
            case "query": return query(self._id, "select 1", read_only=True)
            case "ping": return ping(self._id, b"here")

    def turn(self):
        for number, raw in enumerate(self._raws):
            request = self._request(b"polite/%d" % number)
            started = time.monotonic()
            raw.send(request)
            answer = raw.receive()
            while answer is not None and answer.more:
                answer = raw.receive()
            assert answer is not None and answer.id == request.id, f"{request} got {answer}"
            self.microseconds.append((time.monotonic() - started) * 1e6)
            if code(answer) not in ("OK", "NOT_FOUND"):
                what = f"{request.WhichOneof('operation')}: {code(answer)}: {answer.failure.message}"
                self.not_served[what] = self.not_served.get(what, 0) + 1
            if request.id % 97 == 0:
                raw.close()
                self._raws[number] = self._connect()

    def close(self):
        for raw in self._raws:
            raw.close()

    def __str__(self):
        cuts = statistics.quantiles(self.microseconds, n=100)
        return (f"{len(self.microseconds)} answers, p50 {cuts[49]:.0f} us, p99 {cuts[98]:.0f} us, "
                f"longest {max(self.microseconds):.0f} us")


class AbuseCase(unittest.TestCase):
    def metric(self, server, name):
        """None: the server says that it cannot answer now."""
        status, body = server.admin("GET", "/metrics")
        if status == 503:
            return None
        return int(re.search(rf"^{name} (\d+)", body, re.M).group(1))

    def until(self, what, condition):
        deadline = time.monotonic() + SECONDS_MAX
        while not condition():
            self.assertLess(time.monotonic(), deadline, what())
            time.sleep(0.05)

    def watch(self, server, start, samples, seconds):
        """Seconds, bytes of memory, sockets, requests in flight, ten times a second."""
        while not samples or time.monotonic() - start < seconds:
            in_flight = self.metric(server, "prism_in_flight")
            samples.append((time.monotonic() - start, server.memory_kilobytes() * 1024, server.sockets(), in_flight or 0))
            time.sleep(0.1)

    def abuse(self, config, clients, kinds=("put", "get", "ping", "query"), seconds=SECONDS):
        """What the clients report of themselves, by name, and the most requests in flight; the rest is judged here."""
        server = Server(config=config, sqlite=False)
        self.addCleanup(server.close)
        os.chmod(server.directory, 0o755)
        polite = Polite(server.socket_path, kinds)
        self.addCleanup(polite.close)
        for _ in range(8):
            polite.turn()
        self.assertEqual(polite.not_served, {})
        alone = str(polite)
        polite.microseconds.clear()
        memory_before, sockets_before = server.memory_kilobytes() * 1024, server.sockets()

        children = Processes(lambda number: abuse.run(clients[number], server.socket_path, FIRST_UID + number, seconds, number),
                             len(clients))
        self.addCleanup(children.end)
        start, samples = time.monotonic(), []
        watcher = threading.Thread(target=lambda: self.watch(server, start, samples, seconds))
        watcher.start()
        try:
            while not polite.microseconds or time.monotonic() - start < seconds:
                polite.turn()
        finally:
            watcher.join()
        reports = children.results(SECONDS_MAX)

        memory_most, sockets_most, in_flight_most = (max(sample[place] for sample in samples) for place in (1, 2, 3))
        late = samples[len(samples) // 2:]
        print(*reports, f"polite, alone: {alone}", f"polite, beside them: {polite}",
              f"in flight at most {in_flight_most}; memory {memory_before >> 20} MiB before, {memory_most >> 20} MiB at most, "
              f"may grow by {MEMORY_BYTES_MAX >> 20} MiB",
              "slopes in the second half: " + (
                  f"memory {slope([(each[0], each[1]) for each in late]) / 1024:.1f} KiB/s, "
                  f"sockets {slope([(each[0], each[2]) for each in late]):.2f}/s" if len(late) > 1 else "too few samples"),
              sep="\n", flush=True)
        self.assertEqual(polite.not_served, {})
        self.assertLess(memory_most, memory_before + MEMORY_BYTES_MAX)
        # Those that are being refused have one for a moment.
        self.assertLess(sockets_most, CONNECTIONS + 2 * sockets_before + POOL)
        self.until(lambda: f"{self.metric(server, 'prism_clients')} clients",
                   lambda: self.metric(server, "prism_clients") == POLITE)
        # The pool may have had some still to open; what thousands of clients left behind would be more.
        self.until(lambda: f"{server.sockets()} sockets, {sockets_before} before",
                   lambda: server.sockets() <= sockets_before + POOL)
        self.until(lambda: f"{self.metric(server, 'prism_in_flight')} in flight",
                   lambda: self.metric(server, "prism_in_flight") == 0)
        polite.turn()
        self.assertEqual(polite.not_served, {})
        self.assertIsNone(server.process.poll())
        return {report["client"]: report for report in reports}, in_flight_most

    def judge_many(self, config):
        reports, in_flight_most = self.abuse(config, (abuse.sends_a_byte_a_second, abuse.storms, abuse.holds_requests))
        # They did what they are for.
        self.assertGreater(reports["sends_a_byte_a_second"]["held_most"], 100)
        self.assertGreater(reports["storms"]["connected"], 100)
        self.assertGreater(reports["holds_requests"]["in_flight_most"], 10_000)
        self.assertGreater(in_flight_most, 1_000)

    def judge_never_reads(self, config):
        reports, _ = self.abuse(config, (abuse.never_reads,))
        self.assertGreater(reports["never_reads"]["asked"], 50)

    def judge_largest_frames(self, config):
        reports, _ = self.abuse(config, (abuse.sends_largest_frames,))
        self.assertGreater(sum(reports["sends_largest_frames"]["answers"].values()), 10)
        self.assertGreater(reports["sends_largest_frames"]["answers"].get("OK", 0), 0)

    def judge_all(self, config):
        reports, in_flight_most = self.abuse(config, abuse.ALL, seconds=ALL_SECONDS)
        self.assertGreater(reports["never_reads"]["asked"], 50)
        self.assertGreater(reports["sends_a_byte_a_second"]["held_most"], 100)
        self.assertGreater(reports["storms"]["connected"], 100)
        # Answers to them, on a machine that is busy with all of these, may take longer than there is time.
        self.assertGreater(reports["sends_largest_frames"]["megabytes_sent"], 0)
        self.assertGreater(reports["holds_requests"]["in_flight_most"], 1_000)
        self.assertGreater(in_flight_most, 100)


@unittest.skipUnless(os.geteuid() == 0, "connects as several users, which only root can")
@unittest.skipUnless(paths.binary(), "prism is not built: run `swift build`, or name a binary in PRISM_BINARY")
class SQLiteAbuseTests(AbuseCase):
    def test_slow_senders_storms_and_a_hundred_thousand_requests(self):
        self.judge_many(SQLITE)

    def test_clients_that_never_read(self):
        self.judge_never_reads(SQLITE)

    def test_largest_frames_on_every_connection(self):
        self.judge_largest_frames(SQLITE)

    def test_all_at_once(self):
        self.judge_all(SQLITE)


@unittest.skipUnless(os.geteuid() == 0, "connects as several users, which only root can")
@unittest.skipUnless(paths.binary(), "prism is not built: run `swift build`, or name a binary in PRISM_BINARY")
@postgres.needed
class PostgreSQLAbuseTests(AbuseCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = postgres.Cluster()
        cls.addClassCleanup(cls.cluster.close)

    def config(self):
        conninfo = f"host={self.cluster.directory} port={self.cluster.port} dbname=postgres user=postgres"
        return CONFIG + (f"  - {{name: main, kind: postgresql, conninfo: \"{conninfo}\", "
                         f"queue_requests: {IN_FLIGHT}, connections_min: {POOL}, connections_max: {POOL}}}\n")

    def test_slow_senders_storms_and_a_hundred_thousand_requests(self):
        self.judge_many(self.config())

    def test_clients_that_never_read(self):
        self.judge_never_reads(self.config())

    def test_largest_frames_on_every_connection(self):
        self.judge_largest_frames(self.config())

    def test_all_at_once(self):
        self.judge_all(self.config())


if __name__ == "__main__":
    unittest.main()
