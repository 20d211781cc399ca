#!/usr/bin/env python3
"""Measures what holds when there is too much: a fixed rate on 10,000 connections, overload of a backend of fixed capacity, a client
that floods beside polite ones, what a request costs with 100,000 in flight, and how late deadlines are. One run, alternating.

How to read it: docs/measurements.md."""

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import report

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "Tests", "EndToEnd"))

import postgres  # noqa: E402

BEGIN, END = "<!-- load:begin -->", "<!-- load:end -->"
START_SECONDS_MAX = 20
# Each takes its connection for 10 ms.
SLEEP = "select pg_sleep(0.01)"
SLEEPING = 20
IN_FLIGHT_EACH = (1, 10, 100)
# Longer than any deadline, and no work for the CPU: a busy one would make the sidecar wait and not the bare loop.
LONG = "select pg_sleep(60)"
GOODPUT_PROMISE = 0.9
FLOOD_PROMISE = 2.0


class Server:
    def __init__(self, binary, directory, config):
        self.binary, self.directory = binary, directory
        os.makedirs(directory)
        # Other users are among the clients.
        os.chmod(directory, 0o755)
        self.environment = {**{name: value for name, value in os.environ.items() if not name.startswith("PRISM_")},
                            "PRISM_SOCKET": os.path.join(directory, "prism.sock"),
                            "PRISM_ADMIN_SOCKET": os.path.join(directory, "admin.sock")}
        path = os.path.join(directory, "prism.yaml")
        with open(path, "w") as file:
            file.write("socket: {mode: 0666}\nruntime: {reactors: 1}\n" + config)
        self.log = open(os.path.join(directory, "log"), "w+")
        self.process = subprocess.Popen([binary, "serve", "--config", path], env=self.environment, stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=self.log)
        ready = subprocess.run([binary, "wait", "--timeout", f"{START_SECONDS_MAX}s"], env=self.environment,
                               capture_output=True, text=True)
        if ready.returncode != 0:
            self.close()
            raise RuntimeError(f"prism serve did not start: {ready.stderr}")

    def start_bench(self, *arguments, user=None):
        more = {} if user is None else {"user": user, "group": user, "extra_groups": []}
        return subprocess.Popen([self.binary, "bench", "--json", *map(str, arguments)], env=self.environment,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)

    @staticmethod
    def result(process):
        output, errors = process.communicate(timeout=300)
        if not output:
            raise RuntimeError(f"prism bench failed: {errors}")
        return json.loads(output)

    def bench(self, *arguments, **options):
        return self.result(self.start_bench(*arguments, **options))

    def memory_mib(self):
        with open(f"/proc/{self.process.pid}/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:")) / 1024

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)
        self.log.close()


def sqlite(directory):
    return "limits: {in_flight: 262144}\n" + f"backends:\n  - {{name: main, kind: sqlite, queue_requests: 262144, path: {directory}/data.db}}\n"


def postgresql(cluster):
    # One of the connections is for cancelling.
    return (f"backends:\n  - {{name: main, kind: postgresql, connections_min: {SLEEPING}, connections_max: {SLEEPING + 1}, "
            f"conninfo: {cluster.conninfo()}}}\n")


def fixed_rate(server, options):
    rounds = [server.bench("--workload", "kv-get", "--clients", 10_000, "--in-flight", 1, "--rate", 10_000,
                           "--seconds", options.seconds) for _ in range(options.rounds)]
    return {"rounds": rounds}


