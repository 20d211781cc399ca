"""Key-value: one semantics on every backend."""

import time

import prism
from conformance.case import ConformanceCase
from raw import messages, outcome


class Entries(ConformanceCase):
    """Entries and their versions"""

    def test_a_value_comes_back_as_it_was_put(self):
        for value in (b"", b"hello", bytes(range(256)), b"x" * 1_000_000):
            version = self.db.put("k", value, **self.ns)
            entry = self.db.get("k", **self.ns)
            self.assertEqual((entry.value, entry.version, entry.expires_at_milliseconds), (value, version, 0))

    def test_keys_are_any_bytes(self):
        keys = [b"\0", b"\xff", b"a\0b", "ä€😀".encode(), b"%_'\"\\", b"k" * 1024]
        for key in keys:
            self.db.put(key, key, **self.ns)
        for key in keys:
            self.assertEqual(self.db.get(key, **self.ns).value, key)
        self.assertEqual(self.db.count(**self.ns), len(keys))

    def test_a_missing_key_is_not_an_error(self):
        self.assertIsNone(self.db.get("none", **self.ns))
        self.assertFalse(self.db.delete("none", **self.ns))
        self.assertFalse(self.db.touch("none", 5, **self.ns))
        self.assertEqual(self.db.get_many(["none"], **self.ns), [None])

    def test_a_deleted_key_is_not_there(self):
        self.db.put("k", "v", **self.ns)
        self.assertTrue(self.db.delete("k", **self.ns))
        self.assertIsNone(self.db.get("k", **self.ns))
        self.assertFalse(self.db.delete("k", **self.ns))

    def test_versions_grow_and_are_never_reused_not_even_after_a_delete(self):
        versions = []
        for number in range(20):
            versions.append(self.db.put("k", str(number), **self.ns))
            if number % 5 == 4:
                self.assertTrue(self.db.delete("k", **self.ns))
        self.assertEqual(len(set(versions)), len(versions))
        for first in range(0, 20, 5):
            self.assertEqual(versions[first:first + 5], sorted(versions[first:first + 5]))
        self.assertGreater(versions[0], 0)

    def test_versions_grow_while_many_write_the_same_key(self):
        self.db.put("k", "0", **self.ns)

        def watch(client):
            seen = [client.get("k", **self.ns).version for _ in range(100)]
            self.assertEqual(seen, sorted(seen))
            return []

        def write(client):
            return [client.put("k", "v", **self.ns) for _ in range(50)]

        clients = [self.client() for _ in range(6)]
        answers = self.together([lambda c=c: write(c) for c in clients[:4]] + [lambda c=c: watch(c) for c in clients[4:]])
        versions = [version for one in answers for version in one]
        self.assertEqual(len(set(versions)), 200)
        self.assertEqual(self.db.get("k", **self.ns).version, max(versions))

    def test_every_write_that_changes_the_value_changes_the_version(self):
        versions = [self.db.put("n", "1", **self.ns)]
        self.db.increment("n", 1, **self.ns)
        versions.append(self.db.get("n", **self.ns).version)
        versions.append(self.db.put("n", "2", **self.ns))
        self.assertEqual(versions, sorted(set(versions)))

    def test_namespaces_do_not_see_each_other_and_empty_means_default(self):
        one, two = self.ns["namespace"], "other-" + self.ns["namespace"]
        self.db.put("k", "1", namespace=one)
        self.assertIsNone(self.db.get("k", namespace=two))
        self.assertEqual(self.db.count(namespace=two), 0)
        self.db.put(one, "d")
        self.assertEqual(self.db.get(one, namespace="default").value, b"d")

    def test_keys_namespaces_and_values_outside_their_limits_are_refused(self):
        for key in (b"", b"k" * 1025):
            self.assert_fails("INVALID_ARGUMENT", self.db.put, key, "v", **self.ns)
            self.assert_fails("INVALID_ARGUMENT", self.db.get, key, **self.ns)
        self.db.put("k", "v", namespace="n" * 64)
        for namespace in ("n" * 65, "Upper", "under_score", "ä", "a b"):
            self.assert_fails("INVALID_ARGUMENT", self.db.put, "k", "v", namespace=namespace)
        self.assert_fails("INVALID_ARGUMENT", self.db.put, "k", b"v" * ((1 << 20) + 1), **self.ns)
        self.assert_fails("INVALID_ARGUMENT", self.db.get_many, ["k"] * 1001, **self.ns)
        self.assert_fails("INVALID_ARGUMENT", self.db.write, [])
        self.assert_fails("INVALID_ARGUMENT", self.db.write, [prism.Put("k", "v", **self.ns)] * 1001)

    def test_a_write_marked_read_only_is_refused(self):
        raw = self.raw()
        raw.send(messages.Request(id=1, read_only=True, put=messages.Put(key=b"k", value=b"v")))
        (answer,) = raw.final(1)
        self.assertEqual((answer.status, outcome(answer)), (messages.INVALID_ARGUMENT, "NOT_EXECUTED"))

    def test_what_was_answered_outlives_the_sidecar(self):
        place = self.backend.Place()
        self.addCleanup(place.close)
        server = place.start()
        self.addCleanup(server.close)
        kv = self.client(server)
        version = kv.put("k", "v", ttl=1000)
        expiry = kv.get("k").expires_at_milliseconds
        kv.increment("n", 7)
        kv.increment("once", idempotency_key="over-a-kill")
        server.kill()
        again = place.start()
        self.addCleanup(again.close)
        kv = self.client(again)
        self.assertEqual(kv.get("k"), prism.Entry(b"k", b"v", version, expiry))
        self.assertEqual(kv.increment("n"), 8)
        self.assertEqual(kv.increment("once", idempotency_key="over-a-kill"), 1)
        self.assertGreater(kv.put("k", "v"), version)

    def test_watch_says_that_it_is_not_there_yet(self):
        raw = self.raw()
        raw.send(messages.Request(id=1, watch=messages.Watch(prefix=b"a")))
        (answer,) = raw.final(1)
        self.assertEqual((answer.status, outcome(answer)), (messages.UNIMPLEMENTED, "NOT_EXECUTED"))
        self.assertTrue(answer.failure.message)


