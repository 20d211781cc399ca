"""`make bench-pipelines`'s script: it measures what it says and adds up rightly. No figure is judged here."""

import argparse
import json
import os
import subprocess
import sys
import unittest

import paths
import pooler
from harness import StartTestCase

sys.path.insert(0, os.path.join(paths.ROOT, "Benchmarks"))
import fleet  # noqa: E402
import pipelines  # noqa: E402


def figures(rate, cpu=None, p99=20.0, errors=0):
    return {"requests_per_second": rate, "p50": 10.0, "p99": p99, "cpu": cpu, "errors": errors}


class ReportTests(unittest.TestCase):
    ABOUT = {"cpu": "a CPU", "cpus": 2, "memory_gib": 4.0, "kernel": "6.1", "prism": "0.1.0", "commit": "abc",
             "load_average_before": 0.1}
    FLEET = {"connections_highest": 190, "away_seconds": 2.0, "recovery_seconds": 4.0, "recovery_median": 1.0, "logins": 180,
             "logins_highest": 20, "refused": 3, "answers_ok": 1_000, "answers_other": 10}

    def results(self):
        results = {(clients, in_flight, subject): [figures(1_000, cpu=10.0)] * 3
                   for clients, in_flight, subjects in pipelines.CASES for subject in subjects}
        results[(64, 1, "Prism")] = [figures(rate, cpu) for rate, cpu in ((2_000, 4.0), (9_000, 9.0), (3_000, 5.0))]
        results[(64, 16, pipelines.LIBPQ)] = [figures(4_000)] * 3
        return results

    def test_ratios_are_medians_of_the_rounds_and_judged_in_their_direction(self):
        mixed = [{"alone": figures(5, p99=alone), "beside": {**figures(5, p99=beside), "slow_requests": 4, "slow_errors": 0}}
                 for alone, beside in ((10.0, 15.0), (10.0, 90.0), (10.0, 19.0))]
        rows = pipelines.judged(self.results(), mixed, [self.FLEET, {**self.FLEET, "connections_highest": 201}])
        measured = {name: (value, pipelines.holds(sign, aim, value)) for name, sign, aim, value in rows}
        values = list(measured.values())
        self.assertEqual(values[:4], [(3.0, True), (1.0, False), (1.0, False), (1.0, True)])
        self.assertEqual(values[4], (0.5, False))  # CPU: at most 0.45
        self.assertEqual(values[5], (0.25, False))
        self.assertEqual(values[6], (1.9, True))
        # The most of all rounds, not their median.
        self.assertEqual(values[7:], [(201, False), (4.0, True), (180, True)])

    def test_what_was_not_measured_is_not_judged(self):
        self.assertEqual(pipelines.judged({}, [], []), [])
        self.assertFalse(pipelines.holds(">=", 1.0, None))

    def test_the_tables(self):
        options = argparse.Namespace(rounds=3, seconds=1.0, pool_size=20)
        text = pipelines.as_markdown(self.results(), [], [self.FLEET], self.ABOUT, options)
        self.assertIn("| 64 × 1: times PgBouncer's requests/s | ≥ 2.5 | 3.00 | reached |", text)
        self.assertIn("| 64 × 16: requests/s, of libpq's in C | ≥ 0.5 | 0.25 | **missed** |", text)
        self.assertIn("| 64 × 1 | Prism | 3,000 | 10 | 20 | 5.0 | 0 |", text)
        self.assertIn("| 1 | 190 | 2.0 | 1.00, 4.00 | 180 | 20 | 3 | 1,000, 10 |", text)

    def test_logins_are_counted_from_the_servers_log(self):
        line = "2026-01-02 03:04:0{} UTC [12] [unknown] 00000 LOG:  connection authorized: user={} database=postgres\n"
        log = "".join(line.format(second, user) for second, user in (
            ("5.000", "fleet"), ("5.050", "fleet"), ("5.099", "fleet"), ("5.500", "fleet"), ("5.060", "postgres")))
        log += "2026-01-02 03:04:04.000 UTC [9] [unknown] 57P03 FATAL:  the database system is starting up\n"
        self.assertEqual(fleet.logins(log), {"logins": 4, "logins_highest": 3, "refused": 1})

    def test_the_document_has_its_markers(self):
        with open(os.path.join(paths.ROOT, "docs", "measurements.md")) as file:
            document = file.read()
        for mark in (pipelines.BEGIN, pipelines.END):
            self.assertEqual(document.count(mark), 1, mark)


@unittest.skipIf(pooler.why_not(), pooler.why_not() or "")
class ScriptTests(StartTestCase):
    def test_a_short_run(self):
        directory = self.directory()
        output = os.path.join(directory, "pipelines.json")
        done = subprocess.run(
            [os.path.join(paths.ROOT, "scripts", "bench.sh"), "pipelines", "--binary", paths.binary(), "--directory", directory,
             "--rounds", "1", "--seconds", "0.2", "--json", output], capture_output=True, text=True, timeout=170,
            stdin=subprocess.DEVNULL)
        # 1: an aim was missed, which means nothing in so short a run.
        self.assertIn(done.returncode, (0, 1), done.stderr)
        with open(output) as file:
            made = json.load(file)
        self.assertEqual(len(made["select"]), sum(len(subjects) for _, _, subjects in pipelines.CASES))
        for case in made["select"]:
            self.assertGreater(case["rounds"][0]["requests_per_second"], 0, case)
            self.assertEqual(case["rounds"][0]["errors"], 0, case)
        self.assertGreater(made["mixed"][0]["beside"]["slow_requests"], 0)
        fleets = made["fleet"][0]
        self.assertEqual(fleets["never_recovered"], 0)
        self.assertGreaterEqual(fleets["logins"], fleet.SIDECARS)
        self.assertGreaterEqual(fleets["connections_highest"], fleet.SIDECARS)
        self.assertLessEqual(fleets["connections_highest"], fleet.BUDGET)
        self.assertIn("| 64 × 16 | libpq in C", done.stdout)


if __name__ == "__main__":
    unittest.main()
