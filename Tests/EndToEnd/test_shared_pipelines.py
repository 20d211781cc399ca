"""Many clients on few server connections, innocent, hasty, leaving and hostile ones: nobody sees another's rows, error, cancel, session
state or transaction, and who has time is served."""

import collections
import os
import re
import shutil
import socket
import tempfile
import unittest

import hostile
import oracle
import postgres
import processes
import raw
from harness import Server, StartTestCase
from oracle import Ask
from raw import messages
from prism.values import to_value

FULL = os.environ.get("PRISM_TEST_FULL") == "1"
REQUESTS = int(os.environ.get("PRISM_TEST_REQUESTS", 1_000_000 if FULL else 10_000))
PROCESSES = 4
SECONDS_MAX = 1_180 if FULL else 150
QUIET_SECONDS_MAX = 70
GENEROUS = 60_000_000
KEYS = 100
# Of a thousand hostile requests, so many end their own server connection.
TERMINATES = 30
# What one lost server connection may take along: one batch.
LOST_TOGETHER_MAX = 32

# What a session may not keep from one request to the next. The last ones are not the same for requests that are read-only.
LOOK = """select $1::text, concat_ws('|', current_setting('search_path'), current_setting('TimeZone'), current_setting('DateStyle'),
    coalesce(current_setting('app.tenant', true), ''), current_user, session_user, current_setting('role'),
    current_setting('transaction_isolation'), current_setting('work_mem'), current_setting('client_encoding'),
    current_setting('bytea_output'), current_setting('extra_float_digits'), current_setting('standard_conforming_strings'),
    current_setting('plan_cache_mode'), (select note from marked),
    (select count(*) from pg_locks where pid = pg_backend_pid() and locktype = 'advisory'),
    (select count(*) from pg_listening_channels()), (select count(*) from pg_cursors where is_holdable),
    (select count(*) from pg_class where relnamespace = pg_my_temp_schema())),
    current_setting('transaction_read_only'), concat_ws('|', current_setting('statement_timeout'), current_setting('lock_timeout'))"""


def query(kind, sql, *parameters, **options):
    read_only = options.pop("read_only", True)
    timeout = options.pop("timeout", GENEROUS)
    return Ask(kind, ("query", messages.Query(sql=sql, parameters=map(to_value, parameters))), read_only=read_only,
               timeout_microseconds=timeout, **options)


def same(expected):
    return lambda _, rows, __: None if rows == expected else f"{str(rows)[:200]} instead of {str(expected)[:200]}"


def fails_with(sqlstate, text=""):
    def check(answer, _, __):
        failure = answer.failure
        return None if failure.sqlstate == sqlstate and text in failure.message else f"failed with {failure}"
    return check


