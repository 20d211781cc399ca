#!/usr/bin/python3
"""Drives the orders service from several processes, with repeated requests, and checks what must hold afterwards.

    try.py --port 8080 --processes 8 --orders 50

Checked: stock never negative, stock + sold is what there was, and every Idempotency-Key made one order, whoever repeated it
and however often. Prints one line of JSON; exits 1 when something does not hold.
"""

import argparse
import http.client
import json
import multiprocessing
import random
import sys
import time

# A request is repeated like this after an answer that is not final, or none.
TRIES_MAX = 20


class Caller:
    def __init__(self, port):
        self._port = port
        self._connection = None

    def call(self, method, path, body=None, **headers):
        """(status, content). The request is repeated, unchanged, until it has a final answer."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        for attempt in range(TRIES_MAX):
            try:
                if self._connection is None:
                    self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
                self._connection.request(method, path, json.dumps(body) if body is not None else None, headers)
                answer = self._connection.getresponse()
                content = json.loads(answer.read())
                if answer.status != 503:
                    return answer.status, content
            except (OSError, http.client.HTTPException) as error:
                content = {"error": repr(error)}
                self._connection = None
            time.sleep(0.05 * (attempt + 1))
        raise RuntimeError(f"{method} {path}: no final answer after {TRIES_MAX} tries: {content}")


def drive(port, number, orders, products, run, results):
    """Two neighbouring processes are the same customer and send the same orders, so that each key is used at the same time."""
    twin = number // 2
    chance = random.Random(f"{run}/{twin}")
    own_chance = random.Random()
    caller = Caller(port)
    seen = {}  # key: the orders that answers named
    refused = set()
    unexpected = []
    status, session = caller.call("POST", "/sessions", {"customer": f"customer-{run}-{twin}"})
    authorization = f"Bearer {session['session']}"
    for index in range(orders):
        key = f"{run}-{twin}-{index}"
        wanted = {"product": chance.choice(products), "quantity": chance.randint(1, 5)}
        for _ in range(1 + (own_chance.random() < 0.3)):
            status, answer = caller.call("POST", "/orders", wanted, Authorization=authorization, Idempotency_Key=key)
            if status in (200, 201):
                seen.setdefault(key, []).append(answer["id"])
            elif status == 409:
                refused.add(key)
            else:
                unexpected.append((key, status, answer))
    status, listed = caller.call("GET", "/orders", Authorization=authorization)
    known = {order["id"] for order in listed}
    missing = [key for key, ids in seen.items() if not known.issuperset(ids)]
    results.put({"seen": seen, "refused": len(refused), "unexpected": unexpected, "missing": missing})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--orders", type=int, default=50, help="for each process")
    parser.add_argument("--seconds", type=float, default=120, help="give up after this long")
    options = parser.parse_args()

    caller = Caller(options.port)
    before = {line["product"]: line for line in caller.call("GET", "/audit")[1]}
    run = f"{random.getrandbits(32):08x}"
    results = multiprocessing.Queue()
    began = time.monotonic()
    drivers = [multiprocessing.Process(target=drive, daemon=True, args=(
        options.port, number, options.orders, sorted(before), run, results)) for number in range(options.processes)]
    for driver in drivers:
        driver.start()
    reports, problems = [], []
    try:
        for _ in drivers:
            reports.append(results.get(timeout=max(0.1, began + options.seconds - time.monotonic())))
    except Exception:  # queue.Empty
        problems.append(f"{len(drivers) - len(reports)} processes died or took longer than {options.seconds} s")
    took = time.monotonic() - began

    orders_by_key = {}
    for report in reports:
        problems += [f"unexpected answer: {each}" for each in report["unexpected"]]
        problems += [f"answered but not listed afterwards: {key}" for key in report["missing"]]
        for key, ids in report["seen"].items():
            orders_by_key.setdefault(key, set()).update(ids)
    problems += [f"several orders for one key: {key}: {ids}" for key, ids in orders_by_key.items() if len(ids) > 1]
    made = 0
    for line in caller.call("GET", "/audit")[1]:
        made += line["orders"] - before[line["product"]]["orders"]
        if line["stock"] < 0:
            problems.append(f"negative stock: {line}")
        if line["stock"] + line["sold"] != line["initial"]:
            problems.append(f"stock and sold do not add up: {line}")
        if line["orders"] != line["requests"]:
            problems.append(f"more orders than requests: {line}")
    if not problems and made != len(orders_by_key):
        problems.append(f"{made} orders in the database, {len(orders_by_key)} keys answered (is someone else ordering?)")
    print(json.dumps({"orders": made, "keys": len(orders_by_key), "out_of_stock": sum(r["refused"] for r in reports),
                      "seconds": round(took, 2), "problems": problems[:20]}))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