class Conditions(ConformanceCase):
    """Conditions"""

    def put_fails(self, current, **condition):
        error = self.assert_fails("FAILED_PRECONDITION", self.db.put, "k", "not this", **condition, **self.ns)
        self.assertEqual(error.current_version, current)

    def test_absent_holds_only_where_nothing_is(self):
        first = self.db.put("k", "a", if_absent=True, **self.ns)
        self.put_fails(first, if_absent=True)
        self.assertEqual(self.db.get("k", **self.ns).value, b"a")
        self.db.delete("k", **self.ns)
        self.assertGreater(self.db.put("k", "b", if_absent=True, **self.ns), 0)

    def test_present_holds_only_where_something_is(self):
        self.put_fails(0, if_present=True)
        self.assertIsNone(self.db.get("k", **self.ns))
        self.db.put("k", "a", **self.ns)
        self.db.put("k", "b", if_present=True, **self.ns)
        self.assertEqual(self.db.get("k", **self.ns).value, b"b")

    def test_version_equals_holds_only_for_the_current_version(self):
        self.put_fails(0, if_version=1)
        first = self.db.put("k", "a", **self.ns)
        second = self.db.put("k", "b", if_version=first, **self.ns)
        self.put_fails(second, if_version=first)
        self.put_fails(second, if_version=second + 1_000_000)
        self.assertEqual(self.db.get("k", **self.ns).value, b"b")

    def test_a_delete_can_ask_for_a_version(self):
        first = self.db.put("k", "a", **self.ns)
        second = self.db.put("k", "b", **self.ns)
        error = self.assert_fails("FAILED_PRECONDITION", self.db.delete, "k", if_version=first, **self.ns)
        self.assertEqual(error.current_version, second)
        self.assertTrue(self.db.delete("k", if_version=second, **self.ns))
        error = self.assert_fails("FAILED_PRECONDITION", self.db.delete, "k", if_version=second, **self.ns)
        self.assertEqual(error.current_version, 0)

    def test_an_expired_entry_is_absent_to_every_condition(self):
        version = self.db.put("k", "a", ttl=0.05, **self.ns)
        expiry = self.db.get("k", **self.ns).expires_at_milliseconds
        while time.time() * 1000 <= expiry:  # the clock that the promise is about
            time.sleep(0.01)
        self.put_fails(0, if_present=True)
        self.put_fails(0, if_version=version)
        self.db.put("k", "b", if_absent=True, **self.ns)
        self.assertEqual(self.db.get("k", **self.ns).value, b"b")

    def test_of_many_that_create_the_same_key_one_does(self):
        def create(client):
            try:
                return client.put("k", "v", if_absent=True, **self.ns)
            except prism.FailedPrecondition as error:
                return -error.current_version

        clients = [self.client() for _ in range(8)]
        answers = self.together([lambda c=c: create(c) for c in clients])
        (won,) = [answer for answer in answers if answer > 0]
        self.assertEqual(sorted(answers), sorted([won] + [-won] * 7))

    def test_of_many_that_compare_and_set_one_wins_each_round(self):
        self.db.put("k", "0", **self.ns)

        def work(client):
            wins = 0
            for _ in range(20):
                entry = client.get("k", **self.ns)
                try:
                    client.put("k", str(int(entry.value) + 1), if_version=entry.version, **self.ns)
                    wins += 1
                except prism.FailedPrecondition:
                    pass
            return wins

        clients = [self.client() for _ in range(4)]
        wins = self.together([lambda c=c: work(c) for c in clients])
        self.assertGreater(sum(wins), 0)
        self.assertEqual(int(self.db.get("k", **self.ns).value), sum(wins))


