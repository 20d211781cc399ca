"""An app in a pod: several connections under load that go on working after SIGTERM, with an account of their own of every answer.

It is what the sidecar is judged by, so it believes only what it has seen: which phase it is, from the Notice or Hello that came before
an answer on the same connection; what was acknowledged, from a file that is written before the next request is sent."""

import json
import os
import select
import signal
import socket
import struct
import time

import raw
from prism.values import to_value

messages = raw.messages
PHASES = {messages.DRAIN_STATE_SERVING: "SERVING", messages.DRAIN_STATE_LAME_DUCK: "LAME_DUCK",
          messages.DRAIN_STATE_DRAINING: "DRAINING", messages.DRAIN_STATE_CANCELLING: "CANCELLING"}
# After a refusal, or where nobody listens, the next attempt comes so much later.
BACK_OFF_SECONDS = 0.02
ENDLESS = {"sqlite": "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n",
           "postgresql": "select pg_sleep(3600)"}
CUT = "cut by the end of the sidecar"


class Account:
    """What an app has seen, as JSON can hold it."""

    def __init__(self, path):
        self._file = open(path, "ab", buffering=0)
        self._lines = []

    def remember(self, **fact):
        self._lines.append(json.dumps(fact))

    def flush(self):
        """One write a turn: what was seen before a SIGKILL is there."""
        if self._lines:
            self._file.write(("\n".join(self._lines) + "\n").encode())
            self._lines = []

    @staticmethod
    def read(path):
        """Its facts; the last line may have been cut by SIGKILL."""
        with open(path) as file:
            return [json.loads(line) for line in file.read().split("\n")[:-1]]


