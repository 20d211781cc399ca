"""`prism bench --target`: the same load on a PostgreSQL server, or on a pooler before one, without a sidecar."""

import json
import signal
import subprocess
import unittest

import cli
import paths
import pooler
import postgres
from harness import StartTestCase

SHORT = ("--workload", "sql", "--seconds", "0.3", "--keys", "500")


def load_connections(cluster, name):
    return int(cluster.value(f"select count(*) from pg_stat_activity where application_name = '{name}'"))


@postgres.needed
class TargetTests(StartTestCase):
    def setUp(self):
        self.cluster = postgres.shared()
        self.target = self.cluster.conninfo()

    def bench(self, *arguments, target=None, **options):
        return cli.run_json("bench", "--target", target or self.target, *arguments, **options)

    def assert_nothing_left(self):
        self.assertEqual(self.cluster.sql("select relname from pg_class where relname like 'bench%'"), [])

    def test_a_server(self):
        for clients, in_flight in ((1, 1), (8, 16)):
            for more in ((), ("--unnamed",), ("--rate", "200")):
                with self.subTest(clients=clients, in_flight=in_flight, more=more):
                    report = self.bench("--clients", str(clients), "--in-flight", str(in_flight), *SHORT, *more)
                    self.assertEqual((report["target"], report["clients"], report["in_flight"]),
                                     ("postgresql", clients, in_flight))
                    self.assertEqual((report["errors_by_code"], report["warm_up_errors"], report["connections_lost"]), ({}, 0, 0))
                    self.assertGreater(report["requests"], 0)
                    self.assertEqual(report["offered"], 60 if more[:1] == ("--rate",) else None)
                    latency = list(report["latency_microseconds"].values())
                    self.assertEqual(sorted(latency), latency)
                    self.assertIsNone(report["left_behind"])
            self.assert_nothing_left()

    def test_what_is_counted_has_been_run_there(self):
        """As many statements as there are answers, each on a row of its own, all of them read."""
        database = self.cluster.new_database()
        self.cluster.sql("create table kept (id integer primary key, value text); insert into kept select i, 'v' from "
                         "generate_series(0, 9) i; create table seen (id integer); "
                         "create function see(integer) returns text language sql as "
                         "'insert into seen values ($1); select value from kept where id = $1'", database)
        report = self.bench("--workload", "sql", "--seconds", "0.3", "--keys", "10", "--in-flight", "4", "--clients", "3",
                            "--sql", "select see($1)", target=self.cluster.conninfo(database))
        self.assertEqual(report["errors_by_code"], {})
        seen, different = map(int, self.cluster.sql("select count(*), count(distinct id) from seen", database)[0])
        # Those of the warm-up, and those in flight at the end, ran too.
        self.assertGreaterEqual(seen, report["requests"])
        self.assertEqual(different, 10)
        self.assertEqual(self.cluster.value("select count(*) from kept", database), "10")

    def test_errors_are_counted_by_their_code(self):
        report = self.bench("--workload", "sql", "--sql", "select 1 / ($1::integer % 2)", "--seconds", "0.3", "--in-flight", "8")
        self.assertEqual(list(report["errors_by_code"]), ["SQLSTATE_22012"])
        self.assertGreater(report["errors"], 0)
        self.assertGreater(report["requests"], 0)
        self.assertEqual(report["connections_lost"], 0)

    def test_large_rows_arrive_in_parts(self):
        report = self.bench("--workload", "sql", "--sql", "select repeat('x', 700000)", "--seconds", "0.3", "--in-flight", "3")
        self.assertEqual(report["errors_by_code"], {})
        self.assertGreater(report["requests"], 0)

    def test_a_statement_that_is_wrong_is_said_before_any_load(self):
        error = self.bench("--workload", "sql", "--sql", "select nothing from nowhere", code=1)["error"]
        self.assertEqual((error["code"], error["sqlstate"]), ("INVALID_ARGUMENT", "42P01"))
        # A COPY would wait for data without end: its first answer ends the connection.
        report = self.bench("--workload", "sql", "--sql", "copy pg_class to stdout", "--seconds", "0.3", code=1)
        self.assertEqual(report["errors_by_code"], {"BAD_FRAME": 1})

    def start_long(self, name):
        process = subprocess.Popen(
            [paths.binary(), "bench", "--json", "--target", self.cluster.conninfo(application_name=name), "--workload", "sql", "--clients", "3", "--seconds", "600",
             "--keys", "100"], env=cli.environment(), stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.kill)
        while load_connections(self.cluster, name) < 3:
            self.assertIsNone(process.poll())
        return process

    def test_a_signal_ends_it_early_and_nothing_is_left(self):
        process = self.start_long("interrupted")
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 1)
        report = json.loads(output)
        self.assertEqual((report["interrupted"], report["left_behind"]), (True, None))
        self.assert_nothing_left()

    def test_connections_that_the_server_ends_are_counted_with_its_reason(self):
        process = self.start_long("terminated")
        while self.cluster.value("select count(pg_terminate_backend(pid)) from pg_stat_activity "
                                 "where application_name = 'terminated'") != "0":
            pass
        output, _ = process.communicate(timeout=30)
        report = json.loads(output)
        self.assertEqual(report["connections_lost"], 3)
        self.assertLessEqual(set(report["errors_by_code"]), {"SQLSTATE_57P01", "CONNECTION_LOST"})
        self.assert_nothing_left()

    def test_a_server_that_hangs_does_not_hold_it(self):
        report = self.bench("--workload", "sql", "--sql", "select pg_sleep(60)", "--seconds", "0.3", "--in-flight", "2", code=1)
        self.assertEqual(report["errors_by_code"], {"UNANSWERED": 2})

    def test_a_server_that_is_not_there(self):
        error = self.bench(*SHORT, target="host=/nonexistent", code=1)["error"]
        self.assertEqual(error["code"], "UNAVAILABLE")
        self.assertIn("/nonexistent", error["message"])

    def test_a_url_over_tcp_asks_for_the_password_of_the_environment(self):
        cluster = postgres.Cluster(tcp=True)
        self.addCleanup(cluster.close)
        url = f"postgresql://{postgres.SUPERUSER}@127.0.0.1:{cluster.tcp_port}/postgres"
        report = self.bench(*SHORT, target=url, PGPASSWORD=cluster.password)
        self.assertEqual(report["errors_by_code"], {})
        self.assertIsNone(report["sidecar_cpu_seconds"])

    def test_usage(self):
        for arguments in (["--workload", "kv-get"], [*SHORT, "--backend", "main"], [*SHORT, "--socket", "/tmp/x"]):
            self.assertEqual(self.bench(*arguments, code=2)["error"]["code"], "USAGE")
        error = self.bench(*SHORT, target="host=x password=hunter2", code=2)["error"]
        self.assertIn("password", error["message"])
        self.assertNotIn("hunter2", json.dumps(error))
        self.assertEqual(cli.run_json("bench", *SHORT, "--unnamed", code=2)["error"]["code"], "USAGE")


@unittest.skipIf(pooler.why_not(), pooler.why_not() or "")
class PoolerTests(StartTestCase):
    def test_a_pooler_in_transaction_mode_takes_unnamed_statements(self):
        target = pooler.shared().conninfo("postgres")
        for clients, in_flight in ((1, 1), (40, 1), (4, 8)):
            report = cli.run_json("bench", "--target", target, "--unnamed", "--clients", str(clients), "--in-flight", str(in_flight),
                                  *SHORT)
            self.assertEqual((report["errors_by_code"], report["left_behind"]), ({}, None))
            self.assertGreater(report["requests"], 0)
            # The pooler's own process is the one that listens.
            self.assertGreaterEqual(report["sidecar_cpu_seconds"], 0)


if __name__ == "__main__":
    unittest.main()