class Counters(ConformanceCase):
    """Increment"""

    def test_it_counts_from_zero_in_decimal_text(self):
        self.assertEqual(self.db.increment("n", **self.ns), 1)
        self.assertEqual(self.db.increment("n", -11, **self.ns), -10)
        self.assertEqual(self.db.get("n", **self.ns).value, b"-10")
        self.assertEqual(self.db.increment("n", 0, **self.ns), -10)

    def test_it_reaches_the_ends_of_64_bits_and_refuses_to_pass_them(self):
        for end, step in (((1 << 63) - 1, 1), (-(1 << 63), -1)):
            self.db.put("n", str(end - step), **self.ns)
            self.assertEqual(self.db.increment("n", step, **self.ns), end)
            for too_much in (step, end):
                self.assert_fails("OUT_OF_RANGE", self.db.increment, "n", too_much, **self.ns)
            self.assertEqual(self.db.get("n", **self.ns).value, str(end).encode())
        self.assertEqual(self.db.increment("fresh", -(1 << 63), **self.ns), -(1 << 63))

    def test_a_value_that_is_no_number_is_refused_and_stays(self):
        for value in (b"not a number", b"", b"1.5", b"1e3", b" 1", b"0x10", b"\xff", b"9223372036854775808", b"1" * 40, b"-"):
            with self.subTest(value=value):
                self.db.put("n", value, **self.ns)
                self.assert_fails("FAILED_PRECONDITION", self.db.increment, "n", **self.ns)
                self.assertEqual(self.db.get("n", **self.ns).value, value)

    def test_concurrent_increments_are_all_counted(self):
        clients = [self.client() for _ in range(4)]
        seen = self.together([lambda c=c: [c.increment("n", **self.ns) for _ in range(100)] for c in clients])
        self.assertEqual(sorted(sum(seen, [])), list(range(1, 401)))

    def test_its_time_to_live_counts_on_creation_only(self):
        self.db.increment("n", ttl_on_creation=1000, **self.ns)
        expiry = self.db.get("n", **self.ns).expires_at_milliseconds
        self.assertGreater(expiry, 0)
        self.db.increment("n", ttl_on_creation=5000, **self.ns)
        self.assertEqual(self.db.get("n", **self.ns).expires_at_milliseconds, expiry)
        self.db.put("forever", "1", **self.ns)
        self.db.increment("forever", ttl_on_creation=5000, **self.ns)
        self.assertEqual(self.db.get("forever", **self.ns).expires_at_milliseconds, 0)

    def test_an_expired_counter_starts_again(self):
        self.db.put("n", "41", ttl=0.05, **self.ns)
        expiry = self.db.get("n", **self.ns).expires_at_milliseconds
        while time.time() * 1000 <= expiry:
            time.sleep(0.01)
        self.assertEqual(self.db.increment("n", ttl_on_creation=1000, **self.ns), 1)
        self.assertGreater(self.db.get("n", **self.ns).expires_at_milliseconds, expiry)


