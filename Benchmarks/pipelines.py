#!/usr/bin/env python3
"""Measures short reads through Prism beside the same reads through PgBouncer, straight to PostgreSQL, and by libpq in C; slow
statements beside fast ones; and a fleet of sidecars on one server. One run, alternating, medians of the rounds.

How to read it: docs/measurements.md."""

import argparse
import json
import os
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import fleet
import load
import report

sys.path.insert(0, os.path.join(load.ROOT, "Tests", "EndToEnd"))

import pooler  # noqa: E402
import postgres  # noqa: E402

BEGIN, END = "<!-- pipelines:begin -->", "<!-- pipelines:end -->"
ROWS = 100_000
QUERY = "select value from bench_rows where id = $1"
SLOW = "select pg_sleep(0.2)"
SLOW_CLIENTS, FAST_CLIENTS = 4, 60
LIBPQ = "libpq in C, 4 connections, batches of 64"
# Clients, requests in flight on each, and who is measured there. A thousand processes of PostgreSQL's own would measure the machine.
CASES = [(64, 1, ("Prism", "PgBouncer", "PostgreSQL")), (1000, 1, ("Prism", "PgBouncer")),
         (8, 1, ("Prism", "PgBouncer", "PostgreSQL")), (1, 1, ("Prism", "PgBouncer", "PostgreSQL")),
         (64, 16, ("Prism", LIBPQ, "PostgreSQL"))]
TIMES_POOLER = {(64, 1): 2.5, (1000, 1): 2.5, (8, 1): 1.15, (1, 1): 1.0}
CPU_OF_POOLER, OF_LIBPQ, MIXED_TIMES = 0.45, 0.5, 2.0
PARTS = ("select", "mixed", "fleet")


class Subjects:
    """One PostgreSQL server, what is before it, and one generator for all."""

    def __init__(self, options, directory):
        self.options = options
        self.pooler = self.prism = None
        self.cluster = postgres.Cluster({"max_connections": "200"})
        try:
            self.cluster.sql(f"create table bench_rows (id integer primary key, value text not null); insert into bench_rows "
                             f"select i, rpad(md5(i::text), 100, 'x') from generate_series(0, {ROWS - 1}) i")
            self.cluster.sql("vacuum analyze bench_rows")
            self.cluster.sql("checkpoint")
            self.pooler = pooler.Pooler(self.cluster, pool_size=options.pool_size, clients_max=2_000)
            self.prism = load.Server(options.binary, os.path.join(directory, "prism"),
                                     f"backends:\n  - name: main\n    kind: postgresql\n    conninfo: {self.cluster.conninfo()}\n"
                                     + "".join(f"    {line}\n" for line in options.setting))
            self.program = os.path.join(directory, "pipeline_libpq")
            source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pipeline_libpq.c")
            include = subprocess.run(["pg_config", "--includedir"], capture_output=True, text=True).stdout.strip()
            subprocess.run(["cc", "-O2", *([f"-I{include}"] if include else []), "-o", self.program, source, "-lpq"], check=True)
        except BaseException:
            self.close()
            raise

    def run(self, subject, clients, in_flight, seconds):
        if subject == LIBPQ:
            done = subprocess.run([self.program, self.cluster.conninfo(), str(seconds), str(ROWS), "4", "64"], check=True,
                                  capture_output=True, text=True, timeout=seconds + 60)
            return {**json.loads(done.stdout), "p50": None, "p99": None, "cpu": None}
        target = {"Prism": (), "PgBouncer": ("--target", self.pooler.conninfo("postgres"), "--unnamed"),
                  "PostgreSQL": ("--target", self.cluster.conninfo())}[subject]
        return self.figures(self.prism.bench("--workload", "sql", "--sql", QUERY, "--keys", ROWS, "--clients", clients,
                                             "--in-flight", in_flight, "--seconds", seconds, *target),
                            hides_cpu=subject == "PostgreSQL")

    @staticmethod
    def figures(result, hides_cpu=False):
        latency = result["latency_microseconds"]
        return {"requests_per_second": result["requests_per_second"], "p50": latency["p50"], "p99": latency["p99"],
                "errors": result["errors"] + result["warm_up_errors"],
                "cpu": None if hides_cpu else result["sidecar_cpu_microseconds_per_request"]}

    def mixed(self, seconds, backwards):
        """Fast clients alone, and beside slow ones."""
        def fast():
            return self.run("Prism", FAST_CLIENTS, 1, seconds)

        def beside():
            process = self.prism.start_bench("--workload", "sql", "--sql", SLOW, "--clients", SLOW_CLIENTS, "--seconds", seconds + 2)
            time.sleep(0.5)  # They have begun; the others warm up for a second beside them.
            result = fast()
            slow = self.prism.result(process)
            return {**result, "slow_requests": slow["requests"], "slow_errors": slow["errors"]}

        if backwards:
            second, first = beside(), fast()
        else:
            first, second = fast(), beside()
        return {"alone": first, "beside": second}

    def close(self):
        for one in (self.prism, self.pooler, self.cluster):
            if one:
                one.close()


