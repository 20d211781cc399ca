"""The server around PostgreSQL backends: start, health, several reactors, several backends, and its end."""

import json
import os
import re
import signal
import time
import unittest

import postgres
import prism
import processes
from harness import StartTestCase, Server

WAIT_SECONDS_MAX = 60


@postgres.needed
class PostgresServeTests(StartTestCase):
    def setUp(self):
        super().setUp()
        self.cluster = postgres.Cluster()
        self.addCleanup(self.cluster.close)

    def serve(self, *arguments, **options):
        server = Server(*arguments, sqlite=False, **options)
        self.addCleanup(server.close)
        return server

    def connections(self, server):
        _, metrics = server.admin("GET", "/metrics")
        found = re.findall(r'^prism_backend_connections\{backend="(\w+)",state="(\w+)"\} (\d+)', metrics, re.M)
        return {(backend, state): int(count) for backend, state, count in found}

    def until(self, what, condition):
        deadline = time.monotonic() + WAIT_SECONDS_MAX
        while not condition():
            self.assertLess(time.monotonic(), deadline, what)

    def test_a_server_that_is_not_there_yet_fails_requests_and_is_found_later(self):
        self.cluster.stop()
        server = self.serve("--postgres", self.cluster.conninfo())
        client = server.connect(timeout=20)
        self.addCleanup(client.close)
        self.until("down", lambda: "\"healthy\":false" in server.admin("GET", "/status")[1])
        with self.assertRaises(prism.Error) as raised:
            client.query("select 1")
        self.assertEqual((raised.exception.code, raised.exception.outcome), ("UNAVAILABLE", "NOT_EXECUTED"))
        self.assertIn(self.cluster.directory, str(raised.exception))
        self.cluster.start()

        def answers():
            try:
                return client.query("select 1").scalar() == 1
            except prism.Error as error:
                self.assertEqual((error.code, error.outcome), ("UNAVAILABLE", "NOT_EXECUTED"))
                time.sleep(error.retry_after)
                return False

        self.until("up", answers)
        self.until("healthy", lambda: "\"healthy\":true" in server.admin("GET", "/status")[1])
        # Each change is said once, however many connects have failed.
        events = [json.loads(line) for line in server.log.splitlines() if '"event":"backend_' in line]
        self.assertEqual([(event["event"], event["backend"]) for event in events],
                         [("backend_down", "main"), ("backend_up", "main")])
        self.assertIn(self.cluster.directory, events[0]["reason"])

    def test_readiness_depends_on_a_server_only_where_it_is_named(self):
        self.cluster.stop()
        backends = f"backends:\n  - {{name: main, kind: postgresql, conninfo: '{self.cluster.conninfo()}'}}\n"
        unnamed = self.serve(config=backends)
        named = self.serve(config="readiness: {backends: [main]}\n" + backends)
        for server in (unnamed, named):
            self.until("down", lambda: "\"healthy\":false" in server.admin("GET", "/status")[1])
            # It has started, and lives: only whether it is ready is in question.
            self.assertEqual([server.command("probe", probe).returncode for probe in ("startup", "live")], [0, 0])
        self.assertEqual(unnamed.command("probe", "ready").returncode, 0)
        refused = named.command("probe", "ready")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("main", refused.stdout)
        self.cluster.start()
        self.until("ready", lambda: named.command("probe", "ready").returncode == 0)

    def test_reactors_share_the_connections_and_backends_stay_apart(self):
        other = self.cluster.new_database()
        server = self.serve(config=f"""
runtime: {{reactors: 2}}
backends:
  - name: main
    kind: postgresql
    default: true
    conninfo: {self.cluster.conninfo()} application_name=main
    connections_min: 1
    connections_max: 3
  - name: pooled
    kind: postgresql
    conninfo: {self.cluster.conninfo(other)} application_name=pooled
    pooled: true
    connections_min: 0
    connections_max: 2
  - name: file
    kind: sqlite
""")

        def work(number):
            with server.connect(timeout=60) as client:
                for index in range(30):
                    for backend in ("main", "pooled", "file"):
                        value = f"{backend} {number} {index}".encode()
                        client.put(f"key-{number}", value, backend=backend)
                        assert client.get(f"key-{number}", backend=backend).value == value
                    client.query("select pg_sleep(0.001)")

        processes.run(work, 12, WAIT_SECONDS_MAX)
        counts = self.connections(server)
        self.assertLessEqual(sum(counts["main", state] for state in ("idle", "leased", "connecting")), 3)
        self.assertLessEqual(sum(counts["pooled", state] for state in ("idle", "leased", "connecting")), 2)
        for name, most in (("main", 3), ("pooled", 2)):
            count = self.cluster.value(f"select count(*) from pg_stat_activity where application_name = '{name}'")
            self.assertTrue(1 <= int(count) <= most, f"{name}: {count}")
        # Without the rows that the tables start with, which may not be swept yet.
        for database in ("postgres", other):
            self.assertEqual(
                self.cluster.value("select count(*) from prism.entry where key like 'key-%'", database=database), "12")
        _, metrics = server.admin("GET", "/metrics")
        self.assertIn("\nprism_invariant_violations_total 0\n", metrics)

    def test_a_hung_server_does_not_hold_up_the_end(self):
        server = self.serve("--postgres", self.cluster.conninfo())
        client = server.connect(timeout=60)
        self.addCleanup(client.close)
        client.query("select 1")
        stopped = [self.cluster.pid] + list(self.cluster.children())
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            server.signal()
            self.assertEqual(server.wait(), 0, server.log[-2000:])
        finally:
            for pid in reversed(stopped):
                os.kill(pid, signal.SIGCONT)

    def cancel_one(self, client):
        with self.assertRaises(prism.Error) as raised:
            client.query("select pg_sleep(60)", timeout=0.05)
        self.assertEqual(raised.exception.code, "DEADLINE_EXCEEDED")

    def test_a_connection_for_cancelling_counts_in_the_budget(self):
        def backend(name, most, more):
            return (f"  - {{name: {name}, kind: postgresql, connections_min: 0, connections_max: {most}, {more}, "
                    f"conninfo: {self.cluster.conninfo()} application_name={name}}}\n")

        server = self.serve(config="runtime: {reactors: 1}\nbackends:\n" + backend("one", 1, "pooled: false")
                            + backend("pooled", 3, "pooled: true") + backend("three", 3, "default: true"))
        client = server.connect(timeout=60)
        self.addCleanup(client.close)
        for name in ("one", "pooled", "three"):
            client.query("select 1", backend=name)
            self.assertEqual(self.connections(server)[name, "control"], 0)
            with self.assertRaises(prism.Error) as raised:
                client.query("select pg_sleep(60)", timeout=0.2, backend=name)
            self.assertEqual(raised.exception.code, "DEADLINE_EXCEEDED")
        self.until("control", lambda: self.connections(server)["three", "control"] == 1)

        def together(number):
            with server.connect(timeout=60) as client:
                return client.query("select pg_sleep(0.2), pg_backend_pid()", backend="three").rows[0][1]

        self.assertEqual(len(set(processes.run(together, 8, WAIT_SECONDS_MAX))), 2)
        counts = self.connections(server)
        self.assertEqual([counts[name, "control"] for name in ("one", "pooled", "three")], [0, 0, 1])
        self.assertEqual(
            self.cluster.value("select count(*) from pg_stat_activity where application_name = 'three'"), "3")

    def test_a_server_that_hangs_while_it_is_to_cancel_does_not_hold_up_the_end(self):
        server = self.serve("--postgres", self.cluster.conninfo())
        client = server.connect(timeout=60)
        self.addCleanup(client.close)
        client.query("select 1")
        self.cancel_one(client)
        self.until("control", lambda: self.connections(server)["main", "control"] == 1)
        stopped = [self.cluster.pid] + list(self.cluster.children())
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            self.cancel_one(client)
            server.signal()
            self.assertEqual(server.wait(), 0, server.log[-2000:])
        finally:
            for pid in reversed(stopped):
                os.kill(pid, signal.SIGCONT)

    def test_the_end_leaves_no_session_behind(self):
        server = self.serve("--postgres", self.cluster.conninfo())
        with server.connect(timeout=60) as client:
            client.query("select 1")
            self.cancel_one(client)
        self.until("control", lambda: self.connections(server)["main", "control"] == 1)
        self.assertEqual(server.stop(), 0)
        self.until("no sessions", lambda: self.cluster.value(
            "select count(*) from pg_stat_activity where application_name = 'prism'") == "0")


if __name__ == "__main__":
    unittest.main()