class Innocent:
    """What people do. They have a minute for each request, and get what they asked for."""

    def __init__(self, generator, number, expected, codes):
        self.generator, self.number, self.expected, self.codes = generator, number, expected, codes
        self.incremented = f"own {number}".encode()
        self.inserted = None
        self.draw = oracle.weighted(generator, (
            (30, self.look), (8, self.look_unmarked), (10, self.wrong_cast), (6, self.division), (8, self.rows), (2, self.large),
            (10, self.get), (3, self.get_many), (3, self.count), (4, self.increment), (5, self.insert),
            (5, self.written), (2, self.slow)))

    def __call__(self, tag):
        ask = self.draw()(tag)
        # A terminated neighbour may be noticed in one way only.
        ask.codes = (*ask.codes, *self.codes)
        return ask

    def look(self, tag, read_only=True):
        expected = self.expected

        def check(answer, rows, tag):
            if answer.status != 0:
                return None
            if len(rows) != 1 or rows[0][:2] != (tag, expected):
                return f"saw {rows}, expected {expected}"
            if rows[0][2] != ("on" if read_only else "off"):
                return f"transaction_read_only is {rows[0][2]}"
            return f"a timeout of another's: {rows[0][3]}" if "777ms" in rows[0][3] else None

        return query("look" if read_only else "look, unmarked", LOOK, tag, read_only=read_only, check=check)

    def look_unmarked(self, tag):
        return self.look(tag, read_only=False)

    def wrong_cast(self, tag):
        ask = query("wrong cast", "select ($1::text)::int", tag, codes=("INVALID_ARGUMENT",))
        ask.check = self.unless_lost(fails_with("22P02", f'invalid input syntax for type integer: "{tag}"'))
        return ask

    def division(self, tag):
        ask = query("division", "select $1::text, 1 / ($2::bigint - $2::bigint)", tag, self.generator.randrange(1 << 30),
                    codes=("OUT_OF_RANGE", "INVALID_ARGUMENT"))
        ask.check = self.unless_lost(fails_with("22012"))
        return ask

    def unless_lost(self, check):
        return lambda answer, rows, tag: None if answer.status == 14 else check(answer, rows, tag)

    def checked(self, check):
        return lambda answer, rows, tag: check(answer, rows, tag) if answer.status == 0 else None

    def rows(self, tag):
        count = self.generator.choice((0, 1, 2, 10, 100))
        ask = query("rows", "select $1::text, i from generate_series(1::bigint, $2::bigint) as i", tag, count)
        ask.check = self.checked(same([(tag, i) for i in range(1, count + 1)]))
        return ask

    def large(self, tag):
        times = self.generator.choice((1_000, 10_000, 30_000))
        ask = query("large", "select repeat($1::text, $2::int)", tag, times)
        ask.check = self.checked(same([(tag * times,)]))
        return ask

    def slow(self, tag):
        ask = query("slow", "select $1::text, pg_sleep(0.02)::text", tag)
        ask.check = self.checked(same([(tag, "")]))
        return ask

    def get(self, tag):
        number = self.generator.randrange(KEYS)
        value = f"value {number}".encode()
        return Ask("get", ("get", messages.Get(key=f"key {number}".encode())), timeout_microseconds=GENEROUS,
                   check=self.checked(lambda answer, _, __: None if answer.get.value == value else f"{answer.get} for {value}"))

    def get_many(self, tag):
        numbers = [self.generator.randrange(KEYS + 10) for _ in range(5)]
        expected = [f"value {number}".encode() if number < KEYS else b"" for number in numbers]

        def check(answer, _, __):
            found = [entry.value for entry in answer.get_many.entries]
            return None if found == expected else f"{found} for {expected}"

        return Ask("get many", ("get_many", messages.GetMany(keys=[f"key {number}".encode() for number in numbers])),
                   timeout_microseconds=GENEROUS, check=self.checked(check))

    def count(self, tag):
        return Ask("count", ("count", messages.Count(range=messages.KeyRange(prefix=b"key "))), timeout_microseconds=GENEROUS,
                   check=self.checked(lambda answer, _, __: None if answer.count.count == KEYS else f"{answer.count}"))

    def increment(self, tag):
        return Ask("increment", ("increment", messages.Increment(key=self.incremented, delta=1)), timeout_microseconds=GENEROUS,
                   fate=self.incremented.decode())

    def insert(self, tag):
        ask = query("insert", "insert into journal (tag, by) values ($1, 'innocent') returning tag", tag, read_only=False, fate="journal")

        def check(answer, rows, tag):
            if answer.status == 0:
                self.inserted = tag
                return same([(tag,)])(answer, rows, tag)
            return None

        ask.check = check
        return ask

    def written(self, tag):
        """What this client was told that it has written, it sees from then on."""
        ask = query("written before", "select count(*), $2::text from journal where tag = $1", self.inserted or "none", tag)
        ask.check = self.checked(same([(1 if self.inserted else 0, tag)]))
        return ask


class Hasty(Innocent):
    """Has no time, or changes its mind. What it gets is its own all the same, and what it is told of its writes is true."""

    CODES = ("DEADLINE_EXCEEDED", "CANCELLED")

    def __init__(self, generator, number, expected, codes):
        super().__init__(generator, number, expected, (*self.CODES, *codes))

    def __call__(self, tag):
        ask = super().__call__(tag)
        ask.kind = f"hasty: {ask.kind}"
        if ask.kind.endswith(("wrong cast", "division")):
            check, ask.check = ask.check, None
            ask.check = lambda answer, rows, tag: None if answer.status in (1, 4) else check(answer, rows, tag)
        if self.generator.random() < 0.7:
            ask.fields["timeout_microseconds"] = self.generator.randrange(1_000, 5_001)
        if self.generator.random() < 0.3:
            ask.cancel = True
        return ask


def as_process(path, number, expected, requests, terminates, only_settings):
    """Three innocent clients, one that is hasty, one that leaves, one that is hostile and one that is both."""
    generator = oracle.generator(number, requests, terminates)
    findings = oracle.Findings()
    codes = ("UNAVAILABLE",) if terminates else ()

    def name(client):
        return f"{number}.{client}"

    def stays():
        return generator.randrange(1, 200)

    parts = [(Innocent(generator, name(client), expected, codes), 0.18, 16, None) for client in range(3)]
    parts.append((Hasty(generator, name(3), expected, codes), 0.16, 16, None))
    parts.append((Hasty(generator, name(4), expected, codes), 0.1, 8, stays))
    parts.append((hostile.maker(generator, terminates, only_settings), 0.15, 8, None))
    parts.append((hostile.maker(generator, terminates, only_settings), 0.05, 4, stays))
    clients = [oracle.Client(path, name(client), ask, findings, int(requests * share), window, leaves)
               for client, (ask, share, window, leaves) in enumerate(parts)]
    result = oracle.run(clients, findings, QUIET_SECONDS_MAX)
    for client in clients:
        client.socket.close()
    return result


