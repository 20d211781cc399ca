"""Signals, commands and reports of an ending, and what went wrong with other sidecars' endings."""

import contextlib
import json
import os
import select
import signal
import sqlite3
import time
import unittest

import postgres
from harness import Server, StartTestCase
from raw import code, messages, outcome, ping, query

Request = messages.Request
ENDLESS = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n"
# Long enough to be in flight when the signal comes, and to end within DRAINING's 900 ms on a slow machine.
A_WHILE = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 300000) select count(*) from n"


class EndingCase(StartTestCase):
    def lines(self, server, event):
        return [line for line in map(json.loads, filter(lambda text: text.startswith("{"), server.log.splitlines()))
                if line["event"] == event]

    def states(self, server):
        return [(line["state"], line["reason"]) for line in self.lines(server, "drain_state")]

    def told(self, server):
        """A connection that gets Notices."""
        raw = self.raw(server)
        raw.send(Request(id=1, hello=messages.Hello(client_name="told")))
        raw.final(1)
        return raw

    def notice(self, raw):
        answer = raw.receive()
        self.assertEqual((answer.id, answer.status), (0, 0))
        return messages.DrainState.Name(answer.notice.drain_state).removeprefix("DRAIN_STATE_")

    def hang(self, server):
        """Keeps DRAINING and CANCELLING waiting: a query without end, and a client that does not read."""
        raw = self.raw(server)
        raw.send(query(1, ENDLESS, read_only=True), ping(2))
        self.assertEqual(raw.receive().id, 2)
        return raw


