"""Runs one pod of an order to its end and judges it: by the table, by the apps' accounts, by the sidecar's report, by the database."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time

import pod_app
import pod_table
from harness import Server
from pod import Container, Forked, Hook, Kubelet

# Scaled for the tests: a real pod has 30 s of grace.
SHORT_HOOK_SECONDS = 0.2
WORK_BEFORE_SECONDS = 0.3
ENDS_AFTER_SIGTERM_MILLISECONDS = 1_500
STATES = ("LAME_DUCK", "DRAINING", "CANCELLING", "STOPPED")


class Run:
    """One pod. `database`: (cluster, conninfo, name) of a PostgreSQL database with the table `pod_rows`; None: SQLite.
    `seconds_after`: how long the apps work on after SIGTERM."""

    def __init__(self, order, seed, database=None, seconds_after=0.8, apps=2, reactors=None):
        self.order, self.seed, self.database, self.apps = order, seed, database, apps
        # Who is to be there when the sidecar cancels, 900 ms after its SIGTERM, must be there for so long.
        self.seconds_after = max(seconds_after, 1.4) if order.app_hook == "overruns" else seconds_after
        self.random = random.Random(repr((order.name, seed)))
        self.engine = "postgresql" if database else "sqlite"
        self.problems = []
        self.reactors = reactors or self.random.choice((1, 2))
        outlives = order.app_hook == "overruns" or order.app == "late"
        self.grace = 1.5 + seconds_after if outlives else 5.0 + seconds_after
        # Classic: what an app that works on is to use up.
        self.total = self.grace - 0.4 if outlives else self.grace - 1.0

    # What the pod is made of

    def config(self):
        drain = (f"drain:\n  mode: {self.order.mode}\n  after_sigterm: {ENDS_AFTER_SIGTERM_MILLISECONDS}ms\n"
                 f"  total: {self.total:.3f}s\n  quiet: 200ms\n  grace_period: {self.grace:.3f}s\n")
        # On a busy machine a client may be slow to go on; that is not what is tested.
        limits = "transactions:\n  sqlite_write_idle: 30s\n  sqlite_write_total: 60s\n  idle: 60s\n  total: 90s\n"
        backend = "  - name: main\n    acquire_timeout: 30s\n" + (
            f"    kind: postgresql\n    conninfo: {self.database[1]}\n    connections_max: 8\n    connections_min: 0\n"
            if self.database else f"    kind: sqlite\n    path: {self.directory}/data.db\n")
        admin = f"admin:\n  mode: \"0660\"\n  group: {self.job_group}\n" if self.order.app == "job" else ""
        return f"{drain}{limits}{admin}runtime:\n  reactors: {self.reactors}\nbackends:\n{backend}"

    job_group = 65_500

    def serve(self):
        self.servers.append(Server(config=self.config(), sqlite=False, directory=self.directory, wait=False))
        return self.servers[-1].process

    def command(self, *arguments, **options):
        environment = {**os.environ, "PRISM_SOCKET": self.servers[-1].socket_path}
        return subprocess.run([self.servers[-1].binary, *arguments], env=environment, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=30, **options)

    def sidecar_hook(self):
        arguments = {"drain": ["drain"], "wait": ["drain", "--wait"]}.get(self.order.hook)
        if arguments is None:
            return Hook(fails=True) if self.order.hook == "fails" else None
        environment = {**os.environ, "PRISM_SOCKET": self.servers[-1].socket_path}
        return Hook(self.servers[-1].binary, *arguments, environment=environment)

    def app_hook(self):
        return {"short": lambda: Hook(seconds=SHORT_HOOK_SECONDS), "fails": lambda: Hook(fails=True),
                "overruns": lambda: Hook(seconds=60), None: lambda: None}[self.order.app_hook]()

    def app(self, number):
        mixes = [(pod_app.busy, 16), (pod_app.busy, 4), (pod_app.transactional, 1), (pod_app.pooled, 1)]
        if self.order.outlives:
            mixes += [(pod_app.endless, 1), (pod_app.holding, 1)]
        is_job = self.order.app == "job"
        last_step = is_job and self.order.mode == "classic" and number == 0
        app = pod_app.App(
            self.servers[-1].socket_path, self.account_path(number), f"{self.order.name}-{self.seed}-{number}", mixes, self.engine,
            seconds_after=None if self.order.app == "late" else self.seconds_after,
            seconds=1.0 if is_job else None, on_job_end=self.job_end if last_step else None)
        return Container(f"app {number}", Forked(app.run), self.app_hook())

    def job_end(self):
        """Another user, of the group that may drain."""
        other = {"user": 65_499, "group": self.job_group, "extra_groups": []} if os.geteuid() == 0 else {}
        done = self.command("drain", **other)
        return f"{done.returncode} {done.stderr.strip()}"

    def account_path(self, number):
        return os.path.join(self.directory, f"account-{number}")

    # What happens to it

    def go(self):
        self.directory = tempfile.mkdtemp(prefix="prism-pod-")
        os.chmod(self.directory, 0o755)
        self.servers = []
        try:
            self.live_and_end()
            self.judge()
        finally:
            for server in self.servers:
                if server.process.poll() is None:
                    server.process.kill()
                    server.process.wait()
            if self.problems and os.environ.get("PRISM_TEST_KEEP"):
                self.problems.append(f"kept: {self.directory}")
            else:
                shutil.rmtree(self.directory, ignore_errors=True)
        return self.result

    def live_and_end(self):
        self.serve()
        waited = self.command("wait", "--timeout", "20s")
        assert waited.returncode == 0, waited.stderr + self.servers[-1].log
        if not self.database:
            made = self.command("sql", "create table pod_rows (name text)")
            assert made.returncode == 0, made.stderr
        # Forked before the kubelet has threads.
        apps = [self.app(number) for number in range(self.apps)]
        sidecar = Container("sidecar", self.servers[-1].process, self.sidecar_hook(), is_sidecar=True)
        self.kubelet = kubelet = Kubelet(sidecar, apps, self.order.mode == "native", self.grace)
        kubelet.watch()
        if self.order.app == "job":
            kubelet.job_is_done()
            return
        time.sleep(WORK_BEFORE_SECONDS + self.random.random() / 5)
        if self.order.crash == "before":
            kubelet.crash_sidecar(self.serve)
        elif self.order.crash == "ending":
            threading.Thread(target=self.crash_when_hook_has_returned, args=(sidecar,), daemon=True).start()
        kubelet.terminate()

    def crash_when_hook_has_returned(self, sidecar):
        while sidecar.hook.exit_code is None:
            time.sleep(0.01)
        time.sleep(0.2)
        sidecar.process.send_signal(signal.SIGKILL)

    # What is to be said of it

    def judge(self):
        self.facts = []
        for number in range(self.apps):
            self.facts += pod_app.Account.read(self.account_path(number))
        self.problems += [fact["wrong"] for fact in self.facts if "wrong" in fact]
        self.problems += [f"the job's last step: {fact['job_end']}" for fact in self.facts
                          if "job_end" in fact and not fact["job_end"].startswith("0")]
        self.facts = [fact for fact in self.facts if "code" in fact]
        self.judge_codes()
        self.judge_ending()
        self.judge_database()
        counts = {}
        for fact in self.facts:
            key = f"{fact['phase']} {fact['code']}"
            counts[key] = counts.get(key, 0) + 1
        self.result = {"order": self.order.name, "seed": self.seed, "engine": self.engine, "problems": self.problems[:10],
                       "problem_count": len(self.problems), "counts": counts, "report": self.report,
                       "written": self.written, "milliseconds": self.report.get("milliseconds", 0)}
        if self.problems:
            self.result["events"] = self.kubelet.events
            self.result["log"] = self.servers[-1].log[-3000:]

    def judge_codes(self):
        for fact in self.facts:
            allowed, code = self.order.allowed.get(fact["phase"]), fact["code"]
            if code == "UNSENT" or (code == "LOST" and self.order.crash):
                continue
            if code == "LOST":
                self.problems.append(f"missing: {fact}")
            elif allowed is None or (code != "OK" and code not in allowed):
                self.problems.append(f"not in the table: {fact}")
        answered = {fact["phase"] for fact in self.facts if fact["code"] == "OK"}
        # Of a Job's containers one may have told the sidecar while another still works.
        wanted = {"SERVING"} if self.order.crash == "before" or self.order.app == "job" else set(self.order.allowed) & {"SERVING", "LAME_DUCK"}
        if not wanted <= answered:
            self.problems.append(f"nothing was answered OK in {wanted - answered}")

    def judge_ending(self):
        sidecar, log = self.kubelet.sidecar, self.servers[-1].log
        self.report = {}
        if self.order.crash == "ending":
            if sidecar.process.returncode != -signal.SIGKILL:
                self.problems.append(f"the sidecar was to crash, and exited with {sidecar.process.returncode}")
            return
        if sidecar.was_killed or sidecar.process.returncode != 0:
            self.problems.append(f"the sidecar exited with {sidecar.process.returncode}")
        if self.order.by_itself and any("sidecar: SIGTERM" in event for event in self.kubelet.events):
            self.problems.append("the sidecar did not end by itself")
        hook = sidecar.hook
        if hook and self.order.hook != "fails" and not self.order.crash and hook.exit_code != 0:
            self.problems.append(f"preStop: {hook.exit_code} {hook.output}")
        for path in (self.servers[-1].socket_path, self.servers[-1].admin_path):
            if os.path.exists(path):
                self.problems.append(f"{path} is left")
        lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
        states = [line["state"] for line in lines if line.get("event") == "drain_state"]
        if self.order.crash != "before" and states != [state for state in STATES if state != "LAME_DUCK" or self.has_lame_duck]:
            self.problems.append(f"states: {states}")
        reports = [line for line in lines if line.get("event") == "drain_report"]
        if len(reports) != 1:
            return self.problems.append(f"{len(reports)} reports")
        self.report = {name: value for name, value in reports[0].items() if isinstance(value, int)}
        self.judge_report()

    @property
    def has_lame_duck(self):
        if self.order.mode == "classic":
            return True
        return self.order.hook == "drain"

    def judge_report(self):
        report = self.report
        budget = ENDS_AFTER_SIGTERM_MILLISECONDS if self.order.mode == "native" else self.total * 1000
        if report["milliseconds"] > budget:
            self.problems.append(f"{report['milliseconds']} ms, and the budget is {budget:.0f} ms")
        if report["unanswered"] != 0:
            self.problems.append(f"{report['unanswered']} requests unanswered")
        seen = {"finished": 0, "refused": 0, "cancelled": 0}
        for fact in self.facts:
            if fact["phase"] != "SERVING" and fact["share"] in seen:
                seen[fact["share"]] += 1
        # Whom SIGKILL ends has not read all that was answered.
        exact = not any(app.was_killed for app in self.kubelet.apps)
        for share, count in seen.items():
            if count > report[share] or (exact and count != report[share]):
                self.problems.append(f"{share}: the apps have seen {count}, the report says {report[share]}")
        if not self.order.outlives and (report["refused"] or report["cancelled"] or report["transactions_rolled_back"]):
            self.problems.append(f"something was cut: {report}")

    def judge_database(self):
        keys, rows = self.read_database()
        self.written = 0
        # A row of a transaction is acknowledged by its Commit.
        for fact in self.facts:
            kind, key, outcome = fact["kind"], fact["key"], fact["outcome"]
            if kind not in ("put", "row", "commit"):
                continue
            is_there = key in (keys if kind == "put" else rows)
            if fact["code"] == "OK":
                self.written += 1
            if outcome == "EXECUTED" and not is_there:
                self.problems.append(f"acknowledged and not there: {fact}")
            if outcome == "NOT_EXECUTED" and is_there:
                self.problems.append(f"NOT_EXECUTED and there: {fact}")

    def read_database(self):
        if self.database:
            cluster, _, name = self.database
            mine = f"{self.order.name}-{self.seed}-"
            keys = cluster.sql(f"select convert_from(key, 'UTF8') from prism.entry where key like '{mine}%'", name)
            rows = cluster.sql(f"select name from pod_rows where name like '{mine}%'", name)
            return {key for (key,) in keys}, {row for (row,) in rows}
        server = self.servers[-1]
        server.database_path = os.path.join(self.directory, "data.db")
        for (name,) in server.read_file("select name from sqlite_master where type = 'table' and name like '%prism%'"):
            columns = [row[1] for row in server.read_file(f"pragma table_info(\"{name}\")")]
            if "key" in columns and "value" in columns:
                keys = {bytes(key).decode() for (key,) in server.read_file(f"select key from \"{name}\"")}
        return keys, {name for (name,) in server.read_file("select name from pod_rows")}


def summary(results):
    """Counts of all runs together, for people."""
    total = {}
    for result in results:
        for key, count in result["counts"].items():
            total[key] = total.get(key, 0) + count
    longest = max((result["milliseconds"] for result in results), default=0)
    answers = ", ".join(f"{key} {count}" for key, count in sorted(total.items()))
    return (f"{len(results)} terminations, {sum(result['written'] for result in results)} acknowledged writes, longest report "
            f"{longest} ms; {answers}")
