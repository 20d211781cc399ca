"""Starting: who owns the socket, what is refused with which exit code, and what a bad file does."""

import os
import socket
import stat
import subprocess
import threading
import unittest

import paths
import prism
from harness import Server, StartTestCase, run_serve


class StartTests(StartTestCase):
    def test_a_served_socket_is_not_taken_over(self):
        server = self.start()
        code, output = run_serve("--socket", server.socket_path, "--sqlite", os.path.join(server.directory, "other.db"))
        self.assertEqual(code, 4, output)
        self.assertIn(server.socket_path, output)
        self.assertEqual(self.client(server).ping(b"mine"), b"mine")
        self.assertTrue(os.path.exists(server.socket_path))

    def test_a_stale_socket_is_taken_over(self):
        server = self.start()
        server.kill()
        self.assertTrue(os.path.exists(server.socket_path))
        again = self.start(directory=server.directory)
        self.assertEqual(self.client(again).ping(b"again"), b"again")

    def test_something_else_in_the_sockets_place_is_left_alone(self):
        directory = self.directory()
        path = os.path.join(directory, "prism.sock")
        with open(path, "w") as file:
            file.write("mine")
        code, output = run_serve("--socket", path, "--sqlite", os.path.join(directory, "data.db"))
        self.assertNotEqual(code, 0)
        self.assertIn(path, output)
        with open(path) as file:
            self.assertEqual(file.read(), "mine")

    def test_a_path_that_is_too_long_says_so(self):
        directory = self.directory()
        path = os.path.join(directory, "s" * 120)
        code, output = run_serve("--socket", path, "--sqlite", os.path.join(directory, "data.db"))
        self.assertIn(code, (1, 2), output)
        self.assertRegex(output, "(?i)too long|107|108")

    def test_a_directory_that_is_not_there_says_so(self):
        directory = self.directory()
        code, output = run_serve("--socket", os.path.join(directory, "none", "deeper", "p.sock"),
                                 "--sqlite", os.path.join(directory, "no", "data.db"))
        self.assertIn(code, (1, 2), output)
        self.assertIn(directory, output)

    def test_the_sockets_mode_is_0660_and_the_admins_0600(self):
        server = self.start()
        self.assertEqual(stat.S_IMODE(os.stat(server.socket_path).st_mode), 0o660)
        self.assertEqual(os.stat(server.socket_path).st_gid, os.stat(server.directory).st_gid)
        self.assertEqual(stat.S_IMODE(os.stat(server.admin_path).st_mode), 0o600)

    def test_the_sockets_are_gone_after_an_orderly_end_and_the_file_stays(self):
        server = self.start()
        self.client(server).put("k", "v")
        self.assertEqual(server.stop(), 0, server.log)
        self.assertFalse(os.path.exists(server.socket_path))
        self.assertFalse(os.path.exists(server.admin_path))
        again = self.start(directory=server.directory)
        self.assertEqual(self.client(again).get("k").value, b"v")

    def test_a_socket_that_is_no_longer_ours_is_not_removed(self):
        server = self.start()
        os.unlink(server.socket_path)
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(server.socket_path)
            other.listen()
            self.assertEqual(server.stop(), 0, server.log)
            self.assertTrue(os.path.exists(server.socket_path))

    def test_an_unknown_flag_is_a_usage_error(self):
        code, output = run_serve("--no-such-flag")
        self.assertEqual(code, 2, output)

    def test_a_password_in_the_command_line_is_refused_and_not_repeated(self):
        directory = self.directory()
        code, output = run_serve("--socket", os.path.join(directory, "p.sock"), "--postgres",
                                 "host=/nowhere user=u password=hunter2")
        self.assertEqual(code, 2, output)
        self.assertNotIn("hunter2", output)

    def test_bad_configuration_names_its_line_and_the_remedy(self):
        directory = self.directory()
        cases = {
            "an unknown key, with the nearest": ("drain:\n  mode: native\n  totl: 5s\n", "3", "total"),
            "a wrong type": ("drain:\n\n  total: [1, 2]\n", "3", "total"),
            "a wrong duration": ("drain:\n  total: soon\n", "2", "soon"),
            "a value that is not one of those": ("drain:\n  mode: slowly\n", "2", "native"),
            "not YAML": ("drain: {mode: native\nother: ]\n", "2", ""),
            "a key twice": ("drain:\n  mode: native\n  mode: classic\n", "3", "mode"),
        }
        for name, (text, line, word) in cases.items():
            with self.subTest(name):
                path = os.path.join(directory, "prism.yaml")
                with open(path, "w") as file:
                    file.write(text)
                code, output = run_serve("--config", path, "--socket", os.path.join(directory, "p.sock"),
                                         "--sqlite", os.path.join(directory, "data.db"))
                self.assertEqual(code, 2, output)
                self.assertRegex(output, rf"\b{line}\b")
                self.assertIn(word, output)
                self.assertFalse(os.path.exists(os.path.join(directory, "p.sock")))
        code, output = run_serve("--config", os.path.join(directory, "none.yaml"))
        self.assertEqual(code, 2, output)

    def test_a_file_that_is_no_database_is_refused_and_not_touched(self):
        directory = self.directory()
        path = os.path.join(directory, "data.db")
        content = b"this is a letter, not a database\n" * 200
        with open(path, "wb") as file:
            file.write(content)
        code, output = run_serve("--socket", os.path.join(directory, "p.sock"), "--sqlite", path)
        self.assertNotIn(code, (0, 4), output)
        self.assertIn(path, output)
        with open(path, "rb") as file:
            self.assertEqual(file.read(), content)

    def test_a_damaged_page_is_data_loss_for_its_reader_and_no_one_else(self):
        server = self.start()
        db = self.client(server)
        db.query("create table good (id integer primary key, v text)")
        db.query("create table damaged (id integer primary key, v text)")
        for table in ("good", "damaged"):
            db.batch(f"insert into {table} values ($1, $2)", parameter_sets=[(n, "v" * 2000) for n in range(100)])
        self.assertEqual(server.stop(), 0)
        (page,), = server.read_file("select rootpage from sqlite_master where name = 'damaged'")
        (size,), = server.read_file("pragma page_size")
        with open(server.database_path, "r+b") as file:
            file.seek((page - 1) * size)
            file.write(os.urandom(size))
        again = self.start(directory=server.directory)
        db = self.client(again)
        with self.assertRaises(prism.Error) as raised:
            db.query("select sum(length(v)) from damaged", read_only=True)
        self.assertEqual(raised.exception.code, "DATA_LOSS", str(raised.exception))
        self.assertEqual(raised.exception.sqlite_code & 0xFF, 11)
        self.assertEqual(db.query("select count(*) from good", read_only=True).scalar(), 100)
        db.query("insert into good values (1000, 'still')")

    def test_a_directory_that_cannot_be_written_is_told_at_start_or_on_the_first_write(self):
        directory = self.directory()
        first = self.start(directory=directory)
        self.client(first).query("create table t (a)")
        first.stop()
        # Root passes file modes, so a read-only mount of the directory is what refuses writing.
        place = os.path.join(directory, "mounted")
        os.mkdir(place)
        os.rename(first.database_path, os.path.join(place, "data.db"))
        if os.geteuid() == 0:
            if not mounted("--bind", place, place) or not mounted("-o", "remount,bind,ro", place):
                self.skipTest("cannot mount here")
            self.addCleanup(subprocess.run, ["umount", place], stderr=subprocess.DEVNULL)
        else:
            os.chmod(place, 0o500)
            self.addCleanup(os.chmod, place, 0o700)
        self.assert_read_only(os.path.join(place, "data.db"))

    def test_a_file_that_cannot_be_written_is_told_at_start_or_on_the_first_write(self):
        if os.geteuid() == 0:
            self.skipTest("file modes do not hold for root; the read-only directory covers it")
        directory = self.directory()
        first = self.start(directory=directory)
        first.stop()
        os.chmod(first.database_path, 0o400)
        self.assert_read_only(first.database_path)

    def assert_read_only(self, database):
        directory = self.directory()
        server = Server(sqlite=database, directory=directory, wait=False)
        self.addCleanup(server.close)
        try:
            server.wait_until_ready()
        except AssertionError:
            self.assertIn(server.process.returncode, (1, 2), server.log)
            self.assertIn(database, server.log)
            return
        error = self.assert_refused(self.client(server))
        self.assertEqual(error.outcome, "NOT_EXECUTED", str(error))

    def assert_refused(self, client):
        with self.assertRaises(prism.Error) as raised:
            client.query("insert into t values (1)")
        return raised.exception

    def test_of_many_that_start_at_once_one_serves(self):
        directory = self.directory()
        path = os.path.join(directory, "prism.sock")
        servers = [Server(directory=directory, wait=False) for _ in range(5)]
        for server in servers:
            self.addCleanup(server.close)
        losers = []
        waiting = [threading.Thread(target=lambda server=server: losers.append(server.process.wait())) for server in servers]
        for thread in waiting:
            thread.start()
        import time
        deadline = time.monotonic() + 20
        while len(losers) < 4 and time.monotonic() < deadline:
            time.sleep(0.02)
        alive = [server for server in servers if server.process.poll() is None]
        logs = "\n".join(server.log for server in servers)
        for server in alive:
            server.wait_until_ready()
        self.assertEqual((sorted(losers), len(alive)), ([4] * 4, 1), logs)
        with prism.connect(path) as client:
            self.assertEqual(client.ping(b"one"), b"one")
        alive[0].kill()
        for thread in waiting:
            thread.join(10)

    def test_the_soft_limit_of_descriptors_is_raised_to_the_hard_one(self):
        server = self.start()
        with open(f"/proc/{server.pid}/limits") as file:
            fields = next(line for line in file if line.startswith("Max open files")).split()
        self.assertEqual(fields[3], fields[4])


