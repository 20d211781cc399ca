"""Starts the built binary on a directory of its own, and always ends it."""

import os
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time
import unittest

import paths
import prism
from raw import RawClient

START_SECONDS_MAX = 20.0
STOP_SECONDS_MAX = 30.0


class Server:
    """A running `prism serve`. `config` is the text of a prism.yaml; `arguments` go behind those for socket and file;
    `descriptors` is its hard limit of open files; `log`, a descriptor, takes its standard error instead of `log_path`."""

    def __init__(self, *arguments, config=None, sqlite=True, directory=None, environment=None, wait=True,
                 descriptors=None, log=None):
        self.binary = paths.binary()
        self._own_directory = directory is None
        self.directory = directory or tempfile.mkdtemp(prefix="prism-e2e-")
        self.socket_path = os.path.join(self.directory, "prism.sock")
        self.admin_path = os.path.join(self.directory, "admin.sock")
        self.database_path = sqlite if isinstance(sqlite, str) else os.path.join(self.directory, "data.db")
        self.log_path = os.path.join(self.directory, f"stderr-{time.monotonic_ns()}.log")
        command = [self.binary, "serve", "--socket", self.socket_path]
        if sqlite:
            command += ["--sqlite", self.database_path]
        if config is not None:
            path = os.path.join(self.directory, "prism.yaml")
            with open(path, "w") as file:
                file.write(config)
            command += ["--config", path]
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PRISM_")}
        if os.environ.get("PRISM_TEST_REACTORS"):  # runs everything with another number of reactors
            clean["PRISM_RUNTIME_REACTORS"] = os.environ["PRISM_TEST_REACTORS"]
        with open(self.log_path, "wb") as file:
            self.process = subprocess.Popen(command + list(arguments), stdin=subprocess.DEVNULL, stdout=file,
                                            stderr=file if log is None else log,
                                            cwd=self.directory, env={**clean, **(environment or {})},
                                            preexec_fn=descriptors and (lambda: resource.setrlimit(
                                                resource.RLIMIT_NOFILE, (min(descriptors, 64), descriptors))))
        if wait:
            try:
                self.wait_until_ready()
            except BaseException:
                self.close()
                raise

    @property
    def pid(self):
        return self.process.pid

    @property
    def log(self):
        try:
            with open(self.log_path, errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def wait_until_ready(self):
        """Ready is when a connection is accepted; an exit before that is an error with the log in it."""
        deadline = time.monotonic() + START_SECONDS_MAX
        while True:
            if self.process.poll() is not None:
                raise AssertionError(f"prism serve exited with {self.process.returncode} before it was ready:\n{self.log}")
            try:
                with socket.socket(socket.AF_UNIX) as probe:
                    probe.settimeout(1)
                    probe.connect(self.socket_path)
                    return
            except OSError:
                if time.monotonic() > deadline:
                    raise AssertionError(f"prism serve was not ready in {START_SECONDS_MAX} s:\n{self.log}") from None
            time.sleep(0.01)

    def signal(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def wait(self, seconds=STOP_SECONDS_MAX):
        """The exit code; a process that does not end in time is an error, and is killed with the directory's cleaning."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"prism serve did not end in {seconds} s:\n{self.log[-4000:]}") from None

    def stop(self):
        """SIGTERM, and the exit code."""
        if self.process.poll() is None:
            self.signal()
        return self.wait()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        if self.process.poll() is None:
            self.kill()
        if self._own_directory:
            shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # Ways to it

    def connect(self, **options):
        return prism.connect(self.socket_path, **options)

    def raw(self, **options):
        return RawClient(self.socket_path, **options)

    def admin(self, method, path):
        """One HTTP request on the admin socket: (status, body)."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10)
            connection.connect(self.admin_path)
            connection.sendall(f"{method} {path} HTTP/1.1\r\nHost: prism\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".encode())
            answer = b""
            while chunk := connection.recv(65536):
                answer += chunk
        head, _, body = answer.partition(b"\r\n\r\n")
        return int(head.split()[1]), body.decode()

    def command(self, *arguments, seconds=30, **options):
        """Another command of the binary against this server."""
        environment = {**os.environ, "PRISM_SOCKET": self.socket_path, "PRISM_ADMIN_SOCKET": self.admin_path}
        return subprocess.run([self.binary, *arguments], env=environment, capture_output=True, text=True, timeout=seconds,
                              stdin=subprocess.DEVNULL, **options)

    def read_file(self, sql, *parameters):
        """Reads the SQLite file directly, past the server."""
        database = sqlite3.connect(f"file:{self.database_path}?mode=ro", uri=True, timeout=10)
        try:
            return database.execute(sql, parameters).fetchall()
        finally:
            database.close()

    def memory_kilobytes(self):
        with open(f"/proc/{self.pid}/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))

    def descriptors(self):
        """What is behind each of its descriptors: a path, or such as `socket:[17]`."""
        links = []
        for name in os.listdir(f"/proc/{self.pid}/fd"):
            try:
                links.append(os.readlink(f"/proc/{self.pid}/fd/{name}"))
            except FileNotFoundError:  # closed meanwhile
                pass
        return links

    def sockets(self):
        """How many of its descriptors are sockets: databases are opened and closed when it suits their pools."""
        return sum(link.startswith("socket:") for link in self.descriptors())


def run_serve(*arguments, seconds=20, **options):
    """For starts that should fail: runs `prism serve` until it exits; (exit code, its output)."""
    done = subprocess.run([paths.binary(), "serve", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=seconds, **options)
    return done.returncode, done.stdout


@unittest.skipUnless(paths.binary(), "prism is not built: run `swift build`, or name a binary in PRISM_BINARY")
class ServerTestCase(unittest.TestCase):
    """Each test class shares a server; a test that ends or harms its server starts one of its own with start()."""

    ARGUMENTS = ()
    CONFIG = None

    @classmethod
    def serve(cls):
        return Server(*cls.ARGUMENTS, config=cls.CONFIG)

    @classmethod
    def setUpClass(cls):
        cls.server = cls.serve()
        cls.addClassCleanup(cls.server.close)

    def setUp(self):
        self.addCleanup(self._check_alive)

    def _check_alive(self):
        code = self.server.process.poll()
        if code is not None:
            log = self.server.log[-4000:]
            type(self).server = self.serve()
            type(self).addClassCleanup(self.server.close)
            self.fail(f"prism serve ended with {code} during this test:\n{log}")

    def start(self, *arguments, **options):
        server = Server(*arguments, **options)
        self.addCleanup(server.close)
        return server

    def client(self, server=None, **options):
        client = (server or self.server).connect(**{"timeout": 15, **options})
        self.addCleanup(client.close)
        return client

    def raw(self, server=None, **options):
        raw = (server or self.server).raw(**options)
        self.addCleanup(raw.close)
        return raw

    def assert_fails(self, code, function, *arguments, outcome="NOT_EXECUTED", **options):
        """The call fails with this code and outcome, and says something about it; answers the error."""
        with self.assertRaises(prism.Error) as raised:
            function(*arguments, **options)
        error = raised.exception
        self.assertEqual((error.code, error.outcome), (code, outcome), str(error))
        self.assertNotIn(error.message, ("", "no message was given"))
        self.assertNotEqual(error.stage, "UNSPECIFIED", str(error))
        return error


@unittest.skipUnless(paths.binary(), "prism is not built: run `swift build`, or name a binary in PRISM_BINARY")
class StartTestCase(unittest.TestCase):
    """For tests that each start servers of their own."""

    start = ServerTestCase.start
    assert_fails = ServerTestCase.assert_fails

    def client(self, server, **options):
        return ServerTestCase.client(self, server, **options)

    def raw(self, server, **options):
        return ServerTestCase.raw(self, server, **options)

    def directory(self):
        path = tempfile.mkdtemp(prefix="prism-e2e-")
        self.addCleanup(shutil.rmtree, path, ignore_errors=True)
        return path
