"""The client: one Unix socket per process, opened again when it is lost or the process has forked."""

import os
import sys
import threading
import time
import weakref

from ._messages import messages
from .connection import Connection, NotSent
from .errors import ConnectionLost, Error, Unavailable, error_from
from .operations import Operations
from .transaction import Transaction

VERSION = "0.1.0"
# The server answers at the deadline; this long after it the client gives up by itself.
ANSWER_GRACE_SECONDS = 5.0
TIMEOUT_DEFAULT_SECONDS = 30.0

_ISOLATION = {
    None: messages.ISOLATION_DEFAULT,
    "read committed": messages.ISOLATION_READ_COMMITTED,
    "repeatable read": messages.ISOLATION_REPEATABLE_READ,
    "serializable": messages.ISOLATION_SERIALIZABLE,
}

_clients = weakref.WeakSet()


def _after_fork_in_child():
    for client in list(_clients):
        client._forget_parent()


os.register_at_fork(after_in_child=_after_fork_in_child)


def default_paths():
    """Where a socket is looked for when neither an argument nor PRISM_SOCKET names it; the first that exists counts."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return ["/run/prism/prism.sock"] + ([f"{runtime}/prism/prism.sock"] if runtime else []) + [
        f"/tmp/prism-{os.getuid()}/prism.sock"]


def connect(path=None, *, timeout=TIMEOUT_DEFAULT_SECONDS, backend="", client_name=None):
    """Connects to a sidecar and answers a Client.

    path: its data socket; without it PRISM_SOCKET, else the first default path that exists. timeout: seconds a request
    may take when it does not say. client_name: for the server's logs and metrics.
    """
    path = path or os.environ.get("PRISM_SOCKET")
    if not path:
        path = next(filter(os.path.exists, default_paths()), None)
    if not path:
        raise Unavailable(f"no socket at {', '.join(default_paths())}; start `prism serve`, or name it in PRISM_SOCKET",
                          stage="CONNECT", outcome="NOT_EXECUTED", retryable=True, retry_after=0.1)
    client = Client(path, timeout, backend, client_name or os.path.basename(sys.argv[0] or "python"))
    client._current()
    return client


class Cancellation:
    """Lets another thread cancel a request: pass it as `cancellation=`, then call cancel()."""

    def __init__(self):
        self._answer = None
        self._cancelled = False
        self._lock = threading.Lock()

    def cancel(self):
        with self._lock:
            self._cancelled = True
            answer = self._answer
        if answer is not None:
            answer.send_cancel()

    def _bind(self, answer):
        with self._lock:
            self._answer = answer
            cancelled = self._cancelled
        if cancelled:
            answer.send_cancel()


class Answer:
    """What comes back for one request, part by part."""

    def __init__(self, connection, call, deadline, operation):
        self._connection = connection
        self._call = call
        self._deadline = deadline
        self._operation = operation
        self._open = True

    @property
    def request_id(self):
        return self._call.id

    def next_part(self):
        try:
            part = self._connection.receive(self._call, self._deadline)
        except ConnectionLost as error:
            self._open = False
            raise _told_for(error, self._operation)
        self._open = part.more
        if part.status != messages.OK:
            raise error_from(part)
        return part

    def close(self):
        """What has not come yet is not wanted any more."""
        if self._open:
            self._open = False
            self._connection.forget(self._call)
            self.send_cancel()

    def send_cancel(self):
        request = messages.Request(cancel=messages.Cancel(request_id=self._call.id))
        if self._connection.usable:
            try:
                cancel = self._connection.start(request, time.monotonic() + 1)
                self._connection.forget(cancel)
            except (NotSent, Error):
                pass


def _told_for(error, operation):
    """Before its commit is sent, a transaction whose connection is lost has certainly been rolled back."""
    if operation == "in transaction":
        error.outcome = "NOT_EXECUTED"
    return error


class Client(Operations):
    """Made by connect(). Threads may share it; after a fork the child opens a socket of its own."""

    def __init__(self, path, timeout, backend, client_name):
        self.path = path
        self.timeout = timeout
        self.backend = backend
        self._client_name = client_name
        self._lock = threading.Lock()
        self._connection = None
        self._notices = []
        self._closed = False
        _clients.add(self)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._closed = True
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    @property
    def notices(self):
        """What the server has pushed so far: messages with drain_state, reason and budget_left_microseconds."""
        connection = self._connection
        if connection is not None and connection.process == os.getpid():
            connection.read_waiting()
        return list(self._notices)

    # Control

    def ping(self, payload=b"", **options):
        return self._one(messages.Request(ping=messages.Ping(payload=payload)), **options).ping.payload

    def hello(self, **options):
        """The server's version, backends, limits and drain state (the HelloResult message)."""
        request = messages.Request(hello=messages.Hello(client_name=self._client_name, client_version=VERSION))
        return self._one(request, **options).hello

    def cancel(self, request_id, **options):
        """Whether a request with this id was still in flight on this client's connection. See also Cancellation."""
        return self._one(messages.Request(cancel=messages.Cancel(request_id=request_id)), **options).cancel.found

    def transaction(self, *, read_only=False, isolation=None, idempotency_key="", **options):
        """Begins a Transaction, for a `with` block: commits at its end, rolls back on an exception.

        isolation: "read committed", "repeatable read" or "serializable"; SQLite is always serializable. With an
        idempotency key the commit happens once: the transaction's `replayed` says that an earlier attempt had committed.
        """
        request = messages.Request(begin=messages.Begin(isolation=_ISOLATION[isolation]), read_only=read_only)
        answer = self._begin_call(request, **options)
        try:
            part = answer.next_part()
        finally:
            answer.close()
        return Transaction(self, answer._connection, part.begin.transaction, idempotency_key)

    # Sending

    def _begin_call(self, request, **options):
        for last_attempt in (False, True):
            connection = self._current()
            try:
                return self._begin_on(connection, request, _once=last_attempt, **options)
            except NotSent:
                continue  # the server had closed an idle connection: a frame that it never had whole is safe to send again

    def _begin_on(self, connection, request, *, timeout=None, backend=None, idempotency_key="", traceparent="",
                  cancellation=None, _once=True):
        seconds = self.timeout if timeout is None else timeout
        if seconds <= 0:
            raise ValueError("a timeout is above 0 seconds")
        request.timeout_microseconds = max(1, int(seconds * 1e6))
        request.backend = self.backend if backend is None else backend
        request.idempotency_key = idempotency_key
        request.traceparent = traceparent
        operation = request.WhichOneof("operation")
        if request.transaction and operation != "commit":
            operation = "in transaction"
        deadline = time.monotonic() + seconds + ANSWER_GRACE_SECONDS
        try:
            call = connection.start(request, deadline)
        except NotSent:
            if not _once:
                raise
            raise connection.lost("NOT_EXECUTED") from None
        answer = Answer(connection, call, deadline, operation)
        if cancellation is not None:
            cancellation._bind(answer)
        return answer

    def _current(self):
        connection = self._connection
        if connection is not None and connection.usable:
            return connection
        with self._lock:
            if self._closed:
                raise Unavailable("this client is closed", stage="CONNECT", outcome="NOT_EXECUTED")
            if self._connection is None or not self._connection.usable:
                # Whoever still waits on the old one keeps it alive.
                self._connection = Connection(self.path, self._client_name, VERSION, self._notices)
            return self._connection

    def _forget_parent(self):
        # The parent's other threads may have held this lock when the process forked.
        self._lock = threading.Lock()
        self._notices = []
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
