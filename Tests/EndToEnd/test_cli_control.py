"""`prism serve`, `probe`, `status`, `drain`, `config` and `schema`, and the commands that have not come yet."""

import json
import os
import pty
import re
import signal
import socket
import sqlite3
import subprocess
import unittest

import cli
import harness
import paths
from harness import ServerTestCase, StartTestCase
from raw import query

ENDLESS = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n"
ANNOUNCED = ("top", "reload", "doctor", "backup", "conformance", "inject")


class AdminCommandTests(ServerTestCase):
    def prism(self, *arguments, **options):
        return cli.run(*arguments, PRISM_SOCKET=self.server.socket_path, **options)

    def json(self, *arguments, **options):
        return cli.run_json(*arguments, PRISM_SOCKET=self.server.socket_path, **options)

    def test_probes(self):
        for question in ("startup", "ready", "live"):
            self.assertTrue(self.prism("probe", question).stdout.startswith(f"{question}: yes"))
            answer = self.json("probe", question)
            self.assertEqual((answer["probe"], answer["ok"]), (question, True))
        self.assertIn("startup", self.prism("probe", "healthy", code=2).stderr)
        self.assertEqual(self.json("probe", code=2)["error"]["code"], "USAGE")

    def test_the_admin_socket_is_found_in_every_documented_way(self):
        for arguments, variables in (
                (["--admin-socket", self.server.admin_path], {}),
                (["--socket", self.server.socket_path], {}),
                ([], {"PRISM_SOCKET": self.server.socket_path}),
                ([], {"PRISM_ADMIN_SOCKET": self.server.admin_path}),
                (["--admin-socket", self.server.admin_path], {"PRISM_ADMIN_SOCKET": "/nonexistent"})):
            cli.run("probe", "ready", *arguments, **variables)
        cli.run("probe", "ready", code=1, PRISM_ADMIN_SOCKET=self.server.socket_path, PRISM_SOCKET=self.server.socket_path)

    def test_status(self):
        self.client().put("k", b"v")
        status = self.json("status")
        self.assertEqual(status["process_id"], self.server.pid)
        self.assertEqual((status["ready"], status["drain"]["state"]), (True, "SERVING"))
        self.assertEqual([backend["name"] for backend in status["backends"]], ["main"])
        self.assertGreaterEqual(status["requests"]["by_operation"]["put"], 1)
        text = self.prism("status").stdout
        self.assertRegex(text, rf"process id: +{self.server.pid}\n")
        self.assertIn("SERVING", text)

    def test_without_a_server(self):
        for arguments in (["probe", "ready"], ["status"], ["drain"], ["drain", "--wait"]):
            error = cli.run_json(*arguments, code=1, PRISM_SOCKET="/nonexistent/prism.sock")["error"]
            self.assertEqual(error["code"], "UNAVAILABLE")
            self.assertIn("/nonexistent/admin.sock", error["message"])
            self.assertTrue(error["hint"])

    def test_drain_with_wait_is_refused_in_native_mode(self):
        done = self.prism("drain", "--wait", code=2)
        self.assertIn("without --wait", done.stderr)
        self.assertEqual(self.json("status")["drain"]["state"], "SERVING")