def overload(server, options):
    capacity = ("--workload", "sql", "--sql", SLEEP, "--clients", SLEEPING, "--seconds", options.seconds)
    polite = ("--workload", "sql", "--sql", SLEEP, "--clients", 5, "--seconds", 1)
    rounds = []
    for _ in range(options.rounds):
        result = {"capacity": server.bench(*capacity)["requests_per_second"], "before": server.bench(*polite),
                  "memory_before": server.memory_mib()}
        process = server.start_bench("--workload", "sql", "--sql", SLEEP, "--clients", 64, "--in-flight", 100,
                                     "--rate", 20_000, "--timeout", "100ms", "--seconds", options.seconds)
        highest = 0.0
        while process.poll() is None:
            highest = max(highest, server.memory_mib())
            time.sleep(0.05)
        result["memory_highest"] = highest
        result["overload"] = server.result(process)
        # The generator has waited for its answers by now; it warms up for the second in which all is to be as before.
        result["after"] = server.bench(*polite)
        result["goodput"] = result["overload"]["good"] / result["overload"]["seconds"] / result["capacity"]
        rounds.append(result)
    return {"rounds": rounds}


# What floods: where it is held, and in which words. The first has a capacity that leaves the CPUs alone.
FLOODS = {"flood_sleep": f"PostgreSQL, {SLEEPING} connections × 10 ms", "flood_postgresql": "PostgreSQL, `kv-get`",
          "flood_sqlite": "SQLite, `kv-get`", "flood_sqlite_put": "SQLite, `kv-put`"}


def flood(server, other, options, *workload):
    """Ten clients one at a time, with and without one that has 1,000 in flight; of other uids. Besides, with the same flood
    at another sidecar: it shares the CPUs and the database with the ten, and none of Prism's queues."""
    nobody = 65534

    def polite():
        return server.bench("--workload", *workload, "--clients", 10, "--seconds", options.seconds, user=nobody)

    rounds = []
    for _ in range(options.rounds):
        result = {"alone": polite()}
        for name, flooded in (("beside", server), ("elsewhere", other)):
            process = flooded.start_bench("--workload", *workload, "--clients", 1, "--in-flight", 1_000, "--seconds",
                                          options.seconds + 3)
            time.sleep(1.2)  # It has put its keys in place and is at it.
            result[name] = polite()
            result[f"flood_{name}"] = flooded.result(process)
        rounds.append(result)
    return {"rounds": rounds}


def many_in_flight(server, options):
    """The same connections with one request each and with a hundred: what a timer, and a place in each table, costs then."""
    rounds = []
    for _ in range(options.rounds):
        rounds.append({str(each * 1_000): server.bench("--workload", "kv-get", "--clients", 1_000, "--in-flight", each,
                                                       "--seconds", options.seconds) for each in IN_FLIGHT_EACH})
    return {"rounds": rounds}


def lateness(server, options, directory):
    program = os.path.join(directory, "lateness")
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "lateness.c")
    subprocess.run(["cc", "-O2", "-o", program, source], check=True)
    done = subprocess.run([program, server.environment["PRISM_SOCKET"], str(options.deadlines), LONG], check=True,
                          capture_output=True, text=True)
    return json.loads(done.stdout)


def median(values):
    return statistics.median(values)


