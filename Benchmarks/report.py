"""Medians of the rounds, as Markdown and as JSON."""

import os
import platform
import re
import statistics
import subprocess
import sys

WORKLOADS = {"kv-get": "Reads: `kv-get`", "kv-put": "Durable writes: `kv-put`, synchronous=FULL",
             "sql": "SQL: `sql`, a row by its primary key"}
GROUP_COMMIT_CASE = ("kv-put", 64, 1)
GROUP_COMMIT_PROMISE = 4.0


def median(results, field):
    values = [result[field] for result in results if result[field] is not None]
    return statistics.median(values) if values else None


def machine(directory, binary):
    """What a reader has to know of the machine. No names of hosts or people."""
    cpu = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")),
               platform.machine())
    memory = next(int(line.split()[1]) for line in open("/proc/meminfo") if line.startswith("MemTotal:"))
    commit = subprocess.run(["git", "-C", os.path.dirname(os.path.abspath(__file__)), "describe", "--always", "--dirty"],
                            capture_output=True, text=True).stdout.strip()
    return {
        "cpu": cpu, "cpus": len(os.sched_getaffinity(0)), "memory_gib": round(memory / 1048576, 1),
        "kernel": platform.release(), "file_system": file_system(directory),
        "prism": subprocess.run([binary, "--version"], capture_output=True, text=True).stdout.strip(), "commit": commit,
        "load_average_before": os.getloadavg()[0],
    }


def write_between_markers(path, begin, end, text):
    with open(path) as file:
        document = file.read()
    changed, count = re.subn(f"{begin}.*?{end}", lambda _: f"{begin}\n{text}{end}", document, flags=re.DOTALL)
    if count != 1:
        sys.exit(f"{path} does not have the markers {begin} and {end} once")
    with open(path, "w") as file:
        file.write(changed)


def file_system(directory):
    return subprocess.run(["stat", "-f", "-c", "%T", directory], capture_output=True, text=True).stdout.strip()


def group_commit(rounds):
    """How many times a commit each group commit is, by round; None where it was not measured."""
    ratios = []
    for results in rounds:
        grouped, each = (results.get((name, *GROUP_COMMIT_CASE)) for name in ("Prism", "Prism, a commit each"))
        if grouped and each:
            ratios.append(grouped["requests_per_second"] / each["requests_per_second"])
    return ratios or None


def as_json(settings, about, rounds, skipped):
    cases = {}
    for results in rounds:
        for (subject, workload, clients, in_flight), result in results.items():
            cases.setdefault((subject, workload, clients, in_flight), []).append(result)
    ratios = group_commit(rounds)
    return {
        "settings": settings, "machine": about, "skipped": skipped,
        "cases": [{"subject": subject, "workload": workload, "clients": clients, "in_flight": in_flight,
                   "median": {field: median(results, field) for field in results[0]}, "rounds": results}
                  for (subject, workload, clients, in_flight), results in sorted(cases.items())],
        "group_commit_times_a_commit_each": {"rounds": ratios, "median": ratios and statistics.median(ratios)},
    }


def cell(value, digits=0):
    return "" if value is None else f"{value:,.{digits}f}"


def as_markdown(report):
    about, settings = report["machine"], report["settings"]
    lines = [
        f"{about['cpu']}, {about['cpus']} CPUs shared by sidecar and load generator, {about['memory_gib']} GiB; "
        f"Linux {about['kernel']}, {about['file_system']}; Prism {about['prism']} ({about['commit']}). "
        f"{settings['rounds']} rounds, {settings['seconds']:g} s a case, medians; load average before: "
        f"{about['load_average_before']:.2f}.", ""]
    for workload, title in WORKLOADS.items():
        cases = [case for case in report["cases"] if case["workload"] == workload]
        if not cases:
            continue
        lines += [f"**{title}**", "", "| Clients × in flight | | Requests/s | p50 µs | p99 µs | Server CPU µs a request | Errors |",
                  "|---|---|---:|---:|---:|---:|---:|"]
        for case in sorted(cases, key=lambda case: (case["in_flight"], case["clients"], case["subject"])):
            values = case["median"]
            errors = sum(result["errors"] for result in case["rounds"])
            lines.append(f"| {case['clients']} × {case['in_flight']} | {case['subject']} "
                         f"| {cell(values['requests_per_second'])} | {cell(values['p50'])} | {cell(values['p99'])} "
                         f"| {cell(values['cpu_microseconds'], 1)} | {errors} |")
        lines.append("")
    ratios = report["group_commit_times_a_commit_each"]["rounds"]
    if ratios:
        lines.append(f"**Group commit**, 64 clients × 1: {statistics.median(ratios):.1f} times a commit each (rounds: "
                     + ", ".join(f"{ratio:.1f}" for ratio in ratios) + f"; promised: {GROUP_COMMIT_PROMISE:g}).")
    for name, reason in report["skipped"].items():
        lines.append(f"\nNot measured: {name}: {reason}.")
    return "\n".join(lines) + "\n"
