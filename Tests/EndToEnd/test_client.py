"""The Python client against a scripted server: split frames, answers out of order, lost connections, forks."""

import os
import threading
import time
import unittest

from fake_server import FakeServer
from raw import Response, messages

import prism


def echo(peer):
    peer.echo()


class ClientTests(unittest.TestCase):
    def serve(self, script):
        server = FakeServer(script)
        self.addCleanup(server.__exit__)
        return server

    def connect(self, script, **options):
        self.server = self.serve(script)
        client = prism.connect(self.server.path, **options)
        self.addCleanup(client.close)
        return client

    def test_an_answer_in_single_bytes_is_put_together(self):
        def script(peer):
            while (request := peer.read()) is not None:
                peer.send_split(Response(id=request.id, ping=messages.PingResult(payload=request.ping.payload)))

        self.assertEqual(self.connect(script).ping(b"x" * 300), b"x" * 300)

    def test_threads_share_a_socket_and_get_their_own_answers_in_any_order(self):
        def script(peer):
            waiting = []
            while (request := peer.read()) is not None:
                waiting.append(request)
                if len(waiting) == 8:
                    for each in reversed(waiting):
                        peer.send(Response(id=each.id, ping=messages.PingResult(payload=each.ping.payload)))
                    waiting = []

        client = self.connect(script)
        wrong = []

        def work(number):
            for round in range(50):
                payload = f"{number}/{round}".encode()
                if client.ping(payload) != payload:
                    wrong.append(payload)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
            self.assertFalse(thread.is_alive())
        self.assertEqual(wrong, [])
        self.assertEqual(self.server.connections, 1)

    def test_a_connection_lost_before_the_answer_is_unknown_and_the_next_request_reconnects(self):
        def script(peer):
            if peer.number == 1:
                peer.read()
            else:
                peer.echo()

        client = self.connect(script)
        with self.assertRaises(prism.ConnectionLost) as raised:
            client.ping()
        self.assertEqual((raised.exception.code, raised.exception.outcome), ("UNAVAILABLE", "UNKNOWN"))
        self.assertEqual(client.ping(b"again"), b"again")

    def test_an_idle_connection_closed_by_the_server_is_replaced_without_an_error(self):
        closed = threading.Event()

        def script(peer):
            if peer.number == 1:
                request = peer.read()
                peer.send(Response(id=request.id, ping=messages.PingResult()))
                peer.socket.close()
                closed.set()
            else:
                peer.echo()

        client = self.connect(script)
        client.ping()
        self.assertTrue(closed.wait(10))
        self.assertEqual(client.ping(b"again"), b"again")

    def test_a_last_frame_with_id_0_tells_why(self):
        def script(peer):
            peer.read()
            peer.send(Response(id=0, status=messages.INVALID_ARGUMENT,
                               failure=messages.Failure(message="the frame cannot be decoded")))

        with self.assertRaisesRegex(prism.ConnectionLost, "cannot be decoded"):
            self.connect(script).ping()

    def test_without_a_server_the_error_says_not_executed(self):
        with self.assertRaises(prism.Unavailable) as raised:
            prism.connect("/tmp/prism-there-is-none.sock")
        self.assertEqual((raised.exception.outcome, raised.exception.retryable), ("NOT_EXECUTED", True))

    def test_a_failure_arrives_with_all_its_fields(self):
        def script(peer):
            request = peer.read()
            peer.send(Response(id=request.id, status=messages.FAILED_PRECONDITION, failure=messages.Failure(
                stage=messages.STAGE_EXECUTE, outcome=messages.OUTCOME_NOT_EXECUTED, retryable=True,
                retry_after_microseconds=1500, sqlstate="23505", sqlite_code=2067, message="m", current_version=7, item=3)))

        with self.assertRaises(prism.FailedPrecondition) as raised:
            self.connect(script).put("k", "v", if_version=1)
        error = raised.exception
        self.assertEqual(
            (error.code, error.stage, error.outcome, error.retryable, error.retry_after, error.sqlstate, error.sqlite_code,
             error.message, error.current_version, error.item),
            ("FAILED_PRECONDITION", "EXECUTE", "NOT_EXECUTED", True, 0.0015, "23505", 2067, "m", 7, 3))

    def test_other_requests_go_on_while_a_stream_is_read(self):
        def script(peer):
            stream = peer.read()
            peer.send(Response(id=stream.id, more=True, query=messages.QueryResult(
                columns=[messages.Column(name="n", type="INTEGER")], rows=[row(1), row(2)])))
            while (request := peer.read()).HasField("ping"):
                peer.send(Response(id=stream.id, more=True, query=messages.QueryResult(rows=[row(3)])))
                peer.send(Response(id=request.id, ping=messages.PingResult(payload=request.ping.payload)))
            peer.send(Response(id=stream.id, query=messages.QueryResult(tag="SELECT")))
            peer.send(Response(id=request.id, get=messages.GetResult()))

        def row(number):
            return messages.Row(values=[messages.Value(integer=number)])

        client = self.connect(script)
        rows = client.stream("select n from t")
        self.assertEqual(rows.columns, (prism.Column("n", "INTEGER"),))
        self.assertEqual(next(rows), (1,))
        self.assertEqual(client.ping(b"a"), b"a")
        self.assertEqual(client.ping(b"b"), b"b")
        self.assertIsNone(client.get("end"))
        self.assertEqual(list(rows), [(2,), (3,), (3,)])
        self.assertEqual(rows.tag, "SELECT")

    def test_a_stream_closed_early_is_cancelled(self):
        cancelled = []

        def script(peer):
            stream = peer.read()
            peer.send(Response(id=stream.id, more=True, query=messages.QueryResult(
                rows=[messages.Row(values=[messages.Value(text="x")])])))
            cancel = peer.read()
            cancelled.append(cancel.cancel.request_id == stream.id)
            peer.send(Response(id=stream.id, status=messages.CANCELLED))
            peer.send(Response(id=cancel.id, cancel=messages.CancelResult(found=True)))
            peer.echo()

        client = self.connect(script)
        with client.stream("select 1") as rows:
            self.assertEqual(next(rows), ("x",))
        self.assertEqual(client.ping(b"on"), b"on")
        self.assertEqual(cancelled, [True])

    def test_another_thread_can_cancel(self):
        def script(peer):
            request = peer.read()
            cancel = peer.read()
            peer.send(Response(id=cancel.id, cancel=messages.CancelResult(found=cancel.cancel.request_id == request.id)))
            peer.send(Response(id=request.id, status=messages.CANCELLED,
                               failure=messages.Failure(outcome=messages.OUTCOME_NOT_EXECUTED, message="cancelled")))

        client = self.connect(script)
        cancellation = prism.Cancellation()
        threading.Timer(0.05, cancellation.cancel).start()
        with self.assertRaises(prism.Cancelled):
            client.query("select slow()", cancellation=cancellation)

    def test_a_request_larger_than_the_servers_frame_limit_harms_no_one(self):
        client = self.connect(echo)
        self.assertEqual(len(client.ping(b"x" * (6 << 20))), 6 << 20)  # the fake's Hello allows 8 MiB
        with self.assertRaises(prism.InvalidArgument) as raised:
            client.ping(b"x" * (9 << 20))
        self.assertEqual(raised.exception.outcome, "NOT_EXECUTED")
        self.assertEqual(client.ping(b"on"), b"on")
        self.assertEqual(self.server.connections, 1)

    def test_a_full_socket_in_both_directions_does_not_stop_the_client(self):
        def script(peer):
            # Sends more than a socket holds before it reads on: the client has to read while it sends.
            peer.read()
            for id in range(1, 65):
                peer.send(Response(id=1 << 40 | id, ping=messages.PingResult(payload=b"y" * 65536)))
            request = peer.read()
            peer.send(Response(id=request.id, ping=messages.PingResult(payload=b"through")))

        client = self.connect(script)
        rows = client.stream("select 1")
        self.assertEqual(client.ping(b"x" * (3 << 20)), b"through")
        rows.close()

    def test_a_hung_server_is_given_up_after_the_deadline_with_an_unknown_outcome(self):
        import prism.client
        grace, prism.client.ANSWER_GRACE_SECONDS = prism.client.ANSWER_GRACE_SECONDS, 0.05
        self.addCleanup(setattr, prism.client, "ANSWER_GRACE_SECONDS", grace)
        client = self.connect(lambda peer: [peer.read(), peer.read(), peer.read()])
        with self.assertRaises(prism.DeadlineExceeded) as raised:
            client.ping(timeout=0.05)
        self.assertEqual(raised.exception.outcome, "UNKNOWN")

    def test_notices_are_collected(self):
        def script(peer):
            request = peer.read()
            peer.send(Response(id=0, notice=messages.Notice(drain_state=messages.DRAIN_STATE_LAME_DUCK, reason="drain")))
            peer.send(Response(id=request.id, ping=messages.PingResult()))
            peer.echo()

        client = self.connect(script)
        client.ping()
        self.assertEqual([notice.reason for notice in client.notices], ["drain"])

    def test_parameters_and_values_keep_their_types(self):
        def script(peer):
            request = peer.read()
            peer.send(Response(id=request.id, query=messages.QueryResult(
                rows=[messages.Row(values=request.query.parameters)], tag="SELECT")))

        values = (None, True, False, 0, -(1 << 63), (1 << 63) - 1, 1.5, "", "ä\0b", b"", b"\0\xff", prism.Typed("numeric", "1.10"))
        result = self.connect(script).query("select …", *values)
        self.assertEqual(result.rows, [values])
        self.assertEqual(list(map(type, result.rows[0])), list(map(type, values)))

    def test_a_number_or_type_that_does_not_fit_is_refused_before_sending(self):
        client = self.connect(echo)
        self.assertRaises(OverflowError, client.query, "select $1", 1 << 63)
        self.assertRaises(TypeError, client.query, "select $1", object())
        self.assertEqual(client.ping(b"on"), b"on")


