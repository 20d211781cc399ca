"""Ending: one answer for every frame that was read, everything answered OK in the file, exit code 0, no socket left."""

import os
import signal
import threading
import time
import unittest

import prism
import processes
import tpcb
from harness import StartTestCase
from raw import code, messages, outcome, ping, put, query

Request = messages.Request
ENDLESS = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n"


class FloodingClient:
    """Writes keys of its own as fast as it is let, many in flight, and keeps account of every answer."""

    IN_FLIGHT = 64

    def __init__(self, server, number):
        self.raw = server.raw(seconds=30)
        self.number = number
        self.sent = 0
        self.finals = {}
        self.problems = []
        self.ended = None  # the frame with id 0, if there was one
        self._room = threading.Semaphore(self.IN_FLIGHT)
        self._threads = [threading.Thread(target=self._send), threading.Thread(target=self._receive)]
        for thread in self._threads:
            thread.start()

    def key(self, id):
        return f"{self.number}/{id}".encode()

    def _send(self):
        while self._room.acquire(timeout=10):
            id = self.sent + 1
            try:
                self.raw.send(put(id, self.key(id), b"v", traceparent=""))
            except OSError:
                return
            self.sent = id

    def _receive(self):
        try:
            while (response := self.raw.receive()) is not None:
                if response.id == 0:
                    self.ended = response
                    continue
                if response.id in self.finals:
                    self.problems.append(f"a second answer to {response.id}")
                self.finals[response.id] = response
                self._room.release()
        except (AssertionError, OSError) as error:
            self.problems.append(repr(error))
        for _ in range(self.IN_FLIGHT):
            self._room.release()

    def join(self):
        for thread in self._threads:
            thread.join(40)
        return not any(thread.is_alive() for thread in self._threads)


