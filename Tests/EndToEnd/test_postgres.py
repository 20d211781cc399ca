"""The private clusters themselves: others' tests are worth what these hold."""

import os
import signal
import subprocess
import sys
import time
import unittest

import postgres


@postgres.needed
class ClusterTests(unittest.TestCase):
    def setUp(self):
        self.cluster = postgres.Cluster()
        self.addCleanup(self.cluster.close)
        self.cluster.sql("create table t (n int)")

    def test_it_answers_rows_and_says_what_is_wrong(self):
        self.assertEqual(self.cluster.sql("select 1, 'line\nline' union all select 2, null"), [("1", "line\nline"), ("2", "")])
        self.assertEqual(self.cluster.sql("select 1 where false"), [])
        with self.assertRaisesRegex(AssertionError, "no_such_table"):
            self.cluster.sql("select * from no_such_table")
        self.assertIn("no_such_table", self.cluster.log)
        self.assertEqual(self.cluster.value("show fsync"), "on")
        self.assertEqual(self.cluster.connections(), 0)

    def test_databases_are_apart(self):
        one, two = self.cluster.new_database(), self.cluster.new_database()
        self.cluster.sql("create table here (n int)", one)
        self.assertEqual(self.cluster.value("select count(*) from pg_class where relname = 'here'", two), "0")

    def test_a_crash_keeps_what_was_committed(self):
        for number, harm in enumerate((self.cluster.crash, self._kill_all, self._kill_one)):
            with self.subTest(harm=harm.__name__):
                self.cluster.sql(f"insert into t values ({number})")
                mark = self.cluster.log_mark()
                harm()
                self.assertEqual(self.cluster.value("select count(*) from t"), str(number + 1))
                self.assertIn("database system was", self.cluster.log_since(mark))

    def _kill_all(self):
        self.cluster.kill()
        self.cluster.start()

    def _kill_one(self):
        writer = int(self.cluster.value("select pid from pg_stat_activity where backend_type = 'background writer'"))
        mark = self.cluster.log_mark()
        self.cluster.kill_backend(writer)
        deadline = time.monotonic() + 30
        while "all server processes terminated" not in self.cluster.log_since(mark) and time.monotonic() < deadline:
            time.sleep(0.01)
        self.cluster.wait_until_ready()

    def test_settings_can_be_changed_with_a_restart(self):
        self.cluster.restart(settings={"max_connections": "17"})
        self.assertEqual(self.cluster.value("show max_connections"), "17")

    def test_it_leaves_nothing_behind(self):
        pids = [self.cluster.pid, *self.cluster.children()]
        self.cluster.close()
        self.assertGreater(len(pids), 3)
        for pid in pids:
            self.assertFalse(postgres.is_running(pid))
        self.assertFalse(os.path.exists(self.cluster.directory))


@postgres.needed
class ListeningClusterTests(unittest.TestCase):
    def test_on_the_loopback_address_it_asks_for_the_password(self):
        with postgres.Cluster(tcp=True) as cluster:
            def connect(**environment):
                return subprocess.run(["psql", "-XAt", "-w", "-c", "select 1", cluster.tcp_conninfo()], text=True,
                                      capture_output=True, env={**os.environ, **environment}, timeout=30)
            self.assertNotEqual(connect().returncode, 0)
            self.assertEqual(connect(PGPASSWORD=cluster.password).stdout, "1\n")


@postgres.needed
class KilledRunTests(unittest.TestCase):
    def test_a_cluster_ends_with_the_run_that_started_it_even_when_that_is_killed(self):
        code = "import postgres, sys; c = postgres.shared(); print(c.pid, c.directory, flush=True); sys.stdin.read()"
        run = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                               cwd=os.path.dirname(os.path.abspath(__file__)))
        pid, directory = run.stdout.readline().split()
        run.send_signal(signal.SIGKILL)
        run.communicate()
        deadline = time.monotonic() + 30
        while postgres.is_running(pid) and time.monotonic() < deadline:
            time.sleep(0.01)
        self.assertFalse(postgres.is_running(pid))
        # The next one clears away what it left.
        postgres.Cluster().close()
        self.assertFalse(os.path.exists(directory))


if __name__ == "__main__":
    unittest.main()