class Expiry(ConformanceCase):
    """Times to live"""

    def test_an_expired_entry_is_gone_at_once_for_every_operation(self):
        before = time.time() * 1000
        self.db.put("k", "v", ttl=0.3, **self.ns)
        expiry = self.db.get("k", **self.ns).expires_at_milliseconds
        self.assertTrue(before + 299 <= expiry <= time.time() * 1000 + 301)
        while time.time() * 1000 <= expiry:
            time.sleep(0.01)
        self.assertIsNone(self.db.get("k", **self.ns))
        self.assertEqual(self.db.get_many(["k"], **self.ns), [None])
        self.assertEqual(list(self.db.scan(**self.ns)), [])
        self.assertEqual(self.db.count(**self.ns), 0)
        self.assertFalse(self.db.touch("k", 10, **self.ns))
        self.assertFalse(self.db.delete("k", **self.ns))
        self.db.put("k", "new", if_absent=True, **self.ns)
        self.assertEqual(self.db.get("k", **self.ns).expires_at_milliseconds, 0)

    def test_a_put_without_one_takes_the_old_one_away(self):
        self.db.put("k", "v", ttl=1000, **self.ns)
        self.db.put("k", "w", **self.ns)
        self.assertEqual(self.db.get("k", **self.ns).expires_at_milliseconds, 0)

    def test_touch_sets_and_removes_it_and_keeps_the_version(self):
        version = self.db.put("k", "v", **self.ns)
        self.assertTrue(self.db.touch("k", 1000, **self.ns))
        self.assertGreater(self.db.get("k", **self.ns).expires_at_milliseconds, time.time() * 1000)
        self.assertTrue(self.db.touch("k", None, **self.ns))
        self.assertEqual(self.db.get("k", **self.ns), prism.Entry(b"k", b"v", version, 0))

    def test_get_get_many_and_scan_tell_the_same_expiry(self):
        self.db.put("k", "v", ttl=1000, **self.ns)
        entry = self.db.get("k", **self.ns)
        self.assertEqual(self.db.get_many(["k"], **self.ns), [entry])
        self.assertEqual(list(self.db.scan(**self.ns)), [entry])

    def test_the_longest_one_does_not_overflow(self):
        raw = self.raw()
        raw.send(messages.Request(id=1, put=messages.Put(key=b"k", value=b"v", ttl_milliseconds=(1 << 64) - 1, **self.ns)))
        answer = raw.final(1)[-1]
        if answer.status == messages.OK:
            self.assertGreater(self.db.get("k", **self.ns).expires_at_milliseconds, time.time() * 1000)
        else:
            self.assertEqual((answer.status, outcome(answer)), (messages.INVALID_ARGUMENT, "NOT_EXECUTED"))