class ForkTests(unittest.TestCase):
    def in_child(self, work):
        """Runs `work` in a forked child and answers whether it returned True."""
        child = os.fork()
        if child == 0:
            code = 1
            try:
                code = 0 if work() is True else 1
            finally:
                os._exit(code)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status) == 0
            time.sleep(0.01)
        os.kill(child, 9)
        os.waitpid(child, 0)
        return False

    def test_a_child_opens_a_socket_of_its_own_and_the_parents_goes_on(self):
        with FakeServer(echo) as server, prism.connect(server.path) as client:
            client.ping()
            self.assertTrue(self.in_child(lambda: client.ping(b"child") == b"child"))
            self.assertEqual(client.ping(b"parent"), b"parent")
            self.assertEqual(server.connections, 2)
            self.assertEqual(len(set(server.peer_processes)), 2)

    def test_a_fork_while_another_thread_waits_leaves_both_working(self):
        release = threading.Event()

        def script(peer):
            if peer.number > 1:
                return peer.echo()
            request = peer.read()
            release.wait(20)
            peer.send(Response(id=request.id, ping=messages.PingResult(payload=b"late")))
            peer.echo()

        with FakeServer(script) as server, prism.connect(server.path) as client:
            answers = []
            thread = threading.Thread(target=lambda: answers.append(client.ping()))
            thread.start()
            self.assertTrue(self.in_child(lambda: client.ping(b"child") == b"child"))
            release.set()
            thread.join(20)
            self.assertEqual(answers, [b"late"])

    def test_a_child_can_neither_use_nor_end_its_parents_transaction(self):
        seen = []

        def script(peer):
            while (request := peer.read()) is not None:
                seen.append(request.WhichOneof("operation"))
                peer.send(Response(id=request.id, begin=messages.BeginResult(transaction=9)))

        with FakeServer(script) as server, prism.connect(server.path) as client:
            def work():
                try:
                    transaction.query("select 1")
                except prism.FailedPrecondition as error:
                    refused = error.outcome == "NOT_EXECUTED"
                transaction.__exit__(SystemExit, None, None)
                return refused

            with client.transaction() as transaction:
                self.assertTrue(self.in_child(work))
                self.assertEqual(seen, ["begin"])
            self.assertEqual(seen, ["begin", "commit"])


if __name__ == "__main__":
    unittest.main()
