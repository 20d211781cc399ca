"""PostgreSQL under load and trouble: exact sums, streams that wait, lost connections, crashes, deadlines by the thousand.

The sizes are a hundredth of the full ones; PRISM_TEST_FULL=1 runs those.
"""

import os
import re
import threading
import time
import unittest

import paths
import postgres
import prism
import processes
import tpcb
from harness import Server
from postgres_faults import Relay

FULL = os.environ.get("PRISM_TEST_FULL") == "1"
CONNECTIONS_MAX = 20
# A limit for what hangs, not a measurement.
SECONDS_MAX = 1200 if FULL else 240


@unittest.skipUnless(paths.binary(), "prism is not built: run `swift build`, or name a binary in PRISM_BINARY")
@postgres.needed
class LoadCase(unittest.TestCase):
    SETTINGS = None

    @classmethod
    def setUpClass(cls):
        cls.cluster = postgres.Cluster(cls.SETTINGS)
        cls.addClassCleanup(cls.cluster.close)
        # One connection more than allowed would be refused by the server, and stand in its log.
        cls.cluster.sql(f"create role app login superuser connection limit {CONNECTIONS_MAX}")

    def serve(self, host=None, database="postgres"):
        conninfo = f"host={host or self.cluster.directory} port={self.cluster.port} dbname={database} user=app"
        server = Server("--postgres", conninfo, sqlite=False)
        self.addCleanup(server.close)
        return server

    def assert_quiet(self, server):
        """Nothing is left in the server after its clients have gone."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            _, metrics = server.admin("GET", "/metrics")
            busy = re.search(r"^prism_in_flight(?:\{[^}]*\})? (\d+)", metrics, re.M)
            leased = re.search(r'^prism_backend_connections\{[^}]*state="leased"[^}]*\} (\d+)', metrics, re.M)
            if busy and busy.group(1) == "0" and leased and leased.group(1) == "0":
                break
            time.sleep(0.05)
        else:
            self.fail(f"requests or leases were left:\n{metrics}")
        violations = re.search(r"^prism_invariant_violations_total (\d+)", metrics, re.M)
        self.assertEqual(violations.group(1), "0", server.log[-4000:])


class TPCBTests(LoadCase):
    """Balances and history agree exactly, and there are never more connections than the maximum."""

    PROCESSES, TRANSACTIONS = (64, 1000) if FULL else (16, 100)

    def test_sums_are_exact_with_never_more_connections_than_the_maximum(self):
        server = self.serve()
        with server.connect(timeout=120) as client:
            tpcb.load(client, 10 if FULL else 1)
        mark = self.cluster.log_mark()
        for mode in ("batch", "interactive"):
            reports, _ = tpcb.run(server.socket_path, self.PROCESSES, self.TRANSACTIONS, mode, seconds=SECONDS_MAX)
            self.assertEqual(sum(len(report["confirmed"]) for report in reports), self.PROCESSES * self.TRANSACTIONS)
            tpcb.check(lambda sql: self.cluster.value(sql))
        self.assertEqual(int(self.cluster.value("select count(*) from pgbench_history")),
                         2 * self.PROCESSES * self.TRANSACTIONS)
        self.assertNotIn("too many connections", self.cluster.log_since(mark))
        self.assert_quiet(server)


class StreamTests(LoadCase):
    ROWS = 10_000_000 if FULL else 1_000_000
    PAUSE_SECONDS = 10
    GROWTH_KILOBYTES_MAX = 32 * 1024

    def test_a_reader_that_stops_costs_little_memory_and_nobody_notices(self):
        server = self.serve()
        stop = threading.Event()
        answered, failures = [], []

        def bystander():
            with server.connect(timeout=5) as client:
                while not stop.is_set():
                    try:
                        client.query("select 1", read_only=True)
                        answered.append(1)
                    except prism.Error as error:
                        failures.append(str(error))

        thread = threading.Thread(target=bystander)
        thread.start()
        self.addCleanup(stop.set)
        with server.connect(timeout=SECONDS_MAX) as client:
            client.query("select 1", read_only=True)
            before = server.memory_kilobytes()
            highest = before
            count = total = 0
            rows = iter(client.stream(f"select n, repeat('x', 80) from generate_series(1, {self.ROWS}) n", read_only=True))
            for row in rows:
                count += 1
                total += row[0]
                if count == self.ROWS // 10:
                    for _ in range(self.PAUSE_SECONDS * 10):
                        time.sleep(0.1)
                        highest = max(highest, server.memory_kilobytes())
                if count % 50_000 == 0:
                    highest = max(highest, server.memory_kilobytes())
        stop.set()
        thread.join()
        self.assertEqual((count, total), (self.ROWS, self.ROWS * (self.ROWS + 1) // 2))
        self.assertLessEqual(highest - before, self.GROWTH_KILOBYTES_MAX)
        self.assertEqual(failures, [])
        self.assertGreater(len(answered), 10)
        self.assert_quiet(server)

    def test_readers_that_stopped_and_left_keep_no_connection(self):
        server = self.serve()
        ways = ("closed", "cancelled", "deadline")
        streams = []
        for way in ways * 2:
            client = server.connect(timeout=4 if way == "deadline" else SECONDS_MAX)
            self.addCleanup(client.close)
            stream = client.stream("select n, repeat('x', 10000) from generate_series(1, 1000000) n", read_only=len(streams) < 3)
            next(iter(stream))
            streams.append((way, client, stream))
        before = self.processes()
        self.assertGreaterEqual(len(before), len(streams))
        for way, client, stream in streams:
            if way == "closed":
                client.close()
            elif way == "cancelled":
                stream.close()
        self.assert_quiet(server)
        # What reads past a stream is used again; what cannot is given up.
        self.assertLessEqual(before, self.processes())

    def processes(self):
        return {pid for pid, in self.cluster.sql("select pid from pg_stat_activity where usename = 'app'")}


class LostConnectionTests(LoadCase):
    """No wrong answer, no missing answer, no acknowledged write lost, and the pool comes back to strength."""

    LOSSES, CRASHES, CLIENTS = (2000, 20, 16) if FULL else (40, 2, 8)

    def work(self, path, number, seconds):
        """Writes numbered rows until time is up; what each answer said of them."""
        report = {"ok": [], "not_executed": [], "unknown": [], "wrong": [], "errors": {}}
        end = time.monotonic() + seconds
        index = 0
        client = prism.connect(path, timeout=20)
        while time.monotonic() < end:
            index += 1
            name = f"{number}-{index}"
            try:
                if index % 3 == 0:
                    with client.transaction(timeout=20) as tx:
                        tx.query("insert into acked (name) values ($1)", name)
                        if tx.query("select name from acked where name = $1", name).rows != [(name,)]:
                            report["wrong"].append(name)
                elif index % 3 == 1:
                    answer = client.query("insert into acked (name) values ($1) returning name", name)
                    if answer.rows != [(name,)]:
                        report["wrong"].append(name)
                else:
                    client.batch([prism.statement("insert into acked (name) values ($1)", name),
                                  prism.statement("select $1::text", name)])
                report["ok"].append(name)
            except prism.Error as error:
                report["errors"][error.code] = str(error)
                if error.code not in ("UNAVAILABLE", "ABORTED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION"):
                    report["wrong"].append(f"{name}: {error}")
                elif error.outcome == "NOT_EXECUTED":
                    report["not_executed"].append(name)
                else:
                    report["unknown"].append(name)
                time.sleep(min(max(error.retry_after, 0.001), 0.2))
        client.close()
        return report

    def test_lost_connections_and_crashes(self):
        self.cluster.sql("create table acked (name text primary key)")
        relay = Relay(self.cluster)
        self.addCleanup(relay.close)
        server = self.serve(host=relay.directory)
        seconds = 300 if FULL else 25
        load = processes.Processes(lambda number: self.work(server.socket_path, number, seconds), self.CLIENTS)
        self.addCleanup(load.end)
        try:
            self.harm(relay)
        finally:
            reports = load.results(seconds + 120)
        present = {row[0] for row in self.cluster.sql("select name from acked")}
        for report in reports:
            self.assertEqual(report["wrong"], [])
            self.assertEqual([name for name in report["ok"] if name not in present], [], "acknowledged, and lost")
            self.assertEqual([name for name in report["not_executed"] if name in present], [], "NOT_EXECUTED, and there")
        self.assertGreater(sum(len(report["ok"]) for report in reports), self.CLIENTS * 10, reports[0]["errors"])
        self.assert_quiet(server)
        # Back to strength: as many requests at once as there are connections.
        with server.connect(timeout=20) as client:
            self.assertEqual(client.query("select count(*) from acked").scalar(), len(present))

        def together(number):
            with server.connect(timeout=60) as client:
                return client.query("select pg_sleep(0.3), $1", number).rows[0][1]

        self.assertEqual(sorted(processes.run(together, CONNECTIONS_MAX, 90)), list(range(CONNECTIONS_MAX)))

    def harm(self, relay):
        for loss in range(self.LOSSES):
            if loss % 2 == 0:
                relay.drop_one()
            else:
                try:
                    self.cluster.sql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'app' "
                                     "order by random() limit 1")
                except AssertionError:
                    pass
            if loss % (self.LOSSES // self.CRASHES) == self.LOSSES // self.CRASHES - 1:
                self.cluster.crash()


class DeadlineTests(LoadCase):
    """Cancels reach the statement they are meant for, and no other."""

    SETTINGS = {"log_min_error_statement": "error", "log_min_messages": "warning"}
    DEADLINES, INNOCENT = (20_000, 200_000) if FULL else (400, 4_000)
    HURRIED, CALM = 8, 8

    def hurried(self, path, number):
        counts = {"deadline": 0, "ok": 0, "wrong": []}
        client = prism.connect(path)
        for index in range(self.DEADLINES // self.HURRIED):
            # Half of them are all but sure to be executing when their time is up, the others anywhere.
            sleep, timeout = (1.0, 0.05) if index % 2 else (0.002, 0.0005 + 0.0005 * (index % 8))
            try:
                client.query("select pg_sleep($1), $2", sleep, index, timeout=timeout, read_only=index % 3 == 0)
                counts["ok"] += 1
            except prism.Error as error:
                if error.code == "DEADLINE_EXCEEDED":
                    counts["deadline"] += 1
                else:
                    counts["wrong"].append(str(error))
        client.close()
        return counts

    def calm(self, path, number):
        wrong = []
        client = prism.connect(path, timeout=30)
        for index in range(self.INNOCENT // self.CALM):
            try:
                if client.query("select $1 + 1", index).scalar() != index + 1:
                    wrong.append(f"{index}: a wrong answer")
            except prism.Error as error:
                wrong.append(f"{index}: {error}")
        client.close()
        return wrong

    def test_deadlines_beside_innocent_requests(self):
        server = self.serve()
        mark = self.cluster.log_mark()
        path = server.socket_path

        def work(number):
            return self.hurried(path, number) if number < self.HURRIED else self.calm(path, number)

        results = processes.run(work, self.HURRIED + self.CALM, SECONDS_MAX)
        time.sleep(0.2)
        orphans = self.cluster.sql("select pid, query from pg_stat_activity where usename = 'app' and state = 'active'")
        self.assertEqual(orphans, [])
        for counts in results[:self.HURRIED]:
            self.assertEqual(counts["wrong"], [])
        for wrong in results[self.HURRIED:]:
            self.assertEqual(wrong, [])
        cancelled = self.cluster.log_since(mark).count("canceling statement due to user request")
        self.assertGreaterEqual(cancelled, self.DEADLINES // 4)
        self.assert_quiet(server)


if __name__ == "__main__":
    unittest.main()
