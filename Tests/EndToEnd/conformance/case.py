"""What all cases have: a server on the backend at hand, clients of it, and names that no other case uses."""

import itertools
import threading

import prism
from harness import ServerTestCase

_names = itertools.count(1)


class ConformanceCase(ServerTestCase):
    """`backend` is set by test_conformance.py, which makes a class for each backend."""

    backend = None

    @classmethod
    def setUpClass(cls):
        cls.place = cls.backend.Place()
        cls.addClassCleanup(cls.place.close)
        super().setUpClass()

    @classmethod
    def serve(cls):
        return cls.place.start(cls.CONFIG)

    def setUp(self):
        super().setUp()
        self.db = self.client()
        self.table = f"t{next(_names)}"
        # For key-value: a namespace of the case's own.
        self.ns = {"namespace": f"n{next(_names)}"}

    def create_table(self, columns="v text"):
        """The case's table, with `id` and these columns."""
        self.db.query(f"create table {self.table} ({self.backend.id_column}, {columns})")

    def insert(self, on, identity):
        on.query(f"insert into {self.table} (id) values ($1)", identity)

    def ids(self):
        """What another client sees in the case's table."""
        rows = self.client().query(f"select id from {self.table} order by id", read_only=True)
        return [identity for (identity,) in rows]

    def endless_insert(self):
        """Inserts into the case's table, and does not end."""
        return f"insert into {self.table} (id) {self.backend.endless}"

    def together(self, functions, seconds=60):
        """Runs each in a thread of its own and answers what they return; an error of one is the case's."""
        results, errors = [None] * len(functions), []

        def run(index, function):
            try:
                results[index] = function()
            except Exception as error:
                errors.append(error)

        threads = [threading.Thread(target=run, args=pair, daemon=True) for pair in enumerate(functions)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(seconds)
        self.assertFalse(any(thread.is_alive() for thread in threads), f"not done in {seconds} s")
        if errors:
            raise errors[0]
        return results

    def fails(self, function, *arguments, **options):
        """The error that a call must end with, whatever it is."""
        with self.assertRaises(prism.Error) as raised:
            function(*arguments, **options)
        return raised.exception
