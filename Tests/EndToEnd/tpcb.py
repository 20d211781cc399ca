#!/usr/bin/python3
"""pgbench's schema and TPC-B transaction through Prism, by many processes, with an exact check at the end.

    tpcb.py --socket P load --scale 10
    tpcb.py --socket P run --processes 64 --transactions 1000 --mode batch
    tpcb.py --socket P check
"""

import argparse
import json
import random
import sys
import time

import paths  # noqa: F401
import prism
import processes

ACCOUNTS, TELLERS, BRANCHES = 100_000, 10, 1  # for each unit of scale, as pgbench has them
BATCH_ROWS = 1000  # the most executions one Batch takes
# How long one transaction is tried before the run counts as failed.
TRANSACTION_SECONDS_MAX = 60.0

TABLES = {
    "pgbench_branches": "bid integer not null primary key, bbalance integer, filler char(88)",
    "pgbench_tellers": "tid integer not null primary key, bid integer, tbalance integer, filler char(84)",
    "pgbench_accounts": "aid integer not null primary key, bid integer, abalance integer, filler char(84)",
    # pgbench leaves filler empty; here it names the transaction, so that one applied twice would be seen.
    "pgbench_history": "tid integer, bid integer, aid integer, delta integer, mtime timestamp, filler char(22)",
}
UPDATE_ACCOUNT = "update pgbench_accounts set abalance = abalance + $1 where aid = $2"
SELECT_ACCOUNT = "select abalance from pgbench_accounts where aid = $1"
UPDATE_TELLER = "update pgbench_tellers set tbalance = tbalance + $1 where tid = $2"
UPDATE_BRANCH = "update pgbench_branches set bbalance = bbalance + $1 where bid = $2"
INSERT_HISTORY = ("insert into pgbench_history (tid, bid, aid, delta, mtime, filler) "
                  "values ($1, $2, $3, $4, current_timestamp, $5)")