class Worker:
    """One connection. Keeps `window` requests in flight, and opens another connection when it is closed."""

    def __init__(self, app, name, window, mix):
        self.app, self.name, self.window, self.mix = app, name, window, mix
        self.life = 0
        self.number = 0
        self.socket = None
        self.not_before = 0.0
        self.acknowledged = []
        self.clear()

    def clear(self):
        self.in_flight, self.phase, self.id = {}, None, 1
        self.received, self.unsent = bytearray(), b""
        self.transaction = None  # (handle, key) of the one that is open
        self.sent = []  # (end of the frame in the stream, id)
        self.stream_sent = self.stream_made = 0

    def connect(self):
        self.life += 1
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(10)
        try:
            connection.connect(self.app.path)
            connection.sendall(raw.frame(raw.Request(id=1, hello=messages.Hello(client_name=self.name))))
        except OSError:
            connection.close()
            self.not_before = time.monotonic() + BACK_OFF_SECONDS
            return
        connection.setblocking(False)
        self.clear()
        self.socket = connection

    @property
    def is_idle(self):
        return self.socket is None or (not self.in_flight and not self.unsent)

    def fill(self, now, is_finishing):
        if self.socket is None or self.phase is None or now < self.not_before:
            return
        frames = []
        while len(self.in_flight) < self.window:
            request = self.mix(self, is_finishing)
            if request is None:
                break
            self.id += 1
            kind, key, fields = request
            frame = raw.frame(raw.Request(id=self.id, **fields))
            self.in_flight[self.id] = (kind, key)
            self.stream_made += len(frame)
            self.sent.append((self.stream_made, self.id))
            frames.append(frame)
        if frames:
            self.unsent += b"".join(frames)
        self.flush()

    def flush(self):
        try:
            while self.unsent:
                count = self.socket.send(self.unsent)
                self.stream_sent += count
                self.unsent = self.unsent[count:]
        except BlockingIOError:
            pass
        except OSError:
            # Reading was shut down; what was answered meanwhile is still there to be read.
            self.unsent = b""

    def receive(self):
        try:
            data = self.socket.recv(1 << 18)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            return self.lost()
        self.received += data
        start = 0
        while len(self.received) - start >= 4:
            (size,) = struct.unpack_from(">I", self.received, start)
            if len(self.received) - start - 4 < size:
                break
            self.answer(raw.Response.FromString(bytes(self.received[start + 4:start + 4 + size])))
            start += 4 + size
        del self.received[:start]

    def answer(self, answer):
        if answer.id == 0:
            if answer.status == 0 and answer.HasField("notice"):
                self.phase = PHASES.get(answer.notice.drain_state, "?")
            else:
                self.app.account.remember(wrong=f"{self.name} was ended with {answer}")
            return
        if answer.id == 1 and self.phase is None:
            self.phase = PHASES.get(answer.hello.drain_state, "?") if answer.status == 0 else "CANCELLING"
            if answer.status != 0:
                self.app.account.remember(kind="hello", key="", life=self.life, phase=self.phase, code=raw.code(answer),
                                          share=share_of(answer, raw.code(answer)), outcome=raw.outcome(answer))
            return
        if answer.id not in self.in_flight:
            return self.app.account.remember(wrong=f"{self.name}: an answer to {answer.id}, which is not in flight")
        if answer.more:
            return
        kind, key = self.in_flight.pop(answer.id)
        code = raw.code(answer)
        if code == "UNAVAILABLE":
            self.not_before = time.monotonic() + BACK_OFF_SECONDS
        self.app.account.remember(
            kind=kind, key=key, life=self.life, phase=self.phase, code=code, share=share_of(answer, code),
            outcome="EXECUTED" if code == "OK" else raw.outcome(answer))
        self.follow(kind, key, code, answer)

    def follow(self, kind, key, code, answer):
        if kind == "begin":
            self.transaction = (answer.begin.transaction, key, "insert") if code == "OK" else None
        elif kind == "insert":
            handle = self.transaction[0]
            self.transaction = (handle, key, "commit" if code == "OK" else "rollback")
        elif kind in ("commit", "rollback"):
            self.transaction = None
        elif kind == "put" and code == "OK":
            self.acknowledged.append(key)
        elif kind == "get" and code == "OK" and not answer.get.found:
            self.app.account.remember(wrong=f"{key} was acknowledged and is not found")

    def lost(self):
        """Frames that were sent whole before the end and not answered are missing, if it was an orderly end."""
        for id, (kind, key) in self.in_flight.items():
            end = next((end for end, sent in self.sent if sent == id), 0)
            was_sent = 0 < end <= self.stream_sent
            self.app.account.remember(kind=kind, key=key, life=self.life, phase=self.phase, share="lost",
                                      code="LOST" if was_sent else "UNSENT", outcome="UNKNOWN" if was_sent else "NOT_EXECUTED")
        self.socket.close()
        self.socket = None
        self.clear()
        self.not_before = time.monotonic() + BACK_OFF_SECONDS


def share_of(answer, code):
    """Where the report counts it."""
    if code != "UNAVAILABLE":
        return "finished"
    if answer.failure.stage == messages.STAGE_ADMISSION:
        return "refused"
    return "cancelled" if answer.failure.message == CUT else "finished"


# What a connection does: mix(worker, is_finishing) answers the next request as (kind, key, fields), or None.

def busy(worker, is_finishing):
    """Writes of keys of its own, reads of what it has written, and SQL of both kinds."""
    if is_finishing:
        return None
    worker.number += 1
    key = f"{worker.name}/{worker.life}/{worker.number}"
    turn = worker.number % 8
    if turn in (1, 5) and worker.acknowledged:
        return "get", worker.acknowledged[-1], {"get": messages.Get(key=worker.acknowledged[-1].encode())}
    if turn == 3:
        return "select", key, {"query": messages.Query(sql="select $1", parameters=[to_value(key)]), "read_only": True}
    if turn == 6:
        sql = "insert into pod_rows (name) values ($1)"
        return "row", key, {"query": messages.Query(sql=sql, parameters=[to_value(key)])}
    return "put", key, {"put": messages.Put(key=key.encode(), value=b"v" * 100)}


