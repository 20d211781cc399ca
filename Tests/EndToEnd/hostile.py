"""What a client can try in order to be noticed by another one that shares its server connection."""

from oracle import Ask
from raw import messages

SETUP = """
create role app login;
create role other;
grant other to app;
grant create on database {database} to app;
grant all on schema public to app;
set role app;
create table public.marked (note text);
insert into public.marked values ('kind');
create table public.journal (tag text, by text);
create index on public.journal (tag);
create schema hostile;
create table hostile.marked (note text);
insert into hostile.marked values ('evil');
create table hostile.t (a bigint);
insert into hostile.t values (1);
create function hostile.run(sql text) returns text language plpgsql as 'begin execute sql; return ''ran''; end';
create function hostile."Run It"(sql text) returns text language plpgsql as 'begin execute sql; return ''ran''; end';
create function hostile.set_quietly(name text, value text) returns text language plpgsql as
    'begin perform set_config(name, value, false); return value; end';
create function hostile.hold(n bigint) returns bigint language sql as 'select pg_advisory_lock(n); select n';
create function public.held(hostile.t) returns bigint language sql as
    'select pg_advisory_lock_shared(4711); select set_config(''search_path'', ''hostile'', false); select 1::bigint';
create operator hostile.### (rightarg = bigint, function = hostile.hold);
create view hostile.holding as select hostile.hold(815) as held, set_config('timezone', 'Asia/Tokyo', false) as zone;
create type hostile.box as (n bigint);
create function hostile.boxed(bigint) returns hostile.box language sql as 'select hostile.hold($1); select row($1)::hostile.box';
create cast (bigint as hostile.box) with function hostile.boxed(bigint);
create function hostile.settles(text) returns bool language plpgsql as
    $$ begin perform set_config('search_path', 'hostile', false), pg_advisory_lock(816); return true; end $$;
create domain hostile.settled as text check (hostile.settles(value));
create function hostile.step(bigint, bigint) returns bigint language plpgsql as
    $$ begin perform set_config('app.tenant', 'evil', false), pg_advisory_lock_shared(817); return $2; end $$;
create aggregate hostile.collect(bigint) (sfunc = hostile.step, stype = bigint, initcond = '0');
create aggregate hostile.first(bigint) (sfunc = hostile.step, stype = bigint, initcond = '0');
create view hostile.rows as values (hostile.hold(818)), (2);
create view hostile.limited as select a from hostile.t limit hostile.hold(819);
create view hostile.absent as select a from hostile.t where hostile.hold(a) not in (select a + 1 from hostile.t);
create view hostile.framed as select sum(a) over (order by a rows between hostile.hold(820) preceding and current row) from hostile.t;
create table hostile.parts (k bigint, a bigint) partition by list (k);
create table hostile.parts_1 partition of hostile.parts for values in (1);
insert into hostile.parts values (1, 1);
create view hostile.pruned as select * from hostile.parts where hostile.hold(a) > 0;
create function hostile.read_write(mark text) returns text language plpgsql as
    $$ begin perform set_config('transaction_read_only', 'off', false); insert into public.journal values (mark, 'hostile');
       return 'written'; end $$;
create function hostile.nested(n int) returns text language plpgsql as
    $$ begin begin perform 1 / n; exception when division_by_zero then perform set_config('search_path', 'hostile', false);
       raise notice 'caught'; end; return 'nested'; end $$;
create function hostile.fails(name text, value text) returns text language plpgsql as
    $$ begin perform set_config(name, value, false); perform pg_advisory_lock(42); raise exception 'on purpose'; end $$;
"""

# Of what victims look at, values that only the hostile set.
SETTINGS = {"search_path": "hostile", "role": "other", "timezone": "Asia/Tokyo", "datestyle": "German, DMY", "work_mem": "64kB",
            "statement_timeout": "777ms", "lock_timeout": "777ms", "default_transaction_read_only": "on",
            "default_transaction_isolation": "serializable", "transaction_isolation": "serializable",
            "transaction_read_only": "off", "app.tenant": "evil", "standard_conforming_strings": "off",
            "client_encoding": "LATIN1", "bytea_output": "escape", "extra_float_digits": "-15", "plan_cache_mode": "force_generic_plan",
            "idle_in_transaction_session_timeout": "700ms", "idle_session_timeout": "700ms"}

