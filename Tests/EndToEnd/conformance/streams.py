"""Streams: many rows, backpressure, and requests beside them."""

import prism
from conformance.backends import series
from conformance.case import ConformanceCase
from raw import Request, code, messages, outcome, ping, query


class Streams(ConformanceCase):
    """Streams"""

    CONFIG = "limits:\n  stream_window: 64KiB\n"

    def padded(self, rows, bytes_each=1_000):
        """Rows that no buffer holds all of."""
        return f"select i, {self.backend.padding(bytes_each)} from ({series(rows)}) as s"

    def unread(self, sql, **fields):
        """A client with a stream that has begun and that it does not go on reading."""
        raw = self.raw(receive_buffer=4096)
        raw.send(query(1, sql, read_only=True, **fields))
        self.assertTrue(raw.receive().more)
        return raw

    def test_a_large_answer_comes_in_order_and_whole(self):
        for read_only in (True, False):
            expected = 0
            with self.db.stream(series(200_000), read_only=read_only) as rows:
                for (number,) in rows:
                    expected += 1
                    self.assertEqual(number, expected)
            self.assertEqual((expected, rows.tag), (200_000, "SELECT"))

    def test_columns_stand_on_the_first_part_and_the_tag_on_the_last(self):
        raw = self.raw()
        raw.send(query(1, self.padded(2_000), read_only=True))
        parts = raw.final(1)
        self.assertGreater(len(parts), 2)
        self.assertEqual([len(part.query.columns) for part in parts], [2] + [0] * (len(parts) - 1))
        self.assertEqual([part.query.tag for part in parts], [""] * (len(parts) - 1) + ["SELECT"])
        self.assertEqual([part.HasField("cost") for part in parts], [False] * (len(parts) - 1) + [True])

    def test_a_stream_is_not_run_ahead_of_its_reader_and_others_go_on(self):
        # Twenty times what a connection may buffer: unread, it must neither fill the sidecar's memory nor stop neighbours.
        slow = self.raw(receive_buffer=4096)
        before = self.server.memory_kilobytes()
        slow.send(query(1, self.padded(2_000, 100_000), read_only=True))
        for _ in range(50):
            self.assertEqual(self.db.query("select 1", read_only=True).scalar(), 1)
        grown = self.server.memory_kilobytes() - before
        self.assertLess(grown, 100_000, "the sidecar holds what the client does not read")
        parts = slow.final(1)
        self.assertEqual(sum(len(part.query.rows) for part in parts), 2000)
        self.assertEqual(code(parts[-1]), "OK")

    def test_one_that_was_left_unread_goes_on(self):
        streams = [self.unread(self.padded(5_000)) for _ in range(3)]
        for number in range(50):
            self.db.put("k", str(number), **self.ns)
            self.assertEqual(self.db.get("k", **self.ns).value, str(number).encode())
        for raw in streams:
            parts = raw.final(1)
            self.assertEqual(code(parts[-1]), "OK")
            rows = [row.values[0].integer for part in parts for row in part.query.rows]
            self.assertEqual(rows, list(range(5_001 - len(rows), 5_001)))
            self.assertGreater(len(rows), 4_000)

    def test_one_is_cancelled_in_the_middle(self):
        raw = self.unread(self.padded(1_000_000))
        raw.send(Request(id=2, cancel=messages.Cancel(request_id=1)))
        answers = raw.finals(2)
        self.assertTrue(answers[2].cancel.found)
        self.assertEqual((code(answers[1]), outcome(answers[1])), ("CANCELLED", "NOT_EXECUTED"))
        self.assertEqual(messages.Stage.Name(answers[1].failure.stage), "STAGE_STREAM")
        raw.send(query(3, "select 3", read_only=True))
        self.assertEqual(code(raw.final(3)[-1]), "OK")

    def test_one_ends_at_its_deadline_in_the_middle(self):
        raw = self.unread(self.padded(1_000_000), timeout_microseconds=500_000)
        final = raw.final(1)[-1]
        self.assertEqual((code(final), outcome(final)), ("DEADLINE_EXCEEDED", "NOT_EXECUTED"))
        self.assertEqual(messages.Stage.Name(final.failure.stage), "STAGE_STREAM")

    def test_one_that_fails_in_the_middle_says_so_at_its_end(self):
        # The rows before the failing one are more than a window holds.
        sql = f"select i, {self.backend.padding(1_000)}, abs(case when i < 5000 then i else {self.failing()} end) " \
              f"from ({series(6_000)}) as s"
        raw = self.raw()
        raw.send(query(1, sql, read_only=True))
        *parts, final = raw.final(1)
        self.assertGreater(len(parts), 1)
        self.assertNotEqual(code(final), "OK")
        self.assertEqual(outcome(final), "NOT_EXECUTED")
        self.assertEqual(self.db.query("select 1", read_only=True).scalar(), 1)

    def failing(self):
        """An expression that fails where it is evaluated."""
        return "-9223372036854775807 - 1" if self.backend.name == "sqlite" else "1 / (i - i)"

    def test_a_stream_can_be_left_early(self):
        with self.db.stream(self.padded(1_000_000), read_only=True) as rows:
            self.assertEqual(next(rows)[0], 1)
        self.assertEqual(self.db.query("select 1", read_only=True).scalar(), 1)

    def test_a_half_closed_connection_still_gets_its_answers(self):
        raw = self.raw()
        raw.send(query(1, "select 1", read_only=True), query(2, series(50_000), read_only=True), ping(3))
        raw.end_sending()
        answers = raw.rest()
        self.assertEqual(sorted(answer.id for answer in answers if not answer.more), [1, 2, 3])
        self.assertTrue(all(answer.status == messages.OK for answer in answers))
        self.assertEqual(sum(len(answer.query.rows) for answer in answers if answer.id == 2), 50_000)

    def test_a_write_that_returns_more_than_a_result_may_hold_says_whether_it_stands(self):
        self.create_table()
        with self.assertRaises(prism.Error) as raised:
            self.db.query(f"insert into {self.table} (v) select {self.backend.padding(1_000)} from ({series(5_000)}) as s "
                          "returning v")
        error = raised.exception
        self.assertEqual(error.code, "RESOURCE_EXHAUSTED")
        self.assertIn("limits.result_bytes", error.message)
        self.assertEqual(error.outcome, "EXECUTED" if self.ids() else "NOT_EXECUTED")

    def test_every_final_answer_tells_its_cost(self):
        raw = self.raw()
        raw.send(query(1, "select 1", read_only=True))
        cost = raw.final(1)[-1].cost
        self.assertGreater(cost.total_microseconds, 0)
        self.assertLessEqual(cost.backend_microseconds, cost.total_microseconds)
