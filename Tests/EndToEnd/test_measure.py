"""`make bench`'s script: it measures what it says, adds up rightly, and leaves nothing behind. No figure is judged here."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

import paths
import postgres
from harness import StartTestCase

BENCHMARKS = os.path.join(paths.ROOT, "Benchmarks")
sys.path.insert(0, BENCHMARKS)
import load  # noqa: E402
import measure  # noqa: E402
import report  # noqa: E402


def result(rate, **fields):
    return {"requests_per_second": rate, "errors": 0, "p50": 10.0, "p99": 20.0, "cpu_microseconds": 3.0, **fields}


class ReportTests(unittest.TestCase):
    ABOUT = {"cpu": "a CPU", "cpus": 2, "memory_gib": 4.0, "kernel": "6.1", "file_system": "ext4", "prism": "0.1.0",
             "commit": "abc", "load_average_before": 0.1}
    SETTINGS = {"rounds": 3, "seconds": 1.0}

    def report(self, rounds):
        return report.as_json(self.SETTINGS, self.ABOUT, rounds, {"Redis": "not installed"})

    def test_medians_and_the_ratio_are_those_of_the_rounds(self):
        rounds = [{("Prism", "kv-put", 64, 1): result(fast), ("Prism, a commit each", "kv-put", 64, 1): result(slow)}
                  for fast, slow in ((1000, 100), (3000, 100), (2000, 1000))]
        made = self.report(rounds)
        self.assertEqual([case["median"]["requests_per_second"] for case in made["cases"]], [2000, 100])
        self.assertEqual(made["group_commit_times_a_commit_each"], {"rounds": [10, 30, 2], "median": 10})
        text = report.as_markdown(made)
        self.assertIn("| 64 × 1 | Prism | 2,000 | 10 | 20 | 3.0 | 0 |", text)
        self.assertIn("10.0 times a commit each (rounds: 10.0, 30.0, 2.0", text)
        self.assertIn("Not measured: Redis: not installed.", text)

    def test_errors_of_all_rounds_are_shown(self):
        rounds = [{("Prism", "sql", 1, 1): result(5, errors=errors, cpu_microseconds=None)} for errors in (1, 0, 2)]
        self.assertIn("| 1 × 1 | Prism | 5 | 10 | 20 |  | 3 |", report.as_markdown(self.report(rounds)))

    def test_tables_go_between_the_markers_and_nowhere_else(self):
        with tempfile.NamedTemporaryFile("w+", suffix=".md") as file:
            file.write(f"before\n{measure.BEGIN}\nold\n{measure.END}\nafter\n")
            file.flush()
            report.write_between_markers(file.name, measure.BEGIN, measure.END, "new\n")
            file.seek(0)
            self.assertEqual(file.read(), f"before\n{measure.BEGIN}\nnew\n{measure.END}\nafter\n")
        with self.assertRaises(SystemExit):
            report.write_between_markers(os.devnull, measure.BEGIN, measure.END, "new\n")

    def test_the_document_has_its_markers(self):
        with open(os.path.join(paths.ROOT, "docs", "measurements.md")) as file:
            document = file.read()
        for mark in (measure.BEGIN, measure.END, load.BEGIN, load.END):
            self.assertEqual(document.count(mark), 1, mark)


class ScriptTests(StartTestCase):
    def run_script(self, *arguments):
        return subprocess.run([os.path.join(paths.ROOT, "scripts", "bench.sh"), "--binary", paths.binary(), *arguments],
                              capture_output=True, text=True, timeout=150, stdin=subprocess.DEVNULL)

    def test_a_short_run(self):
        directory = tempfile.mkdtemp(prefix="bench-test-", dir=os.path.dirname(os.path.realpath(paths.binary())))
        self.addCleanup(os.rmdir, directory)
        output = os.path.join(self.directory(), "results.json")
        done = self.run_script("--directory", directory, "--rounds", "1", "--seconds", "0.2", "--clients", "2", "--in-flight",
                               "1", "--json", output)
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(output) as file:
            made = json.load(file)
        measured = {(case["subject"], case["workload"]) for case in made["cases"]}
        self.assertLessEqual({("Prism", "kv-get"), ("Prism", "kv-put"), ("Prism", "sql"), ("Prism, a commit each", "kv-put"),
                              ("SQLite, a process each", "kv-get"), ("SQLite, a process each", "kv-put")}, measured)
        for case in made["cases"]:
            self.assertGreater(case["median"]["requests_per_second"], 0, case)
            self.assertEqual(case["median"]["errors"], 0, case)
        self.assertIn("| 2 × 1 | Prism |", done.stdout)
        self.assertEqual(os.listdir(directory), [])

    @unittest.skipIf(os.geteuid() != 0 or postgres.why_not(), "it needs root and PostgreSQL's server")
    def test_a_short_run_with_too_much(self):
        output = os.path.join(self.directory(), "load.json")
        done = subprocess.run(
            [os.path.join(paths.ROOT, "scripts", "bench.sh"), "load", "--binary", paths.binary(), "--rounds", "1", "--seconds",
             "0.3", "--deadlines", "20", "--json", output], capture_output=True, text=True, timeout=170, stdin=subprocess.DEVNULL)
        # 1: a ratio that it promises was not held, which means nothing in so short a run.
        self.assertIn(done.returncode, (0, 1), done.stderr)
        with open(output) as file:
            made = json.load(file)
        self.assertEqual(made["lateness"]["early"], 0)
        for name in load.FLOODS:
            for part in ("alone", "beside", "elsewhere", "flood_beside", "flood_elsewhere"):
                self.assertGreater(made[name]["rounds"][0][part]["requests"], 0)
                self.assertEqual(made[name]["rounds"][0][part]["errors"], 0)
        for each in made["many_in_flight"]["rounds"][0].values():
            self.assertEqual(each["errors"], 0, each)
        overload = made["overload"]["rounds"][0]
        self.assertEqual(overload["overload"]["offered"], 6_000)
        self.assertLessEqual(set(overload["overload"]["errors_by_code"]),
                             {"DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "UNSENT"})
        self.assertEqual(overload["after"]["errors"], 0)
        self.assertIn("**Overload: 20 connections", done.stdout)

    def test_a_disk_in_memory_is_refused(self):
        if report.file_system("/dev/shm") != "tmpfs":
            self.skipTest("/dev/shm is not in memory here")
        done = self.run_script("--directory", "/dev/shm")
        self.assertEqual(done.returncode, 1)
        self.assertIn("is in memory", done.stderr)


if __name__ == "__main__":
    unittest.main()
