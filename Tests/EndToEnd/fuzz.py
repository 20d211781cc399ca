"""Mutated frames through a running server's socket, under seeds, beside a healthy neighbour that must never fail.

    python3 fuzz.py [--seconds N] [--seed S] [--runs N]

A seed always sends the same bytes in the same pieces; how they meet in the server is up to the machine. Prints the seed of the
run in which something broke, and ends with 1."""

import argparse
import os
import random
import socket
import struct
import sys
import threading
import time

import paths
from harness import Server
from raw import RawClient, get, messages, ping, put

VECTORS = os.path.join(paths.ROOT, "Tests", "Vectors")
EDGES = (0x00, 0x01, 0x7F, 0x80, 0xFF, 0x0A, 0x12)
# A connection that is neither answered nor closed within this has been forgotten.
ANSWER_SECONDS_MAX = 20.0


def corpus():
    found = []
    for group in sorted(os.listdir(VECTORS)):
        folder = os.path.join(VECTORS, group)
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
            if name.endswith(".bin") and group != "responses":
                with open(os.path.join(folder, name), "rb") as file:
                    found.append(file.read())
    return found


def framed(body):
    return struct.pack(">I", len(body)) + body


def mutated(chance, streams):
    kind = chance.randrange(12)
    if kind == 0:
        return chance.randbytes(chance.randrange(1, 400))
    if kind == 1:
        return framed(chance.randbytes(chance.randrange(1, 200)))
    data = bytearray(chance.choice(streams))
    if kind == 2:
        return bytes(data)
    for _ in range(chance.randint(1, 4)):
        if not data:
            break
        at = chance.randrange(len(data))
        change = chance.randrange(7)
        if change == 0:
            data[at] ^= 1 << chance.randrange(8)
        elif change == 1:
            data[at] = chance.choice(EDGES)
        elif change == 2:
            data[at:at] = chance.randbytes(chance.randint(1, 8))
        elif change == 3:
            del data[at:at + chance.randint(1, 8)]
        elif change == 4:
            data[at:at] = data[at:at + chance.randint(1, 40)] * chance.choice((1, 2, 400))
        elif change == 5:
            other = chance.choice(streams)
            data[at:] = other[chance.randrange(len(other)):]
        else:
            del data[at:]
    return framed(bytes(data[4:])) if len(data) > 4 and chance.randrange(4) else bytes(data)


class Neighbour:
    """Writes and reads back, one request after the other, on one connection for all of the time."""

    def __init__(self, path):
        self.raw = RawClient(path, seconds=30.0)
        self.requests = 0
        self.error = None
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def _work(self):
        try:
            while not self._ending.is_set():
                value = str(self.requests).encode()
                for id, request in ((1, put(1, b"neighbour", value)), (2, get(2, b"neighbour")), (3, ping(3, value))):
                    self.raw.send(request)
                    (answer,) = self.raw.final(id)
                    assert answer.status == messages.OK, answer
                    assert id != 2 or answer.get.value == value, answer
                    self.requests += 1
        except BaseException as error:  # noqa: BLE001: it is reported by whoever looks
            self.error = repr(error)

    def end(self):
        self._ending.set()
        self._thread.join(60)
        self.raw.close()
        if self._thread.is_alive():
            self.error = "it hangs"


def check(response, seed):
    """What holds of every answer, whatever was asked."""
    if response.status != messages.OK:
        failure = response.failure
        assert failure.message and failure.stage and failure.outcome, f"seed {seed}: {response}"
    elif response.id == 0:
        assert response.WhichOneof("payload") == "notice", f"seed {seed}: {response}"


def run(seed, path, streams):
    """A few connections at once, each with its own bytes in its own pieces; each must be answered and closed."""
    chance = random.Random(seed)
    clients = [RawClient(path, seconds=ANSWER_SECONDS_MAX) for _ in range(chance.randint(1, 4))]
    try:
        for _ in range(chance.randint(1, 6)):
            client = chance.choice(clients)
            data = mutated(chance, streams)
            try:
                while data:
                    count = len(data) if chance.randrange(2) else chance.randint(1, len(data))
                    client.send_bytes(data[:count])
                    data = data[count:]
            except OSError:
                pass  # it may be ended in the middle
        for client in clients:
            if chance.randrange(5) == 0:
                continue  # leaves without a word
            try:
                client.end_sending()
            except OSError:
                pass
            responses = client.rest()
            for response in responses:
                check(response, seed)
            assert all(r.id or r.status == messages.OK for r in responses[:-1]), f"seed {seed}: something behind the last frame"
    except socket.timeout:
        raise AssertionError(f"seed {seed}: a connection was neither answered nor closed in {ANSWER_SECONDS_MAX} s") from None
    finally:
        for client in clients:
            client.close()


def fuzz(seconds, seed, runs=0):
    """Runs until the time is over; (number of runs, requests of the neighbour). Raises what broke."""
    streams = corpus()
    # Transactions that were begun and left hold the only writer for a second each: not what is looked for here.
    with Server(config="transactions:\n  sqlite_write_idle: 10ms\n  sqlite_write_total: 50ms\n") as server:
        neighbour = Neighbour(server.socket_path)
        done, began = 0, time.monotonic()
        try:
            while (not runs or done < runs) and time.monotonic() - began < seconds:
                run(seed + done, server.socket_path, streams)
                assert neighbour.error is None, f"seed {seed + done}: the neighbour failed: {neighbour.error}"
                assert server.process.poll() is None, f"seed {seed + done}: the server ended:\n{server.log[-4000:]}"
                done += 1
        except OSError as error:
            raise AssertionError(f"seed {seed + done}: {error}; the server's end:\n{server.log[-4000:]}") from error
        finally:
            neighbour.end()
        assert neighbour.error is None, f"seed {seed + done}: the neighbour failed: {neighbour.error}"
        status, text = server.admin("GET", "/metrics")
        assert status == 200 and "prism_invariant_violations_total 0\n" in text and "prism_unanswered_at_close_total 0\n" in text
        assert server.stop() == 0, server.log[-4000:]
        return done, neighbour.requests


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runs", type=int, default=0)
    arguments = parser.parse_args()
    try:
        done, requests = fuzz(arguments.seconds, arguments.seed, arguments.runs)
    except AssertionError as error:
        print(f"{error}\nreproduce with: make fuzz SEED=S, with the seed that is named above", file=sys.stderr)
        return 1
    print(f"through the socket: {done} runs from seed {arguments.seed}, {requests} requests of a neighbour, nothing broke")
    return 0


if __name__ == "__main__":
    sys.exit(main())