class Writes(ConformanceCase):
    """Write: several at once"""

    def test_each_item_has_its_result_in_order(self):
        self.db.put("a", "1", **self.ns)
        results = self.db.write([prism.Put("b", "2", **self.ns), prism.Delete("a", **self.ns), prism.Delete("a", **self.ns),
                                 prism.Increment("n", 5, **self.ns), prism.Touch("none", 5, **self.ns),
                                 prism.Touch("b", 1000, **self.ns)])
        self.assertEqual(results[1:], [True, False, 5, False, True])
        entry = self.db.get("b", **self.ns)
        self.assertEqual(entry.version, results[0])
        self.assertGreater(entry.expires_at_milliseconds, 0)

    def test_items_on_one_key_follow_each_other(self):
        results = self.db.write([prism.Put("k", "1", **self.ns), prism.Increment("k", 2, **self.ns), prism.Delete("k", **self.ns),
                                 prism.Put("k", "9", if_absent=True, **self.ns), prism.Increment("k", **self.ns)])
        self.assertEqual((results[1], results[2], results[4]), (3, True, 10))
        self.assertGreater(results[3], results[0])
        self.assertEqual(self.db.get("k", **self.ns).value, b"10")

    def test_it_is_all_or_nothing_and_names_the_item_that_failed(self):
        version = self.db.put("b", "2", **self.ns)
        self.db.put("n", "5", **self.ns)
        error = self.assert_fails("FAILED_PRECONDITION", self.db.write, [
            prism.Put("c", "3", **self.ns), prism.Increment("n", **self.ns), prism.Put("b", "4", if_absent=True, **self.ns),
            prism.Put("d", "5", **self.ns)])
        self.assertEqual((error.item, error.current_version), (3, version))
        self.assertEqual([entry and entry.value for entry in self.db.get_many("bcdn", **self.ns)], [b"2", None, None, b"5"])
        self.db.put("n", str((1 << 63) - 1), **self.ns)
        error = self.assert_fails("OUT_OF_RANGE", self.db.write, [prism.Put("c", "3", **self.ns), prism.Increment("n", **self.ns)])
        self.assertEqual(error.item, 2)
        self.assertIsNone(self.db.get("c", **self.ns))

    def test_it_reaches_over_namespaces(self):
        other = "other-" + self.ns["namespace"]
        self.db.write([prism.Put("k", "1", **self.ns), prism.Put("k", "2", namespace=other)])
        self.assertEqual((self.db.get("k", **self.ns).value, self.db.get("k", namespace=other).value), (b"1", b"2"))

    def test_writes_that_cross_each_other_all_happen(self):
        keys = [f"k{number}" for number in range(10)]

        def work(client, order):
            for _ in range(20):
                client.write([prism.Increment(key, **self.ns) for key in order])

        clients = [self.client() for _ in range(4)]
        self.together([lambda c=c, order=order: work(c, order)
                       for c, order in zip(clients, (keys, keys[::-1], keys[5:] + keys[:5], keys[::2] + keys[1::2]))])
        self.assertEqual([entry.value for entry in self.db.get_many(keys, **self.ns)], [b"80"] * 10)

    def test_a_thousand_items_fit(self):
        results = self.db.write([prism.Put(f"k{number:04}", str(number), **self.ns) for number in range(1000)])
        self.assertEqual(len(set(results)), 1000)
        self.assertEqual(self.db.count(**self.ns), 1000)