class DrainTests(StartTestCase):
    def assert_orderly(self, server):
        self.assertEqual(server.wait(), 0, server.log)
        self.assertFalse(os.path.exists(server.socket_path))
        self.assertFalse(os.path.exists(server.admin_path))

    def test_an_idle_server_ends_at_once(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            server = self.start()
            client = self.client(server)
            client.ping()
            server.signal(number)
            self.assert_orderly(server)

    def flood_and_stop(self, config=None):
        server = self.start(config=config)
        clients = [FloodingClient(server, number) for number in range(8)]
        while any(len(client.finals) < 100 for client in clients):
            time.sleep(0.01)
        server.signal()
        exit_code = server.wait()
        for client in clients:
            self.assertTrue(client.join())
            client.raw.close()
        self.assertEqual(exit_code, 0, server.log)
        self.assertFalse(os.path.exists(server.socket_path))
        in_file = {bytes(key) for (key,) in server.read_file(self.entries_sql(server))}
        confirmed = 0
        for client in clients:
            self.assertEqual(client.problems, [])
            self.assertIsNone(client.ended, "an orderly end ends no connection with an error")
            answered = set(client.finals)
            # Frames are read in order: what was read is a prefix of what was sent, and all of it has its one answer.
            self.assertEqual(answered, set(range(1, len(answered) + 1)), "an id in between was not answered")
            for id, response in client.finals.items():
                name = code(response)
                if name == "OK":
                    confirmed += 1
                    self.assertIn(client.key(id), in_file, "answered OK and not in the file")
                elif outcome(response) == "NOT_EXECUTED":
                    self.assertNotIn(client.key(id), in_file, f"answered {name} NOT_EXECUTED and in the file")
                    self.assertEqual(name, "UNAVAILABLE", str(response))
        self.assertGreaterEqual(confirmed, 800)

    def entries_sql(self, server):
        """Which of Prism's own tables holds the entries, and which column the key, is read from the file."""
        for (name,) in server.read_file("select name from sqlite_master where type = 'table' and name like '%prism%'"):
            columns = [row[1] for row in server.read_file(f"pragma table_info(\"{name}\")")]
            if "key" in columns and "value" in columns:
                return f"select key from \"{name}\""
        self.fail("no table of Prism's has a key and a value")

    def test_sigterm_in_the_middle_of_load_answers_every_frame_it_read_once(self):
        for _ in range(3):
            self.flood_and_stop()

    def test_sigterm_in_the_middle_of_load_in_classic_mode(self):
        self.flood_and_stop(config="drain:\n  mode: classic\n  total: 3s\n  after_sigterm: 1500ms\n")

    def test_sigterm_in_the_middle_of_tpcb_loses_and_doubles_nothing(self):
        for mode in ("batch", "interactive"):
            with self.subTest(mode):
                server = self.start()
                client = self.client(server, timeout=60)
                tpcb.load(client, scale=1)
                workers = processes.Processes(lambda number: tpcb.work(
                    server.socket_path, number, 100_000, mode, 1, "drain", until_gone=True), 16)
                try:
                    deadline = time.monotonic() + 60
                    while client.query("select count(*) from pgbench_history", read_only=True).scalar() < 200:
                        self.assertLess(time.monotonic(), deadline, "no load came up")
                        time.sleep(0.02)
                    server.signal()
                    self.assertEqual(server.wait(), 0, server.log)
                    reports = workers.results(60)
                finally:
                    workers.end()
                figures = tpcb.check(lambda sql: server.read_file(sql)[0][0])
                in_file = {name for (name,) in server.read_file("select filler from pgbench_history")}
                confirmed = {name for report in reports for name in report["confirmed"]}
                unknown = {name for report in reports for name in report["unknown"]}
                self.assertLessEqual(confirmed, in_file, "confirmed and not in the file")
                self.assertLessEqual(in_file, confirmed | unknown, "in the file and told NOT_EXECUTED")
                self.assertEqual(figures["count"], len(in_file))
                # Every statement was answered: none of these ends of connection was met by a request in flight.
                errors = {name for report in reports for name in report["errors"]}
                self.assertLessEqual(errors, {"UNAVAILABLE NOT_EXECUTED", "CANCELLED NOT_EXECUTED", "ABORTED NOT_EXECUTED",
                                              "UNAVAILABLE UNKNOWN"}, [report.get("last_error") for report in reports])

    def test_after_a_restart_the_same_clients_go_on_and_unknown_commits_are_resolved(self):
        server = self.start()
        with self.client(server, timeout=60) as client:
            tpcb.load(client, scale=1)
        workers = processes.Processes(lambda number: tpcb.work(server.socket_path, number, 200, "batch", 1, "restart"), 8)
        try:
            for round, number in enumerate((signal.SIGTERM, signal.SIGKILL, signal.SIGTERM)):
                with self.client(server) as client:
                    target = 200 * (round + 1)
                    deadline = time.monotonic() + 60
                    while client.query("select count(*) from pgbench_history", read_only=True).scalar() < target:
                        self.assertLess(time.monotonic(), deadline)
                        time.sleep(0.02)
                server.signal(number)
                server.wait()
                server = self.start(directory=server.directory)
            reports = workers.results(120)
        finally:
            workers.end()
        figures = tpcb.check(lambda sql: server.read_file(sql)[0][0])
        self.assertEqual(figures["count"], 1600)
        self.assertEqual(sum(len(report["confirmed"]) for report in reports), 1600)

    def test_draining_finishes_what_is_open_and_refuses_what_is_new(self):
        server = self.start()
        client = self.client(server)
        client.query("create table t (a)")
        raw, other = self.raw(server), self.raw(server)
        raw.send(Request(id=1, begin=messages.Begin()))
        handle = raw.final(1)[0].begin.transaction
        raw.send(query(2, "insert into t values (1)", transaction=handle))
        raw.final(2)
        other.send(Request(id=1, hello=messages.Hello(client_name="told")))
        other.final(1)
        server.signal()
        notice = other.receive()
        self.assertEqual((notice.id, notice.status, notice.notice.drain_state), (0, 0, messages.DRAIN_STATE_DRAINING))
        raw.send(query(3, "insert into t values (2)"), ping(4), query(5, "insert into t values (3)", transaction=handle),
                 Request(id=6, transaction=handle, commit=messages.Commit()))
        answers = raw.finals(4)
        self.assertEqual((code(answers[3]), outcome(answers[3])), ("UNAVAILABLE", "NOT_EXECUTED"))
        self.assertTrue(answers[3].failure.message)
        self.assertEqual([code(answers[id]) for id in (4, 5, 6)], ["OK"] * 3)
        self.assert_orderly(server)
        self.assertEqual(sorted(server.read_file("select a from t")), [(1,), (3,)])

    def test_a_new_connection_during_draining_is_told_so(self):
        server = self.start()
        raw = self.raw(server)
        raw.send(Request(id=1, begin=messages.Begin()))
        handle = raw.final(1)[0].begin.transaction
        other = self.raw(server)
        other.send(Request(id=1, hello=messages.Hello(client_name="told")))
        other.final(1)
        server.signal()
        other.receive()  # draining has begun
        late = self.raw(server)
        late.send(query(1, "select 1"), Request(id=2, hello=messages.Hello()))
        answers = late.finals(2)
        self.assertEqual((code(answers[1]), outcome(answers[1])), ("UNAVAILABLE", "NOT_EXECUTED"))
        self.assertEqual(answers[2].hello.drain_state, messages.DRAIN_STATE_DRAINING)
        raw.send(Request(id=2, transaction=handle, commit=messages.Commit()))
        raw.final(2)
        self.assert_orderly(server)

    def test_what_does_not_end_is_cancelled_and_answered_within_the_budget(self):
        server = self.start()
        raw = self.raw(server)
        for id, read_only in ((1, True), (2, True), (3, False)):
            raw.send(query(id, ENDLESS, read_only=read_only))
        raw.send(Request(id=4, begin=messages.Begin()), ping(5))
        while raw.receive().id != 5:
            pass
        began = time.monotonic()
        server.signal()
        answers = [response for response in raw.rest() if response.id != 0]
        self.assertEqual(sorted(answer.id for answer in answers), [1, 2, 3, 4])
        for answer in answers:
            if answer.id == 4:  # The writer was free: it began, and was rolled back.
                continue
            self.assertNotEqual(code(answer), "OK")
            self.assertIn(outcome(answer), ("NOT_EXECUTED", "UNKNOWN"))
        self.assert_orderly(server)
        # The budget is 1.5 s; this limit only tells it from not ending at all on a busy machine.
        self.assertLess(time.monotonic() - began, 15)

    def test_a_client_that_does_not_read_does_not_hold_up_the_end(self):
        server = self.start()
        raw = self.raw(server, receive_buffer=4096)
        raw.send(query(1, "with recursive n(i) as (select 1 union all select i + 1 from n) select i, zeroblob(10000) from n",
                       read_only=True))
        raw.socket.recv(1000)
        server.signal()
        self.assert_orderly(server)

    def test_lame_duck_admits_all_and_classic_ends_by_itself(self):
        server = self.start(config="drain:\n  mode: classic\n  total: 10s\n  quiet: 200ms\n")
        client = self.client(server)
        client.hello()
        self.assertEqual(server.command("drain").returncode, 0)
        self.assertEqual(client.query("select 1").scalar(), 1)
        self.assertEqual(client.hello().drain_state, messages.DRAIN_STATE_LAME_DUCK)
        self.assertEqual([notice.drain_state for notice in client.notices], [messages.DRAIN_STATE_LAME_DUCK])
        client.close()
        self.assert_orderly(server)

    def test_native_refuses_to_wait_for_its_drain(self):
        server = self.start()
        done = server.command("drain", "--wait")
        self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
        server.stop()


if __name__ == "__main__":
    unittest.main()
