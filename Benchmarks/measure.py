#!/usr/bin/env python3
"""Measures Prism and what it is compared with: all in one run, alternating, medians of the rounds.

How to read it, and what is unfair about it: docs/measurements.md."""

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile

import report
import subjects

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BEGIN, END = "<!-- measured:begin -->", "<!-- measured:end -->"


def counts(text):
    return [int(part) for part in text.split(",")]


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", default=os.path.join(ROOT, ".build", "release", "prism"))
    parser.add_argument("--directory", default=os.path.join(ROOT, ".build", "bench"),
                        help="where the files are; must be on a real disk (default: .build/bench)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each case in each round, after a second of warm-up")
    parser.add_argument("--clients", type=counts, default=[1, 16, 64])
    parser.add_argument("--in-flight", type=counts, default=[1, 16])
    parser.add_argument("--only", action="append", metavar="WORKLOAD", help="kv-get, kv-put or sql; may be repeated")
    parser.add_argument("--json", metavar="FILE", help="default: results.json in the directory")
    parser.add_argument("--write", metavar="FILE", help="put the tables between this document's markers too")
    return parser.parse_args()


def interrupt(*_):
    raise KeyboardInterrupt


def measure(options, directory, sockets):
    """(rounds, skipped): for each round the results by (subject, workload, clients, in flight)."""
    running, skipped, rounds = [], {}, []
    try:
        for kind in subjects.ALL:
            try:
                running.append(kind(options.binary, os.path.join(directory, kind.__name__),
                                    os.path.join(sockets, kind.__name__)))
            except subjects.Unsuitable as reason:
                skipped[kind.name] = str(reason)
        # Next to each other: those that are compared.
        cases = [(subject, workload, clients, in_flight)
                 for workload in options.only or report.WORKLOADS for in_flight in options.in_flight
                 for clients in options.clients for subject in running if workload in subject.workloads]
        for number in range(options.rounds):
            results = {}
            for subject, workload, clients, in_flight in cases if number % 2 == 0 else reversed(cases):
                result = subject.run(workload, clients, in_flight, options.seconds)
                if result is None:
                    continue
                results[subject.name, workload, clients, in_flight] = result
                print(f"  {number + 1}/{options.rounds}  {workload:7} {clients:3} × {in_flight:<3} {subject.name:26}"
                      f"{result['requests_per_second']:12,.0f}/s", file=sys.stderr, flush=True)
            rounds.append(results)
        return rounds, skipped
    finally:
        for subject in running:
            subject.close()


def main():
    options = parse()
    if not os.access(options.binary, os.X_OK):
        sys.exit(f"{options.binary} is not there: make build")
    os.makedirs(options.directory, exist_ok=True)
    if report.file_system(options.directory) in ("tmpfs", "ramfs"):
        sys.exit(f"{options.directory} is in memory, where fsync costs nothing: name one on a disk with --directory")
    about = report.machine(options.directory, options.binary)
    if about["load_average_before"] > 0.5:
        print(f"bench: the load average is {about['load_average_before']:.1f}: others work on this machine, and the figures "
              "will not mean much", file=sys.stderr)
    signal.signal(signal.SIGTERM, interrupt)
    directory = tempfile.mkdtemp(prefix="run-", dir=options.directory)
    sockets = tempfile.mkdtemp(prefix="bench-")  # a socket's path has 107 bytes at most
    try:
        rounds, skipped = measure(options, directory, sockets)
    except KeyboardInterrupt:
        sys.exit("bench: interrupted; nothing was written")
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        shutil.rmtree(sockets, ignore_errors=True)
    settings = {"rounds": options.rounds, "seconds": options.seconds, "clients": options.clients,
                "in_flight": options.in_flight, "keys": subjects.KEYS, "value_bytes": subjects.VALUE_BYTES}
    result = report.as_json(settings, about, rounds, skipped)
    path = options.json or os.path.join(options.directory, "results.json")
    with open(path, "w") as file:
        json.dump(result, file, indent=1)
        file.write("\n")
    text = report.as_markdown(result)
    print(text)
    print(f"bench: every figure of every round: {path}", file=sys.stderr)
    if options.write:
        report.write_between_markers(options.write, BEGIN, END, text)
    failed = False
    errors = sum(entry["errors"] for case in result["cases"] for entry in case["rounds"])
    if errors:
        print(f"bench: {errors} requests failed", file=sys.stderr)
        failed = True
    ratio = result["group_commit_times_a_commit_each"]["median"]
    if ratio is not None and ratio < report.GROUP_COMMIT_PROMISE:
        print(f"bench: group commit is {ratio:.1f} times a commit each, less than promised", file=sys.stderr)
        failed = True
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
