"""Clients that would notice an answer that is not theirs. Every request carries a tag that no other has; a tag of another request
anywhere in an answer (rows, messages, details) is a finding, and so is an answer too many, too few, or of a status that this request
cannot get."""

import random
import re
import select
import socket
import struct
import time

import raw
from prism.values import from_value

TAG = re.compile(rb"T\d+\.\d+\.\d{7}E")
FINDINGS_MAX = 20
# Nothing that a client or a backend does explains these.
NEVER = {"UNKNOWN", "INTERNAL", "UNIMPLEMENTED", "DATA_LOSS", "UNAUTHENTICATED"}


class Ask:
    """One request. `codes`: what its final answer may be; None: anything but NEVER. `check(answer, rows, tag)` answers what is wrong
    with the answer, or None. `fate`: what it writes to, so that its outcome is remembered. `cancel`: a Cancel follows it."""

    __slots__ = ("kind", "operation", "codes", "check", "fate", "cancel", "fields")

    def __init__(self, kind, operation, codes=("OK",), check=None, fate=None, cancel=False, **fields):
        self.kind, self.operation, self.codes, self.check = kind, operation, codes, check
        self.fate, self.cancel, self.fields = fate, cancel, fields


class Findings:
    """What a process has seen."""

    def __init__(self):
        self.wrong = []
        self.wrong_count = 0
        self.answers = {}
        self.fates = {}
        self.asked = 0

    def add(self, text):
        self.wrong_count += 1
        if len(self.wrong) < FINDINGS_MAX:
            self.wrong.append(text[:600])

    def count(self, kind, code):
        key = f"{kind}: {code}"
        self.answers[key] = self.answers.get(key, 0) + 1

    def as_json(self):
        return {"wrong": self.wrong, "wrong_count": self.wrong_count, "answers": self.answers, "fates": self.fates,
                "asked": self.asked}


class Client:
    """One connection that keeps `window` requests in flight until it has asked `quota`. `ask(tag)` makes them. With `leaves` it closes
    its connection every now and then, whatever is in flight, and opens another."""

    def __init__(self, path, number, ask, findings, quota, window, leaves=None):
        self.path, self.number, self.ask, self.findings = path, number, ask, findings
        self.left, self.window, self.leaves = quota, window, leaves
        self.asked = 0
        self.next_id = 1
        self.connect()

    def connect(self):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(30)
        self.socket.connect(self.path)
        self.received = bytearray()
        self.in_flight = {}
        self.cancels = set()
        self.stays = self.leaves and self.leaves()

    @property
    def is_done(self):
        return self.left <= 0 and not self.in_flight and not self.cancels

    def fill(self):
        data = []
        while self.left > 0 and len(self.in_flight) < self.window:
            self.left -= 1
            self.asked += 1
            tag = f"T{self.number}.{self.asked:07d}E"
            ask = self.ask(tag)
            id = self.take_id()
            request = raw.Request(id=id, **ask.fields)
            name, operation = ask.operation
            getattr(request, name).CopyFrom(operation)
            self.in_flight[id] = (ask, tag, [])
            data.append(raw.frame(request))
            if ask.cancel:
                cancel = self.take_id()
                self.cancels.add(cancel)
                data.append(raw.frame(raw.Request(id=cancel, cancel=raw.messages.Cancel(request_id=id))))
        if data:
            self.findings.asked += len(data)
            try:
                self.socket.sendall(b"".join(data))
            except OSError as error:
                self.lost(f"could not be sent to: {error}")

    def take_id(self):
        self.next_id += 1
        return self.next_id

    def receive(self):
        try:
            data = self.socket.recv(1 << 18)
        except OSError as error:
            return self.lost(f"was lost: {error}")
        if not data:
            return self.lost("was closed by the sidecar")
        buffer = self.received
        buffer += data
        start = 0
        while len(buffer) - start >= 4:
            (size,) = struct.unpack_from(">I", buffer, start)
            if len(buffer) - start - 4 < size:
                break
            self.answer(bytes(buffer[start + 4:start + 4 + size]))
            start += 4 + size
        del buffer[:start]
        if self.stays is not None:
            self.stays -= 1
            if self.stays <= 0:
                # Those in flight end with the connection; of what they have done nothing is known.
                for ask, tag, _ in self.in_flight.values():
                    self.remember(ask, tag, "UNKNOWN")
                    self.findings.count(ask.kind, "left")
                self.socket.close()
                self.connect()

    def lost(self, why):
        self.findings.add(f"the connection of {self.number} {why}; in flight: {len(self.in_flight)}")
        self.left = 0
        self.in_flight, self.cancels = {}, set()

    def remember(self, ask, tag, outcome):
        if ask.fate:
            self.findings.fates[tag] = (ask.fate, outcome)

    def answer(self, body):
        answer = raw.Response.FromString(body)
        if answer.id in self.cancels and not answer.more:
            self.cancels.discard(answer.id)
            if answer.status != 0:
                self.findings.add(f"a Cancel got {raw.code(answer)}: {answer.failure.message}")
            return
        if answer.id not in self.in_flight:
            self.findings.add(f"an answer to {answer.id} of {self.number}, which is not in flight: {answer}")
            return
        ask, tag, rows = self.in_flight[answer.id]
        own = tag.encode()
        for found in TAG.findall(body):
            if found != own:
                self.findings.add(f"{tag} ({ask.kind}) was answered with {found.decode()}: {answer}")
        if ask.check:
            rows += [tuple(map(from_value, row.values)) for row in answer.query.rows]
        if answer.more:
            return
        del self.in_flight[answer.id]
        code = raw.code(answer)
        self.findings.count(ask.kind, code)
        self.remember(ask, tag, "EXECUTED" if code == "OK" else raw.outcome(answer))
        if code in NEVER or (ask.codes is not None and code not in ask.codes):
            self.findings.add(f"{tag} ({ask.kind}) got {code} {raw.outcome(answer)} {answer.failure.sqlstate}: "
                              f"{answer.failure.message} {answer.failure.detail}")
        elif ask.check:
            wrong = ask.check(answer, rows, tag)
            if wrong:
                self.findings.add(f"{tag} ({ask.kind}): {wrong}")


def run(clients, findings, quiet_seconds_max):
    """Until all are done. Whoever gets no answer at all for so long is a finding."""
    poll = select.poll()
    registered = {}
    heard = time.monotonic()
    while True:
        busy = [client for client in clients if not client.is_done]
        if not busy:
            return findings.as_json()
        for client in busy:
            client.fill()
            fd = client.socket.fileno()
            if registered.get(id(client)) != client.socket:
                # A connection that was closed has taken its old descriptor along.
                poll.register(fd, select.POLLIN)
                registered[id(client)] = client.socket
        by_descriptor = {client.socket.fileno(): client for client in busy}
        ready = poll.poll(1_000)
        for fd, _ in ready:
            if fd in by_descriptor:
                by_descriptor[fd].receive()
            else:
                poll.unregister(fd)
        if ready:
            heard = time.monotonic()
        elif time.monotonic() - heard > quiet_seconds_max:
            for client in busy:
                kinds = sorted({ask.kind for ask, _, _ in client.in_flight.values()})
                findings.add(f"{client.number} got nothing for {quiet_seconds_max} s; unanswered: {len(client.in_flight)}, {kinds}")
            return findings.as_json()


def weighted(generator, choices):
    """Draws from (weight, value) pairs."""
    weights, values = zip(*choices)
    return lambda: generator.choices(values, weights)[0]


def generator(*seed):
    return random.Random(repr(seed))
