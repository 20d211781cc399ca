#!/usr/bin/python3
"""A small shop behind HTTP: eight forked workers, sessions in key-value and orders in SQL, all through one Prism socket.

    service.py --port 8080 --socket /run/prism/prism.sock

The client is made before the workers are forked, and each worker's threads share it: the client opens a socket per
process by itself.
"""

import argparse
import hashlib
import http.server
import json
import os
import secrets
import signal
import socket
import sys
import threading
import time
import uuid

try:
    import prism
except ImportError:  # run from a checkout without PYTHONPATH
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "clients", "python"))
    import prism

SESSION_SECONDS = 1800
BODY_BYTES_MAX = 64 * 1024
IDLE_SECONDS_MAX = 2  # of a kept-alive connection; also bounds how long stopping takes
RETRY_SECONDS = 10.0

SCHEMA = [
    "create table if not exists products (id text not null primary key, initial integer not null, "
    "stock integer not null check (stock >= 0))",
    "create table if not exists orders (id text not null primary key, customer text not null, "
    "request_key text not null, product text not null references products (id), "
    "quantity integer not null check (quantity > 0), placed_at text not null)",
    "create index if not exists orders_by_request on orders (customer, request_key)",
]


class OutOfStock(Exception):
    pass


class Shop:
    """What the service does, without HTTP. Every method can be tried again as a whole."""

    def __init__(self, client):
        self._client = client

    def prepare(self, products, stock):
        def create():
            self._client.batch(SCHEMA)
            self._client.batch(
                "insert into products (id, initial, stock) values ($1, $2, $3) on conflict (id) do nothing",
                parameter_sets=[(f"product-{number}", stock, stock) for number in range(1, products + 1)])
        prism.retry(create, seconds=RETRY_SECONDS, idempotent=True)

    # Sessions: key-value entries that expire.

    def open_session(self, customer):
        token = secrets.token_urlsafe(24)
        prism.retry(lambda: self._client.put(token, customer, ttl=SESSION_SECONDS, namespace="sessions"),
                    seconds=RETRY_SECONDS, idempotent=True)
        return token

    def customer_of(self, token):
        """The session's customer, or None; using a session prolongs it."""
        def look():
            session = self._client.get(token, namespace="sessions")
            if session is None or not self._client.touch(token, SESSION_SECONDS, namespace="sessions"):
                return None
            return session.value.decode()
        return prism.retry(look, seconds=RETRY_SECONDS, idempotent=True)

    # Orders: SQL, in a transaction.

    def place_order(self, customer, request_key, product, quantity):
        """(order, whether this request made it). The same request key of a customer makes one order, ever."""
        # One key for all attempts: whatever happened to an earlier commit, only one of them can have taken effect.
        idempotency_key = "order-" + hashlib.sha256(f"{customer}\0{request_key}".encode()).hexdigest()
        order = {"id": str(uuid.uuid4()), "product": product, "quantity": quantity}

        def attempt():
            existing = self.find_order(customer, request_key)
            if existing:
                return existing
            with self._client.transaction(idempotency_key=idempotency_key) as tx:
                taken = tx.query("update products set stock = stock - $1 where id = $2 and stock >= $3",
                                 quantity, product, quantity)
                if taken.rows_affected == 0:
                    raise OutOfStock()
                tx.query("insert into orders (id, customer, request_key, product, quantity, placed_at) "
                         "values ($1, $2, $3, $4, $5, $6)", order["id"], customer, request_key, product, quantity,
                         time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
            # Replayed: another request with this key had committed first, and this transaction was rolled back.
            return self.find_order(customer, request_key) if tx.replayed else order

        try:
            placed = prism.retry(attempt, seconds=RETRY_SECONDS, idempotent=True)
        except OutOfStock:
            # A twin of this request may have taken the last piece meanwhile; then its order is this one's answer.
            placed = prism.retry(lambda: self.find_order(customer, request_key), seconds=RETRY_SECONDS, idempotent=True)
            if placed is None:
                raise
        return placed, placed["id"] == order["id"]

    def find_order(self, customer, request_key):
        rows = self._client.query("select id, product, quantity from orders where customer = $1 and request_key = $2",
                                  customer, request_key, read_only=True).rows
        return dict(zip(("id", "product", "quantity"), rows[0])) if rows else None

    def orders_of(self, customer):
        rows = self._client.query("select id, product, quantity, placed_at from orders where customer = $1 "
                                  "order by placed_at, id", customer, read_only=True)
        return [dict(zip(("id", "product", "quantity", "placed_at"), row)) for row in rows]

    def audit(self):
        """Of every product: what there was, is and was sold, the orders and their distinct requests, in one statement."""
        rows = self._client.query(
            "select p.id, p.initial, p.stock, coalesce(o.sold, 0), coalesce(o.orders, 0), coalesce(o.requests, 0) "
            "from products p left join (select product, sum(quantity) as sold, count(*) as orders, "
            "count(distinct customer || ' ' || request_key) as requests from orders group by product) o "
            "on o.product = p.id order by p.id", read_only=True)
        return [dict(zip(("product", "initial", "stock", "sold", "orders", "requests"), row)) for row in rows]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS_MAX
    shop = None
    stopping = threading.Event()

    def do_GET(self):
        self._answer({"/stock": self._stock, "/orders": self._orders, "/audit": lambda: (200, self.shop.audit()),
                      "/healthz": lambda: (200, {"worker": os.getpid()})}.get(self.path))

    def do_POST(self):
        self._answer({"/sessions": self._open_session, "/orders": self._place_order}.get(self.path))

    def _stock(self):
        return 200, {line["product"]: line["stock"] for line in self.shop.audit()}

    def _open_session(self):
        customer = self._body().get("customer")
        if not isinstance(customer, str) or not customer:
            return 400, {"error": "say who you are: {\"customer\": \"…\"}"}
        return 201, {"session": self.shop.open_session(customer)}

    def _orders(self):
        customer = self._customer()
        return (200, self.shop.orders_of(customer)) if customer else (401, {"error": "no such session"})

    def _place_order(self):
        wanted, customer, key = self._body(), self._customer(), self.headers.get("Idempotency-Key", "")
        product, quantity = wanted.get("product"), wanted.get("quantity")
        if not customer:
            return 401, {"error": "no such session"}
        if not 1 <= len(key) <= 200:
            return 400, {"error": "an Idempotency-Key header of 1 to 200 characters is needed, so that a repeat is safe"}
        if not isinstance(product, str) or type(quantity) is not int or not 1 <= quantity <= 1000:
            return 400, {"error": "an order is {\"product\": \"product-1\", \"quantity\": 1}"}
        try:
            order, created = self.shop.place_order(customer, key, product, quantity)
        except OutOfStock:
            return 409, {"error": "out of stock"}
        if (order["product"], order["quantity"]) != (product, quantity):
            return 422, {"error": "this Idempotency-Key was used for another order"}
        return 201 if created else 200, order

    def _customer(self):
        kind, _, token = self.headers.get("Authorization", "").partition(" ")
        return self.shop.customer_of(token) if kind == "Bearer" and 1 <= len(token) <= 200 else None

    def _body(self):
        length = int(self.headers.get("Content-Length", "0"))
        if not 0 <= length <= BODY_BYTES_MAX:
            self.close_connection = True
            raise ValueError("the body is too long")
        body = json.loads(self.rfile.read(length) or b"{}")
        if not isinstance(body, dict):
            raise ValueError("the body is a JSON object")
        return body

    def _answer(self, operation):
        try:
            status, content = operation() if operation else (404, {"error": "not here"})
        except ValueError as error:
            status, content = 400, {"error": str(error)}
        except prism.Error as error:
            # Nothing is hidden from the caller: the same request with the same key is always safe to repeat.
            status, content = 503, {"error": str(error), "outcome": error.outcome}
        data = json.dumps(content).encode()
        if self.stopping.is_set():
            self.close_connection = True
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = False  # a stopping worker finishes what it has begun

    def __init__(self, listener):
        super().__init__(listener.getsockname(), Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener


def run_worker(listener):
    server = Server(listener)

    def stop(*_):
        Handler.stopping.set()
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent passes it on as SIGTERM
    server.serve_forever(poll_interval=0.2)
    server.server_close()


def fork_worker(listener):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            run_worker(listener)
            code = 0
        finally:
            os._exit(code)
    return pid


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--socket", help="Prism's data socket; without it PRISM_SOCKET, else the default paths")
    parser.add_argument("--port", type=int, default=8080, help="on 127.0.0.1; 0: any free one, see the first line printed")
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--products", type=int, default=10, help="how many there are, if the shop is new")
    parser.add_argument("--stock", type=int, default=1000, help="of each product, if the shop is new")
    options = parser.parse_args()

    # The sidecar may start after the app.
    client = prism.retry(lambda: prism.connect(options.socket, client_name="orders"), seconds=30)
    Handler.shop = Shop(client)
    Handler.shop.prepare(options.products, options.stock)

    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", options.port))
    listener.listen(512)
    listener.setblocking(False)  # all workers wake for a connection, one gets it
    workers = {fork_worker(listener) for _ in range(options.workers)}
    stopping = threading.Event()

    def stop(*_):
        stopping.set()
        for pid in workers:
            os.kill(pid, signal.SIGTERM)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    print(f"orders: http://127.0.0.1:{listener.getsockname()[1]}, {options.workers} workers, Prism at {client.path}", flush=True)
    while workers:
        pid, _ = os.wait()
        workers.discard(pid)
        if not stopping.is_set():
            time.sleep(0.1)
            workers.add(fork_worker(listener))
    return 0


if __name__ == "__main__":
    sys.exit(main())
