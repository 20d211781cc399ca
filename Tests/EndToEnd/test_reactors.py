"""Two reactors in one process: clients on both, and all promises hold across them."""

import os
import re
import resource
import unittest

import processes
import tpcb
from harness import ServerTestCase, StartTestCase
from raw import code, get, messages, outcome, ping, put, query
from test_many_clients import drive

Request = messages.Request
ENDLESS = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n"
TWO = "runtime:\n  reactors: 2\n"


def connections_by_reactor(server):
    """How many descriptors each reactor watches, by its epoll; the admin listener's watch fewer than any of them."""
    watched = []
    for descriptor in os.listdir(f"/proc/{server.pid}/fd"):
        try:
            if os.readlink(f"/proc/{server.pid}/fd/{descriptor}") == "anon_inode:[eventpoll]":
                with open(f"/proc/{server.pid}/fdinfo/{descriptor}") as file:
                    watched.append(len(re.findall(r"^tfd:", file.read(), re.MULTILINE)))
        except FileNotFoundError:
            continue
    return sorted(watched)[-2:]


def admitted(case, server):
    """A connection that is served; the place of one that was closed is free when the sidecar has noticed."""
    for _ in range(200):
        raw = case.raw(server)
        try:
            raw.send(ping(1))
            answer = raw.receive()
        except (BrokenPipeError, ConnectionResetError):
            continue
        if answer is not None and answer.id == 1:
            return raw
    case.fail("it is never served")


class TwoReactorsTests(ServerTestCase):
    CONFIG = TWO

    def both(self, count=2, **options):
        """An even number of connections, answered once, half of them on each reactor."""
        clients = [self.raw(**options) for _ in range(count)]
        for client in clients:
            client.send(ping(1))
            client.final(1)
        return clients

    def test_clients_stand_on_both(self):
        before = connections_by_reactor(self.server)
        clients = self.both(40)
        after = connections_by_reactor(self.server)
        # Clients of other tests may be leaving meanwhile.
        self.assertGreater(min(late - early for late, early in zip(after, before)), 10)
        self.assertEqual(self.server.command("status").returncode, 0)
        for client in clients:
            client.send(put(2, b"k", b"v"), get(3, b"k"), query(4, "select 1", read_only=True))
            self.assertEqual([code(answer) for answer in client.finals(3).values()], ["OK"] * 3)

    def test_what_one_writes_the_other_reads(self):
        one, other = self.both()
        for number in range(50):
            one.send(put(10 + number, b"across", b"%d" % number))
            self.assertEqual(code(one.final(10 + number)[0]), "OK")
            other.send(get(10 + number, b"across"))
            self.assertEqual(other.final(10 + number)[0].get.value, b"%d" % number)

    def test_a_cancel_stops_its_own_request_only(self):
        one, other = self.both()
        for client in (one, other):
            client.send(query(7, ENDLESS, read_only=True))  # the same id on both
        one.send(Request(id=8, cancel=messages.Cancel(request_id=7)))
        answers = one.finals(2)
        self.assertEqual(code(answers[7]), "CANCELLED")
        other.send(ping(9))
        self.assertEqual(code(other.final(9)[0]), "OK")
        other.send(Request(id=10, cancel=messages.Cancel(request_id=7)))
        self.assertEqual(code(other.finals(2)[7]), "CANCELLED")

    def test_deadlines_hold_on_both(self):
        for client in self.both():
            client.send(query(7, ENDLESS, read_only=True, timeout_microseconds=50_000))
            self.assertEqual(code(client.final(7)[0]), "DEADLINE_EXCEEDED")

    def test_the_writer_passes_from_a_transaction_here_to_one_there(self):
        one, other = self.both()
        one.send(query(2, "create table if not exists handed (n integer)"))
        one.final(2)
        one.send(Request(id=3, begin=messages.Begin()))
        first = one.final(3)[0].begin.transaction
        one.send(query(4, "insert into handed values (1)", transaction=first))
        self.assertEqual(code(one.final(4)[0]), "OK")
        other.send(Request(id=3, begin=messages.Begin()))  # waits for the writer
        other.send(query(4, "select count(*) from handed", read_only=True))
        self.assertEqual(other.final(4)[0].query.rows[0].values[0].integer, 0, "not committed: not seen")
        one.send(Request(id=5, transaction=first, commit=messages.Commit()))
        self.assertEqual(code(one.final(5)[0]), "OK")
        second = other.final(3)[0].begin.transaction
        other.send(query(5, "insert into handed values (2)", transaction=second))
        self.assertEqual(code(other.final(5)[0]), "OK")
        # A handle belongs to its connection, on whichever reactor.
        one.send(query(6, "insert into handed values (3)", transaction=second))
        self.assertEqual(code(one.final(6)[0]), "NOT_FOUND")
        other.close()  # rolls back
        one.send(query(7, "insert into handed values (4)"), )
        self.assertEqual(code(one.final(7)[0]), "OK")
        one.send(query(8, "select n from handed order by n", read_only=True))
        self.assertEqual([row.values[0].integer for row in one.final(8)[0].query.rows], [1, 4])

    def test_many_writers_on_both_agree(self):
        client = self.client(timeout=60)
        tpcb.load(client, scale=1)
        reports = processes.run(
            lambda number: tpcb.work(self.server.socket_path, number, 50, "batch", 1, "reactors"), 8, seconds=120)
        self.assertEqual(sum(len(report["confirmed"]) for report in reports), 400)
        figures = tpcb.check(lambda sql: self.server.read_file(sql)[0][0])
        self.assertEqual(figures["count"], 400)

    def test_many_clients_are_answered_whichever_reactor_they_stand_on(self):
        count = int(os.environ.get("PRISM_TEST_CLIENTS", "10000"))
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        if hard < count + 500:
            self.skipTest(f"the hard limit of descriptors is {hard}, {count + 500} are needed: ulimit -Hn")
        (report,) = processes.run(lambda _: drive(self.server.socket_path, count, rounds=2), 1, seconds=150)
        self.assertEqual(report, {"connected": count, "codes": {"OK": 2 * count}, "problems": []})