class SignalTests(EndingCase):
    def test_every_later_signal_is_the_next_state(self):
        for first, later in ((signal.SIGTERM, signal.SIGTERM), (signal.SIGTERM, signal.SIGINT), (signal.SIGINT, signal.SIGTERM)):
            with self.subTest(f"{first.name}, {later.name}"):
                server = self.start()
                raw, told = self.hang(server), self.told(server)
                server.signal(first)
                self.assertEqual(self.notice(told), "DRAINING")
                server.signal(later)
                self.assertEqual(self.notice(told), "CANCELLING")
                answers = [answer for answer in raw.rest() if answer.id == 1]
                self.assertEqual([(code(answer), outcome(answer)) for answer in answers], [("UNAVAILABLE", "NOT_EXECUTED")])
                self.assertEqual(server.wait(), 0, server.log)
                self.assertEqual(self.states(server)[:2], [("DRAINING", first.name), ("CANCELLING", "another signal")])

    def test_a_first_sigint_ends_lame_duck_in_both_modes(self):
        for mode in ("native", "classic"):
            with self.subTest(mode):
                server = self.start(config=f"drain:\n  mode: {mode}\n")
                told = self.told(server)
                self.assertEqual(server.command("drain").returncode, 0)
                self.assertEqual(self.notice(told), "LAME_DUCK")
                server.signal(signal.SIGINT)
                self.assertEqual(self.notice(told), "DRAINING")
                self.assertEqual(server.wait(), 0, server.log)
                self.assertEqual(self.states(server)[:2], [("LAME_DUCK", "drain was requested"), ("DRAINING", "SIGINT")])

    def test_in_classic_mode_the_first_sigterm_behind_a_hook_changes_nothing_and_the_second_does(self):
        server = self.start(config="drain:\n  mode: classic\n")
        told = self.told(server)
        self.assertEqual(server.command("drain").returncode, 0)
        self.assertEqual(self.notice(told), "LAME_DUCK")
        server.signal()
        told.send(query(2, "select 1"))
        self.assertEqual(code(told.final(2)[0]), "OK")
        deadline = time.monotonic() + 20
        while len(self.lines(server, "signal")) < 1:  # two at once would be one signal
            self.assertLess(time.monotonic(), deadline)
        self.assertEqual([state for state, _ in self.states(server)], ["LAME_DUCK"])
        server.signal()
        self.assertEqual(self.notice(told), "DRAINING")
        self.assertEqual(server.wait(), 0, server.log)
        self.assertEqual(self.states(server)[1], ("DRAINING", "another signal"))

    def test_a_drain_that_is_waited_for_returns_when_lame_duck_has_ended_however_fast_the_rest_is(self):
        for _ in range(5):
            server = self.start(config="drain:\n  mode: classic\n  quiet: 0s\n")
            done = server.command("drain", "--wait", "--json")
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr + server.log)
            self.assertIn(json.loads(done.stdout)["state"], ("DRAINING", "CANCELLING", "STOPPED"))
            self.assertEqual(server.wait(), 0, server.log)

    def test_a_signal_that_comes_while_it_still_starts_is_heard_when_it_has_started(self):
        for mode, states in (("native", ["DRAINING", "CANCELLING", "STOPPED"]),
                             ("classic", ["LAME_DUCK", "DRAINING", "CANCELLING", "STOPPED"])):
            with self.subTest(mode):
                directory = self.directory()
                fifo = os.path.join(directory, "prism.fifo")
                os.mkfifo(fifo)
                server = Server("--config", fifo, directory=directory, wait=False)
                self.addCleanup(server.close)
                with open(fifo, "w") as file:  # opened: it is reading, and waits for what is in it
                    server.signal()
                    file.write(f"drain:\n  mode: {mode}\n  quiet: 0s\n")
                self.assertEqual(server.wait(), 0, server.log)
                self.assertEqual([state for state, _ in self.states(server)], states)

    def waiting_for_its_file(self, config, lock="exclusive"):
        """A sidecar whose start waits for a file that is locked, and whoever holds the lock.

        Behind an immediate lock SQLite itself does not wait: the file can be read, only the step to a write-ahead log cannot be made.
        """
        directory = self.directory()
        path = os.path.join(directory, "data.db")
        holder = sqlite3.connect(path, isolation_level=None)
        self.addCleanup(holder.close)
        holder.execute("create table t (a)")
        holder.execute(f"begin {lock}")
        server = Server(directory=directory, wait=False,
                        config=f"{config}backends:\n  - name: main\n    kind: sqlite\n    busy_timeout: 1h\n")
        self.addCleanup(server.close)
        deadline = time.monotonic() + 20
        while path not in server.descriptors():
            self.assertLess(time.monotonic(), deadline, server.log)
        return server, holder

    def until_logged(self, server, event, count=1):
        deadline = time.monotonic() + 20
        while len(self.lines(server, event)) < count:
            self.assertLess(time.monotonic(), deadline, server.log)

    def test_a_signal_ends_a_start_that_waits_for_a_locked_file(self):
        """The lock is held until the process has ended."""
        for config, signals, states, lock in (
                ("drain:\n  mode: native\n", [signal.SIGTERM], ["DRAINING", "CANCELLING", "STOPPED"], "exclusive"),
                ("drain:\n  mode: native\n", [signal.SIGTERM], ["DRAINING", "CANCELLING", "STOPPED"], "immediate"),
                ("drain:\n  mode: native\n", [signal.SIGINT], ["DRAINING", "CANCELLING", "STOPPED"], "exclusive"),
                ("drain:\n  mode: classic\n  quiet: 0s\n", [signal.SIGTERM],
                 ["LAME_DUCK", "DRAINING", "CANCELLING", "STOPPED"], "exclusive"),
                ("drain:\n  mode: classic\n  quiet: 20s\n", [signal.SIGTERM, signal.SIGTERM],
                 ["LAME_DUCK", "DRAINING", "CANCELLING", "STOPPED"], "immediate")):
            with self.subTest(config=config, signals=signals, lock=lock):
                server, _ = self.waiting_for_its_file(config, lock)
                for count, number in enumerate(signals, 1):
                    server.signal(number)
                    if count < len(signals):
                        self.until_logged(server, "signal", count)
                self.assertEqual(server.wait(), 0, server.log)
                self.assertEqual([state for state, _ in self.states(server)], states)
                report = self.lines(server, "drain_report")[0]
                self.assertEqual({value for name, value in report.items() if name in ("finished", "cancelled", "unanswered")}, {0})
                self.assertFalse(os.path.exists(server.socket_path))

    def test_in_classic_mode_a_start_that_waits_goes_on_behind_sigterm_and_admits_all(self):
        for lock in ("exclusive", "immediate"):
            with self.subTest(lock=lock):
                self.start_that_goes_on_behind_sigterm(lock)

    def start_that_goes_on_behind_sigterm(self, lock):
        server, holder = self.waiting_for_its_file("drain:\n  mode: classic\n  quiet: 20s\n", lock)
        server.signal()
        self.until_logged(server, "signal")
        holder.execute("rollback")
        server.wait_until_ready()
        raw = self.told(server)
        raw.send(query(2, "select count(*) from t"))
        self.assertEqual(code(raw.final(2)[0]), "OK")
        server.signal()
        self.assertEqual(self.notice(raw), "DRAINING")
        self.assertEqual(server.wait(), 0, server.log)
        self.assertEqual(self.states(server)[:2], [("LAME_DUCK", "SIGTERM"), ("DRAINING", "another signal")])

    def test_standard_error_that_is_full_holds_up_nothing_and_what_was_said_comes_out_when_it_is_read(self):
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        self.addCleanup(os.close, writing)
        self.fill(writing)
        server = Server(log=writing)
        self.addCleanup(server.close)
        with server.connect() as client:
            self.assertEqual(client.ping(b"full"), b"full")
        said = b""
        while b'"serving"' not in said:
            self.assertTrue(select.select([reading], [], [], 20)[0], said[-1000:])
            said += os.read(reading, 65536)
        self.fill(writing)
        server.signal()
        self.assertEqual(server.wait(), 0)

    @staticmethod
    def fill(pipe):
        """To the last byte, as another process may that shares it: for everybody else it blocks."""
        os.set_blocking(pipe, False)
        for size in (65536, 1):
            with contextlib.suppress(BlockingIOError):
                while True:
                    os.write(pipe, b"x" * size)
        os.set_blocking(pipe, True)

    def test_status_has_the_report_while_it_ends(self):
        server = self.start()
        raw = self.hang(server)
        raw.send(Request(id=3, begin=messages.Begin(), read_only=True))
        handle = raw.final(3)[0].begin.transaction
        told = self.told(server)
        server.signal()
        self.assertEqual(self.notice(told), "DRAINING")
        raw.send(query(4, "select 1"), query(5, "select 1", transaction=handle))
        self.assertEqual({id: code(answer) for id, answer in raw.finals(2).items()}, {4: "UNAVAILABLE", 5: "OK"})
        status = json.loads(server.admin("GET", "/status")[1])
        self.assertEqual(status["drain"]["state"], "DRAINING")
        self.assertFalse(status["ready"])
        report = status["drain"]["report"]
        self.assertEqual({name: report[name] for name in ("in_flight_at_draining", "finished", "refused", "cancelled")},
                         {"in_flight_at_draining": 1, "finished": 1, "refused": 1, "cancelled": 0})
        self.assertEqual(server.wait(), 0, server.log)
        (last,) = self.lines(server, "drain_report")
        self.assertEqual({name for name in report} - set(last), set(), "the log line has what /status has")
        self.assertEqual((last["cancelled"], last["transactions_rolled_back"]), (1, 1))


