"""What the tests of limits share."""

import re
import time

import prism
from harness import Server, StartTestCase
from raw import code, outcome

SECONDS_MAX = 30

# What must fit into a small frame.
SMALL = "idempotency: {answer_bytes: 1KiB}\nlimits: {frame_bytes: 64KiB, value_bytes: 40KiB, result_bytes: 60KiB"


class LimitCase(StartTestCase):
    def serve(self, config, **options):
        server = Server(config=config, **options)
        self.addCleanup(server.close)
        # What looked whether it is there has left.
        self.until("alone", lambda: self.is_alone(server))
        return server

    @staticmethod
    def is_alone(server):
        try:
            return "prism_clients 0\n" in server.admin("GET", "/metrics")[1]
        except OSError:  # not there yet
            return False

    def client(self, server, **options):
        client = server.connect(**{"timeout": 20, **options})
        self.addCleanup(client.close)
        return client

    def raw(self, server, **options):
        raw = server.raw(**options)
        self.addCleanup(raw.close)
        return raw

    def refused(self, code, function, *arguments, words="", result="NOT_EXECUTED", **options):
        with self.assertRaises(prism.Error) as raised:
            function(*arguments, **options)
        error = raised.exception
        self.assertEqual((error.code, error.outcome), (code, result), str(error))
        self.assertIn(words, error.message)
        return error

    def ended(self, raw, words):
        """The connection ends with a last answer that has these words."""
        last = raw.rest()[-1]
        self.assertEqual((last.id, code(last)), (0, "INVALID_ARGUMENT"))
        self.assertIn(words, last.failure.message)

    def full(self, response, words, result="NOT_EXECUTED"):
        self.assertEqual((code(response), outcome(response)), ("RESOURCE_EXHAUSTED", result), str(response))
        self.assertIn(words, response.failure.message)

    def counted(self, server, limit):
        """How often the limit has been reached."""
        return int(re.search(rf'^prism_limit_reached_total{{limit="{re.escape(limit)}"}} (\d+)', server.admin("GET", "/metrics")[1],
                             re.M).group(1))

    def buffered(self, server):
        return int(re.search(r"^prism_buffered_bytes (\d+)", server.admin("GET", "/metrics")[1], re.M).group(1))

    def until(self, what, condition):
        deadline = time.monotonic() + SECONDS_MAX
        while not (value := condition()):
            self.assertLess(time.monotonic(), deadline, what)
            time.sleep(0.01)
        return value

    def hold_writer(self, server):
        """The only writer of SQLite is taken."""
        holder = self.client(server)
        transaction = holder.transaction()
        transaction.__enter__()
        self.addCleanup(lambda: self.give_up(transaction))
        transaction.put("held", b"1")
        return transaction

    @staticmethod
    def give_up(transaction):
        try:
            transaction.__exit__(ValueError, ValueError(), None)
        except (prism.Error, OSError):
            pass
