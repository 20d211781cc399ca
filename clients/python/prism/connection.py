"""One socket, shared by the threads of one process; answers are matched to requests by id.

There is no thread of its own: of the threads that wait for an answer, one reads the socket for all of them, and when its
own answer has come it hands the reading on. A thread that cannot send because the socket is full reads meanwhile, or two
full sockets could wait for each other.
"""

import collections
import os
import select
import socket
import struct
import threading
import time

from ._messages import messages
from .errors import ConnectionLost, DeadlineExceeded, InvalidArgument, ResourceExhausted, Unavailable, error_from

CONNECT_SECONDS_MAX = 5
RECEIVE_BYTES = 256 * 1024
# Until the server's Hello says otherwise. Above it the server would end the connection for all threads.
FRAME_BYTES_DEFAULT = 4 * 1024 * 1024
FRAME_BYTES_MAX = 64 * 1024 * 1024
# What may pile up of a stream that nobody reads while other answers are read on the same socket.
STREAM_BYTES_MAX = 64 * 1024 * 1024
NOTICES_MAX = 100
# How often a sender looks whether it should take over reading.
SEND_TICK_MILLISECONDS = 20


class NotSent(Exception):
    """The frame did not reach the socket whole, so the server cannot have acted on it."""


class Call:
    """A request in flight."""

    __slots__ = ("id", "parts", "queued_bytes", "overflowed")

    def __init__(self, id):
        self.id = id
        self.parts = collections.deque()
        self.queued_bytes = 0
        self.overflowed = False