class DrainCommandTests(StartTestCase):
    def test_native_drain_returns_at_once_and_can_be_repeated(self):
        server = self.start()
        client = self.client(server)
        for _ in range(2):
            answer = cli.run_json("drain", PRISM_SOCKET=server.socket_path)
            self.assertEqual(answer["state"], "LAME_DUCK")
        no = cli.run("probe", "ready", code=1, PRISM_SOCKET=server.socket_path)
        self.assertTrue(no.stdout.startswith("ready: no"), no.stdout)
        self.assertIs(cli.run_json("probe", "ready", code=1, PRISM_SOCKET=server.socket_path)["ok"], False)
        client.put("k", b"lame duck admits all")
        self.assertEqual(server.stop(), 0)

    def test_classic_drain_waits_for_the_clients_to_go(self):
        server = self.start(config="drain:\n  mode: classic\n  total: 60s\n  grace_period: 90s\n  quiet: 100ms\n")
        client = self.client(server)
        client.ping()
        process = subprocess.Popen([paths.binary(), "drain", "--wait"], stdout=subprocess.PIPE, text=True,
                                   env=cli.environment(PRISM_SOCKET=server.socket_path))
        self.addCleanup(process.kill)
        while cli.run_json("status", PRISM_SOCKET=server.socket_path)["drain"]["state"] != "LAME_DUCK":
            pass
        self.assertIsNone(process.poll())
        client.put("k", b"v")
        client.close()
        process.communicate(timeout=30)
        self.assertEqual(process.returncode, 0)
        self.assertEqual(server.wait(), 0, "classic mode ends by itself")

    def test_a_drain_that_is_answered_by_the_end_of_the_sidecar_has_worked(self):
        """It may end faster than it answers; only an orderly end removes the socket."""
        for ends_orderly in (True, False):
            directory = self.directory()
            path = os.path.join(directory, "admin.sock")
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(path)
                listener.listen()
                command = subprocess.Popen([paths.binary(), "drain", "--wait", "--json", "--admin-socket", path],
                                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                connection, _ = listener.accept()
                with connection:
                    connection.recv(4096)
                    if ends_orderly:
                        os.unlink(path)
                output, error = command.communicate(timeout=30)
            if ends_orderly:
                self.assertEqual((command.returncode, json.loads(output)["state"]), (0, "STOPPED"), error)
            else:
                self.assertEqual(command.returncode, 1, output + error)

    def test_strict_exit_says_that_requests_were_cut(self):
        server = self.start(config="drain:\n  strict_exit: true\n")
        raw = self.raw(server)
        raw.send(query(1, ENDLESS, read_only=True))
        while cli.run_json("status", PRISM_SOCKET=server.socket_path)["in_flight"] == 0:
            pass
        self.assertEqual(server.stop(), 3, server.log)
        quiet = self.start(config="drain:\n  strict_exit: true\n")
        self.assertEqual(quiet.stop(), 0, quiet.log)


class ServeCommandTests(StartTestCase):
    def test_without_arguments_it_serves_a_file_beside_the_first_usable_socket(self):
        directory = self.directory()
        process = subprocess.Popen([paths.binary(), "serve"], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                   env=cli.environment(PRISM_SOCKET=os.path.join(directory, "new", "prism.sock")))
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.kill)
        serving = json.loads(process.stderr.readline())
        self.assertEqual(serving["event"], "serving")
        cli.run("kv", "put", "k", "v", PRISM_SOCKET=serving["socket"])
        self.assertTrue(os.path.exists(os.path.join(directory, "new", "prism.db")))
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(20), 0)

    def test_on_a_terminal_it_logs_text_and_says_how_to_try_it(self):
        directory = self.directory()
        leader, follower = pty.openpty()
        self.addCleanup(os.close, leader)
        path = os.path.join(directory, "prism.sock")
        process = subprocess.Popen([paths.binary(), "serve", "--socket", path], stdin=subprocess.DEVNULL, stderr=follower,
                                   env=cli.environment())
        os.close(follower)
        self.addCleanup(process.kill)
        shown = ""
        while "prism sql 'select 1'" not in shown:
            shown += os.read(leader, 4096).decode().replace("\r\n", "\n")
        self.assertRegex(shown, r"^\S+ info serving ")
        hints = re.findall(r"^  (export .*|prism .*)$", shown, re.MULTILINE)
        self.assertEqual(len(hints), 4, shown)
        os.symlink(paths.binary(), os.path.join(directory, "prism"))
        done = subprocess.run(["sh", "-ec", "\n".join(hints)], capture_output=True, text=True, timeout=30,
                              env=cli.environment(PATH=f"{directory}:{os.environ['PATH']}"))
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(20), 0)

    def wait_for_log(self, server, text):
        """A client can be faster than the line that says so; the run's limit ends a wait for nothing."""
        while text not in server.log:
            self.assertIsNone(server.process.poll(), server.log)

    def test_flags_win_over_variables_over_the_file(self):
        directory = self.directory()
        server = self.start(config="log:\n  level: error\n  format: text\n", directory=directory,
                            environment={"PRISM_LOG_LEVEL": "info", "PRISM_LOG_FORMAT": "text"}, wait=True)
        self.wait_for_log(server, "serving")
        self.assertFalse(server.log.startswith("{"))
        server.stop()
        server = self.start("--json", directory=directory, environment={"PRISM_LOG_FORMAT": "text"})
        self.wait_for_log(server, "serving")
        self.assertEqual(json.loads(server.log.splitlines()[0])["event"], "serving")

    def test_usage_and_configuration_errors_exit_with_2_and_say_what_to_do(self):
        directory = self.directory()
        path = os.path.join(directory, "prism.yaml")
        with open(path, "w") as file:
            file.write("limits:\n  frame_byte: 4MiB\n")
        for arguments, expected in (
                (["--bogus"], "--bogus"),
                (["--config", os.path.join(directory, "none.yaml")], "cannot be opened"),
                (["--config", path], "did you mean frame_bytes?"),
                (["--postgres", "host=db password=hunter2"], "password"),
                (["--sqlite", "a.db", "--postgres", "host=db"], "--sqlite"),
                (["--socket", "/tmp/" + "x" * 120 + "/prism.sock"], "107")):
            code, output = harness.run_serve("--socket", os.path.join(directory, "s.sock"), *arguments,
                                             cwd=directory, env=cli.environment())
            self.assertEqual(code, 2, f"{arguments}: {output}")
            self.assertIn(expected, output)
            self.assertNotIn("hunter2", output)
            self.assertFalse(os.path.exists(os.path.join(directory, "s.sock")))

    def test_a_socket_that_is_served_exits_with_4(self):
        server = self.start()
        code, output = harness.run_serve("--socket", server.socket_path, "--sqlite", os.path.join(self.directory(), "x.db"))
        self.assertEqual(code, 4)
        self.assertIn("another process serves it", output)


