import PrismWire
import Testing

@testable import PrismCore

@Suite("SQL guard") struct SQLGuardTests {
    private static func word(_ refusal: SQLRefusal?) -> String { refusal.map { "\($0)" } ?? "sent" }

    private static func judged(_ sql: String) -> String {
        let message = SQLGuard.judge(sql).refusal?.message
        return word(SQLRefusal.allCases.first { $0.failure.message == message })
    }

    /// `refusal: one text a line`.
    private static let refused: [(SQLRefusal, [String])] = [
        (.empty, ["", "  ", ";", "-- only a comment", "/* a /* nested */ one */ ; ;", "(", "/* unterminated"]),
        (.zeroByte, ["select 1\0; begin", "\0"]),
        (
            .several,
            [
                "select 1; select 2", "select 1; begin", "select 1;;/* x */;x", "(select 1); begin",
                "select '\\'; begin; --'",
                "select $a$ ; $a$; commit", "select 1 --\n; rollback", "select \"a;\"; set x = 1", "select 1--\r;begin",
                "select E'a'\n'\\''; commit", "explain select 1; drop table t",
                "create function f() returns int begin atomic select 1; end; begin",
                "create function begin() returns int language sql as 'select 1'; begin",
            ]
        ),
        (
            .transactionControl,
            [
                "begin", "BEGIN", "bEgIn work", "begin;", "start transaction", "commit", "end", "rollback", "abort",
                "commit and chain", "/* c */ -- d\n begin", ";; begin", "\u{B}begin", "\t\r\n\u{C}commit",
                "--x\rcommit",
                "/*/**/*/begin", "/*/*/**/*/*/rollback", "((begin", "/**//**/begin", "/***/begin",
                "rollback/**/and no chain",
                "-- caf\u{E9}\nbegin", "begin isolation level serializable", "rollback work", "begin--",
                "begin;select 1",
            ]
        ),
        (
            .savepoint,
            [
                "savepoint a", "release a", "release savepoint a", "rollback to a", "rollback to savepoint a",
                "rollback work to a", "ROLLBACK /* x */ TRANSACTION TO a",
            ]
        ),
        (.twoPhaseCommit, ["prepare transaction 'a'", "commit prepared 'a'", "rollback prepared 'a'"]),
        (
            .transactionMode,
            [
                "set transaction read write", "set transaction isolation level serializable",
                "set session characteristics as transaction read only",
            ]
        ),
        (
            .setting,
            [
                "set x = 1", "SET search_path TO evil", "set local role x", "set session authorization x", "set role x",
                "reset all", "reset session authorization", "set time zone 'UTC'", "set", "set names 'x'",
                "set session search_path = a", "set/**/transaction_read_only=off",
            ]
        ),
        (
            .prepared,
            [
                "prepare a as select 1", "execute a", "execute prism_1(1)", "deallocate all", "deallocate prepare a",
                "create table t as execute a", "create unlogged table if not exists t (a) with (x = 1) as execute a(1)",
                "explain execute a", "explain analyze execute a", "explain (costs off, analyze) execute a",
                "explain verbose create table t as execute a", "create table t as /* c */ execute a",
            ]
        ),
        (.listen, ["listen a", "unlisten *"]),
        (
            .copy,
            [
                "copy t from stdin", "copy (select 1) to stdout", "copy t to program 'rm'", "COPY t TO '/tmp/x'",
            ]
        ),
        (.discard, ["discard all", "discard temp"]),
        (
            .cursor,
            [
                "declare c cursor with hold for select 1", "fetch 1 from c", "move c", "close all",
                "explain declare c cursor for select 1",
            ]
        ),
        (.load, ["load 'x'"]),
        (
            .temporary,
            [
                "create temp table t (a int)", "create temporary view v as select 1",
                "create local temp table t (a int)",
                "create global temporary table t (a int)", "create or replace temp view v as select 1",
                "create temp sequence s", "create table pg_temp.t (a int)",
                "create function pg_temp.f() returns int as 'select 1'",
                "create type \"pg_temp\".t as (a int)", "select 1 into temp t", "select 1 into temporary table t",
                "select 1 into local temp t", "select a into temp \"from\" from t", "(select 1 into temp t)",
                "with x as (select 1) select * into temp t from x", "select 1 into pg_temp.t",
                "explain analyze create temp table t as select 1", "create temp recursive view v (a) as select 1",
                "explain (analyze, verbose) select 1 into temp t", "create /* x */ temp -- y\n table t (a int)",
            ]
        ),
    ]

