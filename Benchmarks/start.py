#!/usr/bin/env python3
"""Measures starting and ending: the first answer of `prism serve` on SQLite, what Kubernetes calls, and SIGTERM to the exit.

Of each round a median is printed, and beside it the processor time, which other work on the machine disturbs less. What Python
takes to start a process is measured with /bin/true, and included in all others. --write docs/measurements.md puts the
table between that page's markers."""

import argparse
import os
import resource
import signal
import socket
import statistics
import struct
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BEGIN, END = "<!-- measured-start:begin -->\n", "<!-- measured-start:end -->"
ENDS_SECONDS_MAX = 30
# Request{id: 1, get: Get{key: "k"}}, by hand: nothing else of a client is to be measured.
GET = bytes([0x08, 0x01, 0x82, 0x01, 0x03, 0x12, 0x01, 0x6B])
COMMANDS = (["--version"], ["wait"], ["ping"], ["probe", "startup"], ["probe", "ready"], ["probe", "live"], ["drain"])


class Measured:
    """Milliseconds by name, in the order in which they were first added."""

    def __init__(self):
        self.wall, self.cpu = {}, {}

    def add(self, name, wall, cpu=None):
        self.wall.setdefault(name, []).append(wall)
        if cpu is not None:
            self.cpu.setdefault(name, []).append(cpu)

    def table(self):
        lines = ["| | median ms | lowest | highest | processor ms |", "|---|---|---|---|---|"]
        for name, values in self.wall.items():
            cpu = f"{statistics.median(self.cpu[name]):.1f}" if name in self.cpu else ""
            lines.append(f"| {name} | {statistics.median(values):.1f} | {min(values):.1f} | {max(values):.1f} | {cpu} |")
        return "\n".join(lines) + "\n"


def cpu_milliseconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (used.ru_utime + used.ru_stime) * 1000


def run(measured, name, command, environment=None):
    before, began = cpu_milliseconds(), time.monotonic()
    code = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL).returncode
    measured.add(name, (time.monotonic() - began) * 1000, cpu_milliseconds() - before)
    assert code == 0, f"{name}: exit code {code}"


def first_answer(path, process):
    """Connects as soon as it can be done, and waits for one answer."""
    while True:
        client = socket.socket(socket.AF_UNIX)
        try:
            client.connect(path)
            break
        except OSError:
            client.close()
            assert process.poll() is None, "prism serve has ended"
            time.sleep(0.0002)
    with client:
        client.sendall(struct.pack(">I", len(GET)) + GET)
        size = struct.unpack(">I", client.recv(4, socket.MSG_WAITALL))[0]
        assert len(client.recv(size, socket.MSG_WAITALL)) == size


def serve(measured, binary, directory, name, with_commands=False):
    path = os.path.join(directory, "prism.sock")
    with open(os.path.join(directory, "log"), "ab") as log:
        began = time.monotonic()
        process = subprocess.Popen([binary, "serve", "--socket", path, "--sqlite", os.path.join(directory, "data.db")],
                                   stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        first_answer(path, process)
        measured.add(name, (time.monotonic() - began) * 1000)
        if with_commands:
            environment = {**os.environ, "PRISM_SOCKET": path}
            for command in COMMANDS:
                run(measured, f"`prism {' '.join(command)}`", [binary, *command], environment)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        process.wait(ENDS_SECONDS_MAX)
        measured.add("SIGTERM to the exit, idle", (time.monotonic() - began) * 1000)
        assert process.returncode == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", default=os.path.join(ROOT, ".build", "release", "prism"))
    parser.add_argument("--directory", default=os.path.join(ROOT, ".build", "bench"), help="on a real disk (default: .build/bench)")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--write", metavar="FILE")
    options = parser.parse_args()
    os.makedirs(options.directory, exist_ok=True)
    measured = Measured()
    for _ in range(options.rounds):
        run(measured, "`/bin/true`, for comparison", ["/bin/true"])
        with tempfile.TemporaryDirectory(dir=options.directory, prefix="s") as directory:
            serve(measured, options.binary, directory, "first answer, new file")
            serve(measured, options.binary, directory, "first answer, file that is there", with_commands=True)
    print(measured.table(), end="")
    print(f"{options.rounds} rounds, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    if options.write:
        with open(options.write) as file:
            before, _, rest = file.read().partition(BEGIN)
        after = rest.partition(END)[2]
        with open(options.write, "w") as file:
            file.write(before + BEGIN + measured.table() + END + after)


if __name__ == "__main__":
    main()