def load(client, scale, progress=lambda done, total: None):
    client.batch([f"drop table if exists {name}" for name in TABLES])
    client.batch([f"create table {name} ({columns})" for name, columns in TABLES.items()])
    branches, tellers, accounts = BRANCHES * scale, TELLERS * scale, ACCOUNTS * scale

    def fill(sql, rows, total):
        for start in range(1, total + 1, BATCH_ROWS):
            sets = [rows(number) for number in range(start, min(start + BATCH_ROWS, total + 1))]
            client.batch(sql, parameter_sets=sets, timeout=120)
            progress(start + len(sets) - 1, total)

    fill("insert into pgbench_branches (bid, bbalance, filler) values ($1, 0, $2)", lambda n: (n, " " * 88), branches)
    fill("insert into pgbench_tellers (tid, bid, tbalance, filler) values ($1, $2, 0, $3)",
         lambda n: (n, (n - 1) // TELLERS + 1, " " * 84), tellers)
    fill("insert into pgbench_accounts (aid, bid, abalance, filler) values ($1, $2, 0, $3)",
         lambda n: (n, (n - 1) // ACCOUNTS + 1, " " * 84), accounts)


def scale_of(client):
    return client.query("select count(*) from pgbench_branches", read_only=True).scalar()


def transaction(client, mode, name, account, teller, branch, delta):
    """One TPC-B transaction; its name is the idempotency key, so that trying it again is safe whatever happened."""
    if mode == "batch":
        client.batch([
            prism.statement(UPDATE_ACCOUNT, delta, account), prism.statement(SELECT_ACCOUNT, account),
            prism.statement(UPDATE_TELLER, delta, teller), prism.statement(UPDATE_BRANCH, delta, branch),
            prism.statement(INSERT_HISTORY, teller, branch, account, delta, name)], idempotency_key=name)
        return
    with client.transaction(idempotency_key=name) as tx:
        tx.query(UPDATE_ACCOUNT, delta, account)
        tx.query(SELECT_ACCOUNT, account)
        tx.query(UPDATE_TELLER, delta, teller)
        tx.query(UPDATE_BRANCH, delta, branch)
        tx.query(INSERT_HISTORY, teller, branch, account, delta, name)


def work(path, number, transactions, mode, scale, run_name, until_gone=False):
    """What one process does. Answers the names of what was confirmed, what stayed unknown, and the errors met on the way.

    until_gone: the server is being stopped; nothing is tried again, and the first error ends the work.
    """
    chance = random.Random(f"{run_name}/{number}")
    report = {"confirmed": [], "unknown": [], "attempts": 0, "errors": {}}
    try:
        client = prism.connect(path, client_name="tpcb")
    except prism.Error:
        if until_gone:
            return report
        raise
    for index in range(transactions):
        name = f"{run_name}-{number}-{index}"
        arguments = (chance.randint(1, ACCOUNTS * scale), chance.randint(1, TELLERS * scale),
                     chance.randint(1, BRANCHES * scale), chance.randint(-5000, 5000))

        def attempt():
            report["attempts"] += 1
            try:
                transaction(client, mode, name, *arguments)
            except prism.Error as error:
                key = f"{error.code} {error.outcome}"
                report["errors"][key] = report["errors"].get(key, 0) + 1
                report["last_error"] = str(error)
                raise

        try:
            if until_gone:
                attempt()
            else:
                prism.retry(attempt, seconds=TRANSACTION_SECONDS_MAX, idempotent=True)
        except prism.Error as error:
            if not until_gone:
                raise
            if error.outcome != "NOT_EXECUTED":
                report["unknown"].append(name)
            break
        report["confirmed"].append(name)
    client.close()
    return report


def run(path, process_count, transactions, mode, seconds=600):
    """Runs the workload and answers (reports, seconds it took)."""
    with prism.connect(path) as client:
        scale = scale_of(client)
    run_name = f"{random.getrandbits(32):08x}"
    began = time.monotonic()
    reports = processes.run(lambda number: work(path, number, transactions, mode, scale, run_name), process_count, seconds)
    return reports, time.monotonic() - began


CHECKS = {
    "accounts": "select coalesce(sum(abalance), 0) from pgbench_accounts",
    "tellers": "select coalesce(sum(tbalance), 0) from pgbench_tellers",
    "branches": "select coalesce(sum(bbalance), 0) from pgbench_branches",
    "history": "select coalesce(sum(delta), 0) from pgbench_history",
    "count": "select count(*) from pgbench_history",
    "names": "select count(distinct filler) from pgbench_history",
    # Sums agree even if parts were lost or doubled that cancel out; these do not.
    "accounts_off": "select count(*) from (select h.aid from pgbench_history h join pgbench_accounts a on a.aid = h.aid "
                    "group by h.aid, a.abalance having sum(h.delta) <> a.abalance) as off",
    "tellers_off": "select count(*) from pgbench_tellers t where tbalance <> "
                   "(select coalesce(sum(delta), 0) from pgbench_history h where h.tid = t.tid)",
    "branches_off": "select count(*) from pgbench_branches b where bbalance <> "
                    "(select coalesce(sum(delta), 0) from pgbench_history h where h.bid = b.bid)",
}


def check(read):
    """read(sql) answers the one value of a statement. Returns the figures; raises AssertionError if they disagree."""
    figures = {name: int(read(statement)) for name, statement in CHECKS.items()}
    assert figures["accounts"] == figures["tellers"] == figures["branches"] == figures["history"], f"sums differ: {figures}"
    assert figures["count"] == figures["names"], f"a transaction was applied more than once: {figures}"
    for name in ("accounts_off", "tellers_off", "branches_off"):
        assert figures[name] == 0, f"balances that are not the sum of their history: {figures}"
    return figures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--socket", help="the data socket; without it PRISM_SOCKET, else the default paths")
    commands = parser.add_subparsers(dest="command", required=True)
    loading = commands.add_parser("load", help="create and fill the tables")
    loading.add_argument("--scale", type=int, default=1, help="times 100,000 accounts")
    running = commands.add_parser("run", help="run transactions, then check")
    running.add_argument("--processes", type=int, default=16)
    running.add_argument("--transactions", type=int, default=100, help="for each process")
    running.add_argument("--mode", choices=("batch", "interactive"), default="batch")
    running.add_argument("--seconds", type=float, default=600, help="give up after this long")
    commands.add_parser("check", help="check that balances and history agree")
    options = parser.parse_args()
    client = prism.connect(options.socket, timeout=120)

    def checked():
        return check(lambda sql: client.query(sql, read_only=True).scalar())

    if options.command == "load":
        began = time.monotonic()
        load(client, options.scale, lambda done, total: done % 100_000 or print(f"{done} of {total}", file=sys.stderr))
        print(json.dumps({"scale": options.scale, "seconds": round(time.monotonic() - began, 2)}))
    elif options.command == "run":
        before = checked()["count"]
        reports, took = run(client.path, options.processes, options.transactions, options.mode, options.seconds)
        committed = sum(len(report["confirmed"]) for report in reports)
        errors = {}
        for report in reports:
            for name, count in report["errors"].items():
                errors[name] = errors.get(name, 0) + count
        figures = checked()
        assert figures["count"] - before == committed, f"{committed} confirmed, {figures['count'] - before} in the history"
        print(json.dumps({"committed": committed, "seconds": round(took, 2), "per_second": round(committed / took),
                          "attempts": sum(report["attempts"] for report in reports), "errors_retried": errors, **figures}))
    else:
        print(json.dumps(checked()))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (prism.Error, AssertionError) as error:
        print(f"tpcb: {error}", file=sys.stderr)
        sys.exit(1)