    private static let sent: [String] = [
        "select 1", "select 1;", "select 1 ; ; -- end", ";select 1", "((select 1))", "values (1)", "table t",
        "with x as (select 1) select * from x", "insert into t values (1)", "update t set a = 1", "delete from t",
        "select 'begin; commit'", "select $$ ; begin $$", "select $a$ $$ ; begin $b$ $a$", "select E'\\'; begin'",
        "select e'a''\\'; begin'", "select U&'\\0041; begin'", "select \"; begin\"", "select \"a\"\"; begin\"",
        "select b'1;', X'1;', n';'", "select 1 /* ; /* begin */ ; */", "select 1 -- ; begin", "select fooE';'",
        "select E'a' -- c\n 'b\\'; begin'", "select a$$ from t", "select $1$$;$$", "select ';' ';'",
        "create rule r as on insert to t do also (insert into u values (1); delete from v)",
        "create function f() returns int begin atomic select 1; select case when true then 1 end; end",
        "CREATE OR REPLACE PROCEDURE p() LANGUAGE SQL BEGIN ATOMIC insert into t select 1 as end; select t.case from t; END;",
        "create function f() returns int language sql as $$ begin; commit; $$",
        "\"begin\"", "U&\"begin\"", "'begin'", "1", "beginx", "begin_", "b\u{E9}gin", "\u{A0}begin", "\u{FF22}egin",
        "beg\u{131}n",
        "\u{2003}commit", "$1", "comment on table t is 'x'", "notify a, 'b'", "show all", "explain select 1",
        "explain (select 1)", "explain (analyze) (select 1)", "explain ((select 1))", "vacuum", "vacuum full t",
        "call p()",
        "do $$ begin commit; end $$", "checkpoint", "alter system set x = 1", "analyze", "lock_", "grant all on t to u",
        "insert into temp values (1)", "insert into temp select 1", "insert into temporary as x values (1)",
        "with x as (insert into temp values (1) returning a) select * from x",
        "merge into temp using t on true when matched then delete",
        "select 1 into temp from t", "select 1 into temp", "select 1 as into, temp.a from temp", "select 1 into t",
        "create table t as select 1 as execute",
        "create table t (a int, b int generated always as (a) stored) as select 1",
        "create table temp (a int)", "create view temp as select 1", "create table t (temp int)", "select pg_temp.f()",
        "explain explain select 1", "create", "create temp_t", "create index concurrently on t (a)",
        "refresh materialized view v",
        "select prism.x from prism.entry", "truncate t", "import foreign schema a from server b into c",
        "select '", "select \"", "select $a$", "select E'\\", "security label on table t is 'x'",
        "select 1 /* unterminated",
    ]

