"""A scripted server for tests of the client itself: each connection runs a function that reads requests and sends answers."""

import os
import shutil
import socket
import struct
import tempfile
import threading
import time

from raw import Request, Response, frame, messages


class Peer:
    def __init__(self, connection, number):
        self.socket = connection
        self.number = number
        self._received = bytearray()

    def read(self):
        """The next request other than Hello (which is answered here); None at the end."""
        while True:
            request = self._read_any()
            if request is None or not request.HasField("hello"):
                return request
            self.send(Response(id=request.id, hello=messages.HelloResult(server_version="fake", frame_bytes_max=8 << 20)))

    def _read_any(self):
        while True:
            if len(self._received) >= 4:
                (size,) = struct.unpack_from(">I", self._received)
                if len(self._received) >= 4 + size:
                    request = Request.FromString(bytes(self._received[4:4 + size]))
                    del self._received[:4 + size]
                    return request
            try:
                chunk = self.socket.recv(65536)
            except ConnectionResetError:
                return None
            if not chunk:
                return None
            self._received += chunk

    def send(self, response):
        self.socket.sendall(frame(response))

    def send_split(self, response):
        """A byte at a time, each in a segment of its own."""
        for byte in frame(response):
            self.socket.sendall(bytes([byte]))
            time.sleep(0.0002)

    def echo(self):
        """Answers pings until the end."""
        while (request := self.read()) is not None:
            self.send(Response(id=request.id, ping=messages.PingResult(payload=request.ping.payload)))


class FakeServer:
    def __init__(self, script):
        self._script = script
        self._directory = tempfile.mkdtemp(prefix="prism-fake-")
        self.path = os.path.join(self._directory, "prism.sock")
        self.connections = 0
        self.peer_processes = []
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(self.path)
        self._listener.listen(64)
        self._sockets = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
            self.peer_processes.append(struct.unpack("iii", credentials)[0])
            self.connections += 1
            self._sockets.append(connection)
            threading.Thread(target=self._serve, args=(Peer(connection, self.connections),), daemon=True).start()

    def _serve(self, peer):
        try:
            self._script(peer)
        except OSError:
            pass
        finally:
            peer.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for each in [self._listener] + self._sockets:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            each.close()
        shutil.rmtree(self._directory, ignore_errors=True)