def select(subjects, options, results):
    cases = [(clients, in_flight, subject) for clients, in_flight, names in CASES for subject in names]
    for number in range(options.rounds):
        for clients, in_flight, subject in cases if number % 2 == 0 else reversed(cases):
            print(f"  round {number + 1}: {clients} × {in_flight}, {subject}", file=sys.stderr, flush=True)
            figures = subjects.run(subject, clients, in_flight, options.seconds)
            results.setdefault((clients, in_flight, subject), []).append(figures)


def median(rounds, field):
    values = [each[field] for each in rounds if each[field] is not None]
    return statistics.median(values) if values else None


def ratio(results, case, field, over):
    """Of Prism's figure to the other's, round by round."""
    pairs = zip(results[(*case, "Prism")], results[(*case, over)])
    values = [mine[field] / other[field] for mine, other in pairs if mine[field] and other[field]]
    return statistics.median(values) if values else None


def judged(results, mixed, fleets):
    """What was aimed at, in which direction, and what was measured. None: not measured."""
    rows = []
    if results:
        for case, aim in TIMES_POOLER.items():
            rows.append((f"{case[0]} × {case[1]}: times PgBouncer's requests/s", ">=", aim,
                         ratio(results, case, "requests_per_second", "PgBouncer")))
        rows.append(("64 × 1: the sidecar's CPU a request, of PgBouncer's", "<=", CPU_OF_POOLER,
                     ratio(results, (64, 1), "cpu", "PgBouncer")))
        rows.append(("64 × 16: requests/s, of libpq's in C", ">=", OF_LIBPQ,
                     ratio(results, (64, 16), "requests_per_second", LIBPQ)))
    if mixed:
        rows.append((f"p99 of {FAST_CLIENTS} clients beside {SLOW_CLIENTS} × `{SLOW}`, times that without", "<=", MIXED_TIMES,
                     statistics.median([each["beside"]["p99"] / each["alone"]["p99"] for each in mixed])))
    if fleets:
        rows += [(f"{fleet.SIDECARS} sidecars × {fleet.CONNECTIONS_MAX}: most connections at once", "<=", fleet.BUDGET,
                  max(each["connections_highest"] for each in fleets)),
                 ("After the server's return: seconds until the last of them serves", "<=", fleet.RECOVERY_SECONDS,
                  statistics.median([each["recovery_seconds"] for each in fleets])),
                 (f"Logins in the {fleet.RECOVERY_SECONDS:g} s after it", "<=", fleet.BUDGET,
                  statistics.median([each["logins"] for each in fleets]))]
    return rows


def holds(sign, aim, measured):
    return measured is not None and (measured >= aim if sign == ">=" else measured <= aim)


def as_markdown(results, mixed, fleets, about, options):
    lines = [f"{about['cpu']}, {about['cpus']} CPUs shared by server, sidecar or pooler, and generator, {about['memory_gib']} GiB; Linux "
             f"{about['kernel']}; {about['prism']} ({about['commit']}); PgBouncer with a pool of {options.pool_size}. {options.rounds} "
             f"rounds, {options.seconds:g} s a case, medians; load average before: {about['load_average_before']:.2f}.", "",
             "| | Aim | Measured | |", "|---|---:|---:|---|"]
    for name, sign, aim, measured in judged(results, mixed, fleets):
        shown = "" if measured is None else f"{measured:,.2f}"
        lines.append(f"| {name} | {'≥' if sign == '>=' else '≤'} {aim:g} | {shown} | "
                     f"{'reached' if holds(sign, aim, measured) else '**missed**'} |")
    if results:
        lines += ["", f"**`{QUERY}`**, {ROWS:,} rows", "",
                  "| Clients × in flight | | Requests/s | p50 µs | p99 µs | CPU µs a request | Errors |", "|---|---|---:|---:|---:|---:|---:|"]
        for clients, in_flight, names in CASES:
            for subject in names:
                rounds = results[(clients, in_flight, subject)]
                cells = [report.cell(median(rounds, field), digits) for field, digits in
                         (("requests_per_second", 0), ("p50", 0), ("p99", 0), ("cpu", 1))]
                lines.append(f"| {clients} × {in_flight} | {subject} | {' | '.join(cells)} | {sum(each['errors'] for each in rounds)} |")
    if mixed:
        lines += ["", f"**{FAST_CLIENTS} clients' reads beside {SLOW_CLIENTS} clients' `{SLOW}`**", "",
                  "| | Requests/s | p50 µs | p99 µs | Errors | Slow ones answered |", "|---|---:|---:|---:|---:|---:|"]
        for name, words in (("alone", "Alone"), ("beside", "Beside the slow ones")):
            rounds = [each[name] for each in mixed]
            slow = report.cell(median(rounds, "slow_requests")) if name == "beside" else ""
            errors = sum(each["errors"] + each.get("slow_errors", 0) for each in rounds)
            lines.append(f"| {words} | {median(rounds, 'requests_per_second'):,.0f} | {median(rounds, 'p50'):,.0f} | "
                         f"{median(rounds, 'p99'):,.0f} | {errors} | {slow} |")
    if fleets:
        lines += ["", f"**{fleet.SIDECARS} sidecars with {fleet.CONNECTIONS_MAX} connections each at most, the server restarted**", "",
                  "| Round | Most connections | Away s | Serving again s: median, last | Logins | most in 0.1 s | refused | "
                  "Answers OK, others |", "|---|---:|---:|---:|---:|---:|---:|---:|"]
        for number, each in enumerate(fleets, 1):
            lines.append(f"| {number} | {each['connections_highest']} | {each['away_seconds']:.1f} | {each['recovery_median']:.2f}, "
                         f"{each['recovery_seconds']:.2f} | {each['logins']} | {each['logins_highest']} | {each['refused']} | "
                         f"{each['answers_ok']:,}, {each['answers_other']:,} |")
    return "\n".join(lines) + "\n"


