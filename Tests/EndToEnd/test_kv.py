"""Key-value through the socket, as CONTRACT 3 promises it."""

import threading
import time
import unittest

import prism
from harness import ServerTestCase
from raw import messages, outcome


class KeyValueTests(ServerTestCase):
    def setUp(self):
        super().setUp()
        self.kv = self.client()
        # Each test has a namespace of its own.
        self.ns = {"namespace": "t" + str(abs(hash(self.id())))[:12]}

    def test_a_value_comes_back_as_it_was_put(self):
        for value in (b"", b"hello", bytes(range(256)), b"x" * 1_000_000):
            version = self.kv.put("k", value, **self.ns)
            entry = self.kv.get("k", **self.ns)
            self.assertEqual((entry.value, entry.version, entry.expires_at_milliseconds), (value, version, 0))

    def test_a_missing_key_is_not_an_error(self):
        self.assertIsNone(self.kv.get("none", **self.ns))
        self.assertFalse(self.kv.delete("none", **self.ns))
        self.assertFalse(self.kv.touch("none", 5, **self.ns))

    def test_versions_grow_and_are_never_reused_not_even_after_a_delete(self):
        versions = []
        for number in range(20):
            versions.append(self.kv.put("k", str(number), **self.ns))
            if number % 5 == 4:
                self.assertTrue(self.kv.delete("k", **self.ns))
        self.assertEqual(len(set(versions)), len(versions))
        for first in range(0, 20, 5):
            self.assertEqual(versions[first:first + 5], sorted(versions[first:first + 5]))
        self.assertGreater(versions[0], 0)

    def test_conditions_hold_or_tell_the_current_version(self):
        error = self.assert_fails("FAILED_PRECONDITION", self.kv.put, "k", "a", if_present=True, **self.ns)
        self.assertEqual(error.current_version, 0)
        first = self.kv.put("k", "a", if_absent=True, **self.ns)
        error = self.assert_fails("FAILED_PRECONDITION", self.kv.put, "k", "b", if_absent=True, **self.ns)
        self.assertEqual(error.current_version, first)
        second = self.kv.put("k", "b", if_version=first, **self.ns)
        error = self.assert_fails("FAILED_PRECONDITION", self.kv.put, "k", "c", if_version=first, **self.ns)
        self.assertEqual(error.current_version, second)
        third = self.kv.put("k", "c", if_present=True, **self.ns)
        self.assert_fails("FAILED_PRECONDITION", self.kv.delete, "k", if_version=second, **self.ns)
        self.assertEqual(self.kv.get("k", **self.ns).value, b"c")
        self.assertTrue(self.kv.delete("k", if_version=third, **self.ns))
        self.assertIsNone(self.kv.get("k", **self.ns))

    def test_of_many_that_compare_and_set_one_wins_each_round(self):
        version = self.kv.put("k", "0", **self.ns)
        wins, errors = [], []

        def work():
            for _ in range(20):
                entry = self.kv.get("k", **self.ns)
                try:
                    self.kv.put("k", str(int(entry.value) + 1), if_version=entry.version, **self.ns)
                    wins.append(1)
                except prism.FailedPrecondition:
                    pass
                except prism.Error as error:
                    errors.append(error)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        self.assertEqual(errors, [])
        entry = self.kv.get("k", **self.ns)
        self.assertEqual(int(entry.value), len(wins))
        self.assertGreater(entry.version, version)

    def test_increment_counts_and_refuses_to_overflow(self):
        self.assertEqual(self.kv.increment("n", **self.ns), 1)
        self.assertEqual(self.kv.increment("n", -11, **self.ns), -10)
        self.assertEqual(self.kv.get("n", **self.ns).value, b"-10")
        self.kv.put("n", str((1 << 63) - 1), **self.ns)
        self.assert_fails("OUT_OF_RANGE", self.kv.increment, "n", 1, **self.ns)
        self.assertEqual(self.kv.get("n", **self.ns).value, str((1 << 63) - 1).encode())
        self.kv.put("n", str(-(1 << 63)), **self.ns)
        self.assert_fails("OUT_OF_RANGE", self.kv.increment, "n", -1, **self.ns)
        self.kv.put("n", "not a number", **self.ns)
        with self.assertRaises(prism.Error) as raised:
            self.kv.increment("n", **self.ns)
        self.assertEqual(raised.exception.outcome, "NOT_EXECUTED")
        self.assertEqual(self.kv.get("n", **self.ns).value, b"not a number")

    def test_concurrent_increments_are_all_counted(self):
        clients = [self.client() for _ in range(4)]
        threads = [threading.Thread(target=lambda kv=kv: [kv.increment("n", **self.ns) for _ in range(100)])
                   for kv in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        self.assertEqual(self.kv.get("n", **self.ns).value, b"400")

    def test_an_expired_entry_is_gone_at_once_for_every_operation(self):
        before = time.time() * 1000
        self.kv.put("k", "v", ttl=0.3, **self.ns)
        expiry = self.kv.get("k", **self.ns).expires_at_milliseconds
        self.assertTrue(before + 299 <= expiry <= time.time() * 1000 + 301)
        while time.time() * 1000 <= expiry:  # the clock that the promise is about
            time.sleep(0.01)
        self.assertIsNone(self.kv.get("k", **self.ns))
        self.assertEqual(self.kv.get_many(["k"], **self.ns), [None])
        self.assertEqual(list(self.kv.scan(**self.ns)), [])
        self.assertEqual(self.kv.count(**self.ns), 0)
        self.assertFalse(self.kv.touch("k", 10, **self.ns))
        self.assertFalse(self.kv.delete("k", **self.ns))
        self.kv.put("k", "new", if_absent=True, **self.ns)
        self.assertEqual(self.kv.get("k", **self.ns).expires_at_milliseconds, 0)

    def test_touch_sets_and_removes_the_expiry_and_keeps_the_version(self):
        version = self.kv.put("k", "v", **self.ns)
        self.assertTrue(self.kv.touch("k", 1000, **self.ns))
        self.assertGreater(self.kv.get("k", **self.ns).expires_at_milliseconds, time.time() * 1000)
        self.assertTrue(self.kv.touch("k", None, **self.ns))
        entry = self.kv.get("k", **self.ns)
        self.assertEqual((entry.version, entry.expires_at_milliseconds), (version, 0))

    def test_increments_time_to_live_counts_on_creation_only(self):
        self.kv.increment("n", ttl_on_creation=1000, **self.ns)
        expiry = self.kv.get("n", **self.ns).expires_at_milliseconds
        self.assertGreater(expiry, 0)
        self.kv.increment("n", ttl_on_creation=5000, **self.ns)
        self.assertEqual(self.kv.get("n", **self.ns).expires_at_milliseconds, expiry)

    def test_a_write_is_all_or_nothing_and_names_the_item_that_failed(self):
        self.kv.put("a", "1", **self.ns)
        results = self.kv.write([prism.Put("b", "2", **self.ns), prism.Delete("a", **self.ns),
                                 prism.Increment("n", 5, **self.ns), prism.Touch("none", 5, **self.ns)])
        self.assertEqual(results[1:], [True, 5, False])
        self.assertEqual(self.kv.get("b", **self.ns).version, results[0])
        error = self.assert_fails("FAILED_PRECONDITION", self.kv.write, [
            prism.Put("c", "3", **self.ns), prism.Increment("n", **self.ns), prism.Put("b", "4", if_absent=True, **self.ns)])
        self.assertEqual((error.item, error.current_version), (3, results[0]))
        self.assertIsNone(self.kv.get("c", **self.ns))
        self.assertEqual(self.kv.get("n", **self.ns).value, b"5")

    def test_get_many_answers_in_the_order_asked(self):
        for key in "abc":
            self.kv.put(key, key.upper(), **self.ns)
        found = self.kv.get_many(["c", "none", "a", "c"], **self.ns)
        self.assertEqual([entry and entry.value for entry in found], [b"C", None, b"A", b"C"])

    def test_scan_goes_in_byte_order_both_ways_and_takes_prefixes_literally(self):
        keys = [b"%", b"%a", b"_", b"a", b"a\0", b"ab", b"a\xff", b"a\xff\xff", b"b", b"\xff", b"\xff\xff"]
        for key in keys:
            self.kv.put(key, key, **self.ns)
        self.assertEqual([entry.key for entry in self.kv.scan(**self.ns)], sorted(keys))
        self.assertEqual([entry.key for entry in self.kv.scan(reverse=True, **self.ns)], sorted(keys, reverse=True))
        for prefix in (b"a", b"%", b"_", b"\xff", b"a\xff", b"zz"):
            expected = sorted(key for key in keys if key.startswith(prefix))
            self.assertEqual([entry.key for entry in self.kv.scan(prefix, **self.ns)], expected)
            self.assertEqual([entry.key for entry in self.kv.scan(prefix, reverse=True, **self.ns)], expected[::-1])
            self.assertEqual(self.kv.count(prefix, **self.ns), len(expected))
        self.assertEqual([entry.key for entry in self.kv.scan(start=b"a", end=b"b", **self.ns)],
                         sorted(key for key in keys if b"a" <= key < b"b"))
        self.assertEqual([entry.key for entry in self.kv.scan(start=b"b", **self.ns)], [b"b", b"\xff", b"\xff\xff"])
        self.assertTrue(all(entry.value == b"" for entry in self.kv.scan(keys_only=True, **self.ns)))

    def test_a_scan_goes_on_behind_its_cursor_in_both_directions(self):
        keys = [f"k{number:03}".encode() for number in range(25)]
        for key in keys:
            self.kv.put(key, "v", **self.ns)
        for reverse in (False, True):
            seen, cursor = [], b""
            for _ in range(10):
                scan = self.kv.scan(b"k", limit=7, cursor=cursor, reverse=reverse, **self.ns)
                page = [entry.key for entry in scan]
                self.assertLessEqual(len(page), 7)
                seen += page
                cursor = scan.cursor
                if not cursor:
                    break
            self.assertEqual(seen, keys[::-1] if reverse else keys)

    def test_a_scan_without_limit_streams_more_than_a_frame_holds(self):
        value = b"v" * 100_000
        for number in range(100):
            self.kv.put(f"k{number:03}", value, **self.ns)
        count = 0
        for entry in self.kv.scan(**self.ns):
            self.assertEqual((entry.key, entry.value), (f"k{count:03}".encode(), value))
            count += 1
        self.assertEqual(count, 100)

    def test_a_scan_can_be_left_early(self):
        for number in range(50):
            self.kv.put(f"k{number:03}", b"v" * 100_000, **self.ns)
        with self.kv.scan(**self.ns) as scan:
            self.assertEqual(next(scan).key, b"k000")
        self.assertEqual(self.kv.ping(b"on"), b"on")

    def test_namespaces_do_not_see_each_other_and_empty_means_default(self):
        self.kv.put("k", "1", namespace="one" + self.ns["namespace"])
        self.assertIsNone(self.kv.get("k", namespace="two" + self.ns["namespace"]))
        self.kv.put("only-here", "d")
        self.assertEqual(self.kv.get("only-here", namespace="default").value, b"d")

    def test_keys_and_namespaces_outside_their_limits_are_refused(self):
        self.kv.put(b"k" * 1024, "v", **self.ns)
        self.assertEqual(self.kv.get(b"k" * 1024, **self.ns).value, b"v")
        for key in (b"", b"k" * 1025):
            self.assert_fails("INVALID_ARGUMENT", self.kv.put, key, "v", **self.ns)
            self.assert_fails("INVALID_ARGUMENT", self.kv.get, key, **self.ns)
        self.kv.put("k", "v", namespace="n" * 64)
        for namespace in ("n" * 65, "Upper", "under_score", "ä", "a b"):
            self.assert_fails("INVALID_ARGUMENT", self.kv.put, "k", "v", namespace=namespace)
        self.assert_fails("INVALID_ARGUMENT", self.kv.get_many, ["k"] * 1001, **self.ns)
        self.assert_fails("INVALID_ARGUMENT", self.kv.write, [])
        self.assert_fails("INVALID_ARGUMENT", self.kv.write, [prism.Put("k", "v", **self.ns)] * 1001)

    def test_a_write_marked_read_only_is_refused(self):
        request = messages.Request(id=1, read_only=True, put=messages.Put(key=b"k", value=b"v"))
        raw = self.raw()
        raw.send(request)
        (answer,) = raw.final(1)
        self.assertEqual((answer.status, outcome(answer)), (messages.INVALID_ARGUMENT, "NOT_EXECUTED"))

    def test_a_repeated_write_with_an_idempotency_key_happens_once_and_gets_the_first_answer(self):
        key = self.id()[-40:]
        self.assertEqual(self.kv.increment("n", 5, idempotency_key=key, **self.ns), 5)
        self.assertEqual(self.client().increment("n", 5, idempotency_key=key, timeout=7, **self.ns), 5)
        self.assertEqual(self.kv.get("n", **self.ns).value, b"5")
        self.assert_fails("INVALID_ARGUMENT", self.kv.increment, "n", 6, idempotency_key=key, **self.ns)
        self.assertEqual(self.kv.get("n", **self.ns).value, b"5")

    def test_a_write_that_did_not_apply_is_not_recorded(self):
        key = self.id()[-40:]
        self.assert_fails("FAILED_PRECONDITION", self.kv.put, "k", "v", if_present=True, idempotency_key=key, **self.ns)
        self.kv.put("k", "there", **self.ns)
        self.kv.put("k", "v", if_present=True, idempotency_key=key, **self.ns)
        self.assertEqual(self.kv.get("k", **self.ns).value, b"v")

    def test_of_concurrent_repeats_one_happens(self):
        answers = []
        clients = [self.client() for _ in range(8)]
        threads = [threading.Thread(target=lambda kv=kv: answers.append(
            kv.increment("n", 3, idempotency_key="same-" + self.ns["namespace"], **self.ns))) for kv in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        self.assertEqual(answers, [3] * 8)
        self.assertEqual(self.kv.get("n", **self.ns).value, b"3")

    def test_watch_says_that_it_is_not_there_yet(self):
        raw = self.raw()
        raw.send(messages.Request(id=1, watch=messages.Watch(prefix=b"a")))
        (answer,) = raw.final(1)
        self.assertEqual((answer.status, outcome(answer)), (messages.UNIMPLEMENTED, "NOT_EXECUTED"))
        self.assertTrue(answer.failure.message)

    def test_what_was_answered_is_in_the_file_after_a_kill(self):
        server = self.start()
        kv = self.client(server)
        version = kv.put("k", "v", ttl=1000)
        expiry = kv.get("k").expires_at_milliseconds
        kv.increment("n", 7)
        kv.increment("once", idempotency_key="over-a-kill")
        server.kill()
        again = self.start(directory=server.directory)
        kv = self.client(again)
        self.assertEqual(kv.get("k"), prism.Entry(b"k", b"v", version, expiry))
        self.assertEqual(kv.increment("n"), 8)
        self.assertEqual(kv.increment("once", idempotency_key="over-a-kill"), 1)
        self.assertGreater(kv.put("k", "v"), version)


if __name__ == "__main__":
    unittest.main()