class Reading(ConformanceCase):
    """GetMany, Scan and Count"""

    def test_get_many_answers_in_the_order_asked(self):
        for key in "abc":
            self.db.put(key, key.upper(), **self.ns)
        found = self.db.get_many(["c", "none", "a", "c"], **self.ns)
        self.assertEqual([entry and entry.value for entry in found], [b"C", None, b"A", b"C"])
        self.assertEqual(self.db.get_many([], **self.ns), [])

    def test_a_scan_goes_in_byte_order_both_ways_and_takes_prefixes_literally(self):
        keys = [b"%", b"%a", b"_", b"a", b"a\0", b"ab", b"a\xff", b"a\xff\xff", b"b", b"B", b"\xc3\xa4", b"\xff", b"\xff\xff"]
        for key in keys:
            self.db.put(key, key, **self.ns)
        self.assertEqual([entry.key for entry in self.db.scan(**self.ns)], sorted(keys))
        self.assertEqual([entry.key for entry in self.db.scan(reverse=True, **self.ns)], sorted(keys, reverse=True))
        for prefix in (b"a", b"%", b"_", b"\xff", b"a\xff", b"zz"):
            expected = sorted(key for key in keys if key.startswith(prefix))
            self.assertEqual([entry.key for entry in self.db.scan(prefix, **self.ns)], expected)
            self.assertEqual([entry.key for entry in self.db.scan(prefix, reverse=True, **self.ns)], expected[::-1])
            self.assertEqual(self.db.count(prefix, **self.ns), len(expected))

    def test_a_range_takes_its_start_and_leaves_its_end(self):
        keys = [b"a", b"ab", b"b", b"c"]
        for key in keys:
            self.db.put(key, key, **self.ns)
        for start, end in ((b"a", b"b"), (b"b", b""), (b"", b"b"), (b"", b""), (b"aa", b"bb"), (b"c", b"a"), (b"b", b"b")):
            with self.subTest(start=start, end=end):
                expected = [key for key in keys if start <= key and (not end or key < end)]
                self.assertEqual([entry.key for entry in self.db.scan(start=start, end=end, **self.ns)], expected)
                self.assertEqual([entry.key for entry in self.db.scan(start=start, end=end, reverse=True, **self.ns)],
                                 expected[::-1])
                self.assertEqual(self.db.count(start=start, end=end, **self.ns), len(expected))

    def test_keys_only_leaves_the_values_out(self):
        version = self.db.put("k", "v", **self.ns)
        self.assertEqual(list(self.db.scan(keys_only=True, **self.ns)), [prism.Entry(b"k", b"", version, 0)])

    def test_a_scan_goes_on_behind_its_cursor_in_both_directions(self):
        keys = [f"k{number:03}".encode() for number in range(25)]
        for key in keys:
            self.db.put(key, "v", **self.ns)
        for reverse in (False, True):
            seen, cursor = [], b""
            for _ in range(10):
                scan = self.db.scan(b"k", limit=7, cursor=cursor, reverse=reverse, **self.ns)
                page = [entry.key for entry in scan]
                self.assertLessEqual(len(page), 7)
                seen += page
                cursor = scan.cursor
                if not cursor:
                    break
            self.assertEqual(seen, keys[::-1] if reverse else keys)

    def test_a_cursor_outlives_the_entry_that_it_stands_on(self):
        for key in "abcd":
            self.db.put(key, "v", **self.ns)
        scan = self.db.scan(limit=2, **self.ns)
        self.assertEqual([entry.key for entry in scan], [b"a", b"b"])
        self.db.delete("b", **self.ns)
        self.db.put("bb", "v", **self.ns)
        rest = self.db.scan(cursor=scan.cursor, **self.ns)
        self.assertEqual([entry.key for entry in rest], [b"bb", b"c", b"d"])
        self.assertEqual(rest.cursor, b"")

    def test_a_cursor_that_nobody_gave_is_refused(self):
        self.assert_fails("INVALID_ARGUMENT", list, self.db.scan(cursor=b"made up", **self.ns))

    def test_a_scan_without_limit_streams_more_than_a_frame_holds(self):
        value = b"v" * 100_000
        for number in range(100):
            self.db.put(f"k{number:03}", value, **self.ns)
        count = 0
        for entry in self.db.scan(**self.ns):
            self.assertEqual((entry.key, entry.value), (f"k{count:03}".encode(), value))
            count += 1
        self.assertEqual(count, 100)

    def test_a_scan_can_be_left_early(self):
        for number in range(50):
            self.db.put(f"k{number:03}", b"v" * 100_000, **self.ns)
        with self.db.scan(**self.ns) as scan:
            self.assertEqual(next(scan).key, b"k000")
        self.assertEqual(self.db.ping(b"on"), b"on")
        self.assertEqual(self.db.count(**self.ns), 50)