def transactional(worker, is_finishing):
    """Begin, a row, Commit, one after the other; one that is open is brought to its end also while finishing."""
    if worker.in_flight:
        return None
    if worker.transaction is None:
        if is_finishing:
            return None
        worker.number += 1
        key = f"{worker.name}/{worker.life}/{worker.number}"
        return "begin", key, {"begin": messages.Begin()}
    handle, key, step = worker.transaction
    if step == "insert":
        query = messages.Query(sql="insert into pod_rows (name) values ($1)", parameters=[to_value(key)])
        return "insert", key, {"transaction": handle, "query": query}
    if step == "commit":
        return "commit", key, {"transaction": handle, "commit": messages.Commit()}
    return "rollback", key, {"transaction": handle, "rollback": messages.Rollback()}


def pooled(worker, is_finishing):
    """A connection of a pool that nobody uses at the moment: open, said Hello, asks for nothing."""
    return None


def endless(worker, is_finishing):
    """One statement that never ends by itself."""
    if worker.number or is_finishing:
        return None
    worker.number = 1
    return "endless", "", {"query": messages.Query(sql=worker.app.endless_sql), "read_only": True}


def holding(worker, is_finishing):
    """A transaction that is begun, written in, and left open."""
    if worker.in_flight or worker.number >= 2:
        return None
    if worker.transaction is None:
        worker.number = 1
        # SQLite has one writer, which the others need.
        return "begin", worker.name, {"begin": messages.Begin(), "read_only": worker.app.has_one_writer}
    worker.number = 2
    if worker.app.has_one_writer:
        query = messages.Query(sql="select count(*) from pod_rows")
        return "held", worker.name, {"transaction": worker.transaction[0], "query": query}
    sql = "insert into pod_rows (name) values ($1)"
    return "held", worker.name, {"transaction": worker.transaction[0],
                                 "query": messages.Query(sql=sql, parameters=[to_value(worker.name)])}


class App:
    """A process. On SIGTERM it goes on for `seconds_after`; without `seconds_after` it never ends by itself, with `seconds` also
    without a signal, as a Job does. `on_job_end`: its last step."""

    def __init__(self, path, account_path, name, mixes, engine, seconds_after=None, seconds=None, on_job_end=None):
        self.path = path
        self.has_one_writer = engine == "sqlite"
        self.endless_sql = ENDLESS[engine]
        self.account_path, self.name, self.mixes = account_path, name, mixes
        self.seconds_after, self.seconds, self.on_job_end = seconds_after, seconds, on_job_end

    def run(self):
        ends_at = time.monotonic() + self.seconds if self.seconds is not None else float("inf")

        def told_to_end(*_):
            nonlocal ends_at
            if self.seconds_after is not None:
                ends_at = min(ends_at, time.monotonic() + self.seconds_after)

        signal.signal(signal.SIGTERM, told_to_end)
        self.account = Account(self.account_path)
        workers = [Worker(self, f"{self.name}-{number}", window, mix) for number, (mix, window) in enumerate(self.mixes)]
        while True:
            now = time.monotonic()
            is_finishing = now >= ends_at
            if is_finishing and all(worker.is_idle and worker.transaction is None for worker in workers
                                    if worker.mix not in (holding, endless)):
                break
            self.turn(workers, now, is_finishing)
        for worker in workers:
            if worker.socket:
                worker.socket.close()
        if self.on_job_end:
            self.account.remember(job_end=self.on_job_end())
            self.account.flush()
        return 0

    def turn(self, workers, now, is_finishing):
        for worker in workers:
            if worker.socket is None and not is_finishing and now >= worker.not_before:
                worker.connect()
            worker.fill(now, is_finishing)
        self.account.flush()
        connected = {worker.socket.fileno(): worker for worker in workers if worker.socket}
        poll = select.poll()
        for descriptor, worker in connected.items():
            poll.register(descriptor, select.POLLIN | (select.POLLOUT if worker.unsent else 0))
        for descriptor, event in poll.poll(20):
            if event & select.POLLOUT:
                connected[descriptor].flush()
            if event & ~select.POLLOUT:
                connected[descriptor].receive()
        self.account.flush()