class ConfigCommandTests(StartTestCase):
    def write(self, text):
        path = os.path.join(self.directory(), "prism.yaml")
        with open(path, "w") as file:
            file.write(text)
        return path

    def test_check(self):
        self.assertEqual(cli.run("config", "check", "--config", os.path.join(paths.ROOT, "prism.yaml")).stdout,
                         "the configuration is sound\n")
        bad = self.write("limits:\n  frame_byte: 4MiB\ndrain:\n  total: 25\n")
        done = cli.run("config", "check", "--config", bad, code=2)
        self.assertEqual(done.stdout, "")
        self.assertIn(f"{bad}:2: ", done.stderr)
        self.assertIn(f"{bad}:4: ", done.stderr)
        answer = cli.run_json("config", "check", "--config", bad, code=2)
        self.assertIs(answer["sound"], False)
        self.assertEqual([error["place"] for error in answer["errors"]], [f"{bad}:2", f"{bad}:4"])
        for error in answer["errors"]:
            self.assertTrue(error["message"])
            self.assertTrue(error["remedy"])
        self.assertEqual(cli.run_json("config", "check"), {
            "sound": True, "warnings": [], "errors": [], "errors_omitted": 0})

    def test_check_warns(self):
        path = self.write("drain:\n  after_sigterm: 3s\n")
        self.assertIn("warning: drain.after_sigterm", cli.run("config", "check", "--config", path).stdout)
        (warning,) = cli.run_json("config", "check", "--config", path)["warnings"]
        self.assertIn("drain.after_sigterm", warning)

    def test_show(self):
        path = self.write("limits:\n  connections: 17\n")
        text = cli.run("config", "show", "--config", path, PRISM_LIMITS_TRANSACTIONS="5").stdout
        self.assertRegex(text, rf"connections.*17.*{re.escape(path)}:2")
        self.assertRegex(text, r"transactions.*5.*PRISM_LIMITS_TRANSACTIONS")
        shown = json.dumps(cli.run_json("config", "show", "--config", path))
        self.assertIn(f"{path}:2", shown)

    def test_show_hides_secrets(self):
        secret = os.path.join(self.directory(), "secret")
        with open(secret, "w") as file:
            file.write("hunter2\n")
        path = self.write("backends:\n  - name: main\n    kind: postgresql\n    conninfo: host=db user=u\n"
                          f"    password_file: {secret}\n")
        for arguments in (["config", "show"], ["config", "show", "--json"]):
            done = cli.run(*arguments, "--config", path, PGPASSWORD="hunter2")
            self.assertNotIn("hunter2", done.stdout + done.stderr)

    def test_schema(self):
        for arguments in ([], ["--json"]):
            schema = json.loads(cli.run("config", "schema", *arguments).stdout)
            self.assertIn("limits", schema["properties"])


class SchemaCommandTests(StartTestCase):
    def test_print_is_what_apply_does(self):
        sql = cli.run("schema", "print").stdout
        self.assertEqual(cli.run_json("schema", "print")["sql"].strip(), sql.strip())
        by_hand, applied = (os.path.join(self.directory(), name) for name in ("hand.db", "applied.db"))
        database = sqlite3.connect(by_hand)
        self.addCleanup(database.close)
        database.executescript(sql)
        cli.run("schema", "apply", "--sqlite", applied)
        self.assertIs(cli.run_json("schema", "apply", "--sqlite", applied)["applied"], True, "twice changes nothing")
        other = sqlite3.connect(applied)
        self.addCleanup(other.close)
        tables = "select name from sqlite_schema where type = 'table' and name like 'prism%' order by name"
        self.assertEqual(database.execute(tables).fetchall(), other.execute(tables).fetchall())
        self.assertTrue(other.execute(tables).fetchall())

    def test_apply_says_why_it_cannot(self):
        path = os.path.join(self.directory(), "none", "x.db")
        done = cli.run("schema", "apply", "--sqlite", path, code=1)
        self.assertIn(path, done.stderr)
        self.assertTrue(done.stderr.startswith("prism: "))
        self.assertIn(path, cli.run_json("schema", "apply", "--sqlite", path, code=1)["error"]["message"])
        cli.run("schema", "apply", code=2)


class AnnouncedCommandTests(StartTestCase):
    def test_what_has_not_come_yet_says_so(self):
        for name in ANNOUNCED:
            for arguments in ([], ["--some", "argument"]):
                self.assertIn("is not in this version", cli.run(name, *arguments, code=2).stderr)
            self.assertEqual(cli.run_json(name, code=2)["error"]["code"], "USAGE")
            self.assertIn("not in this version", cli.run(name, "--help").stdout)

    def test_an_unknown_command(self):
        self.assertIn("frobnicate", cli.run("frobnicate", code=2).stderr)
        self.assertEqual(cli.run_json("frobnicate", code=2)["error"]["code"], "USAGE")

    def test_version_and_help(self):
        self.assertRegex(cli.run("--version").stdout, r"^\d+\.\d+\.\d+\n$")
        self.assertIn("serve", cli.run("--help").stdout)
        self.assertEqual(cli.run("help", "serve").stdout, cli.run("serve", "--help").stdout)


if __name__ == "__main__":
    unittest.main()