class CommandTests(StartTestCase):
    """The commands that a shell and Kubernetes use, against a running server."""

    def run_ok(self, server, *arguments, code=0):
        done = server.command(*arguments)
        self.assertEqual(done.returncode, code, f"prism {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done.stdout

    def test_the_readmes_first_requests(self):
        server = self.start()
        self.run_ok(server, "kv", "put", "greeting", "hello")
        self.assertIn("hello", self.run_ok(server, "kv", "get", "greeting"))
        self.assertIn("1", self.run_ok(server, "sql", "select 1"))
        self.run_ok(server, "kv", "get", "none", code=1)
        self.run_ok(server, "sql", "selec 1", code=1)
        self.run_ok(server, "ping")
        self.assertEqual(self.client(server).get("greeting").value, b"hello")

    def test_probes_and_drain_need_no_shell(self):
        server = self.start()
        for probe in ("startup", "ready", "live"):
            self.run_ok(server, "probe", probe)
        self.assertEqual(server.admin("GET", "/readyz")[0], 200)
        self.assertEqual(server.admin("GET", "/livez")[0], 200)
        self.assertIn("prism_build_info", server.admin("GET", "/metrics")[1])
        self.run_ok(server, "status")
        self.run_ok(server, "drain")
        self.assertEqual(self.client(server).query("select 1").scalar(), 1)  # lame duck admits all
        self.assertNotEqual(server.admin("GET", "/readyz")[0], 200)
        self.assertEqual(server.admin("GET", "/livez")[0], 200)
        self.assertEqual(server.stop(), 0, server.log)

    def test_commands_without_a_server_fail_and_say_so(self):
        directory = self.directory()
        environment = {**os.environ, "PRISM_SOCKET": os.path.join(directory, "none.sock")}
        done = subprocess.run([paths.binary(), "ping"], env=environment, capture_output=True, text=True, timeout=20)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn("none.sock", done.stdout + done.stderr)


def mounted(*arguments):
    return subprocess.run(["mount", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


if __name__ == "__main__":
    unittest.main()