# Spellings of one function call, to be told neither from each other nor from a harmless one.
CALLS = ("hostile.run({0})", '"hostile"."run"({0})', "hostile . run ({0})", "hostile.run/* ( */({0})", "hostile.run -- (\n ({0})",
         'U&"\\0068ostile"."run"({0})', 'hostile."Run It"({0})', 'HOSTILE.RUN({0})', "hostile.run(sql => {0})",
         "(hostile.run({0}))", "coalesce(hostile.run({0}), 'x')")
SHAPES = ("select {0}", "select * from {0} as x", "values ({0})", "with x as materialized (select {0}) select * from x",
          "(select {0})", "/* select 1 */ select {0}", "select case when {0} is null then 1 else 2 end",
          "select 1 where {0} is not null", "select (select {0})", "select 1 union all select 2 from (select {0}) as x")

IN_FUNCTIONS = (
    "set search_path = hostile", "set role other", "set time zone ''Asia/Tokyo''", "set datestyle = German",
    "set session characteristics as transaction read write", "set transaction read write",
    "set transaction isolation level serializable", "set app.tenant = ''evil''", "set local search_path = hostile",
    "set statement_timeout = ''777ms''", "reset all", "set session authorization app",
    "select pg_advisory_lock(4712)", "select pg_try_advisory_lock(4713)", "select pg_advisory_lock_shared(4714)",
    "listen poison", "notify poison, ''x''", "unlisten *", "deallocate all", "create temp table marked as select ''evil''::text as note",
    "create temp view journal as select 1", "declare c cursor with hold for select 1", "discard plans", "discard temp",
    "insert into public.journal values (''ro'', ''hostile'')", "lock table public.marked",
    "create table hostile.made (a int)", "copy hostile.t to stdout", "begin", "commit", "rollback", "savepoint a",
    "prepare evil as select 1", "set default_transaction_read_only = off", "select note from public.marked for update",
    "set local transaction_read_only = off", "explain analyze select 1", "reset session authorization", "set constraints all deferred", "load ''plpgsql''",
)

DIRECT = (
    "begin", "commit", "rollback", "select 1; begin", "select 1; set search_path = hostile", "set transaction read write",
    "set role other", "set search_path = hostile", "prepare evil as select 1", "deallocate all", "execute prism_1", "listen poison",
    "notify poison", "copy hostile.t to stdout", "copy hostile.t from stdin", "discard all", "create temp table marked (note text)",
    "select 1 into temp marked", "declare c cursor for select 1", "fetch 1 from c", "lock table marked", "savepoint a",
    "do 'begin set role other; end'", "do 'begin perform pg_advisory_lock(4715); end'", "do 'begin listen poison; end'",
    "do 'begin commit; end'", "do $$ begin perform set_config('search_path', 'hostile', false); commit; end $$",
    "do 'begin raise exception ''on purpose''; end'",
)

QUIET = (
    "select pg_advisory_lock(4701), pg_advisory_lock_shared(1, 2)", "select pg_catalog.pg_advisory_lock(4702)",
    'select "pg_advisory_lock"(4703)', 'select U&"pg_advis\\006fry_lock"(4704)', "select pg_try_advisory_lock(4705)",
    "select pg_advisory_xact_lock(4706)", "select PG_ADVISORY_LOCK /* x */ (4707)", "select hostile.hold(4708)",
    "select operator(hostile.###) 4709::bigint", "select t.held from hostile.t", "select (t).held from hostile.t as t",
    "select held(t) from hostile.t", "table hostile.holding", "select * from hostile.holding",
    "select 4710::bigint::hostile.box", "select cast(4710::bigint as hostile.box)", "select pg_advisory_unlock_all()",
    "select hostile.first(1::bigint)", "table hostile.rows", "table hostile.limited", "table hostile.absent", "table hostile.framed",
    "select * from hostile.pruned where k = 1", "select E'x\\ny', t.held from hostile.t", "select 'x\ny', held(t) from hostile.t",
    "select 'x'::hostile.settled", "select hostile.collect(1::bigint)", "select * from (select 1) a, lateral hostile.hold(4711) b",
    "select 1 order by hostile.hold(4712)", "select 1 limit hostile.hold(1)", "select note from marked for update",
    "select rank() over (order by hostile.hold(4716))", "select 1 group by hostile.hold(4717)", "select array[hostile.hold(4718)]",
    "select pg_notify('poison', 'x')", "select * from pg_listening_channels()", "select hostile.read_write('ro')",
    "select hostile.nested(0)", "select hostile.nested(1)", "select hostile.fails('search_path', 'hostile')",
    "select hostile.fails('app.tenant', 'evil')", "select 1 / 0 from (select set_config('search_path', 'hostile', false)) as x",
    "select set_config('search_path', 'hostile', true)", "select set_config('app.tenant', 'evil', true)",
    "select lo_open(lo_create(0), 393216)", "select pg_export_snapshot()", "select txid_current()", "select setseed(0.5)",
    "select * from", "select", "select $1", "select $2::text", "select nothing from nowhere", "values", "select '\\'; begin", "select E'\\''",
    "select generate_series(1, 20000)", "select pg_sleep(0.05)", "select pg_sleep(0.2)", "select count(*) from pg_locks",
    "select repeat('x', 3000000)", "select repeat('x', 1000) from generate_series(1, 500)", "select pg_stat_get_activity(null)",
    "select pg_backend_pid()", "select pg_reload_conf()", "select dblink_connect('x')", "select 'a'::bytea || '\\x00'::bytea",
)