class Connection:
    def __init__(self, path, client_name, client_version, notices):
        self.path = path
        self.process = os.getpid()
        self._notices = notices
        self._state = threading.Condition()
        self._send_lock = threading.Lock()
        self._calls = {}
        self._last_id = 0
        self._received = bytearray()
        self._reading = False
        self._lost_because = None  # why nothing more can be received
        self._send_broken = False
        self._frame_bytes_max = FRAME_BYTES_DEFAULT
        self._hello = None
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            # A non-blocking connect to a Unix socket with a full backlog fails at once; SO_SNDTIMEO bounds a blocking one.
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", CONNECT_SECONDS_MAX, 0))
            self._socket.connect(path)
            self._socket.setblocking(False)
        except OSError as error:
            self._socket.close()
            raise Unavailable(f"cannot connect to {path}: {error.strerror or error}; is `prism serve` running?",
                              stage="CONNECT", outcome="NOT_EXECUTED", retryable=True, retry_after=0.1) from error
        self._readable = select.poll()
        self._readable.register(self._socket, select.POLLIN)
        hello = messages.Request()
        hello.hello.client_name = client_name
        hello.hello.client_version = client_version
        try:
            self._hello = self.start(hello, time.monotonic() + CONNECT_SECONDS_MAX)
        except NotSent as error:
            raise self.lost("NOT_EXECUTED") from error

    def __del__(self):
        # The last user is gone. In a forked child this closes only the child's own descriptor.
        if hasattr(self, "_socket"):
            self._socket.close()

    @property
    def usable(self):
        return self._lost_because is None and not self._send_broken and self.process == os.getpid()

    def close(self):
        if self.process == os.getpid():
            self._fail("closed by this client")
        self._socket.close()

    # Sending

    def start(self, request, deadline):
        """Sends a request; its answer is for `receive`. Raises NotSent if the server cannot have seen all of it."""
        with self._state:
            if self._lost_because is not None or self._send_broken:
                raise NotSent()
            self._last_id += 1
            call = Call(self._last_id)
            self._calls[call.id] = call
        request.id = call.id
        try:
            body = request.SerializeToString()
            self._check_size(len(body), deadline)
            self._send(struct.pack(">I", len(body)) + body, deadline)
        except BaseException:
            self.forget(call)
            raise
        return call

    def _check_size(self, size, deadline):
        if size > FRAME_BYTES_DEFAULT and self._hello is not None:
            hello, self._hello = self._hello, None
            response = self.receive(hello, deadline)
            self._frame_bytes_max = response.hello.frame_bytes_max or FRAME_BYTES_DEFAULT
        if size > min(self._frame_bytes_max, FRAME_BYTES_MAX):
            raise InvalidArgument(f"the request has {size} bytes, the server takes at most {self._frame_bytes_max}; "
                                  "send less at once", stage="DECODE", outcome="NOT_EXECUTED")

    def _send(self, data, deadline):
        if not self._send_lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise _expired("waiting for other threads to send", "NOT_EXECUTED")
        sent = 0
        try:
            with memoryview(data) as view:
                while sent < len(data):
                    try:
                        sent += self._socket.send(view[sent:], socket.MSG_NOSIGNAL)
                    except BlockingIOError:
                        if time.monotonic() >= deadline:
                            raise _expired("the server did not read the request in time", "NOT_EXECUTED")
                        self._wait_to_send()
                    except OSError as error:
                        # Answers to what was sent before can still come, so the socket stays open for reading.
                        self._send_broken = True
                        raise NotSent() from error
        except BaseException:
            if 0 < sent < len(data) and not self._send_broken:
                self._fail("a request was cut off while it was being sent")
            raise
        finally:
            self._send_lock.release()

    def _wait_to_send(self):
        reads = self._take_reading()
        try:
            poll = select.poll()
            poll.register(self._socket, select.POLLOUT | (select.POLLIN if reads else 0))
            events = poll.poll(SEND_TICK_MILLISECONDS)
            if reads and events and events[0][1] & ~select.POLLOUT:
                self._read_available()
        finally:
            if reads:
                self._hand_over_reading()

    # Receiving

    def receive(self, call, deadline):
        """The next part of an answer; the last one has more = False. Raises ConnectionLost or DeadlineExceeded."""
        while True:
            with self._state:
                while True:
                    if call.overflowed:
                        raise ResourceExhausted(
                            f"more than {STREAM_BYTES_MAX} bytes of this stream came while other answers were awaited; "
                            "read it faster, or use another client for it", stage="STREAM", outcome="UNKNOWN")
                    if call.parts:
                        part, size = call.parts.popleft()
                        call.queued_bytes -= size
                        return part
                    if self._lost_because is not None:
                        raise self.lost("UNKNOWN")
                    left = deadline - time.monotonic()
                    if left <= 0:
                        raise _expired("no answer came, not even at the deadline", "UNKNOWN")
                    if not self._reading:
                        self._reading = True
                        break
                    self._state.wait(left)
            try:
                if self._readable.poll(left * 1000):
                    self._read_available()
            finally:
                self._hand_over_reading()

    def forget(self, call):
        """What still comes for this call is dropped."""
        with self._state:
            self._calls.pop(call.id, None)

    def read_waiting(self):
        """Takes in what has already arrived, without waiting."""
        if self._lost_because is None and self._take_reading():
            try:
                self._read_available()
            finally:
                self._hand_over_reading()

    def _take_reading(self):
        with self._state:
            if self._reading:
                return False
            self._reading = True
            return True

    def _hand_over_reading(self):
        with self._state:
            self._reading = False
            self._state.notify_all()

    def _read_available(self):
        try:
            chunk = self._socket.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self._fail(error.strerror or str(error))
            return
        if not chunk:
            self._fail("the server closed it")
            return
        self._received += chunk
        start = 0
        while len(self._received) - start >= 4:
            (size,) = struct.unpack_from(">I", self._received, start)
            if not 1 <= size <= FRAME_BYTES_MAX:
                self._fail(f"the server sent a frame of {size} bytes; is this Prism's data socket?")
                return
            if len(self._received) - start - 4 < size:
                break
            body = bytes(memoryview(self._received)[start + 4:start + 4 + size])
            start += 4 + size
            try:
                response = messages.Response.FromString(body)
            except Exception as error:  # protobuf's DecodeError has no stable home across its implementations
                self._fail(f"the server sent a frame that cannot be decoded: {error}")
                return
            self._dispatch(response, size)
        del self._received[:start]

    def _dispatch(self, response, size):
        if response.id == 0:
            if response.status == messages.OK:
                self._notices.append(response.notice)
                del self._notices[:-NOTICES_MAX]
            else:
                self._fail(f"the server ended it: {error_from(response)}")
            return
        with self._state:
            call = self._calls.get(response.id)
            if call is None or call.overflowed:
                return
            call.parts.append((response, size))
            call.queued_bytes += size
            if response.more and call.queued_bytes > STREAM_BYTES_MAX:
                call.overflowed = True
                call.parts.clear()
            if not response.more:
                del self._calls[call.id]

    def _fail(self, reason):
        with self._state:
            if self._lost_because is not None:
                return
            self._lost_because = reason
            self._state.notify_all()
        try:
            # Wakes whoever polls. The descriptor is closed with the last reference, so that no thread polls another's.
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def lost(self, outcome):
        return ConnectionLost(f"connection to {self.path} lost: {self._lost_because or 'the server no longer reads'}",
                              outcome=outcome, retryable=outcome == "NOT_EXECUTED")


def _expired(what, outcome):
    return DeadlineExceeded(what, outcome=outcome)
