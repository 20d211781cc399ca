"""`prism schema … --postgres`, and the rights that docs/postgresql.md says are enough."""

import concurrent.futures
import os
import re
import subprocess
import unittest

import cli
import paths
import postgres
import prism
from harness import Server

ADVISORY_LOCK = 482955850605
DOCUMENT = os.path.join(paths.ROOT, "docs", "postgresql.md")
OBJECTS = """
select c.relkind, c.relname, c.reloptions, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, l.collname
from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid
left join pg_collation l on l.oid = a.attcollation
where n.nspname = 'prism' and a.attnum > 0 order by 2, 4
"""


def documented(name):
    with open(DOCUMENT) as file:
        return re.search(rf"<!-- rights:{name} -->\s*```sql\n(.*?)```", file.read(), re.DOTALL).group(1)


@postgres.needed
class SchemaTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = postgres.Cluster()
        cls.addClassCleanup(cls.cluster.close)

    def setUp(self):
        self.database = self.cluster.new_database()

    def sql(self, text, **options):
        return self.cluster.sql(text, self.database, **options)

    def conninfo(self, **options):
        return self.cluster.conninfo(self.database, **options)

    def apply(self, code=0, **options):
        return cli.run("schema", "apply", "--postgres", self.conninfo(**options), code=code)

    def role(self, options=""):
        name = f"{self.database}_role"
        self.cluster.sql(f"create role {name} login {options}")
        return name

    def serve(self, user, create_schema):
        server = Server(sqlite=False, config=f"""
backends:
  - name: main
    kind: postgresql
    conninfo: {self.conninfo(user=user)}
    create_schema: {str(create_schema).lower()}
    connections_min: 0
    sweep_interval: 10ms
""")
        self.addCleanup(server.close)
        return server

    def use(self, server):
        """Everything for which Prism needs its tables."""
        db = server.connect()
        self.addCleanup(db.close)
        version = db.put("k", b"1")
        once = [db.put("k", b"2", if_present=True, idempotency_key="once") for _ in range(2)]
        self.assertGreater(once[0], version)
        self.assertEqual(once[0], once[1])
        self.assertEqual(db.increment("k"), 3)
        self.assertIs(db.touch("k", 60), True)
        self.assertEqual(db.get("k").value, b"3")
        self.assertEqual(db.count(), 1)
        self.assertEqual([entry.key for entry in db.scan()], [b"k"])
        self.assertIs(db.delete("k"), True)
        # The sweeper takes the rows that the tables start with.
        for _ in range(2_000):
            if self.sql("select count(*) from prism.entry") == [("0",)]:
                return
        self.fail("nothing is swept")

    def test_print_is_what_apply_does(self):
        script = cli.run("schema", "print", "--postgres").stdout
        self.assertEqual(cli.run_json("schema", "print", "--postgres")["sql"].strip(), script.strip())
        self.assertNotEqual(script, cli.run("schema", "print").stdout)
        for _ in range(2):
            self.sql(script)
        by_hand = self.sql(OBJECTS)
        self.database = self.cluster.new_database()
        for _ in range(2):
            self.apply()
        self.assertEqual(cli.run_json("schema", "apply", "--postgres", self.conninfo()), {"applied": True})
        self.assertEqual(self.sql(OBJECTS), by_hand)
        self.assertGreater(len(by_hand), 10)
        self.assertEqual(self.sql("select name, value from prism.meta"), [("schema_version", "1")])
        self.assertEqual(self.sql("select count(*) from prism.entry"), [("256",)], "once, and to be swept")

    def test_twenty_at_once(self):
        command = [paths.binary(), "schema", "apply", "--postgres", self.conninfo()]
        started = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(20)]
        for process in started:
            output = process.communicate(timeout=60)
            self.assertEqual(process.returncode, 0, output)
        self.assertEqual(self.sql("select count(*) from prism.meta"), [("1",)])
        self.assertEqual(self.sql("select count(*) from prism.entry"), [("256",)])

    def test_applying_again_does_not_wait_for_writers(self):
        self.apply()
        db = self.serve("postgres", create_schema=True).connect()
        self.addCleanup(db.close)
        with db.transaction() as transaction:
            transaction.put("k", b"1")
            self.apply()
            script = cli.run("schema", "print", "--postgres").stdout
            self.sql("set lock_timeout = '1s'; " + script)
        self.assertEqual(db.get("k").value, b"1")

    def test_tables_of_a_newer_prism_stay_as_they_are(self):
        self.apply()
        self.sql("update prism.meta set value = 2; drop index prism.entry_expiry")
        done = self.apply(code=1)
        self.assertIn("version 2", done.stderr)
        self.assertEqual(self.sql("select count(*) from pg_class where relname = 'entry_expiry'"), [("0",)])

    def test_a_sidecar_leaves_the_tables_of_another_version_alone(self):
        self.apply()
        self.sql("delete from prism.entry; update prism.meta set value = 2")
        server = self.serve(postgres.SUPERUSER, create_schema=True)
        with server.connect() as db:
            for refused in (lambda: db.put("k", b"v"), lambda: db.get("k"), lambda: db.count(), lambda: list(db.scan()),
                            lambda: db.query("create table t (n int)", idempotency_key="key")):
                with self.assertRaises(prism.FailedPrecondition) as caught:
                    refused()
                self.assertIn("version 2", caught.exception.message)
                self.assertEqual(caught.exception.outcome, "NOT_EXECUTED")
            self.assertEqual(db.query("select count(*) from prism.entry").scalar(), 0, "SQL is the database's own")
        self.assertIn("version 2", server.admin("GET", "/status")[1])

    def test_a_schema_of_somebody_else_stays_as_it_is(self):
        self.sql("create schema prism; create table prism.meta (name text primary key, value bigint)")
        self.sql("alter table prism.meta add check (name <> 'schema_version')")
        self.apply(code=1)
        self.assertEqual(self.sql("select count(*) from pg_class where relname = 'entry'"), [("0",)])

    def test_a_database_that_is_not_there_and_a_password(self):
        done = cli.run("schema", "apply", "--postgres", self.cluster.conninfo("none"), code=1)
        self.assertIn('database "none" does not exist', done.stderr)
        done = cli.run("schema", "apply", "--postgres", self.conninfo(password="hunter2"), code=2)
        self.assertNotIn("hunter2", done.stdout + done.stderr)
        cli.run("schema", "apply", "--postgres", self.conninfo(), "--sqlite", "x.db", code=2)

    def test_a_role_with_the_documented_grants_can_do_everything_but_make_tables(self):
        role = self.role()
        done = self.apply(code=1, user=role)
        self.assertIn("permission denied", done.stderr)
        self.apply()
        self.sql(documented("use").replace(" app;", f" {role};"))
        self.use(self.serve(role, create_schema=False))
        for forbidden in ("create table prism.more (n int)", "drop table prism.entry", "truncate prism.entry",
                          "update prism.meta set value = 2", "select setval('prism.version', 1)"):
            with self.subTest(sql=forbidden), self.assertRaisesRegex(AssertionError, "permission denied|must be owner"):
                self.sql(forbidden, user=role)

    def test_each_documented_grant_is_needed(self):
        role = self.role()
        self.apply()
        grants = [line for line in documented("use").replace(" app;", f" {role};").splitlines() if line]
        self.assertEqual(len(grants), 4)
        for missing in range(len(grants)):
            with self.subTest(missing=grants[missing]):
                self.sql(f"drop owned by {role}")
                self.sql("\n".join(grant for number, grant in enumerate(grants) if number != missing))
                server = self.serve(role, create_schema=False)
                with server.connect() as db:
                    # Its own key each time: what an earlier round has done is not done again.
                    problem = self.problem_of(db, f"key-{missing}")
                if "prism.meta" in grants[missing]:
                    self.assertIsNone(problem)
                    self.assertIn("permission denied for table meta", server.admin("GET", "/status")[1])
                else:
                    self.assertIn("permission denied", problem)
                    self.assertIn("prism schema apply", problem)

    def problem_of(self, db, key):
        try:
            db.put("k", b"v", idempotency_key=key)
        except prism.Error as error:
            return error.message
        return None

    def test_a_role_with_an_empty_schema_of_its_own_makes_the_tables_itself(self):
        role = self.role()
        self.sql(documented("schema").replace(" app;", f" {role};"))
        self.use(self.serve(role, create_schema=True))
        self.apply(user=role)

    def test_a_role_with_a_statement_timeout_waits_for_another_that_makes_the_tables(self):
        role = self.role()
        self.cluster.sql(f"grant create on database {self.database} to {role}; alter role {role} set statement_timeout = '100ms'")
        other = subprocess.Popen(
            [os.path.join(postgres.binaries(), "psql"), "-XAtq", self.conninfo()], stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL, text=True)
        self.addCleanup(other.wait)
        self.addCleanup(other.stdin.close)
        other.stdin.write(f"begin; select pg_advisory_xact_lock({ADVISORY_LOCK});\n")
        other.stdin.flush()
        self.until("select 1 from pg_locks where locktype = 'advisory' and granted")
        db = self.serve(role, create_schema=True).connect(timeout=30)
        self.addCleanup(db.close)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            put = pool.submit(db.put, "k", b"v")
            try:
                self.until(f"select 1 from pg_stat_activity where usename = '{role}' and wait_event = 'advisory' "
                           "and clock_timestamp() > query_start + interval '300ms'")
            finally:
                other.stdin.write("commit;\n")
                other.stdin.flush()
            self.assertGreater(put.result(30), 0)

    def until(self, question):
        """Until it answers a row."""
        for _ in range(200):
            if self.sql(question):
                return
        self.fail(question)

    def test_a_role_that_may_create_in_the_database_makes_everything_itself(self):
        role = self.role()
        self.cluster.sql(f"grant create on database {self.database} to {role}")
        self.use(self.serve(role, create_schema=True))