def as_markdown(results, about, options):
    lines = [f"{about['cpu']}, {about['cpus']} CPUs shared by sidecar, server and load generator, {about['memory_gib']} GiB; "
             f"Linux {about['kernel']}; {about['prism']} ({about['commit']}). {options.rounds} rounds, {options.seconds:g} s a "
             f"case, medians; load average before: {about['load_average_before']:.2f}.", ""]
    rounds = results["fixed_rate"]["rounds"]
    lines += ["**A fixed rate: 10,000 connections, 10,000 `kv-get` a second**, latency from the intended send time", "",
              "| Offered | In time | Errors | p50 µs | p99 µs | p99.9 µs | max µs |", "|---:|---:|---:|---:|---:|---:|---:|"]
    row = [median([each[name] for each in rounds]) for name in ("offered", "good", "errors")]
    row += [median([each["latency_microseconds"][name] for each in rounds]) for name in ("p50", "p99", "p999", "max")]
    lines += ["| " + " | ".join(f"{value:,.0f}" for value in row) + " |", ""]
    lines += [f"**Overload: {SLEEPING} connections × 10 ms, offered 20,000 a second with deadlines of 100 ms**", "",
              "| Round | Capacity/s | In time/s | Goodput | Late OK | Refused, deadline | Other errors | Memory MiB before, highest | "
              "p99 ms before, after |", "|---|---:|---:|---:|---:|---:|---:|---:|---:|"]
    for number, each in enumerate(results["overload"]["rounds"], 1):
        load = each["overload"]
        codes = dict(load["errors_by_code"])
        refused = codes.pop("DEADLINE_EXCEEDED", 0) + codes.pop("RESOURCE_EXHAUSTED", 0) + codes.pop("UNSENT", 0)
        p99 = [each[name]["latency_microseconds"]["p99"] / 1_000 for name in ("before", "after")]
        lines.append(f"| {number} | {each['capacity']:,.0f} | {load['good'] / load['seconds']:,.0f} | {each['goodput']:.0%} | "
                     f"{load['offered'] - load['good'] - load['errors']:,} | {refused:,} | {sum(codes.values()):,} | "
                     f"{each['memory_before']:.0f}, {each['memory_highest']:.0f} | {p99[0]:.1f}, {p99[1]:.1f} |")
    lines += ["", "**A client with 1,000 requests in flight beside ten with one each**, p99 of the ten, µs. *Elsewhere*: the same flood at "
              "another sidecar on the same machine and database, which shares the CPUs and none of Prism's queues with the ten.", "",
              "| | Alone | Beside the flood | Ratio | Flood elsewhere | Ratio | Flood, requests/s: beside, elsewhere |",
              "|---|---:|---:|---:|---:|---:|---:|"]
    for name, words in FLOODS.items():
        rounds = results[name]["rounds"]
        alone, beside, elsewhere = ([each[part]["latency_microseconds"]["p99"] for each in rounds]
                                    for part in ("alone", "beside", "elsewhere"))
        speeds = ", ".join(f"{median([each[f'flood_{part}']['requests_per_second'] for each in rounds]):,.0f}"
                           for part in ("beside", "elsewhere"))
        lines.append(f"| {words} | {median(alone):,.0f} | {median(beside):,.0f} | "
                     f"{median([b / a for a, b in zip(alone, beside)]):.1f} | {median(elsewhere):,.0f} | "
                     f"{median([b / a for a, b in zip(alone, elsewhere)]):.1f} | {speeds} |")
    lines += ["", "**Many in flight: 1,000 connections, SQLite `kv-get`**", "",
              "| In flight | Requests/s | p99 ms | Sidecar CPU µs/request |", "|---:|---:|---:|---:|"]
    for each in IN_FLIGHT_EACH:
        rounds = [one[str(each * 1_000)] for one in results["many_in_flight"]["rounds"]]
        lines.append(f"| {each * 1_000:,} | {median([one['requests_per_second'] for one in rounds]):,.0f} | "
                     f"{median([one['latency_microseconds']['p99'] for one in rounds]) / 1_000:,.1f} | "
                     f"{median([one['sidecar_cpu_microseconds_per_request'] or 0 for one in rounds]):.1f} |")
    late = results["lateness"]
    lines += ["", f"**How late {late['count']:,} deadlines are answered**, beside a bare timerfd loop, alternating; never early: "
              f"{late['early']} were.", "",
              "| µs | p50 | p99 | max | ≤ 25 | ≤ 50 | ≤ 100 | ≤ 200 | ≤ 500 | ≤ 1,000 | ≤ 2,000 | ≤ 5,000 | ≤ 10,000 | more |",
              "|---|" + "---:|" * 13]
    for name, words in (("timerfd", "timerfd"), ("prism", "Prism, over the socket")):
        values = [f"{late[name][part]:,.0f}" for part in ("p50", "p99", "max")] + [str(n) for n in late[name]["histogram"]]
        lines.append(f"| {words} | " + " | ".join(values) + " |")
    return "\n".join(lines) + "\n"


