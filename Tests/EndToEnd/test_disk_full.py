"""A disk that is really full: writes fail clearly, reads go on, and when there is room again so do writes."""

import os
import subprocess
import tempfile
import unittest

import prism
from harness import StartTestCase

DISK = "size=4m"


class DiskFullTests(StartTestCase):
    def setUp(self):
        if os.geteuid() != 0:
            self.skipTest("mounting a small tmpfs needs root")
        self.disk = tempfile.mkdtemp(prefix="prism-disk-")
        self.addCleanup(os.rmdir, self.disk)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", DISK, "tmpfs", self.disk], capture_output=True, text=True)
        if done.returncode != 0:
            self.skipTest(f"cannot mount a tmpfs: {done.stderr.strip()}")
        self.addCleanup(subprocess.run, ["umount", "-l", self.disk])

    def test_a_full_disk_refuses_writes_keeps_reads_and_heals(self):
        server = self.start(sqlite=os.path.join(self.disk, "data.db"))
        client = self.client(server)
        client.query("create table t (id integer primary key, v blob)")
        ballast = os.path.join(self.disk, "ballast")
        with open(ballast, "wb") as file:
            file.write(b"\0" * 1_000_000)
        confirmed, failures = 0, []
        while len(failures) < 20:
            try:
                client.query("insert into t values ($1, $2)", confirmed + 1, os.urandom(50_000))
                confirmed += 1
                self.assertLess(confirmed, 1000, "the disk does not get full")
            except prism.Error as error:
                failures.append(error)
        self.assertGreater(confirmed, 5)
        for error in failures:
            self.assertEqual((error.code, error.outcome), ("RESOURCE_EXHAUSTED", "NOT_EXECUTED"), str(error))
            self.assertEqual(error.sqlite_code & 0xFF, 13)
            self.assertRegex(error.message, "(?i)full|space")
        with self.assertRaises(prism.ResourceExhausted):
            client.put("k", b"x" * 50_000)
        # A transaction of its own, not only the group of single writes.
        with self.assertRaises(prism.Error) as raised:
            with client.transaction() as tx:
                for number in range(100):
                    tx.query("insert into t values ($1, $2)", 10_000 + number, os.urandom(50_000))
        self.assertEqual(raised.exception.outcome, "NOT_EXECUTED", str(raised.exception))
        self.assertEqual(client.query("select count(*) from t", read_only=True).scalar(), confirmed)
        self.assertEqual(client.ping(b"alive"), b"alive")

        os.unlink(ballast)
        client.query("insert into t values ($1, $2)", 20_000, b"there is room again")
        client.put("k", "v")
        self.assertEqual(client.query("select count(*) from t", read_only=True).scalar(), confirmed + 1)
        self.assertEqual(server.stop(), 0, server.log)
        self.assertEqual(server.read_file("pragma integrity_check"), [("ok",)])
        self.assertEqual(server.read_file("select count(*) from t"), [(confirmed + 1,)])

    def test_a_start_on_a_full_disk_says_so(self):
        with open(os.path.join(self.disk, "ballast"), "wb") as file:
            try:
                while True:
                    file.write(b"\0" * 65536)
                    file.flush()
            except OSError:
                pass
        directory = self.directory()
        from harness import run_serve
        code, output = run_serve("--socket", os.path.join(directory, "p.sock"), "--sqlite", os.path.join(self.disk, "new.db"))
        self.assertEqual(code, 1, output)
        self.assertRegex(output, "(?i)full|space")


if __name__ == "__main__":
    unittest.main()
