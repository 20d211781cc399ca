"""`prism kv`, `sql`, `ping` and `wait`: what they print, for people and as JSON, and their exit codes."""

import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
import unittest

import cli
import paths
from harness import ServerTestCase, StartTestCase


class DataCommandTestCase(ServerTestCase):
    def prism(self, *arguments, **options):
        return cli.run(*arguments, PRISM_SOCKET=self.server.socket_path, **options)

    def json(self, *arguments, **options):
        return cli.run_json(*arguments, PRISM_SOCKET=self.server.socket_path, **options)

    def error(self, *arguments, code=1, **options):
        """The error object of a command that fails with this exit code."""
        answer = self.json(*arguments, code=code, **options)
        self.assertEqual(set(answer), {"error"})
        self.assertTrue(answer["error"]["message"])
        return answer["error"]


class KeyValueCommandTests(DataCommandTestCase):
    def test_put_get_delete(self):
        version = self.json("kv", "put", "pgd", "hello")["version"]
        self.assertGreater(version, 0)
        self.assertEqual(self.prism("kv", "get", "pgd").stdout, "hello", "exactly the bytes, without a line end")
        self.assertEqual(self.json("kv", "get", "pgd"), {
            "found": True, "key": "pgd", "value": "hello", "version": version, "expires_at_milliseconds": 0})
        self.assertEqual(self.prism("kv", "delete", "pgd").stdout, "deleted\n")
        self.assertEqual(self.json("kv", "delete", "pgd", code=1), {"found": False})
        self.assertEqual(self.json("kv", "get", "pgd", code=1), {"found": False, "key": "pgd"})
        missing = self.prism("kv", "get", "pgd", code=1)
        self.assertEqual((missing.stdout, missing.stderr), ("", "prism: there is no key pgd\n"))

    def test_values_of_any_bytes_come_from_standard_input_and_go_to_standard_output(self):
        value = bytes(range(256)) * 100
        self.prism("kv", "put", "bytes", "-", stdin=value, text=False)
        self.assertEqual(self.prism("kv", "get", "bytes", text=False).stdout, value)
        self.assertIn("value_base64", self.json("kv", "get", "bytes"))

    def test_values_and_deltas_that_begin_with_a_dash(self):
        self.prism("kv", "put", "dash", "--", "-5")
        self.assertEqual(self.prism("kv", "get", "dash").stdout, "-5")
        self.assertEqual(self.prism("kv", "increment", "dash", "--by", "-2").stdout, "-7\n")

    def test_conditions(self):
        self.prism("kv", "put", "condition", "a", "--if-absent")
        error = self.error("kv", "put", "condition", "b", "--if-absent")
        self.assertEqual((error["code"], error["outcome"]), ("FAILED_PRECONDITION", "NOT_EXECUTED"))
        version = error["current_version"]
        self.assertEqual(self.error("kv", "delete", "condition", "--if-version", str(version + 1))["current_version"],
                         version)
        self.prism("kv", "put", "condition", "c", "--if-version", str(version))
        self.prism("kv", "put", "condition", "d", "--if-present")
        self.assertEqual(self.error("kv", "put", "no-condition", "d", "--if-present")["code"], "FAILED_PRECONDITION")
        both = self.prism("kv", "put", "condition", "e", "--if-present", "--if-absent", code=2)
        self.assertIn("exclude each other", both.stderr)
        self.assertEqual(self.prism("kv", "get", "condition").stdout, "d")

    def test_time_to_live(self):
        before = time.time() * 1000
        self.prism("kv", "put", "ttl", "v", "--ttl", "30m")
        expires = self.json("kv", "get", "ttl")["expires_at_milliseconds"]
        self.assertGreater(expires, before + 29 * 60_000)
        self.prism("kv", "touch", "ttl", "--ttl", "0")
        self.assertEqual(self.json("kv", "get", "ttl")["expires_at_milliseconds"], 0)
        self.assertEqual(self.json("kv", "touch", "no-ttl", "--ttl", "1s", code=1), {"found": False})
        for duration in ("5", "5 s", "-5s", "soon"):
            self.assertIn("--ttl", self.prism("kv", "put", "ttl", "v", f"--ttl={duration}", code=2).stderr)

    def test_increment(self):
        self.assertEqual(self.prism("kv", "increment", "n").stdout, "1\n")
        self.assertEqual(self.json("kv", "increment", "n", "--by", "41")["value"], 42)
        self.assertEqual(self.error("kv", "increment", "n", "--by", str(2**63 - 1))["code"], "OUT_OF_RANGE")
        self.assertEqual(self.prism("kv", "get", "n").stdout, "42")
        self.prism("kv", "put", "word", "hello")
        self.assertEqual(self.error("kv", "increment", "word")["code"], "FAILED_PRECONDITION")
        self.prism("kv", "increment", "n", "--by", "1.5", code=2)

    def test_scan_and_count(self):
        for key in ("s:a", "s:b", "s:tab\tkey", "t"):
            self.prism("kv", "put", key, f"of {key}", "--namespace", "scan")
        here = ("--namespace", "scan")
        self.assertEqual(self.prism("kv", "scan", *here, "--prefix", "s:").stdout,
                         "s:a\tof s:a\ns:b\tof s:b\ns:tab\\tkey\tof s:tab\\tkey\n")
        self.assertEqual(self.prism("kv", "scan", *here, "--keys-only", "--reverse", "--limit", "2").stdout.split("\n")[0],
                         "t")
        self.assertEqual(self.prism("kv", "count", *here).stdout, "4\n")
        self.assertEqual(self.json("kv", "count", *here, "--start", "s:b", "--end", "t"), {"count": 2})
        self.assertEqual(self.prism("kv", "scan", *here, "--prefix", "none").stdout, "")

        keys, cursor = [], ""
        for _ in range(10):
            page = self.json("kv", "scan", *here, "--limit", "2", *(["--cursor", cursor] if cursor else []))
            self.assertIs(page["complete"], True)
            keys += [entry["key"] for entry in page["entries"]]
            cursor = page["cursor"]
            if not cursor:
                break
        self.assertEqual(keys, ["s:a", "s:b", "s:tab\tkey", "t"])
        self.prism("kv", "scan", *here, "--cursor", "not base64!", code=2)
        self.prism("kv", "scan", *here, "--prefix", "a", "--start", "b", code=2)

    def test_a_terminal_sees_a_table_and_no_control_characters(self):
        self.prism("kv", "put", "evil", "-", "--namespace", "terminal", stdin="a\x1b[31mred\nb")
        shown = cli.run_on_terminal("kv", "get", "evil", "-n", "terminal", PRISM_SOCKET=self.server.socket_path)
        self.assertEqual(shown, "a\\u{1b}[31mred\nb\n")
        table = cli.run_on_terminal("kv", "scan", "-n", "terminal", PRISM_SOCKET=self.server.socket_path)
        self.assertNotIn("\x1b", table)
        self.assertIn("evil", table)
        self.assertGreater(len(table.splitlines()), 2, "headings, a line, a row")

    def test_bad_keys_and_namespaces_are_the_sidecars_to_judge(self):
        for arguments in (["kv", "get", ""], ["kv", "get", "k" * 1025], ["kv", "get", "k", "-n", "Not_Good"]):
            error = self.error(*arguments)
            self.assertEqual((error["code"], error["outcome"]), ("INVALID_ARGUMENT", "NOT_EXECUTED"))

    def test_an_unknown_backend(self):
        self.assertEqual(self.error("kv", "get", "k", "--backend", "nowhere")["code"], "NOT_FOUND")
        self.prism("kv", "put", "k", "v", "--backend", "main")

    def test_usage(self):
        for arguments in (["kv", "get"], ["kv", "get", "a", "b"], ["kv", "put", "a"], ["kv", "touch", "a"],
                          ["kv", "fetch", "a"], ["kv", "get", "a", "--bogus"], ["kv", "get", "a", "--timeout", "0"],
                          ["kv", "get", "a", "--timeout", "5"], ["kv", "scan", "--limit", "-1"]):
            done = self.prism(*arguments, code=2)
            self.assertEqual(done.stdout, "")
            self.assertIn("sage", done.stderr)
            self.assertEqual(self.error(*arguments, code=2)["code"], "USAGE")


