"""10,000 clients from a process of its own, each with a request in flight: all are answered."""

import os
import resource
import select
import socket
import time
import unittest

import processes
from harness import ServerTestCase
from raw import frame, get, messages, put, query

CLIENTS = int(os.environ.get("PRISM_TEST_CLIENTS", "10000"))


def drive(path, count, rounds):
    """Opens all connections, sends one request on each, only then reads; answers how many were answered, by code."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    sockets = {}
    for number in range(count):
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.connect(path)  # without a timeout: waits while the backlog is full
        connection.settimeout(30)
        sockets[connection.fileno()] = (connection, number)
    codes, problems = {}, []
    poll = select.epoll()
    for descriptor in sockets:
        poll.register(descriptor, select.EPOLLIN)
    for round in range(rounds):
        for connection, number in sockets.values():
            request = (put(round + 1, f"many/{number}".encode(), b"v") if number % 10 == 0 else
                       query(round + 1, "select $1", number, read_only=True) if number % 10 == 1 else
                       get(round + 1, f"many/{number - number % 10}".encode()))
            connection.sendall(frame(request))
        received = {descriptor: b"" for descriptor in sockets}
        deadline = time.monotonic() + 60
        while received:
            left = deadline - time.monotonic()
            if left <= 0:
                problems.append(f"round {round}: {len(received)} without an answer after 60 s")
                break
            for descriptor, _ in poll.poll(left):
                chunk = sockets[descriptor][0].recv(4096)
                if not chunk:
                    problems.append(f"round {round}: a connection was closed")
                    del received[descriptor]
                    poll.unregister(descriptor)
                    continue
                if descriptor not in received:
                    problems.append(f"round {round}: a second answer")
                    continue
                data = received[descriptor] + chunk
                if len(data) >= 4 and len(data) >= 4 + int.from_bytes(data[:4], "big"):
                    response = messages.Response.FromString(data[4:])
                    if response.id != round + 1:
                        problems.append(f"round {round}: an answer to {response.id}")
                    name = messages.Code.Name(response.status)
                    codes[name] = codes.get(name, 0) + 1
                    del received[descriptor]
                else:
                    received[descriptor] = data
        if problems:
            break
    return {"connected": len(sockets), "codes": codes, "problems": problems[:10]}


class ManyClientsTests(ServerTestCase):
    def test_each_of_ten_thousand_clients_gets_its_answer(self):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        if hard < CLIENTS + 500:
            self.skipTest(f"the hard limit of descriptors is {hard}, {CLIENTS + 500} are needed: ulimit -Hn")
        before = self.server.memory_kilobytes()
        (report,) = processes.run(lambda _: drive(self.server.socket_path, CLIENTS, rounds=3), 1, seconds=150)
        self.assertEqual(report["problems"], [])
        self.assertEqual(report["connected"], CLIENTS)
        self.assertEqual(report["codes"], {"OK": 3 * CLIENTS})
        self.assertLess(self.server.memory_kilobytes() - before, 400_000)
        self.assertEqual(self.client().ping(b"on"), b"on")


if __name__ == "__main__":
    unittest.main()
