"""`prism bench`: measures, counts its errors, and leaves nothing behind, whatever ends it."""

import json
import os
import resource
import signal
import subprocess
import time
import unittest

import cli
import paths
from harness import StartTestCase

SLOW = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 1000000000) select max(i) from n"
SHORT = ("--seconds", "0.3", "--keys", "500")


class BenchTests(StartTestCase):
    def setUp(self):
        self.server = self.start()

    def bench(self, *arguments, **options):
        return cli.run_json("bench", *arguments, PRISM_SOCKET=self.server.socket_path, **options)

    def assert_nothing_left(self):
        self.assertEqual(self.server.read_file("select count(*) from prism_entry"), [(0,)])
        self.assertEqual(self.server.read_file("select name from sqlite_schema where name like 'bench%'"), [])

    def test_every_workload(self):
        for workload in ("kv-get", "kv-put", "kv-mixed", "sql"):
            for clients, in_flight in ((1, 1), (8, 16)):
                report = self.bench("--workload", workload, "--clients", str(clients), "--in-flight", str(in_flight), *SHORT)
                self.assertEqual((report["workload"], report["clients"], report["in_flight"]),
                                 (workload, clients, in_flight))
                self.assertEqual((report["errors"], report["errors_by_code"], report["connections_lost"]), (0, {}, 0))
                self.assertGreater(report["requests"], 0)
                self.assertGreater(report["requests_per_second"], 0)
                latency = report["latency_microseconds"]
                self.assertEqual(list(latency), ["p50", "p90", "p99", "p999", "max"])
                self.assertEqual(sorted(latency.values()), list(latency.values()))
                self.assertGreaterEqual(report["sidecar_cpu_seconds"], 0)
                self.assertEqual((report["interrupted"], report["left_behind"]), (False, None))
            self.assert_nothing_left()

    def test_human_output(self):
        text = cli.run("bench", "--workload", "kv-get", *SHORT, PRISM_SOCKET=self.server.socket_path).stdout
        for word in ("requests/s", "errors      0", "p999", "sidecar used"):
            self.assertIn(word, text)

    def interrupted(self, workload, *numbers):
        process = subprocess.Popen(
            [paths.binary(), "bench", "--workload", workload, "--clients", "4", "--seconds", "600", "--keys", "500",
             "--json"], env=cli.environment(PRISM_SOCKET=self.server.socket_path), stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.kill)
        # The load is on when the sidecar has more clients than the preparation's one.
        while cli.run_json("status", PRISM_SOCKET=self.server.socket_path)["clients"] < 5:
            self.assertIsNone(process.poll())
        for number in numbers:
            process.send_signal(number)
        output, _ = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 1)
        return json.loads(output)

    def test_a_signal_ends_it_early_and_nothing_is_left(self):
        for workload, number in (("kv-put", signal.SIGINT), ("sql", signal.SIGTERM)):
            report = self.interrupted(workload, number)
            self.assertIs(report["interrupted"], True)
            self.assertIsNone(report["left_behind"])
            self.assert_nothing_left()

    def test_a_signal_during_the_preparation_removes_what_there_is(self):
        process = subprocess.Popen(
            [paths.binary(), "bench", "--workload", "kv-get", "--keys", "50000000", "--json"],
            env=cli.environment(PRISM_SOCKET=self.server.socket_path), stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.kill)
        while self.server.read_file("select count(*) from prism_entry") == [(0,)]:
            self.assertIsNone(process.poll())
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 1)
        report = json.loads(output)
        self.assertEqual((report["interrupted"], report["left_behind"], report["requests"]), (True, None, 0))
        self.assert_nothing_left()

    def test_it_says_what_it_could_not_remove(self):
        process = subprocess.Popen(
            [paths.binary(), "bench", "--workload", "kv-get", "--seconds", "600", "--keys", "500", "--json"],
            env=cli.environment(PRISM_SOCKET=self.server.socket_path), stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.kill)
        while cli.run_json("status", PRISM_SOCKET=self.server.socket_path)["clients"] < 2:
            self.assertIsNone(process.poll())
        self.server.kill()
        output, _ = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 1)
        report = json.loads(output)
        self.assertRegex(report["left_behind"], "^namespace bench-[a-z0-9]+ was not removed: UNAVAILABLE")
        self.assertEqual((report["connections_lost"], report["errors_by_code"]), (1, {"CONNECTION_LOST": 1}))

    def test_two_at_once_do_not_disturb_each_other(self):
        path = self.server.socket_path
        command = [paths.binary(), "bench", "--workload", "kv-get", "--clients", "2", *SHORT, "--json"]
        both = [subprocess.Popen(command, env=cli.environment(PRISM_SOCKET=path), stdout=subprocess.PIPE, text=True)
                for _ in range(2)]
        for process in both:
            self.addCleanup(process.kill)
            output, _ = process.communicate(timeout=30)
            self.assertEqual(process.returncode, 0)
            self.assertEqual(json.loads(output)["errors"], 0)
        self.assert_nothing_left()

    def test_errors_are_counted_by_their_code(self):
        server = self.start(config="limits:\n  in_flight: 2\n")
        report = cli.run_json("bench", "--workload", "kv-put", "--clients", "8", "--in-flight", "8", *SHORT,
                              PRISM_SOCKET=server.socket_path)
        self.assertGreater(report["requests"], 0)
        self.assertEqual(list(report["errors_by_code"]), ["RESOURCE_EXHAUSTED"])
        self.assertEqual(report["errors"], report["errors_by_code"]["RESOURCE_EXHAUSTED"])

    def test_a_run_that_is_refused_says_why(self):
        error = self.bench("--workload", "kv-get", "--backend", "nowhere", *SHORT, code=1)["error"]
        self.assertEqual(error["code"], "NOT_FOUND")

    def test_too_few_descriptors_is_said_before_anything_is_written(self):
        done = subprocess.run(
            [paths.binary(), "bench", "--workload", "kv-get", "--clients", "200"], capture_output=True, text=True, timeout=30,
            env=cli.environment(PRISM_SOCKET=self.server.socket_path),
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100)))
        self.assertEqual(done.returncode, 2)
        self.assertIn("200 clients need more open files than the 100", done.stderr)
        self.assertIn("ulimit -Hn", done.stderr)
        self.assert_nothing_left()

    def test_a_fixed_rate_offers_as_much_as_it_says(self):
        for workload in ("kv-get", "kv-put", "kv-mixed", "sql"):
            report = self.bench("--workload", workload, "--clients", "4", "--in-flight", "64", "--rate", "200",
                                "--seconds", "1", "--keys", "100")
            self.assertEqual((report["rate"], report["errors_by_code"]), (200, {}))
            self.assertEqual(report["offered"], 200)
            self.assertEqual(report["good"], report["offered"])
            self.assertLessEqual(report["requests"], report["offered"])
        self.assert_nothing_left()

    def test_a_server_that_stands_still_is_seen_in_all_that_would_have_come_meanwhile(self):
        process = subprocess.Popen(
            [paths.binary(), "bench", "--workload", "kv-get", "--clients", "2", "--in-flight", "2", "--rate", "100",
             "--seconds", "4", "--keys", "100", "--json"],
            env=cli.environment(PRISM_SOCKET=self.server.socket_path), stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.kill)
        while cli.run_json("status", PRISM_SOCKET=self.server.socket_path)["clients"] < 3:
            self.assertIsNone(process.poll())
        time.sleep(1.5)  # It has warmed up.
        os.kill(self.server.pid, signal.SIGSTOP)
        time.sleep(1)
        os.kill(self.server.pid, signal.SIGCONT)
        output, _ = process.communicate(timeout=30)
        report = json.loads(output)
        self.assertEqual(report["errors_by_code"], {})
        self.assertEqual(report["good"], report["offered"])
        # 4 were in flight; 100 were meant to be sent in that second, a tenth of which waited for at least 900 ms of it.
        waited = {name: report["latency_microseconds"][name] for name in ("p90", "max")}
        self.assertGreater(waited["max"], 900_000)
        self.assertGreater(waited["p90"], 300_000)

    def test_what_finds_no_place_is_counted(self):
        report = self.bench("--workload", "sql", "--sql", SLOW, "--rate", "1000", "--timeout", "50ms", "--seconds", "1", code=1)
        # About 20 places come free.
        self.assertGreater(report["errors_by_code"]["UNSENT"], 900)
        self.assertEqual(report["offered"], 1_000)
        self.assertEqual(report["errors"] + report["good"], report["offered"])

    def test_a_parameter_of_the_statement_is_another_number_each_time(self):
        """A number that the rows do not have would be an error of this statement's."""
        report = self.bench("--workload", "sql", "--sql", "select json_extract('[1,2,3]', '$[' || $1 || ']') / ($1 < 3)",
                            "--keys", "3", "--seconds", "0.3", "--in-flight", "4")
        self.assertEqual(report["errors_by_code"], {})
        self.assertGreater(report["requests"], 0)

    def test_usage(self):
        for arguments in (["--workload", "none"], ["--workload", "pgbench-tpcb"], [], ["--workload", "kv-get", "--rate", "0"],
                          ["--workload", "kv-get", "--sql", "select 1"], ["--workload", "sql", "--sql", ""], ["--workload", "kv-get", "--target", "postgres://x"], ["--workload", "kv-get", "--clients", "0"],
                          ["--workload", "kv-get", "--seconds", "5s"], ["--workload", "kv-get", "--seconds", "0"],
                          ["--workload", "kv-get", "--in-flight", "0"]):
            self.assertEqual(self.bench(*arguments, code=2)["error"]["code"], "USAGE")


if __name__ == "__main__":
    unittest.main()
