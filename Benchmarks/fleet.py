"""Many sidecars on one PostgreSQL server, which is restarted under them: how many connections they have, how soon all of them serve
again, and how often they log in meanwhile."""

import datetime
import os
import re
import selectors
import socket
import statistics
import struct
import sys
import threading
import time

import load

sys.path.insert(0, os.path.join(load.ROOT, "Tests", "EndToEnd"))

import postgres  # noqa: E402
import raw  # noqa: E402

SIDECARS = 50
CONNECTIONS_MAX = 4
BUDGET = SIDECARS * CONNECTIONS_MAX
RECOVERY_SECONDS = 5.0
STEADY_SECONDS, AWAY_SECONDS = 3.0, 2.0
# To each sidecar, ten times a second: reads that may share a connection, and one that keeps a connection for itself.
EVERY_SECONDS, READS = 0.1, 4
IN_FLIGHT_MAX = 60
TIMEOUT_MICROSECONDS = 2_000_000
OK, UNAVAILABLE = 0, 14


class Clients(threading.Thread):
    """One client for each sidecar, on one thread. Remembers when it was answered what."""

    def __init__(self, paths):
        super().__init__(daemon=True)
        self.selector = selectors.DefaultSelector()
        self.sockets = []
        self.received = [bytearray() for _ in paths]
        self.in_flight = [0] * len(paths)
        self.ok = [[] for _ in paths]
        self.unavailable = [[] for _ in paths]
        self.others = {}
        self.next_id = 1
        self.ended = threading.Event()
        self.failure = None
        for number, path in enumerate(paths):
            one = socket.socket(socket.AF_UNIX)
            one.connect(path)
            one.setblocking(False)
            self.sockets.append(one)
            self.selector.register(one, selectors.EVENT_READ, number)

    def run(self):
        try:
            due = time.monotonic()
            while not self.ended.is_set():
                left = due - time.monotonic()
                if left <= 0:
                    due = max(due + EVERY_SECONDS, time.monotonic())
                    for number in range(len(self.sockets)):
                        self.send(number)
                    continue
                for key, _ in self.selector.select(left):
                    self.receive(key.data)
        except Exception as error:  # told by close()
            self.failure = error

    def send(self, number):
        if self.in_flight[number] > IN_FLIGHT_MAX:
            return
        requests = [("select $1 + 1", True)] * READS + [("select pg_sleep(0.02), $1::bigint", False)]
        data = b""
        for sql, read_only in requests:
            data += raw.frame(raw.query(self.next_id, sql, self.next_id, read_only=read_only, timeout_microseconds=TIMEOUT_MICROSECONDS))
            self.next_id += 1
        self.in_flight[number] += len(requests)
        self.sockets[number].sendall(data)  # far below what the socket buffers

    def receive(self, number):
        buffer = self.received[number]
        data = self.sockets[number].recv(1 << 16)
        if not data:
            raise RuntimeError(f"sidecar {number} has closed the connection")
        buffer += data
        now = time.monotonic()
        while len(buffer) >= 4 and len(buffer) >= 4 + (size := struct.unpack_from(">I", buffer)[0]):
            answer = raw.Response.FromString(bytes(buffer[4:4 + size]))
            del buffer[:4 + size]
            self.in_flight[number] -= 1
            if answer.status == OK:
                self.ok[number].append(now)
            elif answer.status == UNAVAILABLE:
                self.unavailable[number].append(now)
            else:
                name = raw.code(answer)
                self.others[name] = self.others.get(name, 0) + 1

    def recovery(self, number, returned):
        """Seconds from the server's return until this one serves and refuses no more; None: it never did."""
        first = next((time for time in self.ok[number] if time >= returned), None)
        if first is None:
            return None
        refused = [time for time in self.unavailable[number] if time >= returned]
        return max([first, *refused]) - returned

    def close(self):
        self.ended.set()
        self.join(10)
        for one in self.sockets:
            one.close()
        if self.failure:
            raise RuntimeError("the fleet's clients failed") from self.failure


class Sampler(threading.Thread):
    """How many connections the sidecars have, as the server sees it."""

    def __init__(self, cluster):
        super().__init__(daemon=True)
        self.cluster = cluster
        self.counts = []
        self.ended = threading.Event()

    def run(self):
        while not self.ended.wait(0.1):
            try:
                self.counts.append(int(self.cluster.value(
                    "select count(*) from pg_stat_activity where application_name = 'prism'", seconds=10)))
            except Exception:  # the server is away
                pass

    def close(self):
        self.ended.set()
        self.join(15)


def run(binary, directory, settings):
    os.makedirs(directory)
    os.chmod(directory, 0o755)
    servers, clients, sampler = [], None, None
    # Not one more than the budget and what PostgreSQL keeps for superusers, but a few for the looks at it: a herd would show.
    cluster = postgres.Cluster({"max_connections": str(BUDGET + 30), "log_connections": "on"})
    try:
        cluster.sql("create role fleet login; grant create on database postgres to fleet")
        conninfo = cluster.conninfo(user="fleet")
        for number in range(SIDECARS):
            config = (f"backends:\n  - name: main\n    kind: postgresql\n    connections_min: 0\n    connections_max: {CONNECTIONS_MAX}\n"
                      f"    conninfo: {conninfo}\n" + "".join(f"    {line}\n" for line in settings
                                                             if not line.startswith("connections_")))
            servers.append(load.Server(binary, os.path.join(directory, str(number)), config))
        sampler = Sampler(cluster)
        sampler.start()
        clients = Clients([server.environment["PRISM_SOCKET"] for server in servers])
        clients.start()
        time.sleep(STEADY_SECONDS)
        cluster.stop()
        gone = time.monotonic()
        time.sleep(AWAY_SECONDS)
        mark = cluster.log_mark()
        cluster.start()
        returned = time.monotonic()
        time.sleep(RECOVERY_SECONDS + 1)
        log = cluster.log_since(mark)
        clients.close()
        sampler.close()
        recoveries = [clients.recovery(number, returned) for number in range(SIDECARS)]
        never = sum(each is None for each in recoveries)
        recoveries = [RECOVERY_SECONDS + 1 if each is None else max(0.0, each) for each in recoveries]
        if not sampler.counts:
            raise RuntimeError("the connections were never counted")
        return {**logins(log), "connections_highest": max(sampler.counts), "samples": len(sampler.counts),
                "away_seconds": returned - gone, "recovery_seconds": max(recoveries), "recovery_median": statistics.median(recoveries),
                "never_recovered": never, "answers_ok": sum(map(len, clients.ok)),
                "answers_other": sum(map(len, clients.unavailable)) + sum(clients.others.values()),
                "answers_by_code": {"UNAVAILABLE": sum(map(len, clients.unavailable)), **clients.others}}
    finally:
        if clients:
            clients.ended.set()
        if sampler:
            sampler.ended.set()
        for server in servers:
            server.process.terminate()
        for server in servers:
            server.close()
        cluster.close()


def logins(log):
    """Of the sidecars' role: those that went through, the most of them within 0.1 s, and those that came too early."""
    times = []
    for line in re.findall(r"^(\S+ \S+) \S+ .*connection authorized: user=fleet", log, re.MULTILINE):
        times.append(datetime.datetime.fromisoformat(line).timestamp())
    times.sort()
    highest = max((sum(1 for other in times if 0 <= other - time <= 0.1) for time in times), default=0)
    return {"logins": len(times), "logins_highest": highest, "refused": log.count("the database system is starting up")}