    @Test("what would change the session for the next client is refused, however it is spelt")
    func refusals() {
        for (refusal, texts) in Self.refused {
            for text in texts { #expect(Self.judged(text) == Self.word(refusal), "\(text.debugDescription)") }
        }
    }

    @Test("what is no such thing is sent to the server")
    func passes() {
        for text in Self.sent { #expect(Self.judged(text) == "sent", "\(text.debugDescription)") }
    }

    @Test("every refusal is INVALID_ARGUMENT or PERMISSION_DENIED, was not executed, and names a remedy")
    func wording() {
        for refusal in SQLRefusal.allCases {
            let failure = refusal.failure
            #expect(failure.code == (refusal == .load ? .permissionDenied : .invalidArgument))
            #expect(failure.outcome == .notExecuted && failure.stage == .execute && !failure.isRetryable)
            #expect(refusal == .empty || failure.message.contains(": ") || failure.message.contains("; "))
        }
    }

    @Test("a refusal points at the statement, in characters")
    func positions() {
        #expect(SQLGuard.judge("begin").refusal?.position == 1)
        #expect(SQLGuard.judge("/* \u{E9}\u{20AC}\u{1F600} */ begin").refusal?.position == 11)
        #expect(SQLGuard.judge("select 1; begin").refusal?.position == 11)
        #expect(SQLGuard.judge("explain analyze create temp table t as select 1").refusal?.position == 1)
    }

    @Test("LOCK and SET CONSTRAINTS are for transactions; read-only requests do not write")
    func places() {
        for text in ["lock t", "LOCK TABLE t IN SHARE MODE", "set constraints all deferred"] {
            let verdict = SQLGuard.judge(text)
            #expect(verdict.needsTransaction && verdict.refusal == nil)
            #expect(verdict.refusal(inTransaction: false, readOnly: false) == SQLRefusal.outsideTransaction.failure)
            #expect(verdict.refusal(inTransaction: true, readOnly: true) == nil)
        }
        for text in ["insert into t values (1)", "vacuum", "notify a", "with x as (delete from t returning a) table x"]
        {
            let verdict = SQLGuard.judge(text)
            #expect(verdict.refusal(inTransaction: false, readOnly: false) == nil)
            #expect(verdict.refusal(inTransaction: false, readOnly: true) == SQLRefusal.writesUnderReadOnly.failure)
        }
        for text in ["select 1", "call p()", "do 'x'", "explain delete from t", "show all"] {
            #expect(SQLGuard.judge(text).refusal(inTransaction: false, readOnly: true) == nil, "\(text)")
        }
        #expect(SQLGuard.judge("begin").refusal(inTransaction: true, readOnly: false) != nil)
    }

    private static let kinds: [(StatementKind, [String])] = [
        (
            .reading,
            [
                "select 1", "table t", "values (1)", "show x", "with x as (select 1) select 1",
                "select * from t for update",
                "select * from t for no key update", "explain delete from t",
                "explain (costs off) insert into t values (1)",
                "explain analyze select 1", "select count(update) from t",
                "with update as (select 1) select * from update",
                "with x as (select 1) select * from (select 1) update", "select x.into from x",
                "select f(delete) from t",
                "with x (a) as not materialized (values (1)), y as (table x) (select 1)",
                "explain create table t as select 1",
            ]
        ),
        (
            .writing,
            [
                "insert into t values (1)", "UPDATE t SET a = 1", "delete from t", "create table t (a int)",
                "drop index i",
                "select 1 into t", "with x as (insert into t values (1) returning a) select 1", "truncate t",
                "notify a",
                "with x as (select 1) update t set a = 1", "with x as materialized (delete from t returning a) table x",
                "with recursive x (a) as (select 1), y as (select 2) insert into t select 1",
                "explain analyze insert into t values (1)",
                "explain (analyze) with x as (select 1) merge into t using x on true when matched then delete",
                "refresh materialized view concurrently v", "alter type t add value 'x'", "grant a to b", "lock t",
                "alter table t add column database int", "create view v as select 1", "drop table database",
            ]
        ),
        (
            .notTransactional,
            [
                "call p()", "do 'x'", "vacuum", "analyze", "cluster", "reindex table t",
                "create index concurrently i on t (a)",
                "create unique index concurrently i on t (a)", "drop index concurrently i", "create database d",
                "drop database d",
                "alter database d set tablespace t", "create tablespace t location 'x'", "drop tablespace t",
                "alter system set a = 1", "alter table t detach partition p concurrently",
                "create subscription s connection 'x'",
                "drop subscription s", "alter subscription s refresh publication", "checkpoint", "frobnicate", "\"x\"",
                "1",
            ]
        ),
    ]

    @Test("the kind of a statement tells what may remain of it")
    func kinds() {
        for (kind, texts) in Self.kinds {
            for text in texts { #expect(SQLGuard.judge(text).kind == kind, "\(text)") }
        }
        #expect(SQLGuard.judge("/**/ ((Select 1))").command == .select)
        #expect(SQLGuard.judge("explain analyze update t set a = 1").command == .explain)
        #expect(SQLCommand.do.name == "DO" && SQLCommand.reindex.name == "REINDEX")
    }

    @Test("a shared pipeline is for queries that name no advisory lock")
    func sharing() {
        for text in [
            "select 1", "(values (1))", "table t", "with x as (select 1) select 1",
            "select a_advisor, advisory, _ from t", "select '_advisor'",
        ] {
            #expect(SQLGuard.judge(text).sharesPipeline, "\(text)")
        }
        for text in [
            "insert into t values (1)", "explain select 1", "show x", "select pg_advisory_lock(1)", "call p()",
            "select PG_TRY_ADVISORY_xact_lock(1)", "select query_to_xml('select pg_advisory_lock(1)')", "begin",
            "select U&\"pg\\005fadvisory_lock\"(1)", "select \"pg_advisory_unlock_all\"()", "select 1 into t",
            "with x as (delete from t returning 1) select 1", "select 1; select 2", "select pg_advisory",
        ] {
            #expect(!SQLGuard.judge(text).sharesPipeline, "\(text)")
        }
    }
}