def interrupt(*_):
    raise KeyboardInterrupt


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", default=os.path.join(ROOT, ".build", "release", "prism"))
    parser.add_argument("--directory", default=os.path.join(ROOT, ".build", "bench"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each case in each round, after a second of warm-up")
    parser.add_argument("--deadlines", type=int, default=2_000)
    parser.add_argument("--json", metavar="FILE", help="default: load.json in the directory")
    parser.add_argument("--write", metavar="FILE", help="put the tables between this document's markers too")
    options = parser.parse_args()
    if not os.access(options.binary, os.X_OK):
        sys.exit(f"{options.binary} is not there: make build")
    if os.geteuid() != 0:
        sys.exit("clients of two uids are needed: run it as root")
    if postgres.why_not():
        sys.exit(postgres.why_not())
    os.makedirs(options.directory, exist_ok=True)
    about = report.machine(options.directory, options.binary)
    if about["load_average_before"] > 0.5:
        print(f"bench: the load average is {about['load_average_before']:.1f}: others work on this machine, and the figures "
              "will not mean much", file=sys.stderr)
    signal.signal(signal.SIGTERM, interrupt)
    # Not below what only root may enter.
    directory = tempfile.mkdtemp(prefix="prism-load-")
    os.chmod(directory, 0o755)
    cluster = servers = None
    try:
        cluster = postgres.Cluster()
        binary = shutil.copy(options.binary, os.path.join(directory, "prism"))
        paths = [os.path.join(directory, name) for name in ("sqlite", "postgresql", "sqlite-other", "postgresql-other")]
        servers = [Server(binary, path, postgresql(cluster) if number % 2 else sqlite(path)) for number, path in enumerate(paths)]
        results = {}
        for name, work in (
                ("fixed_rate", lambda: fixed_rate(servers[0], options)),
                ("many_in_flight", lambda: many_in_flight(servers[0], options)),
                ("lateness", lambda: lateness(servers[1], options, directory)),
                ("flood_sqlite", lambda: flood(servers[0], servers[2], options, "kv-get")),
                ("flood_sqlite_put", lambda: flood(servers[0], servers[2], options, "kv-put")),
                ("flood_postgresql", lambda: flood(servers[1], servers[3], options, "kv-get")),
                ("flood_sleep", lambda: flood(servers[1], servers[3], options, "sql", "--sql", SLEEP)),
                ("overload", lambda: overload(servers[1], options))):
            print(f"  {name}", file=sys.stderr, flush=True)
            results[name] = work()
    except KeyboardInterrupt:
        sys.exit("bench: interrupted; nothing was written")
    finally:
        for server in servers or []:
            server.close()
        if cluster:
            cluster.close()
        shutil.rmtree(directory, ignore_errors=True)
    path = options.json or os.path.join(options.directory, "load.json")
    with open(path, "w") as file:
        json.dump({"machine": about, **results}, file, indent=1)
        file.write("\n")
    text = as_markdown(results, about, options)
    print(text)
    print(f"bench: every figure of every round: {path}", file=sys.stderr)
    if options.write:
        report.write_between_markers(options.write, BEGIN, END, text)
    failed = []
    goodput = median([each["goodput"] for each in results["overload"]["rounds"]])
    if goodput < GOODPUT_PROMISE:
        failed.append(f"goodput under overload is {goodput:.0%} of capacity, less than promised")
    ratio = median([each["beside"]["latency_microseconds"]["p99"] / each["alone"]["latency_microseconds"]["p99"]
                    for each in results["flood_sleep"]["rounds"]])
    if ratio > FLOOD_PROMISE:
        failed.append(f"beside a flood the p99 of polite clients is {ratio:.1f} times what it is alone, more than promised")
    if results["lateness"]["early"]:
        failed.append(f"{results['lateness']['early']} deadlines were early")
    for line in failed:
        print(f"bench: {line}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
