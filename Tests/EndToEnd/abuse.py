"""Clients that no server should have: each function is one of them, with a uid of its own, and runs until `seconds` are over.
They count what they did; what they are answered is judged only where a client could rely on it."""

import errno
import os
import random
import resource
import select
import socket
import struct
import time

from raw import Response, code, frame, outcome, ping, query

# A thousand rows of 4 KB: more than a stream's window and the socket's buffers.
LARGE_RESULT = ("with recursive n(i) as (select 1 union all select i + 1 from n where i < 1000) "
                "select i, '{}' from n".format("x" * 4096))
SLOW = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 20000) select max(i) from n"
HOUR = 3_600_000_000
BACKLOG_FULL = (errno.EAGAIN, errno.ECONNREFUSED)


def become(uid):
    """Another client for the server, with as many descriptors as the machine allows."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


class Peer:
    """A non-blocking connection that sends from a buffer and reads, or does not."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.setblocking(False)
        try:
            self.socket.connect(path)
        except OSError:
            self.socket.close()
            raise
        self.output = memoryview(b"")
        self.input = bytearray()

    def send(self):
        """How many bytes the kernel took; 0 when it is full. ConnectionError when the server has closed."""
        if not self.output:
            return 0
        try:
            sent = self.socket.send(self.output)
        except BlockingIOError:
            return 0
        self.output = self.output[sent:]
        return sent

    def answers(self):
        """What has come; ConnectionError when the server has closed."""
        try:
            while True:
                chunk = self.socket.recv(1 << 20)
                if not chunk:
                    raise ConnectionResetError
                self.input += chunk
        except BlockingIOError:
            pass
        position = 0
        while len(self.input) >= position + 4:
            (size,) = struct.unpack_from(">I", self.input, position)
            if len(self.input) < position + 4 + size:
                break
            yield Response.FromString(bytes(self.input[position + 4:position + 4 + size]))
            position += 4 + size
        del self.input[:position]


class Peers:
    """`count` connections, replaced when they are closed; the server may refuse them."""

    def __init__(self, path, count):
        self.path, self.count, self.refused = path, count, 0
        self.all = []

    def fill(self):
        for _ in range(self.count - len(self.all)):
            try:
                self.all.append(Peer(self.path))
            except OSError as error:
                if error.errno not in BACKLOG_FULL:
                    raise
                return

    def lost(self, peer):
        peer.socket.close()
        self.all.remove(peer)
        self.refused += 1


def never_reads(path, seconds, seed):
    """Asks for more than fits anywhere, as long as the kernel takes it, and reads nothing."""
    end = time.monotonic() + seconds
    peers, bytes_sent, next_id = Peers(path, 50), 0, 1
    while time.monotonic() < end:
        peers.fill()
        progress = 0
        for peer in list(peers.all):
            if not peer.output:
                peer.output = memoryview(frame(query(next_id, LARGE_RESULT, read_only=True)))
                next_id += 1
            try:
                progress += peer.send()
            except ConnectionError:
                peers.lost(peer)
        bytes_sent += progress
        if not progress:
            time.sleep(0.05)
    return {"asked": next_id - 1, "bytes_sent": bytes_sent, "closed": peers.refused}


def sends_a_byte_a_second(path, seconds, seed):
    """Wants all the connections that there are, and sends on each one byte a second of a request."""
    end = time.monotonic() + seconds
    peers, request, sent = Peers(path, 2000), frame(ping(1, b"x" * 1000)), 0
    most = 0
    while time.monotonic() < end:
        peers.fill()
        for peer in list(peers.all):
            try:
                list(peer.answers())
                if not peer.output:
                    peer.output = memoryview(request)
                sent += peer.socket.send(peer.output[:1])
                peer.output = peer.output[1:]
            except BlockingIOError:
                pass
            except ConnectionError:
                peers.lost(peer)
        most = max(most, len(peers.all))
        time.sleep(max(0, min(1, end - time.monotonic())))
    return {"bytes_sent": sent, "held_most": most, "refused": peers.refused}


def storms(path, seconds, seed):
    """Connects and leaves: at once, in the middle of a frame, or without reading its answer."""
    end = time.monotonic() + seconds
    dice, connected, full = random.Random(seed), 0, 0
    request = frame(query(1, LARGE_RESULT, read_only=True))
    while time.monotonic() < end:
        try:
            peer = Peer(path)
        except OSError as error:
            if error.errno not in BACKLOG_FULL:
                raise
            full += 1
            time.sleep(0.001)
            continue
        connected += 1
        peer.output = memoryview(request)[:dice.choice((0, 3, len(request) // 2, len(request)))]
        try:
            peer.send()
        except ConnectionError:
            pass
        peer.socket.close()
    return {"connected": connected, "backlog_full": full}


def sends_largest_frames(path, seconds, seed, frame_bytes=4 << 20):
    """The largest frame on every connection, again and again; it reads its answers."""
    end = time.monotonic() + seconds
    peers, counts, bytes_sent = Peers(path, 64), {}, 0
    largest = frame(ping(7, b"x" * (frame_bytes - 16)))
    while time.monotonic() < end:
        peers.fill()
        progress = 0
        for peer in list(peers.all):
            try:
                if not peer.output:
                    peer.output = memoryview(largest)
                progress += peer.send()
                for answer in peer.answers():
                    name = code(answer)
                    counts[name] = counts.get(name, 0) + 1
                    assert name in ("OK", "RESOURCE_EXHAUSTED"), answer
                    assert name == "OK" or outcome(answer) == "NOT_EXECUTED", answer
            except ConnectionError:
                peers.lost(peer)
        bytes_sent += progress
        if not progress:
            select.select([peer.socket for peer in peers.all], [], [], 0.01)
    return {"answers": counts, "megabytes_sent": bytes_sent >> 20, "closed": peers.refused}


def holds_requests(path, seconds, seed, count=100_000, each=1000):
    """`count` slow requests in flight that may take an hour; for each that is answered comes another one."""
    end = time.monotonic() + seconds
    peers, counts, next_id, most = Peers(path, count // each), {}, 1, 0
    in_flight = {}

    def more(peer, number):
        nonlocal next_id
        peer.output = memoryview(bytes(peer.output) + b"".join(
            frame(query(id, SLOW, read_only=True, timeout_microseconds=HOUR)) for id in range(next_id, next_id + number)))
        next_id += number
        in_flight[peer] = in_flight.get(peer, 0) + number

    while time.monotonic() < end:
        peers.fill()
        progress = 0
        for peer in list(peers.all):
            try:
                # Refused ones are asked again in larger lots, as who holds on to its plan would.
                if not peer.output and in_flight.get(peer, 0) <= each - 50:
                    more(peer, each - in_flight.get(peer, 0))
                progress += peer.send()
                for answer in peer.answers():
                    if not answer.more:
                        in_flight[peer] -= 1
                        counts[code(answer)] = counts.get(code(answer), 0) + 1
                        assert code(answer) in ("OK", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED"), answer
            except ConnectionError:
                in_flight.pop(peer, None)
                peers.lost(peer)
        most = max(most, sum(in_flight.values()))
        if not progress:
            select.select([peer.socket for peer in peers.all], [], [], 0.01)
    return {"sent": next_id - 1, "in_flight_most": most, "answers": counts, "closed": peers.refused}


ALL = (never_reads, sends_a_byte_a_second, storms, sends_largest_frames, holds_requests)


def run(function, path, uid, seconds, seed):
    become(uid)
    return {"client": function.__name__, **function(path, seconds, seed)}
