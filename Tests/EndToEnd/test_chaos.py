"""A sidecar that is killed, stalled and starved while clients work through it, on both backends: what it has said holds.

PRISM_TEST_CHAOS_SECONDS says how long each backend suffers; `make chaos SECONDS=N` runs it alone on the release binary.
PRISM_TEST_SEED runs the same order of troubles again.
"""

import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import unittest

import paths
import postgres
import prism
import processes
from harness import Server
from postgres_faults import Relay

SECONDS = int(os.environ.get("PRISM_TEST_CHAOS_SECONDS", "8"))
SEED = int(os.environ.get("PRISM_TEST_SEED", random.randrange(1 << 32)))
WORKERS = 6
# For what a client has begun when the troubles end, and for a crashed server's recovery: a limit for what hangs.
REST_SECONDS = 120
HOGS, HOG_SECONDS = 2, 1.0
IDLE_CONNECTIONS = 300
SPIN = "import time\nend = time.monotonic() + %r\nwhile time.monotonic() < end: pass"


class Worker:
    """One client: does something, and keeps what it was told of it."""

    def __init__(self, path, number, end):
        self.path, self.number, self.end = path, number, end
        self.random = random.Random(SEED * 31 + number)
        self.client = None
        self.report = {"there": [], "absent": [], "unknown": 0, "wrong": [], "codes": {}, "increments": 0, "unsure": 0}

    def run(self):
        index = 0
        while time.monotonic() < self.end:
            index += 1
            self.random.choice([self.put, self.insert, self.pair, self.increment, self.read])(f"{self.number}-{index}")
        return self.report

    def attempt(self, what):
        """What became of it: "OK", "NOT_EXECUTED", "EXECUTED" or "UNKNOWN"."""
        try:
            if self.client is None:
                self.client = prism.connect(self.path, timeout=10)
            what(self.client)
            self.count("OK")
            return "OK"
        except prism.Error as error:
            self.count(error.code)
            # No trouble makes a good request a bad one.
            if error.code in ("INVALID_ARGUMENT", "INTERNAL", "NOT_FOUND", "PERMISSION_DENIED", "UNIMPLEMENTED", "OUT_OF_RANGE"):
                self.report["wrong"].append(str(error))
            time.sleep(min(max(error.retry_after, 0.005), 0.1))
            return error.outcome

    def count(self, code):
        self.report["codes"][code] = self.report["codes"].get(code, 0) + 1

    def keep(self, fate, *names):
        if fate in ("OK", "EXECUTED"):
            self.report["there"] += names
        elif fate == "NOT_EXECUTED":
            self.report["absent"] += names
        else:
            self.report["unknown"] += 1

    def put(self, name):
        self.keep(self.attempt(lambda client: client.put(f"k{name}", name, if_absent=True)), f"k{name}")

    def insert(self, name):
        self.keep(self.attempt(lambda client: client.query("insert into chaos (name) values ($1)", f"q{name}")), f"q{name}")

    def pair(self, name):
        def both(client):
            with client.transaction() as transaction:
                transaction.query("insert into chaos (name) values ($1)", f"a{name}")
                transaction.put(f"kb{name}", name)

        self.keep(self.attempt(both), f"a{name}", f"kb{name}")

    def increment(self, name):
        """Again and again with one key, until it is known to have happened."""
        give_up = self.end + REST_SECONDS / 2
        while time.monotonic() < give_up:
            fate = self.attempt(lambda client: client.increment(f"n{self.number}", idempotency_key=name))
            if fate in ("OK", "EXECUTED"):
                self.report["increments"] += 1
                return
        self.report["unsure"] += 1

    def read(self, name):
        names = [one for one in self.report["there"][-50:] if one.startswith("k")]
        if not names:
            return
        name = self.random.choice(names)

        def check(client):
            entry = client.get(name)
            if entry is None or entry.value != name.lstrip("kb").encode():
                self.report["wrong"].append(f"get {name}: {entry}")

        self.attempt(check)


