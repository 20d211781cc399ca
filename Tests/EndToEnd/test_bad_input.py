"""Bad input: each gets a clear error, ends at most its own connection, and a neighbour notices nothing."""

import random
import struct
import threading
import time
import unittest

import prism
from harness import ServerTestCase
from raw import code, frame, get, messages, outcome, ping, put, query

Request = messages.Request


class BadInputTests(ServerTestCase):
    def setUp(self):
        super().setUp()
        # The neighbour works through all of it, on connections that must stay the same.
        self.neighbour = self.raw()
        self.neighbour.send(put(1, b"neighbour", b"v"))
        self.assertEqual(code(self.neighbour.final(1)[0]), "OK")
        self._ending = threading.Event()
        self._neighbour_error = None
        self._thread = threading.Thread(target=self._be_a_neighbour)
        self._thread.start()
        self.addCleanup(self._check_neighbour)

    def _be_a_neighbour(self):
        id = 1
        try:
            while not self._ending.is_set() or id < 20:
                id += 1
                self.neighbour.send(get(id, b"neighbour"))
                (answer,) = self.neighbour.final(id)
                assert answer.get.value == b"v", answer
                id += 1
                self.neighbour.send(put(id, b"neighbour", b"v"))
                (answer,) = self.neighbour.final(id)
                assert answer.status == messages.OK, answer
        except BaseException as error:
            self._neighbour_error = repr(error)

    def _check_neighbour(self):
        self._ending.set()
        self._thread.join(30)
        self.assertFalse(self._thread.is_alive())
        self.assertIsNone(self._neighbour_error)

    def assert_ended(self, raw, message_pattern="."):
        """One last answer with id 0 and INVALID_ARGUMENT, then the end of the connection."""
        responses = raw.rest()
        self.assertTrue(responses, "closed without a word")
        last = responses[-1]
        self.assertEqual((last.id, code(last)), (0, "INVALID_ARGUMENT"), str(last))
        self.assertRegex(last.failure.message, message_pattern)
        self.assertEqual([each for each in responses[:-1] if each.id == 0], [])
        return responses[:-1]

    def test_random_bytes(self):
        for seed in range(200):
            chance = random.Random(seed)
            with self.server.raw() as raw:
                try:
                    raw.send_bytes(chance.randbytes(chance.randint(4, 3000)))
                    raw.end_sending()
                except (BrokenPipeError, OSError):
                    pass  # it may be refused before all of it is sent
                responses = raw.rest()
                if responses:
                    self.assertEqual((responses[-1].id, code(responses[-1])), (0, "INVALID_ARGUMENT"), f"seed {seed}")

    def test_random_bytes_in_valid_frames(self):
        for seed in range(200):
            chance = random.Random(seed)
            with self.server.raw() as raw:
                raw.send_bytes(frame(chance.randbytes(chance.randint(1, 300))))
                raw.end_sending()
                for response in raw.rest():
                    self.assertTrue(response.id == 0 or response.status != messages.OK or response.failure.message == "",
                                    f"seed {seed}: {response}")

    def test_valid_requests_with_one_byte_changed(self):
        bodies = [query(7, "select $1", "x").SerializeToString(), put(7, b"mutated", b"v").SerializeToString(),
                  Request(id=7, write=messages.Write(items=[messages.WriteItem(put=messages.Put(key=b"m", value=b"v"))])
                          ).SerializeToString()]
        chance = random.Random(1)
        for body in bodies:
            for position in range(len(body)):
                changed = bytearray(body)
                changed[position] ^= 1 << chance.randrange(8)
                with self.server.raw() as raw:
                    raw.send_bytes(frame(bytes(changed)))
                    raw.end_sending()
                    finals = [response for response in raw.rest() if not response.more]
                    self.assertEqual(len(finals), 1, f"{position} of {body!r}: {finals}")

    def test_an_oversized_frame_is_refused_by_its_length_alone(self):
        for size in (4 * 1024 * 1024 + 1, 64 * 1024 * 1024, 0xFFFFFFFF):
            raw = self.raw()
            raw.send_bytes(struct.pack(">I", size))
            self.assert_ended(raw)

    def test_a_frame_of_exactly_the_limit_is_taken(self):
        raw = self.raw()
        empty = put(1, b"large", b"").SerializeToString()
        size = 4 * 1024 * 1024
        request = put(1, b"large", b"x" * (size - len(empty) - 12))
        request.put.value += b"x" * (size - request.ByteSize())
        self.assertEqual(request.ByteSize(), size)
        raw.send(request)
        answer = raw.final(1)[0]
        # A value may have a limit of its own below the frame's; the connection lives either way.
        self.assertIn(code(answer), ("OK", "INVALID_ARGUMENT", "RESOURCE_EXHAUSTED"))
        raw.send(ping(2))
        self.assertEqual(code(raw.final(2)[0]), "OK")

    def test_a_zero_frame(self):
        raw = self.raw()
        raw.send_bytes(b"\0\0\0\0")
        self.assert_ended(raw)

    def test_half_frames_then_the_end(self):
        whole = frame(ping(1))
        for cut in (1, 3, 4, len(whole) - 1):
            raw = self.raw()
            raw.send_bytes(whole[:cut])
            raw.end_sending()
            responses = raw.rest()
            self.assertEqual([response for response in responses if response.id != 0], [])

    def test_a_half_frame_does_not_hold_up_what_was_whole(self):
        raw = self.raw()
        raw.send_bytes(frame(ping(1)) + frame(ping(2))[:3])
        raw.final(1)
        raw.send_bytes(frame(ping(2))[3:])
        raw.final(2)

    def test_a_request_in_single_bytes(self):
        raw = self.raw()
        for byte in frame(query(1, "select 1", read_only=True)):
            raw.send_bytes(bytes([byte]))
        self.assertEqual(code(raw.final(1)[-1]), "OK")

    def test_an_undecodable_frame(self):
        raw = self.raw()
        raw.send_bytes(frame(b"\xff" * 20))
        self.assert_ended(raw)

    def test_id_0(self):
        raw = self.raw()
        raw.send(ping(0))
        self.assert_ended(raw, "(?i)id")

    def test_a_duplicate_id_in_flight(self):
        raw = self.raw()
        endless = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n"
        raw.send(query(5, endless, read_only=True), ping(5))
        before = self.assert_ended(raw, "5")
        self.assertEqual([response for response in before if response.id == 5], [])

    def test_an_id_is_free_again_after_its_final_answer(self):
        raw = self.raw()
        for _ in range(5):
            raw.send(ping(5))
            raw.final(5)

    def test_what_was_in_flight_when_a_connection_is_ended_is_cancelled(self):
        raw = self.raw()
        raw.send(put(1, b"a", b"1"))
        raw.final(1)
        endless = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n"
        raw.send(*[query(id, endless, read_only=True) for id in range(2, 12)])
        raw.send_bytes(b"\0\0\0\0")
        self.assert_ended(raw)
        self.assertEqual(self.client().query("select 1", read_only=True, timeout=10).scalar(), 1)

    def test_a_client_that_never_reads(self):
        silent = [self.raw(receive_buffer=4096) for _ in range(8)]
        before = self.server.memory_kilobytes()
        for raw in silent:
            raw.socket.settimeout(0.5)
            id = 0
            try:
                while id < 100_000:  # until the server stops reading it
                    id += 1
                    raw.send(ping(id, b"p" * 4096))
            except TimeoutError:
                pass
            self.assertLess(id, 100_000, "the server takes in without end what it cannot answer")
        self.assertLess(self.server.memory_kilobytes() - before, 200_000)
        self.assertEqual(self.client().ping(b"on"), b"on")

    def test_an_unknown_backend(self):
        raw = self.raw()
        raw.send(Request(id=1, backend="nowhere", ping=messages.Ping()), query(2, "select 1", backend="nowhere"),
                 get(3, b"k", backend="nowhere"))
        answers = raw.finals(3)
        for id in (2, 3):
            self.assertEqual((code(answers[id]), outcome(answers[id])), ("NOT_FOUND", "NOT_EXECUTED"))
            self.assertIn("nowhere", answers[id].failure.message)

    def test_no_operation_and_an_unknown_one(self):
        raw = self.raw()
        raw.send(Request(id=1))
        unknown_field_200 = b"\xc2\x0c\x00"
        raw.send_bytes(frame(Request(id=2).SerializeToString() + unknown_field_200))
        for id, answer in raw.finals(2).items():
            self.assertEqual((code(answer), outcome(answer)), ("UNIMPLEMENTED", "NOT_EXECUTED"))
            self.assertTrue(answer.failure.message)

    def test_the_last_operation_of_a_oneof_wins(self):
        raw = self.raw()
        both = put(1, b"oneof", b"v").SerializeToString() + Request(ping=messages.Ping(payload=b"last")).SerializeToString()
        raw.send_bytes(frame(both))
        self.assertEqual(raw.final(1)[0].ping.payload, b"last")
        raw.send(get(2, b"oneof"))
        self.assertFalse(raw.final(2)[0].get.found)

    def test_a_header_behind_the_body_counts(self):
        raw = self.raw()
        late = Request(put=messages.Put(key=b"late", value=b"v")).SerializeToString() + Request(id=9, read_only=True).SerializeToString()
        raw.send_bytes(frame(late))
        self.assertEqual(code(raw.final(9)[0]), "INVALID_ARGUMENT")

    def test_bad_utf8_in_every_text(self):
        bad = b"a\xffb"

        def text(field, data):
            return bytes([field << 3 | 2, len(data)]) + data

        def field(number, data):
            tag = number << 3 | 2
            return bytes([tag & 0x7F | 0x80, tag >> 7, len(data)]) + data

        bodies = {
            "backend": text(4, bad) + field(49, b""),
            "idempotency key": text(7, bad) + field(18, text(2, b"k")),
            "traceparent": text(8, bad) + field(49, b""),
            "namespace": field(16, text(1, bad) + text(2, b"k")),
            "sql": field(32, text(1, b"select '\xff'")),
            "parameter": field(32, text(1, b"select $1") + text(2, text(5, bad))),
            "name": field(32, text(1, b"select :a") + text(2, text(5, b"x")) + text(3, bad)),
            "savepoint": field(37, text(1, bad)),
            "client name": field(48, text(1, bad)),
        }
        for name, body in bodies.items():
            with self.subTest(name), self.server.raw() as raw:
                raw.send_bytes(frame(b"\x08\x01" + body))
                answer = raw.receive()
                self.assertIsNotNone(answer)
                self.assertEqual(code(answer), "INVALID_ARGUMENT", str(answer))
                if answer.id == 1:
                    self.assertEqual(outcome(answer), "NOT_EXECUTED")
                    raw.send(ping(2))
                    self.assertEqual(code(raw.final(2)[0]), "OK")

    def test_deeply_nested_and_repeated_fields_stay_within_memory(self):
        before = self.server.memory_kilobytes()
        raw = self.raw()
        # Two bytes a row on the wire, a pointer and a struct each when decoded.
        many = messages.GetMany(keys=[b""] * 1_000_000).SerializeToString()
        raw.send(Request(id=1, get_many=messages.GetMany.FromString(many)))
        answer = raw.receive()
        self.assertIn(code(answer), ("INVALID_ARGUMENT", "RESOURCE_EXHAUSTED"))
        self.assertLess(self.server.memory_kilobytes() - before, 200_000)

    def test_too_many_requests_in_flight_are_held_or_refused_not_lost(self):
        raw = self.raw(seconds=30)
        limit = self.client().hello().in_flight_max
        self.assertGreater(limit, 0)
        count = min(limit * 3, 20_000)
        sender = threading.Thread(target=lambda: raw.send(*[get(id, b"neighbour") for id in range(1, count + 1)]))
        sender.start()
        answers = raw.finals(count)
        sender.join(10)
        self.assertLessEqual({code(answer) for answer in answers.values()}, {"OK", "RESOURCE_EXHAUSTED"})
        self.assertEqual(answers.keys(), set(range(1, count + 1)))

    def test_out_of_range_fields(self):
        raw = self.raw()
        raw.send(query(1, "select 1", idempotency_key="k" * 256), ping(2, b""),
                 Request(id=3, traceparent="not a trace", ping=messages.Ping()),
                 Request(id=4, timeout_microseconds=(1 << 64) - 1, ping=messages.Ping()),
                 Request(id=5, deadline_nanoseconds=(1 << 64) - 1, query=messages.Query(sql="select 1")),
                 Request(id=6, put=messages.Put(key=b"k", value=b"v", ttl_milliseconds=(1 << 64) - 1)),
                 Request(id=7, scan=messages.Scan(cursor=b"not a cursor")),
                 Request(id=8, begin=messages.Begin(isolation=99)),
                 Request(id=9, hello=messages.Hello(client_name="n" * 65)),
                 Request(id=(1 << 64) - 1, ping=messages.Ping()))
        answers = raw.finals(10)
        self.assertEqual(code(answers[1]), "INVALID_ARGUMENT")
        for id in (2, 4, 5, (1 << 64) - 1):
            self.assertEqual(code(answers[id]), "OK", str(answers[id]))
        self.assertIn(code(answers[6]), ("OK", "INVALID_ARGUMENT", "OUT_OF_RANGE"))
        if code(answers[6]) == "OK":  # saturated: it must not have expired already
            self.assertTrue(self.client().get("k"))
        self.assertEqual(code(answers[7]), "INVALID_ARGUMENT")

    def test_connections_that_come_and_go_leave_nothing_behind(self):
        sockets = self.server.sockets()
        for number in range(500):
            raw = self.server.raw()
            if number % 2:
                raw.send(ping(1))
            raw.close()
        deadline = time.monotonic() + 10
        while self.server.sockets() > sockets and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertLessEqual(self.server.sockets(), sockets)


if __name__ == "__main__":
    unittest.main()
