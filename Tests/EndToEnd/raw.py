"""Frames by hand on a Unix socket: what a client of another language would do, and what no client should."""

import socket
import struct

import paths  # noqa: F401
from prism._messages import messages

Request, Response = messages.Request, messages.Response
FRAME_BYTES_MAX = 64 * 1024 * 1024


def frame(message):
    body = message if isinstance(message, bytes) else message.SerializeToString()
    return struct.pack(">I", len(body)) + body


def outcome(response):
    return messages.Outcome.Name(response.failure.outcome).removeprefix("OUTCOME_")


def code(response):
    return messages.Code.Name(response.status)


class RawClient:
    """A blocking socket with a time limit on every step, so that no test can hang."""

    def __init__(self, path, seconds=10.0, receive_buffer=None):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(seconds)
        self.socket.connect(path)
        self._received = bytearray()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send_bytes(self, data):
        self.socket.sendall(data)

    def send(self, *requests):
        self.socket.sendall(b"".join(map(frame, requests)))

    def end_sending(self):
        self.socket.shutdown(socket.SHUT_WR)

    def receive(self):
        """The next Response; None when the server has closed the connection."""
        while True:
            if len(self._received) >= 4:
                (size,) = struct.unpack_from(">I", self._received)
                assert 1 <= size <= FRAME_BYTES_MAX, f"the server sent a frame of {size} bytes"
                if len(self._received) >= 4 + size:
                    body = bytes(self._received[4:4 + size])
                    del self._received[:4 + size]
                    return Response.FromString(body)
            try:
                chunk = self.socket.recv(256 * 1024)
            except ConnectionResetError:
                chunk = b""
            if not chunk:
                assert not self._received, f"the server closed in the middle of a frame ({len(self._received)} bytes of it)"
                return None
            self._received += chunk

    def final(self, id):
        """The parts of the answer to `id`; answers to other ids must not come before its end."""
        parts = []
        while not parts or parts[-1].more:
            response = self.receive()
            assert response is not None, f"closed before the answer to {id}"
            assert response.id == id, f"expected the answer to {id}, got {response}"
            parts.append(response)
        return parts

    def finals(self, count):
        """The next `count` final answers in the order in which they come, as a dict by id; each id only once."""
        answers = {}
        while len(answers) < count:
            response = self.receive()
            assert response is not None, f"closed after {len(answers)} of {count} answers"
            assert response.id != 0, f"the connection was ended: {response}"
            assert response.id not in answers, f"a second final answer to {response.id}"
            if not response.more:
                answers[response.id] = response
        return answers

    def rest(self):
        """Everything until the server closes."""
        responses = []
        while (response := self.receive()) is not None:
            responses.append(response)
        return responses


def ping(id, payload=b""):
    return Request(id=id, ping=messages.Ping(payload=payload))


def query(id, sql, *parameters, **fields):
    from prism.values import to_value
    return Request(id=id, query=messages.Query(sql=sql, parameters=map(to_value, parameters)), **fields)


def put(id, key, value, **fields):
    return Request(id=id, put=messages.Put(key=key, value=value), **fields)


def get(id, key, **fields):
    return Request(id=id, get=messages.Get(key=key), **fields)