def interrupt(*_):
    raise KeyboardInterrupt


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", default=os.path.join(load.ROOT, ".build", "release", "prism"))
    parser.add_argument("--directory", default=os.path.join(load.ROOT, ".build", "bench"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each case in each round, after a second of warm-up")
    parser.add_argument("--only", choices=PARTS, action="append", help="a part; may be given again")
    parser.add_argument("--pool-size", type=int, default=20, help="of PgBouncer; 20 is its default")
    parser.add_argument("--setting", action="append", default=[], metavar="YAML",
                        help="of the sidecar's backend, such as 'connections_max: 8'; may be given again")
    parser.add_argument("--json", metavar="FILE", help="default: pipelines.json in the directory")
    parser.add_argument("--write", metavar="FILE", help="put the tables between this document's markers too; of all parts")
    options = parser.parse_args()
    parts = options.only or PARTS
    if options.write and set(parts) != set(PARTS):
        parser.error("--write needs all parts: the tables of the others would be gone")
    if not os.access(options.binary, os.X_OK):
        sys.exit(f"{options.binary} is not there: make build")
    if pooler.why_not():
        sys.exit(pooler.why_not())
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limits[1], limits[1]))
    os.makedirs(options.directory, exist_ok=True)
    about = report.machine(options.directory, options.binary)
    if about["load_average_before"] > 0.5:
        print(f"bench: the load average is {about['load_average_before']:.1f}: others work on this machine, and the figures "
              "will not mean much", file=sys.stderr)
    signal.signal(signal.SIGTERM, interrupt)
    directory = tempfile.mkdtemp(prefix="prism-pipelines-")
    os.chmod(directory, 0o755)
    results, mixed, fleets, subjects = {}, [], [], None
    try:
        if "select" in parts or "mixed" in parts:
            subjects = Subjects(options, directory)
        if "select" in parts:
            select(subjects, options, results)
        for number in range(options.rounds if "mixed" in parts else 0):
            print(f"  round {number + 1}: mixed", file=sys.stderr, flush=True)
            mixed.append(subjects.mixed(options.seconds, backwards=number % 2 == 1))
        if subjects:
            subjects.close()
            subjects = None
        for number in range(options.rounds if "fleet" in parts else 0):
            print(f"  round {number + 1}: fleet", file=sys.stderr, flush=True)
            fleets.append(fleet.run(options.binary, os.path.join(directory, f"fleet-{number}"), options.setting))
    except KeyboardInterrupt:
        sys.exit("bench: interrupted; nothing was written")
    finally:
        if subjects:
            subjects.close()
        shutil.rmtree(directory, ignore_errors=True)
    path = options.json or os.path.join(options.directory, "pipelines.json")
    with open(path, "w") as file:
        json.dump({"machine": about, "rounds": options.rounds, "seconds": options.seconds, "pool_size": options.pool_size,
                   "select": [{"clients": clients, "in_flight": in_flight, "subject": subject, "rounds": rounds}
                              for (clients, in_flight, subject), rounds in results.items()],
                   "mixed": mixed, "fleet": fleets}, file, indent=1)
        file.write("\n")
    text = as_markdown(results, mixed, fleets, about, options)
    print(text)
    print(f"bench: every figure of every round: {path}", file=sys.stderr)
    if options.write:
        report.write_between_markers(options.write, BEGIN, END, text)
    missed = [name for name, sign, aim, measured in judged(results, mixed, fleets) if not holds(sign, aim, measured)]
    errors = sum(each["errors"] for rounds in results.values() for each in rounds)
    for line in [f"missed: {name}" for name in missed] + ([f"{errors} requests failed"] if errors else []):
        print(f"bench: {line}", file=sys.stderr)
    return 1 if missed or errors else 0


if __name__ == "__main__":
    sys.exit(main())
