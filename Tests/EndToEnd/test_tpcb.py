"""pgbench's TPC-B transaction by many processes: balances and history agree exactly."""

import os
import unittest

import tpcb
from harness import ServerTestCase

SCALE = int(os.environ.get("PRISM_TEST_TPCB_SCALE", "1"))
PROCESSES = int(os.environ.get("PRISM_TEST_TPCB_PROCESSES", "16"))
TRANSACTIONS = int(os.environ.get("PRISM_TEST_TPCB_TRANSACTIONS", "100"))
# A limit for a run that hangs, not a measurement.
SECONDS_MAX = max(150, PROCESSES * TRANSACTIONS // 100)


class TPCBTests(ServerTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        with cls.server.connect(timeout=120) as client:
            tpcb.load(client, SCALE)

    def run_mode(self, mode):
        before = self.server.read_file("select count(*) from pgbench_history")[0][0]
        reports, _ = tpcb.run(self.server.socket_path, PROCESSES, TRANSACTIONS, mode, seconds=SECONDS_MAX)
        self.assertEqual(sum(len(report["confirmed"]) for report in reports), PROCESSES * TRANSACTIONS)
        client = self.client(timeout=120)
        for read in (lambda sql: client.query(sql, read_only=True).scalar(), lambda sql: self.server.read_file(sql)[0][0]):
            figures = tpcb.check(read)
            self.assertEqual(figures["count"], before + PROCESSES * TRANSACTIONS)

    def test_an_atomic_batch_a_transaction(self):
        self.run_mode("batch")

    def test_interactive_transactions(self):
        self.run_mode("interactive")

    def test_all_accounts_were_loaded(self):
        self.assertEqual(self.server.read_file("select count(*), max(aid), min(aid) from pgbench_accounts"),
                         [(100_000 * SCALE, 100_000 * SCALE, 1)])


if __name__ == "__main__":
    unittest.main()
