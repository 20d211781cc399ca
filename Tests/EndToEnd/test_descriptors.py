"""Standard descriptors that whoever starts the binary has closed: nothing else takes their places."""

import os
import subprocess
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


if __name__ == "__main__":
    unittest.main()