@postgres.needed
class SharedPipelineTests(StartTestCase):
    CONNECTIONS = 8

    def setUp(self):
        self.cluster = postgres.Cluster()
        self.addCleanup(self.cluster.close)
        self.database = self.cluster.new_database()
        self.cluster.sql(hostile.SETUP.format(database=self.database), self.database)
        self.conninfo = self.cluster.conninfo(self.database, "app")
        self.serve()

    def serve(self, more=""):
        """A sidecar, with what the innocent read in its tables."""
        self.server = Server(sqlite=False, config=f"""
transactions:
  idle: 500ms
backends:
  - name: main
    kind: postgresql
    conninfo: "{self.conninfo}"
    connections_min: 1
    connections_max: {self.CONNECTIONS}
    acquire_timeout: 60s
{more}""")
        self.addCleanup(self.server.close)
        with self.server.connect(timeout=30) as client:
            for number in range(KEYS):
                client.put(f"key {number}", f"value {number}")

    def look(self):
        """The session as a client sees it, read-only or not."""
        with self.server.connect(timeout=30) as client:
            looks = {client.query(LOOK, "x", read_only=read_only).rows[0][1] for read_only in (True, False, True)}
        self.assertEqual(len(looks), 1)
        return looks.pop()

    def assert_pristine(self, expected):
        for _ in range(20):
            self.assertEqual(self.look(), expected)
        locks = self.cluster.sql("select pid, objid from pg_locks where locktype = 'advisory' and database = (select oid from "
                                 f"pg_database where datname = '{self.database}')", self.database)
        self.assertEqual(locks, [])
        self.assertIsNone(self.server.process.poll(), self.server.log[-4000:])
        metrics = self.server.admin("GET", "/metrics")[1]
        found = re.findall(r"^prism_invariant_violations_total\S* (\S+)$", metrics, re.MULTILINE)
        self.assertEqual([float(value) for value in found], [0.0] * max(1, len(found)))

    def assert_fates(self, fates):
        """What was said of each write is what has become of it, once."""
        rows = collections.Counter(tag for (tag,) in self.cluster.sql("select tag from public.journal", self.database))
        self.assertEqual(rows.pop("ro", 0), 0, "read-only requests have written")
        rows.pop("rw", None)
        wrong, least, most = [], collections.Counter(), collections.Counter()
        for tag, (what, outcome) in fates.items():
            if what == "journal":
                found = rows.pop(tag, 0)
                if found > 1 or (outcome == "EXECUTED" and found != 1) or (outcome == "NOT_EXECUTED" and found):
                    wrong.append((tag, outcome, found))
            else:
                least[what] += outcome == "EXECUTED"
                most[what] += outcome != "NOT_EXECUTED"
        self.assertEqual(wrong[:10], [])
        self.assertEqual(sorted(rows)[:10], [], "rows that nobody has written")
        with self.server.connect(timeout=30) as client:
            for key in most:
                entry = client.get(key)
                value = int(entry.value) if entry else 0
                self.assertTrue(least[key] <= value <= most[key], f"{key} is {value}, not {least[key]} to {most[key]}")

    def ask(self, requests, terminates, only_settings=False):
        """What each process has seen, and how a session looked before."""
        expected = self.look()
        self.assertIn("|kind|0|0|0|0", expected)
        path, each = self.server.socket_path, requests // PROCESSES
        return expected, processes.run(lambda number: as_process(path, number, expected, each, terminates, only_settings), PROCESSES,
                                       SECONDS_MAX)

    def run_oracle(self, requests, terminates):
        expected, results = self.ask(requests, terminates)
        answers, fates = collections.Counter(), {}
        for result in results:
            answers.update(result["answers"])
            fates.update(result["fates"])
        wrong = [line for result in results for line in result["wrong"]]
        if FULL:
            print(f"\n    {sum(result['asked'] for result in results):,} requests; answers: "
                  + ", ".join(f"{key} {count}" for key, count in sorted(answers.items())))
        self.assertEqual(sum(result["wrong_count"] for result in results), 0, "\n".join(wrong[:20]))
        self.assertGreaterEqual(sum(result["asked"] for result in results), requests * 0.95)
        for kind in ("look", "look, unmarked", "rows", "large", "get", "get many", "count", "insert", "written before", "slow", "hostile: begin", "hasty: look"):
            self.assertGreater(answers[f"{kind}: OK"], 0)
        self.assertGreater(sum(count for key, count in answers.items() if key.startswith("hasty") and "DEADLINE" in key), 0)
        self.assertGreater(sum(count for key, count in answers.items() if key.startswith("hasty") and "CANCELLED" in key), 0)
        self.assert_pristine(expected)
        # Otherwise nothing was shared that could have been seen.
        batches, together = (float(re.search(rf'prism_shared_{what}_total\{{backend="main"\}} (\S+)',
                                             self.server.admin("GET", "/metrics")[1]).group(1)) for what in ("batches", "requests"))
        if FULL:
            print(f"    {together:,.0f} requests in {batches:,.0f} batches")
        self.assertGreater(together, requests / 20)
        self.assertGreater(together, batches * 1.2)
        return answers, fates

    def test_nobody_sees_what_is_anothers(self):
        """Without connections that end, who has time gets what was asked for, always."""
        _, fates = self.run_oracle(REQUESTS, terminates=0)
        self.assert_fates(fates)

    def test_a_connection_that_its_own_user_ends_takes_no_stranger_along_unnoticed(self):
        answers, fates = self.run_oracle(REQUESTS // 4, terminates=TERMINATES)
        ended = sum(count for key, count in answers.items() if key.startswith("hostile: terminate"))
        lost = sum(count for key, count in answers.items() if not key.startswith("hostile") and key.endswith("UNAVAILABLE"))
        self.assertGreater(ended, 0)
        self.assertLessEqual(lost, ended * LOST_TOGETHER_MAX)
        self.assert_fates(fates)

    def test_sessions_that_are_not_put_back_are_noticed(self):
        """The hostile succeed where nothing stops them: said to be behind a pooler, the sidecar leaves sessions as they are."""
        self.server.stop()
        self.serve("    pooled: true\n")
        _, results = self.ask(1_000, terminates=0, only_settings=True)
        wrong = [line for result in results for line in result["wrong"]]
        self.assertGreater(sum(result["wrong_count"] for result in results), 10)
        self.assertTrue(any("(look" in line and "saw" in line for line in wrong), wrong[:20])


class OracleTests(unittest.TestCase):
    """What the oracle has to notice, on a connection that says what the test says."""

    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="prism-oracle-")
        self.addCleanup(shutil.rmtree, self.directory)
        listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(listener.close)
        path = os.path.join(self.directory, "s")
        listener.bind(path)
        listener.listen()
        self.findings = oracle.Findings()
        self.client = oracle.Client(path, "0.0", lambda tag: query("rows", "select $1", tag, check=lambda _, rows, tag: (
            None if rows == [(tag,)] else "other rows")), self.findings, 1, 1)
        self.addCleanup(lambda: self.client.socket.close())
        self.peer = listener.accept()[0]
        self.addCleanup(self.peer.close)
        self.client.fill()
        self.id = self.client.next_id

    def say(self, text, id=None, status=0, **failure):
        answer = raw.Response(id=id or self.id, status=status)
        if status:
            answer.failure.message = text
        else:
            answer.query.rows.add().values.add().text = text
        self.peer.sendall(raw.frame(answer))
        self.client.receive()

    def assert_noticed(self, words):
        self.assertEqual(self.findings.wrong_count, len(self.findings.wrong))
        self.assertTrue(any(words in line for line in self.findings.wrong), self.findings.wrong)

    def test_the_right_answer_is_no_finding(self):
        self.say("T0.0.0000001E")
        self.assertEqual(self.findings.wrong, [])
        self.assertTrue(self.client.is_done)

    def test_anothers_rows(self):
        self.say("T0.1.0000001E")
        self.assert_noticed("was answered with T0.1.0000001E")
        self.assert_noticed("other rows")

    def test_anothers_error(self):
        self.say("invalid: T3.0.0000009E", status=3)
        self.assert_noticed("was answered with T3.0.0000009E")
        self.assert_noticed("got INVALID_ARGUMENT")

    def test_a_status_that_cannot_be(self):
        self.say("stopped", status=1)
        self.assert_noticed("got CANCELLED")

    def test_a_second_answer_and_an_unknown_one(self):
        self.say("T0.0.0000001E")
        self.say("T0.0.0000001E")
        self.assert_noticed("which is not in flight")

    def test_no_answer(self):
        self.peer.close()
        self.client.receive()
        self.assert_noticed("in flight: 1")
        self.assertTrue(self.client.is_done)

    def test_silence(self):
        oracle.run([self.client], self.findings, quiet_seconds_max=0)
        self.assert_noticed("unanswered: 1, ['rows']")


if __name__ == "__main__":
    unittest.main()
