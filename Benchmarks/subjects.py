"""What is measured: Prism, Prism with a commit for each write, SQLite opened by every process, and Redis. Each answers to
run(workload, clients, in_flight, seconds) with a dict: requests_per_second, errors, p50 and p99 in microseconds, and
cpu_microseconds, the serving process's CPU per request (None where there is no such process)."""

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import time

KEYS = 10_000
VALUE_BYTES = 100
START_SECONDS_MAX = 20


class Unsuitable(Exception):
    """The subject cannot be measured here; says why."""


class Prism:
    """A sidecar of its own, loaded by `prism bench`, which is a process of its own."""

    name = "Prism"
    workloads = ("kv-get", "kv-put", "sql")
    config = ""

    def __init__(self, binary, directory, sockets):
        self.binary, self.directory = binary, directory
        os.makedirs(directory)
        os.makedirs(sockets)
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PRISM_")}
        self.environment = {**clean, "PRISM_SOCKET": os.path.join(sockets, "prism.sock"),
                            "PRISM_ADMIN_SOCKET": os.path.join(sockets, "admin.sock")}
        config = os.path.join(directory, "prism.yaml")
        with open(config, "w") as file:
            file.write("backends:\n  - name: main\n    kind: sqlite\n    default: true\n"
                       f"    path: {directory}/data.db\n    synchronous: full\n{self.config}")
        self.log = open(os.path.join(directory, "log"), "w+")
        self.process = subprocess.Popen([binary, "serve", "--config", config], env=self.environment,
                                        stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        ready = subprocess.run([binary, "wait", "--timeout", f"{START_SECONDS_MAX}s"], env=self.environment,
                               capture_output=True, text=True)
        if ready.returncode != 0:
            self.close()
            raise RuntimeError(f"prism serve did not start: {ready.stderr}")

    def run(self, workload, clients, in_flight, seconds):
        done = subprocess.run(
            [self.binary, "bench", "--json", "--workload", workload, "--clients", str(clients), "--in-flight", str(in_flight),
             "--seconds", str(seconds), "--keys", str(KEYS), "--value-bytes", str(VALUE_BYTES)],
            env=self.environment, capture_output=True, text=True, timeout=seconds + 120)
        if not done.stdout:
            raise RuntimeError(f"prism bench failed: {done.stderr}")
        report = json.loads(done.stdout)
        if report["left_behind"]:
            raise RuntimeError(report["left_behind"])
        latency = report["latency_microseconds"]
        return {"requests_per_second": report["requests_per_second"],
                "errors": report["errors"] + report["warm_up_errors"], "p50": latency["p50"], "p99": latency["p99"],
                "cpu_microseconds": report["sidecar_cpu_microseconds_per_request"]}

    def close(self):
        end(self.process)
        self.log.close()


class PrismCommitEach(Prism):
    """The same binary, file system and durability; only that a group has one member: a commit, and its fsync, for each write."""

    name = "Prism, a commit each"
    workloads = ("kv-put",)
    config = "    group_requests: 1\n"


class SQLiteProcesses:
    """As many processes as clients, each with the file open: what a pod without a sidecar does. One request in flight."""

    name = "SQLite, a process each"
    workloads = ("kv-get", "kv-put")

    def __init__(self, _, directory, __):
        os.makedirs(directory)
        self.directory = directory
        compiler = next((path for path in map(shutil.which, ("cc", "gcc", "clang")) if path), None)
        if compiler is None:
            raise Unsuitable("no C compiler")
        self.program = os.path.join(directory, "sqlite_processes")
        source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "sqlite_processes.c")
        subprocess.run([compiler, "-O2", "-o", self.program, source, "-lsqlite3"], check=True)

    def run(self, workload, clients, in_flight, seconds):
        if in_flight != 1:
            return None
        # It fills the file before the measurement, which the CPU would include: none is reported.
        done = subprocess.run(
            [self.program, os.path.join(self.directory, "data.db"), workload.removeprefix("kv-"), str(clients), str(seconds),
             str(KEYS), str(VALUE_BYTES)], capture_output=True, text=True, timeout=seconds + 120)
        if done.returncode != 0:
            raise RuntimeError(f"sqlite_processes failed: {done.stderr}")
        report = json.loads(done.stdout)
        latency = report["latency_microseconds"]
        return {"requests_per_second": report["requests_per_second"], "errors": report["errors"], "p50": latency["p50"],
                "p99": latency["p99"], "cpu_microseconds": None}

    def close(self):
        pass


class Redis:
    """redis-server on a Unix socket with appendfsync always, loaded by redis-benchmark: another generator, which counts from the
    first request on and sends one constant value."""

    name = "Redis, appendfsync always"
    workloads = ("kv-get", "kv-put")

    def __init__(self, _, directory, sockets):
        for program in ("redis-server", "redis-benchmark"):
            if shutil.which(program) is None:
                raise Unsuitable(f"{program} is not installed (Debian: redis-server, redis-tools)")
        os.makedirs(directory)
        os.makedirs(sockets)
        self.socket = os.path.join(sockets, "redis.sock")
        self.log = open(os.path.join(directory, "log"), "w")
        self.process = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", self.socket, "--dir", directory, "--appendonly", "yes",
             "--appendfsync", "always", "--auto-aof-rewrite-percentage", "0", "--save", ""],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        deadline = time.monotonic() + START_SECONDS_MAX
        while not os.path.exists(self.socket):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.close()
                raise RuntimeError("redis-server did not start")
            time.sleep(0.02)
        self.rates = {}
        self.load("set", 16, 16, 10 * KEYS)

    def load(self, test, clients, in_flight, requests):
        done = subprocess.run(
            ["redis-benchmark", "-s", self.socket, "-t", test, "-c", str(clients), "-P", str(in_flight), "-n", str(requests),
             "-r", str(KEYS), "-d", str(VALUE_BYTES), "--csv"], capture_output=True, text=True, timeout=300)
        rows = list(csv.DictReader(io.StringIO(done.stdout)))
        if done.returncode != 0 or len(rows) != 1:
            raise RuntimeError(f"redis-benchmark failed: {done.stdout}{done.stderr}")
        return rows[0]

    def run(self, workload, clients, in_flight, seconds):
        test = {"kv-get": "get", "kv-put": "set"}[workload]
        case = (test, clients, in_flight)
        if case not in self.rates:  # redis-benchmark takes a number of requests, not a time
            self.rates[case] = float(self.load(test, clients, in_flight, 200 * clients * in_flight)["rps"])
        requests = max(int(self.rates[case] * seconds), clients * in_flight)
        before = cpu_seconds(self.process.pid)
        row = self.load(test, clients, in_flight, requests)
        used = cpu_seconds(self.process.pid) - before
        self.rates[case] = float(row["rps"])
        return {"requests_per_second": float(row["rps"]), "errors": 0, "p50": 1000 * float(row["p50_latency_ms"]),
                "p99": 1000 * float(row["p99_latency_ms"]), "cpu_microseconds": 1e6 * used / requests}

    def close(self):
        end(self.process)
        self.log.close()


def end(process):
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def cpu_seconds(pid):
    """User and system time of a process so far."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


ALL = (Prism, PrismCommitEach, SQLiteProcesses, Redis)