class LessonTests(EndingCase):
    def test_what_is_in_flight_is_finished_and_not_cancelled(self):
        """A graceful shutdown cancelled calls in flight (dapr #8332); SIGTERM exited at once (pgdog #1101, pgcat #772)."""
        server = self.start()
        raw, told = self.raw(server), self.told(server)
        raw.send(query(1, A_WHILE, read_only=True), ping(2))
        self.assertEqual(raw.receive().id, 2)
        server.signal()
        self.assertEqual(self.notice(told), "DRAINING")
        answers = raw.rest()
        self.assertEqual([(answer.id, code(answer)) for answer in answers], [(1, "OK")])
        self.assertEqual(server.wait(), 0, server.log)

    def test_new_work_of_an_app_that_shuts_down_is_served(self):
        """A preStop drain cut what the app still needed (istio #51855, #60649); new work after SIGTERM was refused (linkerd2 #10379)."""
        for config in (None, "drain:\n  mode: classic\n  quiet: 100ms\n"):
            server = self.start(config=config)
            self.assertEqual(server.command("drain").returncode, 0)
            if config:
                server.signal()
            with server.connect(timeout=20) as late:
                late.put("k", "v")
                with late.transaction() as transaction:
                    transaction.query("create table t (a)")
                self.assertEqual(late.query("select count(*) from t").scalar(), 0)
            if not config:
                server.signal()
            self.assertEqual(server.wait(), 0, server.log)

    def test_a_connection_that_is_only_open_does_not_hold_up_a_native_end(self):
        """"No open connections" is not "the app has finished", nor the other way round (cloud-sql-proxy #1333)."""
        server = self.start()
        idle = [self.told(server) for _ in range(10)]
        server.signal()
        self.assertEqual(server.wait(), 0, server.log)
        (report,) = self.lines(server, "drain_report")
        self.assertEqual((report["cancelled"], report["refused"]), (0, 0))
        self.assertEqual([reason for _, reason in self.states(server)],
                         ["SIGTERM", "nothing is in flight", "everything is answered"])
        for raw in idle:
            self.assertEqual([answer.notice.drain_state for answer in raw.rest()],
                             [messages.DRAIN_STATE_DRAINING, messages.DRAIN_STATE_CANCELLING])

    def test_budgets_that_cannot_fit_are_warned_about_at_the_start(self):
        """60 s of drain under 30 s of grace ended in SIGKILL (pgdog's helm chart #97)."""
        server = self.start(config="drain:\n  mode: classic\n  total: 60s\n")
        self.assertTrue(any("drain.total" in line["message"] for line in self.lines(server, "configuration")), server.log)
        server.signal(signal.SIGINT)
        self.assertEqual(server.wait(), 0)

    @postgres.needed
    def test_a_database_that_hangs_does_not_take_the_others_share(self):
        cluster = postgres.Cluster()
        self.addCleanup(cluster.close)
        server = Server(sqlite=False, config=(
            f"backends:\n  - name: pg\n    kind: postgresql\n    conninfo: {cluster.conninfo()}\n"
            "  - name: file\n    kind: sqlite\n    path: data.db\n    default: true\n"))
        self.addCleanup(server.close)
        raw = self.raw(server)
        raw.send(query(1, "select 1", backend="pg"), query(2, "create table t (a)"))
        raw.finals(2)
        # The postmaster first, until it has stopped: the pool is still connecting, and no child may come behind the look at them.
        os.kill(cluster.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, cluster.pid, os.WSTOPPED | os.WNOWAIT)
        for pid in cluster.children():
            os.kill(pid, signal.SIGSTOP)
        try:
            raw.send(query(3, "select 1", backend="pg"), query(4, "insert into t values (1)"))
            self.assertEqual([(answer.id, code(answer)) for answer in raw.final(4)], [(4, "OK")])
            server.signal()
            answers = raw.rest()
            self.assertEqual([(answer.id, code(answer), outcome(answer)) for answer in answers],
                             [(3, "UNAVAILABLE", "UNKNOWN")])
            self.assertEqual(server.wait(), 0, server.log)
        finally:
            for pid in [*cluster.children(), cluster.pid]:
                os.kill(pid, signal.SIGCONT)
        (report,) = self.lines(server, "drain_report")
        self.assertLessEqual(report["milliseconds"], 1_500)
        self.assertFalse(os.path.exists(os.path.join(server.directory, "data.db-wal")), "SQLite was closed in order")


if __name__ == "__main__":
    unittest.main()
