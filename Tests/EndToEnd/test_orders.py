"""The orders example: eight forked workers, sessions in key-value, orders in SQL, one socket."""

import json
import os
import signal
import subprocess
import sys
import unittest

import paths
import postgres
from harness import StartTestCase

EXAMPLE = os.path.join(paths.ROOT, "examples", "orders")


class OrdersTests(StartTestCase):
    def start_service(self, server, *arguments):
        log = open(os.path.join(server.directory, "service.log"), "w+")
        self.addCleanup(log.close)
        service = subprocess.Popen(
            [sys.executable, os.path.join(EXAMPLE, "service.py"), "--socket", server.socket_path, "--port", "0", *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True,
            env={**os.environ, "PYTHONPATH": paths.CLIENT})
        self.addCleanup(self.end_service, service)
        line = service.stdout.readline()
        log.seek(0)
        self.assertRegex(line, r"http://127\.0\.0\.1:\d+", log.read())
        return service, int(line.split("127.0.0.1:")[1].split(",")[0])

    def end_service(self, service):
        try:
            os.killpg(service.pid, signal.SIGKILL)  # the session that this test started: the parent and its workers
        except ProcessLookupError:
            pass
        service.wait()
        service.stdout.close()

    def drive(self, port, *arguments):
        done = subprocess.run([sys.executable, os.path.join(EXAMPLE, "try.py"), "--port", str(port), *arguments],
                              capture_output=True, text=True, timeout=150)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return json.loads(done.stdout)

    def test_stock_adds_up_and_each_key_is_one_order(self):
        server = self.start()
        service, port = self.start_service(server, "--products", "5", "--stock", "100")
        report = self.drive(port, "--processes", "8", "--orders", "60")
        self.assertGreater(report["orders"], 50)
        self.assertGreater(report["out_of_stock"], 0, "the stock was not exhausted, so its limit was not tried")
        service.send_signal(signal.SIGTERM)
        self.assertEqual(service.wait(30), 0)
        self.assertEqual(server.stop(), 0, server.log)
        self.assertEqual(server.read_file("select count(*) from orders"), [(report["orders"],)])
        self.assertEqual(server.read_file("select count(*) from products where stock < 0 or stock + coalesce("
                                          "(select sum(quantity) from orders where product = products.id), 0) <> initial"), [(0,)])

    @postgres.needed
    def test_the_same_on_postgresql_by_one_setting(self):
        cluster = postgres.shared()
        database = cluster.new_database()
        server = self.start("--postgres", cluster.conninfo(database), sqlite=False)
        service, port = self.start_service(server, "--products", "5", "--stock", "100")
        report = self.drive(port, "--processes", "8", "--orders", "60")
        self.assertGreater(report["orders"], 50)
        self.assertGreater(report["out_of_stock"], 0, "the stock was not exhausted, so its limit was not tried")
        service.send_signal(signal.SIGTERM)
        self.assertEqual(service.wait(30), 0)
        self.assertEqual(server.stop(), 0, server.log)
        self.assertEqual(cluster.value("select count(*) from orders", database), str(report["orders"]))
        self.assertEqual(cluster.value("select count(*) from products where stock < 0 or stock + coalesce((select sum(quantity) "
                                       "from orders where product = products.id), 0) <> initial", database), "0")

    def test_a_restart_of_the_sidecar_under_load_loses_and_doubles_no_order(self):
        server = self.start()
        service, port = self.start_service(server, "--products", "5", "--stock", "100000")
        driver = subprocess.Popen([sys.executable, os.path.join(EXAMPLE, "try.py"), "--port", str(port), "--processes", "8",
                                   "--orders", "60"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            for number in (signal.SIGTERM, signal.SIGKILL):
                client = self.client(server)
                start = client.query("select count(*) from orders", read_only=True).scalar()
                while driver.poll() is None and client.query("select count(*) from orders", read_only=True).scalar() < start + 30:
                    pass
                client.close()
                server.signal(number)
                server.wait()
                server = self.start(directory=server.directory)
            output, errors = driver.communicate(timeout=120)
        finally:
            driver.kill()
            driver.wait()
        self.assertEqual(driver.returncode, 0, output + errors)
        self.assertEqual(json.loads(output)["orders"], 240)
        service.send_signal(signal.SIGTERM)
        self.assertEqual(service.wait(30), 0)


if __name__ == "__main__":
    unittest.main()
