"""What became of a request on PostgreSQL, in every case that is known to mislead: each is caused, on a real server."""

import json
import os
import subprocess
import threading
import time
import unittest

import paths
import postgres
import prism
from harness import Server
from postgres_faults import Relay

SECONDS_MAX = 30


@unittest.skipUnless(paths.binary(), "prism is not built: run `swift build`, or name a binary in PRISM_BINARY")
@postgres.needed
class OutcomeCase(unittest.TestCase):
    SETTINGS = None

    @classmethod
    def setUpClass(cls):
        cls.cluster = postgres.Cluster(cls.SETTINGS)
        cls.addClassCleanup(cls.cluster.close)

    def setUp(self):
        self.database = self.cluster.new_database()

    def serve(self, host=None, **more):
        conninfo = " ".join([f"host={host or self.cluster.directory} port={self.cluster.port} dbname={self.database}",
                             "user=postgres"])
        server = Server("--postgres", conninfo, sqlite=False, **more)
        self.addCleanup(server.close)
        return server

    def client(self, server, **options):
        client = server.connect(**{"timeout": 20, **options})
        self.addCleanup(client.close)
        return client

    def sql(self, text):
        return self.cluster.sql(text, self.database)

    def until(self, question, answer="t"):
        """Waits for a fact of the server's, asked past Prism."""
        deadline = time.monotonic() + SECONDS_MAX
        while self.cluster.value(question, self.database) != answer:
            self.assertLess(time.monotonic(), deadline, f"never {answer}: {question}")
            time.sleep(0.01)

    def fails(self, code, outcome, function, *arguments, **options):
        with self.assertRaises(prism.Error) as raised:
            function(*arguments, **options)
        error = raised.exception
        self.assertEqual((error.code, error.outcome), (code, outcome), str(error))
        return error

    def running(self, text):
        return ("select count(*) = 1 from pg_stat_activity where state = 'active' and pid <> pg_backend_pid() "
                f"and query like '%{text}%'")


