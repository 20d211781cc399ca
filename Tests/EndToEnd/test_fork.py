"""The client across forks against the real server: own sockets, nothing of the parent's is used or ended."""

import os
import threading
import unittest

import prism
import processes
from harness import ServerTestCase


class ForkTests(ServerTestCase):
    def test_forked_workers_share_a_client_object_and_not_its_socket(self):
        client = self.client()
        client.put("forked", "0")

        def work(number):
            for index in range(50):
                client.increment("forked")
                assert client.ping(f"{number}/{index}".encode()) == f"{number}/{index}".encode()
            return os.getpid()

        pids = processes.run(work, 8, seconds=60)
        self.assertEqual(len(set(pids)), 8)
        self.assertEqual(client.get("forked").value, b"400")

    def test_a_fork_inside_a_transaction_leaves_it_to_the_parent(self):
        client = self.client()
        client.query("create table if not exists forks (who text)")

        def child(_):
            try:
                tx.query("insert into forks values ('child')")
            except prism.FailedPrecondition as error:
                tx.__exit__(SystemExit, None, None)
                return error.outcome

        with client.transaction() as tx:
            tx.query("insert into forks values ('parent')")
            self.assertEqual(processes.run(child, 1, seconds=20), ["NOT_EXECUTED"])
            tx.query("insert into forks values ('parent again')")
        self.assertEqual(client.query("select who from forks order by who").rows, [("parent",), ("parent again",)])

    def test_forks_while_threads_are_busy_leave_all_of_them_working(self):
        client = self.client()
        ending, errors = threading.Event(), []

        def busy():
            try:
                while not ending.is_set():
                    assert client.query("select 42", read_only=True).scalar() == 42
            except BaseException as error:
                errors.append(repr(error))

        threads = [threading.Thread(target=busy) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(10):
                self.assertEqual(processes.run(lambda n: client.query("select $1", n, read_only=True).scalar(), 4, 30), [0, 1, 2, 3])
        finally:
            ending.set()
            for thread in threads:
                thread.join(30)
        self.assertEqual(errors, [])

    def test_a_child_that_exits_does_not_close_its_parents_connection(self):
        client = self.client()
        with client.stream("with recursive n(i) as (select 1 union all select i + 1 from n where i < 100000) select i from n",
                           read_only=True) as rows:
            self.assertEqual(next(rows), (1,))
            processes.run(lambda _: client.ping(b"x") == b"x", 2, seconds=20)
            self.assertEqual(sum(1 for _ in rows), 99_999)


if __name__ == "__main__":
    unittest.main()
