"""One backend is away, slow, or comes and goes: its requests fail fast and say so, it is probed gently, and the other backends
do not notice."""

import os
import selectors
import signal
import socket
import tempfile
import threading
import time
import unittest

import postgres
import prism
from harness import Server, StartTestCase

SECONDS_MAX = 60


class Door:
    """Stands where PostgreSQL's socket is, and passes to it, or lets nobody through. Counts who comes."""

    def __init__(self, cluster):
        self.target = os.path.join(cluster.directory, f".s.PGSQL.{cluster.port}")
        self.directory = tempfile.mkdtemp(prefix="prism-door-")
        self.path = os.path.join(self.directory, f".s.PGSQL.{cluster.port}")
        self.is_open = True
        self.came = 0
        # Connections that have not had the server's word that it is ready for the first statement.
        self.starting = 0
        self.starting_max = 0
        self._pairs = {}
        self._new = set()
        self._lock = threading.Lock()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen(64)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._ends = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def set_open(self, is_open):
        """Closing drops everybody who is inside."""
        with self._lock:
            self.is_open = is_open
            if not is_open:
                for one in list(self._pairs):
                    self._drop(one)

    def close(self):
        self._ends = True
        self._thread.join(10)
        with self._lock:
            for one in list(self._pairs):
                self._drop(one)
        self._listener.close()
        os.unlink(self.path)
        os.rmdir(self.directory)

    def _run(self):
        while not self._ends:
            for key, _ in self._selector.select(0.1):
                with self._lock:
                    if key.fileobj is self._listener:
                        self._accept()
                    elif key.fileobj in self._pairs:
                        self._pass(key.fileobj)

    def _accept(self):
        near, _ = self._listener.accept()
        self.came += 1
        if not self.is_open:
            return near.close()
        far = socket.socket(socket.AF_UNIX)
        try:
            far.connect(self.target)
        except OSError:
            far.close()
            return near.close()
        self._pairs[near], self._pairs[far] = far, near
        self._new.add(far)
        self.starting += 1
        self.starting_max = max(self.starting_max, self.starting)
        for end in (near, far):
            self._selector.register(end, selectors.EVENT_READ)

    def _pass(self, one):
        try:
            data = one.recv(1 << 16)
            if data:
                # ReadyForQuery, idle, ends what the server says at the start.
                if one in self._new and data.endswith(b"Z\0\0\0\5I"):
                    self._new.discard(one)
                    self.starting -= 1
                return self._pairs[one].sendall(data)
        except OSError:
            pass
        self._drop(one)

    def _drop(self, one):
        for end in (one, self._pairs.pop(one, None)):
            if end is None:
                continue
            self._pairs.pop(end, None)
            if end in self._new:
                self._new.discard(end)
                self.starting -= 1
            try:
                self._selector.unregister(end)
                end.shutdown(socket.SHUT_RDWR)
            except (KeyError, ValueError, OSError):
                pass
            end.close()


@postgres.needed
class BackendTroubleTests(StartTestCase):
    def setUp(self):
        super().setUp()
        self.cluster = postgres.Cluster()
        self.addCleanup(self.cluster.close)
        self.door = Door(self.cluster)
        self.addCleanup(self.door.close)
        self.server = Server(sqlite=False, config=f"""
runtime: {{reactors: 1}}
backends:
  - {{name: troubled, kind: postgresql, connections_min: 2, connections_max: 6, default: true,
      conninfo: host={self.door.directory} port={self.cluster.port} dbname=postgres user=postgres}}
  - {{name: sound, kind: postgresql, connections_min: 2, connections_max: 6, conninfo: {postgres.shared().conninfo()}}}
  - {{name: file, kind: sqlite}}
""")
        self.addCleanup(self.server.close)
        self.errors = {}
        self.answered = {}
        self.ends = threading.Event()
        self.threads = []
        self.addCleanup(self.rest)

    def rest(self):
        self.ends.set()
        for thread in self.threads:
            thread.join(SECONDS_MAX)

    def ask(self, backend, waits=False):
        """A client that goes on asking until the end."""
        errors, answered = self.errors.setdefault(backend, []), self.answered.setdefault(backend, [])

        def work():
            with self.server.connect(timeout=20) as client:
                while not self.ends.is_set():
                    try:
                        answered.append(client.query("select 1", backend=backend, read_only=True).scalar())
                    except prism.Error as error:
                        errors.append((error.code, error.outcome, error.retry_after > 0))
                        if waits:
                            time.sleep(error.retry_after)

        self.threads.append(threading.Thread(target=work))
        self.threads[-1].start()

    def until(self, what, condition):
        deadline = time.monotonic() + SECONDS_MAX
        while not condition():
            self.assertLess(time.monotonic(), deadline, what)
            time.sleep(0.005)

    def more(self, backend, count=50):
        """The backend goes on answering."""
        before = len(self.answered[backend])
        self.until(f"more of {backend}", lambda: len(self.answered[backend]) >= before + count)

    def assert_others_did_not_notice(self):
        self.more("sound")
        self.more("file")
        self.rest()
        self.assertEqual((self.errors["sound"], self.errors["file"]), ([], []))
        self.assertIn("\nprism_invariant_violations_total 0\n", self.server.admin("GET", "/metrics")[1])

    def start_all(self, clients=4, waits=False):
        for _ in range(clients):
            self.ask("troubled", waits)
        self.ask("sound")
        self.ask("file")
        for backend in ("troubled", "sound", "file"):
            self.more(backend)

    def test_away_it_fails_fast_and_is_probed_one_at_a_time(self):
        self.start_all()
        self.door.set_open(False)
        self.until("down", lambda: "\"healthy\":false" in self.server.admin("GET", "/status")[1])
        came, refused = self.door.came, len(self.errors["troubled"])
        # Far more requests than probes: nobody waits for a connect that fails.
        self.until("refusals", lambda: len(self.errors["troubled"]) > refused + 500 and self.door.came > came)
        probes = self.door.came - came
        self.assertLess(probes, (len(self.errors["troubled"]) - refused) / 10)
        self.assertEqual({error for error in self.errors["troubled"][refused:]}, {("UNAVAILABLE", "NOT_EXECUTED", True)})
        # It comes back by itself, and without a herd.
        self.door.starting_max = 0
        self.door.set_open(True)
        self.more("troubled")
        self.assertLessEqual(self.door.starting_max, 2)
        self.assert_others_did_not_notice()

    def test_coming_and_going_it_serves_whenever_it_is_there(self):
        self.start_all(waits=True)
        for _ in range(8):
            self.door.set_open(False)
            refused = len(self.errors["troubled"])
            self.until("refused", lambda: len(self.errors["troubled"]) > refused)
            self.door.set_open(True)
            self.more("troubled", 10)
        self.assertEqual({error[:2] for error in self.errors["troubled"]}, {("UNAVAILABLE", "NOT_EXECUTED")})
        self.assert_others_did_not_notice()

    def test_standing_still_it_takes_nobody_with_it(self):
        self.start_all()
        stopped = [self.cluster.pid] + list(self.cluster.children())
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            with self.server.connect(timeout=20) as client:
                for _ in range(10):
                    with self.assertRaises(prism.Error) as raised:
                        client.query("select 1", timeout=0.05)
                    self.assertIn(raised.exception.code, ("DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "UNAVAILABLE"))
            self.more("sound", 200)
            self.more("file", 200)
        finally:
            for pid in reversed(stopped):
                os.kill(pid, signal.SIGCONT)
        self.more("troubled")
        self.assert_others_did_not_notice()


if __name__ == "__main__":
    unittest.main()