# Never sent where an answer may be lost with the connection.
CANCEL_SELF = ("select pg_cancel_backend(pg_backend_pid())", "select hostile.run('select pg_cancel_backend(pg_backend_pid())')",
               "select pg_cancel_backend(pid) from pg_stat_activity where pid = pg_backend_pid()",
               "select pg_cancel_backend(pg_backend_pid()), pg_sleep(0.01)")
TERMINATE_SELF = ("select pg_terminate_backend(pg_backend_pid())",
                  "select hostile.run('select pg_terminate_backend(pg_backend_pid())')")


class Transactions:
    """Opens one now and then, changes what it can in it, and ends it, or leaves it to its limit."""

    def __init__(self, generator):
        self.generator = generator
        self.handle = None
        self.left = 0

    def ask(self):
        draw = self.generator.random()
        if self.handle is None:
            if draw > 0.03:
                return None
            return Ask("hostile: begin", ("begin", messages.Begin()), codes=None, check=self.begun,
                       read_only=self.generator.random() < 0.5)
        if draw > 0.5:
            return None
        handle, self.left = self.handle, self.left - 1
        if self.left > 0:
            text = self.generator.choice(QUIET if draw < 0.3 else DIRECT).replace("'ro'", "'rw'")
            if draw < 0.1:
                text = f"select set_config('{self.generator.choice(list(SETTINGS))}', '1', false)"
            return Ask("hostile: in a transaction", ("query", messages.Query(sql=text)), codes=None, transaction=handle)
        self.handle = None
        if draw < 0.1:
            return None  # left to its limit
        end = ("commit", messages.Commit()) if draw < 0.3 else ("rollback", messages.Rollback())
        return Ask("hostile: end", end, codes=None, transaction=handle)

    def begun(self, answer, _, __):
        if answer.status == 0:
            self.handle, self.left = answer.begin.transaction, self.generator.randrange(1, 5)


def maker(generator, terminates, only_settings=False):
    """Makes the requests of a hostile client. `terminates`: in how many of a thousand it ends its own server connection.
    `only_settings`: nothing that others would have to wait for where it is not undone."""
    def sql():
        draw = 0.1 if only_settings else generator.random()
        if draw < terminates / 1_000:
            return "hostile: terminate", generator.choice(TERMINATE_SELF)
        if draw < 0.05:
            return "hostile: cancel", generator.choice(CANCEL_SELF)
        if draw < 0.25:
            name, value = generator.choice(list(SETTINGS.items()))
            call = generator.choice(("set_config('{0}', '{1}', false)", "pg_catalog . set_config ('{0}', '{1}', false)",
                                     "hostile.set_quietly('{0}', '{1}')"))
            return "hostile: setting", generator.choice(SHAPES).format(call.format(name, value))
        if draw < 0.6:
            call = generator.choice(CALLS).format("'" + generator.choice(IN_FUNCTIONS) + "'")
            return "hostile: function", generator.choice(SHAPES).format(call)
        if draw < 0.7:
            return "hostile: refused", generator.choice(DIRECT)
        return "hostile: statement", generator.choice(QUIET)

    transactions = Transactions(generator)

    def ask(tag):
        if not only_settings:
            found = transactions.ask()
            if found:
                return found
        kind, text = sql()
        read_only = generator.random() < 0.7
        if not read_only:
            text = text.replace("'ro'", "'rw'")
        # Whatever comes back, there is none of anybody else's tags in it.
        return Ask(kind, ("query", messages.Query(sql=text)), codes=None, read_only=read_only,
                   timeout_microseconds=60_000_000 if generator.random() < 0.8 else generator.randrange(1_000, 20_000))

    return ask