class SQLCommandTests(DataCommandTestCase):
    def test_rows(self):
        self.assertEqual(self.prism("sql", "select 1 as one, 'a\tb' as two, null as three").stdout,
                         "one\ttwo\tthree\n1\ta\\tb\t\\N\n")
        answer = self.json("sql", "select $1 as i, $2 as d, $3 as t, $4 as z, x'00ff' as b, null as n",
                           "17", "1.5", "a", "007")
        self.assertEqual([column["name"] for column in answer["columns"]], list("idtzbn"))
        self.assertEqual(answer["rows"], [[17, 1.5, "a", "007", {"base64": "AP8="}, None]])
        self.assertIs(answer["complete"], True)
        table = cli.run_on_terminal("sql", "select 1 as one", PRISM_SOCKET=self.server.socket_path)
        self.assertEqual(table.split()[0], "one")
        self.assertGreater(len(table.splitlines()), 2)

    def test_writes(self):
        self.prism("sql", "create table cli_t (id integer primary key, note text)")
        answer = self.json("sql", "insert into cli_t values ($1, $2), ($3, $4)", "1", "x", "2", "NULL", "--null", "NULL")
        self.assertEqual((answer["rows_affected"], answer["rows"]), (2, []))
        self.assertEqual(self.json("sql", "select note from cli_t order by id")["rows"], [["x"], [None]])
        self.assertEqual(self.error("sql", "insert into cli_t values (1, 'again')")["code"], "ALREADY_EXISTS")
        self.assertEqual(self.json("sql", "select typeof($1)", "5", "--text")["rows"], [["text"]])
        self.assertEqual(self.prism("sql", "select $1 + 0 as v", "--", "-5").stdout, "v\n-5\n")

    def test_a_statement_from_standard_input(self):
        self.assertEqual(self.prism("sql", "-", stdin="select 2 as two").stdout, "two\n2\n")

    def test_errors_say_where_and_what_to_do(self):
        error = self.error("sql", "selec 1")
        self.assertEqual((error["code"], error["stage"], error["outcome"]), ("INVALID_ARGUMENT", "execute", "NOT_EXECUTED"))
        self.assertGreater(error["sqlite_code"], 0)
        human = self.prism("sql", "selec 1", code=1)
        self.assertEqual(human.stdout, "")
        self.assertIn("INVALID_ARGUMENT", human.stderr)
        self.assertIn("outcome: NOT_EXECUTED", human.stderr)
        self.assertEqual(self.error("sql", "select $1")["code"], "INVALID_ARGUMENT")
        self.assertEqual(self.error("sql", "insert into x values (1)", "--read-only")["outcome"], "NOT_EXECUTED")
        self.assertIn("begin", self.error("sql", "begin")["message"].lower())

    def test_the_deadline_reaches_the_database(self):
        endless = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n"
        error = self.error("sql", endless, "--timeout", "200ms")
        self.assertEqual(error["code"], "DEADLINE_EXCEEDED")

    def test_a_large_result_is_streamed(self):
        done = self.prism("sql", "with recursive n(i) as (select 1 union all select i + 1 from n limit 50000) "
                                 "select i, printf('%.40d', i) as text from n", "--read-only")
        lines = done.stdout.splitlines()
        self.assertEqual(len(lines), 50_001)
        self.assertEqual(lines[-1].split("\t")[0], "50000")

    def test_a_reader_that_goes_away_ends_the_command(self):
        process = subprocess.Popen(
            [paths.binary(), "sql", "with recursive n(i) as (select 1 union all select i + 1 from n limit 5000000) "
                                    "select i from n"],
            env=cli.environment(PRISM_SOCKET=self.server.socket_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        process.stdout.read(10)
        process.stdout.close()
        self.assertIn(process.wait(30), (1, -signal.SIGPIPE))
        process.stderr.close()
        self.assertEqual(self.client().ping(b"on"), b"on")


class PingAndWaitTests(StartTestCase):
    def test_ping(self):
        server = self.start()
        self.assertIn(server.socket_path, cli.run("ping", "--socket", server.socket_path).stdout)
        answer = cli.run_json("ping", PRISM_SOCKET=server.socket_path)
        self.assertEqual(answer["socket"], server.socket_path)
        self.assertGreaterEqual(answer["microseconds"], 0)

    def test_without_a_server_the_remedy_is_named(self):
        path = os.path.join(self.directory(), "none.sock")
        for arguments in (["ping"], ["kv", "get", "k"], ["sql", "select 1"], ["wait", "--timeout", "50ms"],
                          ["bench", "--workload", "kv-get"]):
            done = cli.run(*arguments, code=1, PRISM_SOCKET=path)
            self.assertIn(path, done.stderr)
            self.assertIn("prism serve", done.stderr)
            error = cli.run_json(*arguments, code=1, PRISM_SOCKET=path)["error"]
            self.assertEqual((error["code"], error["outcome"]), ("UNAVAILABLE", "NOT_EXECUTED"))

    def test_what_waiting_cannot_mend_ends_a_wait_at_once(self):
        directory = self.directory()
        long = os.path.join(directory, "x" * 110)
        for arguments in (["ping"], ["wait", "--timeout", "1h"], ["kv", "get", "k"]):
            self.assertIn("holds 107", cli.run(*arguments, code=2, PRISM_SOCKET=long).stderr)
        if os.getuid() != 0:
            self.skipTest("only root can become somebody else")
        server = self.start(directory=directory)
        os.chmod(directory, 0o755)
        binary = os.path.join(directory, "prism")  # where anybody can reach it
        shutil.copy(paths.binary(), binary)
        for arguments in (["ping"], ["wait", "--timeout", "1h"]):
            done = subprocess.run(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", binary, *arguments,
                                   "--json"], env=cli.environment(PRISM_SOCKET=server.socket_path), capture_output=True,
                                  text=True, timeout=30)
            self.assertEqual(done.returncode, 1, done.stderr)
            error = json.loads(done.stderr)["error"]
            self.assertEqual((error["code"], error["retryable"]), ("PERMISSION_DENIED", False))
            self.assertIn("socket.group", error["hint"])

    def test_wait_returns_when_the_sidecar_answers(self):
        directory = self.directory()
        path = os.path.join(directory, "prism.sock")
        waiting = subprocess.Popen([paths.binary(), "wait", "--json", "--timeout", "30s"],
                                   env=cli.environment(PRISM_SOCKET=path), stdout=subprocess.PIPE, text=True)
        self.addCleanup(waiting.stdout.close)
        self.addCleanup(waiting.kill)
        self.assertIsNone(waiting.poll())
        self.start(directory=directory)
        output, _ = waiting.communicate(timeout=30)
        self.assertEqual(waiting.returncode, 0)
        self.assertEqual(json.loads(output)["socket"], path)

    def test_a_peer_that_is_no_sidecar_ends_the_wait_of_a_command(self):
        path = os.path.join(self.directory(), "other.sock")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen()

            def answer():
                connection, _ = listener.accept()
                with connection:
                    connection.recv(100)
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

            thread = threading.Thread(target=answer)
            thread.start()
            error = cli.run_json("ping", "--timeout", "5s", code=1, PRISM_SOCKET=path)["error"]
            thread.join(10)
        self.assertIn("is that the socket of a Prism sidecar", error["hint"])


if __name__ == "__main__":
    unittest.main()
