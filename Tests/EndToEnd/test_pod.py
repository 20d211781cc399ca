"""A pod that ends without failing anybody: every order of pod_table.py, replayed with real processes under load.

By command a thousand of them, in parallel lanes: PRISM_TEST_TERMINATIONS=1000 Tests/EndToEnd/run.sh test_pod. With
PRISM_TEST_LANES, PRISM_TEST_SECONDS_AFTER (how long apps go on after SIGTERM, at most), PRISM_TEST_ORDERS (names) and PRISM_TEST_KEEP
(what failed is kept) as you like."""

import json
import os
import random
import sys
import time
import unittest

import paths
import pod_run
import pod_table
import postgres
import processes

EACH = 5
DOCUMENT = os.path.join(paths.ROOT, "docs", "draining.md")


def databases(count):
    """A PostgreSQL database for every lane; None where there is no PostgreSQL."""
    if postgres.why_not():
        return [None] * count
    cluster = postgres.shared()
    found = []
    for _ in range(count):
        name = cluster.new_database()
        cluster.sql("create table pod_rows (name text)", name)
        found.append((cluster, cluster.conninfo(name), name))
    return found


def describe(result):
    return (f"{result['order']} {result['seed']} on {result['engine']}: {result['problem_count']} problems\n  "
            + "\n  ".join([*result["problems"], *result.get("events", []), result.get("log", "")]))


@unittest.skipUnless(paths.binary(), "prism is not built: run `swift build`, or name a binary in PRISM_BINARY")
class PodTests(unittest.TestCase):
    def go_through(self, order):
        """Five at once, on SQLite and on PostgreSQL by turns."""
        lanes = [None if number % 2 == 0 else database for number, database in enumerate(databases(EACH))]
        results = processes.run(lambda number: pod_run.Run(order, number, lanes[number]).go(), EACH, 120)
        print("  " + pod_run.summary(results), file=sys.stderr)
        self.assertEqual([describe(result) for result in results if result["problem_count"]], [])
        if order.is_cut:
            # Otherwise the row would say nothing about the phases that it is there for.
            self.assertTrue(all(result["counts"].get("DRAINING UNAVAILABLE") for result in results))
            self.assertTrue(all(result["report"]["cancelled"] for result in results), [result["report"] for result in results])


for _order in pod_table.ORDERS:
    def _test(self, order=_order):
        self.go_through(order)
    _test.__doc__ = _order.title
    setattr(PodTests, f"test_{_order.name}", _test)


@unittest.skipUnless(os.environ.get("PRISM_TEST_TERMINATIONS"), "by command: PRISM_TEST_TERMINATIONS=1000")
@unittest.skipUnless(paths.binary(), "prism is not built")
class ManyPodTests(unittest.TestCase):
    def test_many_terminations_in_parallel_lanes(self):
        count = int(os.environ["PRISM_TEST_TERMINATIONS"])
        lane_count = int(os.environ.get("PRISM_TEST_LANES", "8"))
        seconds_after = float(os.environ.get("PRISM_TEST_SECONDS_AFTER", "3"))
        names = os.environ.get("PRISM_TEST_ORDERS", "").split()
        orders = [order for order in pod_table.ORDERS if not names or order.name in names]
        lanes = databases(lane_count)

        def work(lane):
            drawn = random.Random(lane)
            results = []
            for number in range(lane, count, lane_count):
                order = orders[number % len(orders)]
                database = lanes[lane] if number // len(orders) % 2 else None
                result = pod_run.Run(order, number, database, seconds_after=drawn.uniform(0.5, seconds_after)).go()
                results.append(result)
                if result["problem_count"]:
                    print(describe(result)[:4000], file=sys.stderr, flush=True)
            return results

        began = time.monotonic()
        results = [one for lane in processes.run(work, lane_count, 60 + count * (seconds_after + 20) / lane_count) for one in lane]
        for engine in ("sqlite", "postgresql"):
            print(f"{engine}: {pod_run.summary([one for one in results if one['engine'] == engine])}", file=sys.stderr)
        print(f"{time.monotonic() - began:.0f} s, {lane_count} lanes", file=sys.stderr)
        self.assertEqual([describe(result)[:2000] for result in results if result["problem_count"]], [])
        self.assertEqual(len(results), count)


class TableTests(unittest.TestCase):
    BEGIN, END = "<!-- pod-orders:begin -->\n", "<!-- pod-orders:end -->"

    def test_the_documentation_has_the_table_that_the_tests_read(self):
        with open(DOCUMENT) as file:
            text = file.read()
        before, _, rest = text.partition(self.BEGIN)
        printed, _, after = rest.partition(self.END)
        table = pod_table.markdown() + "\n"
        if os.environ.get("UPDATE_DOCS") == "1" and printed != table:
            with open(DOCUMENT, "w") as file:
                file.write(before + self.BEGIN + table + self.END + after)
            printed = table
        self.assertEqual(printed, table, "UPDATE_DOCS=1 Tests/EndToEnd/run.sh test_pod.TableTests writes it anew")


if __name__ == "__main__":
    unittest.main()
