"""Ways to lose a connection to PostgreSQL: a relay that resets them, and the server's own."""

import os
import selectors
import socket
import struct
import tempfile
import threading


class Relay:
    """Listens on a Unix socket named as PostgreSQL names its own, and passes bytes to the cluster's. It can drop connections
    in the middle of anything."""

    def __init__(self, cluster):
        self.target = os.path.join(cluster.directory, f".s.PGSQL.{cluster.port}")
        self.directory = tempfile.mkdtemp(prefix="prism-relay-")
        self.path = os.path.join(self.directory, f".s.PGSQL.{cluster.port}")
        self.dropped = 0
        self._pairs = {}
        self._lock = threading.Lock()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen(64)
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def drop_one(self):
        """Closes a connection, both ways, with whatever is under way on it."""
        with self._lock:
            if self._pairs:
                self._drop(next(iter(self._pairs)))
                self.dropped += 1

    def close(self):
        self._wake.send(b"x")
        self._thread.join(10)
        with self._lock:
            for one in list(self._pairs):
                self._drop(one)
        self._listener.close()
        os.unlink(self.path)
        os.rmdir(self.directory)

    def _drop(self, one):
        other = self._pairs.pop(one, None)
        for end in (one, other):
            if end is None:
                continue
            self._pairs.pop(end, None)
            try:
                self._selector.unregister(end)
            except (KeyError, ValueError):
                pass
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            try:
                # Closing alone does not end it: processes that were forked meanwhile have it open as well.
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            end.close()

    def _run(self):
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._woken:
                    return
                with self._lock:
                    if key.fileobj is self._listener:
                        self._accept()
                    elif key.fileobj in self._pairs:
                        self._pass(key.fileobj)

    def _accept(self):
        near, _ = self._listener.accept()
        far = socket.socket(socket.AF_UNIX)
        try:
            far.connect(self.target)
        except OSError:
            far.close()
            near.close()
            return
        self._pairs[near], self._pairs[far] = far, near
        self._selector.register(near, selectors.EVENT_READ)
        self._selector.register(far, selectors.EVENT_READ)

    def _pass(self, one):
        try:
            data = one.recv(1 << 16)
            if data:
                self._pairs[one].sendall(data)
                return
        except OSError:
            pass
        self._drop(one)
