"""docs/metrics.md against what /metrics really prints, and what it counts against what was sent."""

import os
import re
import unittest

import paths
from harness import ServerTestCase
from raw import code, get, messages, ping, put, query

Request = messages.Request
SAMPLE = re.compile(r'^(\w+)(?:\{(.*)\})? (\S+)$')
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def documented():
    """Name to (type, labels), of the table in docs/metrics.md."""
    found = {}
    with open(os.path.join(paths.ROOT, "docs", "metrics.md")) as file:
        for line in file:
            if row := re.match(r"\| `(prism_\w+)` \| (\w+) \| ([^|]*)\|", line):
                assert row[1] not in found, f"{row[1]} stands twice in docs/metrics.md"
                found[row[1]] = (row[2], set(re.findall(r"`(\w+)`", row[3])))
    return found


class Scrape:
    def __init__(self, text):
        self.types, self.labels, self.values = {}, {}, {}
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split()
                self.types[name] = kind
            elif not line.startswith("#"):
                name, labels, value = SAMPLE.match(line).groups()
                labels = dict(LABEL.findall(labels or ""))
                family = re.sub("_(bucket|sum|count)$", "", name)
                family = family if self.types.get(family) == "histogram" else name
                names = set(labels) - ({"le"} if family != name else set())
                self.labels.setdefault(family, set()).add(frozenset(names))
                self.values[name, frozenset(labels.items())] = float(value)

    def value(self, name, **labels):
        return self.values.get((name, frozenset(labels.items())), 0.0)

    def sum(self, name, **labels):
        wanted = set(labels.items())
        return sum(value for (each, has), value in self.values.items() if each == name and wanted <= has)


class MetricsTests(ServerTestCase):
    def scrape(self):
        status, body = self.server.admin("GET", "/metrics")
        self.assertEqual(status, 200)
        return Scrape(body)

    def exercise(self):
        """A little of everything, so that every family has samples."""
        with self.server.raw() as raw:
            raw.send(put(1, b"k", b"v"), get(2, b"k"), query(3, "select 1", read_only=True), ping(4),
                     get(5, b"k", backend="nowhere"), get(6, b"k", deadline_nanoseconds=1))
            raw.finals(6)
            raw.send_bytes(b"\0\0\0\0")
            raw.rest()

    def test_the_table_is_what_is_printed(self):
        self.exercise()
        scrape, table = self.scrape(), documented()
        self.assertEqual(scrape.types, {name: kind for name, (kind, _) in table.items()})
        for name, (_, labels) in table.items():
            self.assertIn(name, scrape.labels, f"{name} has no sample")
            self.assertEqual(scrape.labels[name], {frozenset(labels)}, name)

    def test_every_request_is_counted_once(self):
        before = self.scrape()
        self.exercise()
        after = self.scrape()

        def grown(name, **labels):
            return after.sum(name, **labels) - before.sum(name, **labels)

        client = f"uid {os.getuid()}"
        self.assertEqual(grown("prism_requests_total"), 6)
        for operation, status, backend in (("put", "OK", "main"), ("get", "OK", "main"), ("query", "OK", "main"),
                                           ("ping", "OK", ""), ("get", "NOT_FOUND", ""), ("get", "DEADLINE_EXCEEDED", "")):
            self.assertEqual(grown("prism_requests_total", operation=operation, code=status, backend=backend, client=client), 1,
                             f"{operation} {status}")
        for duration in ("request", "queue", "backend"):
            self.assertEqual(grown(f"prism_{duration}_duration_seconds_count", backend="main"), 3, duration)
        self.assertEqual(grown("prism_deadline_exceeded_total", stage="admission"), 1)
        self.assertEqual(grown("prism_protocol_errors_total"), 1)
        self.assertGreater(grown("prism_bytes_total", direction="in"), 50)
        self.assertGreater(grown("prism_bytes_total", direction="out"), 50)
        self.assertEqual(grown("prism_invariant_violations_total"), 0)
        self.assertEqual(after.value("prism_drain_state"), 1)
        self.assertEqual(after.value("prism_backend_healthy", backend="main"), 1)

    def test_buckets_are_cumulative_and_end_in_the_count(self):
        self.exercise()
        scrape = self.scrape()
        for name in ("request", "queue", "backend"):
            family = f"prism_{name}_duration_seconds"
            buckets = sorted((float(dict(labels)["le"]), value) for (each, labels), value in scrape.values.items()
                             if each == f"{family}_bucket" and dict(labels)["backend"] == "main")
            values = [value for _, value in buckets]
            self.assertEqual(values, sorted(values))
            self.assertEqual(values[-1], scrape.value(f"{family}_count", backend="main"))
            self.assertEqual((buckets[0][0], buckets[-2][0]), (0.00001, 100.0))

    def test_slow_requests_are_logged_by_name(self):
        server = self.start(config="log:\n  slow_request: 1ms\n  format: json\n")
        trace = "4bf92f3577b34da6a3ce929d0e0e4736"
        slow = "with recursive n(i) as (select 1 union all select i + 1 from n limit 300000) select count(*) from n"
        with server.raw() as raw:
            raw.send(query(1, slow, read_only=True, traceparent=f"00-{trace}-00f067aa0ba902b7-01"))
            self.assertEqual(code(raw.final(1)[-1]), "OK")
        line = next(line for line in server.log.splitlines() if "slow_request" in line)
        for part in (f'"trace_id":"{trace}"', '"backend":"main"', '"operation":"query"', '"status":"OK"'):
            self.assertIn(part, line)
        self.assertNotIn("recursive", server.log)


if __name__ == "__main__":
    unittest.main()