class TwoReactorsEndingTests(StartTestCase):
    def test_drain_answers_on_both(self):
        server = self.start(config=TWO)
        clients = [self.raw(server) for _ in range(4)]
        for client in clients:
            client.send(Request(id=1, hello=messages.Hello(client_name="told")))
            client.final(1)
            client.send(query(2, ENDLESS, read_only=True), ping(3))
            while client.receive().id != 3:
                pass
        server.signal()
        for client in clients:
            seen = client.rest()
            self.assertEqual([response.notice.drain_state for response in seen if response.id == 0][:1],
                             [messages.DRAIN_STATE_DRAINING])
            (answer,) = [response for response in seen if response.id == 2]
            self.assertEqual(code(answer), "UNAVAILABLE", str(answer))
            self.assertIn(outcome(answer), ("NOT_EXECUTED", "UNKNOWN"))
        self.assertEqual(server.wait(), 0, server.log)
        self.assertRegex(server.log, r'"in_flight_at_draining":4\b')
        self.assertRegex(server.log, r'"unanswered":0\b')
        self.assertFalse(os.path.exists(server.socket_path))

    def test_draining_waits_for_a_transaction_on_either(self):
        server = self.start(config=TWO)
        client = self.client(server)
        client.query("create table t (a)")
        clients = [self.raw(server) for _ in range(2)]
        for number, raw in enumerate(clients):
            raw.send(Request(id=1, begin=messages.Begin(), read_only=True))
            raw.final(1)
            raw.send(Request(id=2, hello=messages.Hello(client_name="told")))
            raw.final(2)
        server.signal()
        for raw in clients:
            self.assertEqual(raw.receive().notice.drain_state, messages.DRAIN_STATE_DRAINING)
        for raw in clients:
            raw.send(query(3, "select 1"))
            self.assertEqual(code(raw.final(3)[0]), "UNAVAILABLE")
        self.assertEqual(server.wait(), 0, server.log)

    def test_an_idle_server_ends_at_once_and_another_takes_over(self):
        server = self.start(config=TWO)
        clients = [self.client(server) for _ in range(3)]
        for client in clients:
            client.put("k", b"v")
        server.kill()
        self.assertTrue(os.path.exists(server.socket_path))
        second = self.start(config=TWO, directory=server.directory)
        self.assertEqual(self.client(second).get("k").value, b"v")
        self.assertEqual(second.stop(), 0, second.log)
        third = self.start(config=TWO, directory=server.directory)
        self.assertEqual(self.client(third).get("k").value, b"v")
        self.assertEqual(third.stop(), 0)

    def test_the_limit_of_connections_is_that_of_the_process(self):
        server = self.start(config=TWO + "limits:\n  connections: 9\n")
        clients = [admitted(self, server) for _ in range(9)]
        refused = self.raw(server)
        (last,) = refused.rest()
        self.assertEqual((last.id, code(last), outcome(last)), (0, "RESOURCE_EXHAUSTED", "NOT_EXECUTED"))
        self.assertIn("9 clients are connected", last.failure.message)
        clients[3].close()
        admitted(self, server)
        for client in clients[:3]:
            client.send(ping(2))
            client.final(2)


class DescriptorTests(StartTestCase):
    def test_too_few_descriptors_are_said_at_start_and_leave_room_for_the_database(self):
        """Clients beyond what the hard limit leaves are told so; those that are connected work on, files included."""
        server = self.start(descriptors=300)
        (hard, allowed) = map(int, re.search(r'"hard_limit":(\d+),"connections":(\d+)', server.log).groups())
        self.assertEqual(hard, 300)
        self.assertIn("ulimit -Hn", server.log)
        clients = [admitted(self, server) for _ in range(allowed)]
        refused = self.raw(server)
        (last,) = refused.rest()
        self.assertEqual((last.id, code(last)), (0, "RESOURCE_EXHAUSTED"))
        self.assertIn("hard limit of open files", last.failure.message)
        for client in clients[:10]:
            client.send(Request(id=2, begin=messages.Begin(), read_only=True))
            self.assertEqual(code(client.final(2)[0]), "OK", "a database connection of its own")
        clients[30].send(put(2, b"k", b"v"))
        self.assertEqual(code(clients[30].final(2)[0]), "OK")
        self.assertEqual(server.stop(), 0, server.log)


if __name__ == "__main__":
    unittest.main()