@unittest.skipUnless(paths.binary(), "prism is not built: run `swift build`, or name a binary in PRISM_BINARY")
class ChaosTests(unittest.TestCase):
    def setUp(self):
        self.random = random.Random(SEED)
        self.done = {}

    # Troubles that any sidecar can have

    def kill(self):
        """The app's clients see their connections break, and find another sidecar at the same path."""
        self.server.kill()
        self.server = self.serve(self.server.directory)

    def stall(self):
        self.pause(self.server.pid, 0.05, 0.5)

    def starve(self):
        for _ in range(HOGS):
            hog = subprocess.Popen([sys.executable, "-c", SPIN % HOG_SECONDS])
            self.addCleanup(hog.wait)

    def crowd(self):
        """Takes connections, and leaves."""
        connections = []
        try:
            for _ in range(IDLE_CONNECTIONS):
                one = socket.socket(socket.AF_UNIX)
                connections.append(one)
                one.settimeout(1)
                one.connect(self.server.socket_path)
        except OSError:
            pass
        finally:
            for one in connections:
                one.close()

    def babble(self):
        with socket.socket(socket.AF_UNIX) as one:
            one.settimeout(1)
            one.connect(self.server.socket_path)
            try:
                one.sendall(self.random.randbytes(1 << 16))
            except OSError:
                pass

    def pause(self, pid, low, high):
        try:
            os.kill(pid, signal.SIGSTOP)
        except ProcessLookupError:
            return
        try:
            time.sleep(self.random.uniform(low, high))
        finally:
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                pass

    # The run

    def suffer(self, troubles):
        """Troubles one after another beside the clients; then what these were told is held against the database."""
        end = time.monotonic() + SECONDS
        load = processes.Processes(lambda number: Worker(self.server.socket_path, number, end).run(), WORKERS)
        self.addCleanup(load.end)
        while time.monotonic() < end:
            trouble = self.random.choice(troubles)
            trouble()
            self.done[trouble.__name__] = self.done.get(trouble.__name__, 0) + 1
            time.sleep(self.random.uniform(0.02, 0.2))
        reports = load.results(REST_SECONDS)
        there = self.names()
        codes = {}
        for number, report in enumerate(reports):
            about = f"worker {number}, PRISM_TEST_SEED={SEED}, {self.done}"
            self.assertEqual(report["wrong"], [], about)
            self.assertEqual([name for name in report["there"] if name not in there], [], f"said to be there: {about}")
            self.assertEqual([name for name in report["absent"] if name in there], [], f"said not to be: {about}")
            counted = self.counter(f"n{number}")
            self.assertGreaterEqual(counted, report["increments"], about)
            self.assertLessEqual(counted, report["increments"] + report["unsure"], about)
            for code, count in report["codes"].items():
                codes[code] = codes.get(code, 0) + count
        self.assertGreater(codes.get("OK", 0), WORKERS * SECONDS, f"{codes} {self.done}")
        _, metrics = self.server.admin("GET", "/metrics")
        self.assertIn("\nprism_invariant_violations_total 0\n", metrics, self.server.log[-4000:])
        print(f"chaos, {SECONDS} s, seed {SEED}: answers {codes}, unknown {sum(one['unknown'] for one in reports)}, "
              f"troubles {self.done}", file=sys.stderr)

    def names(self):
        with self.server.connect(timeout=60) as client:
            rows = client.query("select name from chaos", read_only=True).rows
            return {row[0] for row in rows} | {entry.key.decode() for entry in client.scan("k", keys_only=True)}

    def counter(self, key):
        with self.server.connect(timeout=60) as client:
            entry = client.get(key)
            return int(entry.value) if entry else 0

    # The backends

    def test_sqlite(self):
        self.serve = lambda directory=None: Server(directory=directory)
        self.server = self.serve()
        first = self.server
        self.addCleanup(lambda: (self.server.kill() if self.server.process.poll() is None else None, first.close()))
        with self.server.connect() as client:
            client.query("create table chaos (name text primary key)")
            client.put("k0", "0")

        def lock():
            """Another process writes."""
            database = sqlite3.connect(self.server.database_path, timeout=10, isolation_level=None)
            try:
                database.execute("begin immediate")
                time.sleep(self.random.uniform(0.01, 0.3))
                database.execute("rollback")
            except sqlite3.OperationalError:
                pass
            finally:
                database.close()

        self.suffer([self.kill, self.stall, self.starve, self.crowd, self.babble, lock])

    @postgres.needed
    def test_postgresql(self):
        cluster = postgres.Cluster()
        self.addCleanup(cluster.close)
        relay = Relay(cluster)
        self.addCleanup(relay.close)
        conninfo = f"host={relay.directory} port={cluster.port} dbname=postgres user={postgres.SUPERUSER} application_name=chaos"
        self.serve = lambda directory=None: Server("--postgres", conninfo, sqlite=False, directory=directory)
        self.server = self.serve()
        first = self.server
        self.addCleanup(lambda: (self.server.kill() if self.server.process.poll() is None else None, first.close()))
        cluster.sql("create table chaos (name text primary key)")
        with self.server.connect(timeout=60) as client:
            client.put("k0", "0")

        def ask(sql):
            try:
                return cluster.sql(sql)
            except AssertionError:  # The server is not there just now.
                return []

        def terminate():
            ask("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'chaos' order by random() limit 3")

        def hang():
            for pid, in ask("select pid from pg_stat_activity where application_name = 'chaos' order by random() limit 1"):
                self.pause(int(pid), 0.1, 1.0)

        def lose():
            for _ in range(self.random.randint(1, 10)):
                relay.drop_one()

        def block():
            ask("begin; lock table chaos in access exclusive mode; select pg_sleep(0.3); rollback")

        troubles = [self.kill, self.stall, self.starve, self.crowd, self.babble, terminate, hang, lose, block]
        self.suffer(troubles * 3 + [cluster.crash])


if __name__ == "__main__":
    unittest.main()