class CommitTests(OutcomeCase):
    """Commits that fail, and commits of which nobody hears."""

    def test_a_deferred_constraint_fails_at_the_commit_and_nothing_remains(self):
        self.sql("create table parent (id int primary key); create table child (p int references parent deferrable "
                 "initially deferred)")
        client = self.client(self.serve())
        # Alone, the statement succeeds and the commit behind it does not.
        error = self.fails("FAILED_PRECONDITION", "NOT_EXECUTED", client.query, "insert into child values (7)")
        self.assertEqual(error.sqlstate, "23503")
        self.fails("FAILED_PRECONDITION", "NOT_EXECUTED", client.batch, ["insert into child values (8)", "select 1"])

        def transaction():
            with client.transaction() as tx:
                tx.query("insert into child values (9)")

        self.fails("FAILED_PRECONDITION", "NOT_EXECUTED", transaction)
        self.assertEqual(self.sql("select p from child"), [])
        self.assertEqual(client.query("select 1").scalar(), 1)

    def test_a_connection_lost_during_a_commit_is_unknown(self):
        # The commit waits in a deferred trigger for a lock that the test holds.
        self.sql("create table t (n int); create function wait() returns trigger language plpgsql as $$ begin "
                 "perform pg_advisory_xact_lock(42); return null; end $$; create constraint trigger w after insert on t "
                 "deferrable initially deferred for each row execute function wait()")
        relay = Relay(self.cluster)
        self.addCleanup(relay.close)
        server = self.serve(host=relay.directory)
        for statement in ("query", "transaction"):
            with self.subTest(statement):
                holder = self.hold_lock()
                client, caught = self.client(server), []
                # The losses of the case before may have taken all connections.
                prism.retry(lambda: client.query("select 1"), seconds=SECONDS_MAX)

                def work():
                    try:
                        if statement == "query":
                            client.query("insert into t values (1)")
                        else:
                            with client.transaction() as tx:
                                tx.query("insert into t values (2)")
                    except prism.Error as error:
                        caught.append(error)

                thread = threading.Thread(target=work)
                thread.start()
                self.until("select count(*) = 1 from pg_locks where locktype = 'advisory' and not granted")
                while not caught and thread.is_alive():
                    relay.drop_one()
                    time.sleep(0.01)
                thread.join(SECONDS_MAX)
                holder()
                self.assertEqual([(error.code, error.outcome) for error in caught], [("UNAVAILABLE", "UNKNOWN")], str(caught))
                self.assertFalse(caught[0].retryable)

    def test_a_connection_lost_before_the_commit_was_sent_leaves_nothing(self):
        self.sql("create table t (n int)")
        client = self.client(self.serve())
        with self.assertRaises(prism.Error) as raised:
            with client.transaction() as tx:
                tx.query("insert into t values (1)")
                self.sql("select pg_terminate_backend(pid) from pg_stat_activity where state = 'idle in transaction'")
                tx.query("insert into t values (2)")
        # Whoever comes first: the loss, or the next request on a transaction that has been lost.
        self.assertIn(raised.exception.code, ("UNAVAILABLE", "ABORTED"))
        self.assertEqual(raised.exception.outcome, "NOT_EXECUTED")
        self.assertEqual(self.sql("select n from t"), [])

    def test_a_terminated_statement_leaves_nothing_and_says_so(self):
        self.sql("create table t (n int)")
        client, caught = self.client(self.serve()), []
        thread = threading.Thread(target=lambda: caught.append(self.fails(
            "UNAVAILABLE", "NOT_EXECUTED", client.query, "insert into t select 1 from pg_sleep(60)")))
        thread.start()
        self.until(self.running("insert into t"))
        self.sql("select pg_terminate_backend(pid) from pg_stat_activity where query like 'insert into t%'")
        thread.join(SECONDS_MAX)
        self.assertEqual(caught[0].sqlstate, "57P01")
        self.assertEqual(self.sql("select n from t"), [])

    def hold_lock(self):
        """Holds advisory lock 42 on a connection of its own; the answer lets it go."""
        process = subprocess.Popen([os.path.join(postgres.binaries(), "psql"), "-XAtq", self.cluster.conninfo(self.database)],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        process.stdin.write("select pg_advisory_lock(42);\n\\echo held\n")
        process.stdin.flush()
        while process.stdout.readline().strip() != "held":
            pass

        def release():
            process.stdin.close()
            process.wait(SECONDS_MAX)
            process.stdout.close()

        self.addCleanup(lambda: process.poll() is None and release())
        return release


class CancelTests(OutcomeCase):
    """Statements that are stopped and leave something all the same."""

    def test_a_cancelled_concurrent_index_is_unknown_and_there(self):
        self.sql("create table big as select generate_series(1, 1000) n; begin; commit")
        client = self.client(self.serve())
        # It waits for a transaction that has the table open, behind its first, committed step.
        with self.client(self.serve()).transaction() as tx:
            tx.query("insert into big values (0)")
            self.fails("DEADLINE_EXCEEDED", "UNKNOWN", client.query, "create index concurrently i on big (n)", timeout=1)
            self.until(self.running("create index concurrently"), "f")
        self.assertEqual(self.sql("select indisvalid from pg_index where indexrelid = 'i'::regclass"), [("f",)])

    def test_the_servers_own_timeout_is_cancelled_and_leaves_nothing(self):
        self.sql("create table t (n int); create function slow() returns int language plpgsql set statement_timeout = 100 "
                 "as $$ begin perform pg_sleep(60); return 1; end $$")
        self.cluster.sql(f"alter database {self.database} set statement_timeout = 200")
        client = self.client(self.serve())
        error = self.fails("CANCELLED", "NOT_EXECUTED", client.query, "insert into t select 1 from pg_sleep(60)")
        self.assertEqual(error.sqlstate, "57014")
        self.assertEqual(self.sql("select n from t"), [])

    def test_a_cancelled_procedure_that_commits_is_unknown(self):
        self.sql("create table t (n int); create procedure p() language plpgsql as $$ begin insert into t values (1); commit; "
                 "perform pg_sleep(60); end $$")
        client = self.client(self.serve())
        self.fails("DEADLINE_EXCEEDED", "UNKNOWN", client.query, "call p()", timeout=1)
        self.until(self.running("call p"), "f")
        self.assertEqual(self.sql("select n from t"), [("1",)])


class StandbyTests(OutcomeCase):
    """A commit that waits for a standby which is not there is committed all the same."""

    def setUp(self):
        super().setUp()
        self.sql("create table t (n int)")
        self.server = self.serve()
        self.caller = self.client(self.server)
        self.caller.query("insert into t values (0)")
        self.cluster.sql("alter system set synchronous_standby_names = 'nobody'")
        self.addCleanup(self.release)
        self.cluster.sql("select pg_reload_conf()")
        self.until_commits_wait()

    def release(self):
        self.cluster.sql("alter system reset synchronous_standby_names")
        self.cluster.sql("select pg_reload_conf()")

    def until_commits_wait(self):
        """What was reloaded holds once the checkpointer has read it, which nothing but a commit shows."""
        deadline = time.monotonic() + SECONDS_MAX
        while True:
            probe = threading.Thread(target=self.sql, args=("insert into t values (-1)",))
            probe.start()
            while probe.is_alive() and self.sql(self.waiting) == [("f",)]:
                self.assertLess(time.monotonic(), deadline, "no commit waits")
            if probe.is_alive():
                break
            probe.join()
        self.sql("select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'")
        probe.join(SECONDS_MAX)

    waiting = "select count(*) = 1 from pg_stat_activity where wait_event = 'SyncRep'"

    def test_cancelled_by_an_administrator_it_is_unknown(self):
        for how in ("query", "transaction", "put"):
            with self.subTest(how):
                caught = []

                def work():
                    try:
                        if how == "query":
                            self.caller.query("insert into t values (1)")
                        elif how == "put":
                            self.caller.put("k", "v")
                        else:
                            with self.caller.transaction() as tx:
                                tx.query("insert into t values (2)")
                    except prism.Error as error:
                        caught.append((error.code, error.outcome))

                thread = threading.Thread(target=work)
                thread.start()
                self.until(self.waiting)
                self.sql("select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'")
                thread.join(SECONDS_MAX)
                self.assertEqual(caught, [("UNAVAILABLE", "UNKNOWN")])
        self.assertEqual(self.sql("select n from t where n >= 0 order by n"), [("0",), ("1",), ("2",)])

    def test_cut_by_the_end_of_the_sidecar_it_is_unknown_and_reported_as_cut(self):
        """An insert, a Put and a Commit wait; SIGTERM. None of them has its answer in time, so the ending was no clean one."""
        server = self.serve(config="drain:\n  strict_exit: true\n")
        client = self.client(server)
        caught = []

        def caller(work):
            def call():
                try:
                    work()
                except prism.Error as error:
                    caught.append((error.code, error.outcome, error.message))
            return threading.Thread(target=call)

        transaction = client.transaction()
        transaction.__enter__()
        transaction.query("insert into t values (4)")
        callers = [caller(lambda: client.query("insert into t values (5)")), caller(lambda: client.put("k", "v")),
                   caller(lambda: transaction.__exit__(None, None, None))]
        for thread in callers:
            thread.start()
        self.until("select count(*) = 3 from pg_stat_activity where wait_event = 'SyncRep'")
        server.signal()
        for thread in callers:
            thread.join(SECONDS_MAX)
        self.assertEqual(caught, [("UNAVAILABLE", "UNKNOWN", "cut by the end of the sidecar")] * 3)
        self.assertEqual(server.wait(), 3, server.log)
        report = next(line for line in map(json.loads, server.log.splitlines()) if line["event"] == "drain_report")
        self.assertEqual((report["cancelled"], report["finished"], report["transactions_rolled_back"]), (3, 0, 0), report)
        self.assertEqual(self.sql("select n from t where n > 3 order by n"), [("4",), ("5",)])

    def test_at_its_deadline_it_is_unknown_and_the_connection_is_used_again(self):
        self.fails("DEADLINE_EXCEEDED", "UNKNOWN", self.caller.query, "insert into t values (3)", timeout=1)
        self.until(self.waiting, "f")
        self.release()
        self.assertEqual(self.caller.query("select count(*) from t where n in (0, 3)").scalar(), 2)


if __name__ == "__main__":
    unittest.main()
