"""Descriptors: standard ones that whoever starts the binary has closed, whose places nothing else takes; and none left."""

import os
import resource
import socket
import subprocess
import time
import unittest

import cli
import paths
from harness import ServerTestCase, StartTestCase


class ClosedOutputTests(ServerTestCase):
    def test_what_is_printed_does_not_go_into_the_connection(self):
        self.client().put("descriptors", b"v" * 1000)
        for arguments in (("kv", "scan", "--json"), ("sql", "select 'printed'"), ("kv", "get", "descriptors"), ("status",)):
            with self.subTest(arguments):
                done = subprocess.run(
                    [paths.binary(), *arguments], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=30,
                    preexec_fn=lambda: os.close(1), env=cli.environment(
                        PRISM_SOCKET=self.server.socket_path, PRISM_ADMIN_SOCKET=self.server.admin_path))
                self.assertEqual(done.returncode, 1, done.stderr)
                self.assertIn("standard output could not be written", done.stderr)
        self.assertNotIn("protocol_error", self.server.log)


class ClosedServerTests(StartTestCase):
    def test_a_server_without_standard_descriptors(self):
        directory = self.directory()
        path = os.path.join(directory, "prism.sock")
        command = [paths.binary(), "serve", "--socket", path, "--sqlite", os.path.join(directory, "data.db")]
        shell = ["sh", "-c", 'exec "$@" 0<&- 1>&- 2>&-', "sh", *command]
        process = subprocess.Popen(shell, env=cli.environment())
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        subprocess.run([paths.binary(), "wait", "--socket", path], check=True, timeout=30, env=cli.environment(),
                       stdout=subprocess.DEVNULL)
        held = {number: os.readlink(f"/proc/{process.pid}/fd/{number}") for number in range(3)}
        self.assertEqual(set(held.values()), {"/dev/null"})
        process.terminate()
        self.assertEqual(process.wait(30), 0)


class ExhaustedTests(StartTestCase):
    """Clients take what the process has left, and more wait to be accepted."""

    def full(self, free):
        server = self.start()
        # The admin listener's timer is there by then, and one of the runtime's.
        self.until(lambda: server.descriptors().count("anon_inode:[timerfd]") >= 2 or None, server)
        watching = socket.socket(socket.AF_UNIX)
        self.addCleanup(watching.close)
        watching.connect(server.admin_path)
        self.assertEqual(self.ask(watching, "/livez"), b"HTTP/1.1 200 OK")
        limit = len(server.descriptors()) + free
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (limit, limit))
        clients = []
        for path in (server.admin_path, server.socket_path) * (free + 4):
            client = socket.socket(socket.AF_UNIX)
            self.addCleanup(client.close)
            client.connect(path)
            clients.append(client)
        self.until(lambda: len(server.descriptors()) >= limit or None, server)
        return server, watching, clients

    def ask(self, client, path):
        """The first line of the answer on a connection that stays open."""
        client.settimeout(20)
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: prism\r\n\r\n".encode())
        return client.recv(65536).split(b"\r\n")[0]

    def until(self, look, server):
        deadline = time.monotonic() + 20
        while (seen := look()) is None:
            self.assertLess(time.monotonic(), deadline, server.log)
            time.sleep(0.01)
        return seen

    @staticmethod
    def naps(server):
        """How often each thread that accepts has gone to sleep by itself. One that tries again and again never does."""
        naps = {}
        for thread in os.listdir(f"/proc/{server.pid}/task"):
            with open(f"/proc/{server.pid}/task/{thread}/status") as file:
                status = dict(line.split(":", 1) for line in file)
            name = status["Name"].strip()
            if thread == str(server.pid) or name.startswith("NIO"):
                naps[name] = int(status["voluntary_ctxt_switches"])
        return naps

    def test_nobody_tries_again_and_again_and_all_goes_on_when_some_are_free(self):
        for free in (0, 2, 3):
            with self.subTest(free=free):
                server, watching, clients = self.full(free)
                self.assertEqual(self.ask(watching, "/status"), b"HTTP/1.1 200 OK")
                before = self.naps(server)
                self.assertEqual(len(before), 2, before)
                self.until(lambda: all(count >= before[name] + 5 for name, count in self.naps(server).items()) or None, server)
                for client in (watching, *clients):
                    client.close()
                self.assertEqual(server.admin("GET", "/readyz")[0], 200)
                with server.connect() as client:
                    self.assertEqual(client.ping(b"free"), b"free")
                self.assertEqual(server.stop(), 0, server.log)

    def test_it_ends_as_ever(self):
        for free in (0, 2, 3):
            with self.subTest(free=free):
                server, _, _ = self.full(free)
                self.assertEqual(server.stop(), 0, server.log)
                self.assertIn("drain_report", server.log)

    def test_too_few_to_start_with_are_said(self):
        for limit in (12, 15, 19, 35):
            with self.subTest(limit=limit):
                server = self.start(descriptors=limit, wait=False)
                self.assertEqual(server.wait(), 1, server.log)
                self.assertIn(f"the hard limit of open files is {limit}", server.log)


if __name__ == "__main__":
    unittest.main()
