"""Ending beside a PostgreSQL that hangs: every state ends at its share of the budget, and every frame that was read has its answer."""

import json
import os
import signal
import time
import unittest

import postgres
from harness import Server, StartTestCase
from raw import code, get, messages, outcome, put, query

Request = messages.Request
BUDGET_MILLISECONDS = 1_500


@postgres.needed
class HungDatabaseTests(StartTestCase):
    def setUp(self):
        super().setUp()
        self.cluster = postgres.Cluster()
        self.addCleanup(self.cluster.close)
        self.stopped = []
        self.addCleanup(self.thaw)

    def serve(self, more="", drain=""):
        server = Server(sqlite=False, config=(
            f"drain:\n  mode: {'classic' if drain else 'native'}\n{drain}"
            f"backends:\n  - name: main\n    kind: postgresql\n    conninfo: {self.cluster.conninfo()}\n"
            f"    connections_max: 4\n    connections_min: 0\n{more}"))
        self.addCleanup(server.close)
        return server

    def freeze(self, everything=False):
        """SIGSTOP, as of a virtual machine that is moved: connections stay, nobody answers. `everything`: new ones hang as well."""
        pids = [int(pid) for (pid,) in self.cluster.sql(
            "select pid from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()")]
        self.assertTrue(pids)
        for pid in [*pids, self.cluster.pid] if everything else pids:
            self.stopped.append(pid)
            os.kill(pid, signal.SIGSTOP)

    def thaw(self):
        for pid in self.stopped:
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                pass
        self.stopped = []

    def until_in_flight(self, server, count):
        deadline = time.monotonic() + 30
        while json.loads(server.admin("GET", "/status")[1])["in_flight"] != count:
            self.assertLess(time.monotonic(), deadline, server.admin("GET", "/status")[1])

    def report(self, server):
        self.assertEqual(server.wait(), 0, server.log)
        self.assertFalse(os.path.exists(server.socket_path))
        lines = [json.loads(line) for line in server.log.splitlines() if line.startswith("{")]
        report = next(line for line in lines if line["event"] == "drain_report")
        self.assertEqual(report["unanswered"], 0)
        return report

    def answers(self, raw):
        return {answer.id: f"{code(answer)} {outcome(answer)}" for answer in raw.rest() if answer.id != 0}

    def assert_within_budget(self, report, budget=BUDGET_MILLISECONDS):
        self.assertLessEqual(report["milliseconds"], budget)

    def warm(self, raw, count=3):
        """So many connections, each leased by a transaction of its own and given back."""
        raw.send(*[Request(id=id, begin=messages.Begin()) for id in range(1, count + 1)])
        handles = {id: answer.begin.transaction for id, answer in raw.finals(count).items()}
        raw.send(*[Request(id=id, transaction=handle, rollback=messages.Rollback()) for id, handle in handles.items()])
        raw.finals(count)
        # Prism's own statements are prepared from here on.
        raw.send(put(1, b"k", b"v"), get(2, b"k"))
        raw.finals(2)

    def test_requests_on_connections_that_hang_are_answered_at_the_end_of_the_budget(self):
        for everything in (False, True):
            with self.subTest("the whole server hangs" if everything else "its sessions hang"):
                server = self.serve()
                raw = self.raw(server)
                self.warm(raw)
                self.freeze(everything)
                raw.send(put(1, b"a", b"v"), get(2, b"k"), query(3, "insert into nowhere values (1)"),
                         query(4, "select 1", read_only=True), query(5, "select 2"), put(6, b"b", b"v"))
                self.until_in_flight(server, 6)
                server.signal()
                answers = self.answers(raw)
                report = self.report(server)
                self.assertEqual(set(answers), set(range(1, 7)))
                for id, answer in answers.items():
                    self.assertRegex(answer, "^UNAVAILABLE ", f"{id}: {answers}")
                self.assertEqual({answers[2], answers[4]}, {"UNAVAILABLE NOT_EXECUTED"}, "reads leave nothing")
                self.assertEqual(report["cancelled"], 6)
                self.assert_within_budget(report)
                self.thaw()
                # What was said of the writes holds when the server goes on.
                self.wait_for_no_connections()
                for id, key in ((1, "a"), (6, "b")):
                    if answers[id].endswith("NOT_EXECUTED"):
                        self.assertEqual(self.cluster.sql(f"select 1 from prism.entry where key = '{key}'"), [])

    def wait_for_no_connections(self):
        deadline = time.monotonic() + 30
        while self.cluster.connections():
            self.assertLess(time.monotonic(), deadline, "the server still has connections of a sidecar that has ended")
            time.sleep(0.01)

    def test_a_transaction_and_a_commit_that_hang(self):
        server = self.serve()
        raw = self.raw(server)
        self.warm(raw)
        raw.send(query(1, "create table t (a int)"), *[Request(id=id, begin=messages.Begin()) for id in (2, 3, 4)])
        answers = raw.finals(4)
        held, statement, commit = (answers[id].begin.transaction for id in (2, 3, 4))
        raw.send(*[query(id, "insert into t values (1)", transaction=handle)
                   for id, handle in ((5, held), (6, statement), (7, commit))])
        raw.finals(3)
        self.freeze()
        raw.send(query(8, "insert into t values (2)", transaction=statement),
                 Request(id=9, transaction=commit, commit=messages.Commit()),
                 query(10, "insert into t values (3)", transaction=statement))
        self.until_in_flight(server, 3)
        server.signal()
        answers = self.answers(raw)
        report = self.report(server)
        self.assertEqual(answers, {8: "UNAVAILABLE NOT_EXECUTED", 9: "UNAVAILABLE UNKNOWN", 10: "UNAVAILABLE NOT_EXECUTED"})
        self.assertEqual((report["cancelled"], report["transactions_rolled_back"], report["in_flight_at_stopped"]), (3, 2, 1))
        self.assert_within_budget(report)

    def test_a_wait_for_a_lock_is_cut_and_its_session_freed(self):
        server = self.serve()
        raw = self.raw(server)
        self.warm(raw)
        holder = self.serve()
        other = self.raw(holder)
        other.send(query(1, "create table t (a int)"), Request(id=2, begin=messages.Begin()))
        handle = other.finals(2)[2].begin.transaction
        other.send(query(3, "lock table t in exclusive mode", transaction=handle),
                   put(4, b"k", b"held", transaction=handle))
        other.finals(2)
        raw.send(query(1, "insert into t values (1)"), put(2, b"k", b"waits"))
        self.until_in_flight(server, 2)
        server.signal()
        answers = self.answers(raw)
        report = self.report(server)
        self.assertEqual(answers, {1: "UNAVAILABLE NOT_EXECUTED", 2: "UNAVAILABLE NOT_EXECUTED"})
        self.assertEqual((report["cancelled"], report["in_flight_at_stopped"]), (2, 0))
        self.assert_within_budget(report)
        other.send(Request(id=5, transaction=handle, commit=messages.Commit()))
        self.assertEqual(code(other.final(5)[0]), "OK")
        self.assertEqual(self.cluster.value("select count(*) from t"), "0")
        self.assertEqual(holder.stop(), 0)

    def test_shared_batches_in_flight_are_cut_as_one_and_answered_one_by_one(self):
        server = self.serve()
        raw = self.raw(server)
        self.warm(raw)
        self.freeze()
        raw.send(*[get(id, b"k") for id in range(1, 201)])
        self.until_in_flight(server, 200)
        server.signal()
        answers = self.answers(raw)
        report = self.report(server)
        self.assertEqual(answers, {id: "UNAVAILABLE NOT_EXECUTED" for id in range(1, 201)})
        self.assertEqual(report["cancelled"], 200)
        self.assert_within_budget(report)

    def test_a_server_that_hangs_with_nothing_in_flight_holds_nobody_up(self):
        server = self.serve()
        raw = self.raw(server)
        self.warm(raw)
        self.freeze(everything=True)
        server.signal()
        self.assertEqual(self.answers(raw), {})
        report = self.report(server)
        self.assertEqual((report["cancelled"], report["in_flight_at_draining"]), (0, 0))
        self.assert_within_budget(report)

    def test_requests_that_wait_for_a_connection_to_a_server_that_hangs(self):
        server = self.serve()
        raw = self.raw(server)
        os.kill(self.cluster.pid, signal.SIGSTOP)
        self.stopped.append(self.cluster.pid)
        raw.send(put(1, b"a", b"v"), get(2, b"a"), Request(id=3, begin=messages.Begin()))
        self.until_in_flight(server, 3)
        server.signal()
        answers = self.answers(raw)
        report = self.report(server)
        self.assertEqual(set(answers.values()), {"UNAVAILABLE NOT_EXECUTED"})
        self.assertEqual(len(answers), 3)
        self.assert_within_budget(report)

    def test_classic_keeps_to_its_total_beside_a_server_that_hangs(self):
        server = self.serve(drain="  total: 3s\n  quiet: 100ms\n  grace_period: 4s\n")
        raw = self.raw(server)
        self.warm(raw)
        self.freeze()
        raw.send(put(1, b"a", b"v"))
        self.until_in_flight(server, 1)
        self.assertEqual(server.command("drain", "--wait").returncode, 0, server.log)
        answers = self.answers(raw)
        report = self.report(server)
        self.assertRegex(answers[1], "^UNAVAILABLE ")
        self.assert_within_budget(report, 3_000)

    def test_a_stream_that_is_not_read_is_cut(self):
        server = self.serve()
        raw = self.raw(server, receive_buffer=4096)
        raw.send(query(1, "select repeat('x', 10000) from generate_series(1, 100000)", read_only=True))
        raw.socket.recv(1000)
        server.signal()
        report = self.report(server)
        self.assertEqual(report["cancelled"], 1)
        self.assert_within_budget(report)


if __name__ == "__main__":
    unittest.main()
