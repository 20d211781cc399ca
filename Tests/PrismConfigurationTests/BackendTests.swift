import Testing

@testable import PrismConfiguration

@Suite("Backends and rules")
struct BackendTests {
    @Test("All settings of both kinds arrive")
    func everything() throws {
        let configuration = try parse(
            """
            backends:
              - name: files
                kind: sqlite
                path: /data/a.db
                create: false
                readers: 2
                reader_connections: 7
                synchronous: normal
                busy_timeout: 1s
                group_requests: 5
                group_wait: 100us
                statement_cache: 0
                checkpoint_pages: 9
                cache_size: 1MiB
                statement_memory: 2MiB
                mmap_size: 1GiB
                sweep_interval: 2s
                sweep_rows: 3
              - name: orders_1
                kind: postgresql
                default: true
                queue_requests: 10
                conninfo: postgresql://app@db.example:5432/orders?sslmode=require
                password_file: /secrets/db
                connections_min: 1
                connections_max: 2
                connect_timeout: 7s
                acquire_timeout: 100ms
                idle_timeout: 1m
                lifetime: 1h
                pooled: true
                create_schema: false
                statement_cache: 12
                sweep_interval: 3s
                sweep_rows: 4
            """)
        #expect(configuration.backends.map(\.name) == ["files", "orders_1"])
        #expect(configuration.defaultBackend.name == "orders_1")
        #expect(configuration.defaultBackend.queueRequests == 10)
        guard case .sqlite(let sqlite) = configuration.backends[0].engine,
            case .postgresql(let postgresql) = configuration.backends[1].engine
        else {
            Issue.record("wrong kinds")
            return
        }
        #expect(sqlite.path == "/data/a.db")
        #expect(!sqlite.create)
        #expect(sqlite.readers == 2)
        #expect(sqlite.readerConnections == 7)
        #expect(sqlite.synchronous == .normal)
        #expect(sqlite.busyTimeoutNanoseconds == 1_000_000_000)
        #expect(sqlite.groupRequests == 5)
        #expect(sqlite.groupWaitNanoseconds == 100_000)
        #expect(sqlite.statementCache == 0)
        #expect(sqlite.checkpointPages == 9)
        #expect(sqlite.cacheBytes == 1 << 20)
        #expect(sqlite.statementMemoryBytes == 2 << 20)
        #expect(sqlite.mmapBytes == 1 << 30)
        #expect(sqlite.sweepIntervalNanoseconds == 2_000_000_000)
        #expect(sqlite.sweepRows == 3)
        #expect(postgresql.passwordFile == "/secrets/db")
        #expect(postgresql.connectionsMin == 1)
        #expect(postgresql.connectionsMax == 2)
        #expect(postgresql.acquireTimeoutNanoseconds == 100_000_000)
        #expect(postgresql.idleTimeoutNanoseconds == 60_000_000_000)
        #expect(postgresql.lifetimeNanoseconds == 3_600_000_000_000)
        #expect(postgresql.pooled)
        #expect(postgresql.connectTimeoutNanoseconds == 7_000_000_000)
        #expect(!postgresql.createSchema)
        #expect(postgresql.statementCache == 12)
        #expect(postgresql.sweepIntervalNanoseconds == 3_000_000_000)
        #expect(postgresql.sweepRows == 4)
        #expect(configuration.origin(of: "backends.orders_1.pooled") == .file("prism.yaml", line: 31))
    }

    @Test(
        "One error, exactly",
        arguments: [
            (
                "backends:\n  - kind: sqlite\n",
                "prism.yaml:2: backends[0]: name is missing; add name: (1–64 of a-z 0-9 - _)"
            ),
            (
                "backends:\n  - name: a\n    readers: 2\n",
                "prism.yaml:2: backends.a: kind is missing; add kind: (sqlite, postgresql)"
            ),
            (
                "backends:\n  - {name: A, kind: sqlite}\n",
                "prism.yaml:2: backends[0].name: \"A\" is not a valid name; use 1 to 64 of a-z 0-9 - _"
            ),
            (
                "backends:\n  - {name: a, kind: sqlit}\n",
                "prism.yaml:2: backends.a.kind: \"sqlit\" is not one of its values; did you mean sqlite? use sqlite or postgresql"
            ),
            (
                "backends:\n  - {name: a, kind: sqlite, default: true}\n  - {name: a, kind: sqlite, path: /b}\n",
                "prism.yaml:3: backends[1]: the name \"a\" is used twice; rename one of the two"
            ),
            (
                "backends:\n  - name: a\n    kind: sqlite\n    reader: 2\n",
                "prism.yaml:4: backends.a.reader: unknown setting; did you mean readers?"
            ),
            (
                "backends:\n  - name: a\n    kind: postgresql\n    path: /x\n",
                "prism.yaml:4: backends.a.path: only a backend of kind sqlite has this setting; remove it, or change the kind (here postgresql)"
            ),
            (
                "backends:\n  - name: a\n    kind: postgresql\n    password: hunter2\n",
                "prism.yaml:4: backends.a.password: passwords do not belong into this file; use password_file or PGPASSWORD"
            ),
            (
                "backends:\n  - {name: a, kind: sqlite, path: /a}\n  - {name: b, kind: sqlite, path: /b}\n",
                "prism.yaml:3: backends: none is the default; write default: true at exactly one"
            ),
            (
                "backends:\n  - {name: a, kind: sqlite, path: /a, default: true}\n  - {name: b, kind: sqlite, path: /b, default: true}\n",
                "prism.yaml:3: backends: a, b are all the default; write default: true at exactly one"
            ),
            (
                "backends:\n  - {name: a, kind: sqlite, default: false}\n",
                "prism.yaml:2: backends: none is the default; write default: true at exactly one"
            ),
            (
                "backends:\n  - {name: a, kind: sqlite, path: /a, default: true}\n  - {name: b, kind: sqlite, path: /a}\n",
                "prism.yaml:3: backends.b.path: a has the same file; give each a file of its own"
            ),
            (
                "backends:\n  - {name: a, kind: sqlite, default: true}\n  - {name: b, kind: sqlite}\n",
                "prism.yaml:3: backends.b.path: a has no path either; give each a file of its own"
            ),
            (
                "backends:\n  - name: a\n    kind: postgresql\n    connections_max: 4\n",
                "prism.yaml:4: backends.a.connections_min: 5 is more than connections_max, 4; lower connections_min, or raise connections_max"
            ),
            (
                "readiness:\n  backends: [mian]\n",
                "prism.yaml:2: readiness.backends: there is no backend \"mian\"; did you mean main?"
            ),
            (
                "readiness:\n  backends: [main, main]\n",
                "prism.yaml:2: readiness.backends: \"main\" is listed twice; remove one of them"
            ),
            (
                "rules:\n  - uid: 1\n    backends: [other]\n",
                "prism.yaml:3: rules[0].backends: there is no backend \"other\"; configured are main"
            ),
            (
                "rules:\n  - read_only: true\n",
                "prism.yaml:2: rules[0]: uid or gid is missing; give one of the two; for both, write two rules"
            ),
            (
                "rules:\n  - {uid: 1, gid: 1}\n",
                "prism.yaml:2: rules[0]: both uid and gid are given; give one of the two; for both, write two rules"
            ),
            (
                "rules:\n  - uid: 1\n  - uid: 1\n",
                "prism.yaml:3: rules[1]: there is a rule for uid 1 already; keep one of the two"
            ),
            (
                "rules:\n  - uid: 1\n    readonly: true\n",
                "prism.yaml:3: rules[0].readonly: unknown setting; did you mean read_only?"
            ),
            (
                "rules:\n  - uid: 4294967295\n",
                "prism.yaml:2: rules[0].uid: \"4294967295\" is out of range; use 0–4294967294"
            ),
            (
                "rules:\n  - uid: 1\n    namespaces: [a_b]\n",
                "prism.yaml:3: rules[0].namespaces: \"a_b\" is not a valid name; use 1 to 64 of a-z 0-9 -"
            ),
        ])
    func one(yaml: String, expected: String) {
        #expect(errors(yaml) == [expected])
    }

    @Test("64 backends and 1,024 rules are taken, one more of each is refused")
    func counts() {
        func backends(_ count: Int) -> String {
            "backends:\n"
                + (0..<count).map { "  - {name: b\($0), kind: sqlite, path: /\($0), default: \($0 == 0)}\n" }.joined()
        }
        #expect(errors(backends(64)).isEmpty)
        #expect(errors(backends(65)) == ["prism.yaml:1: backends: the list has 65 entries; use at most 64"])
        func rules(_ count: Int) -> String { "rules:\n" + (0..<count).map { "  - uid: \($0)\n" }.joined() }
        #expect(errors(rules(1_024)).isEmpty)
        #expect(errors(rules(1_025)) == ["prism.yaml:1: rules: the list has 1025 entries; use at most 1024"])
    }

    @Test("Rules become values; an absent list means all, an empty one none")
    func rules() throws {
        let rules = try parse(
            """
            rules:
              - uid: 1001
                backends: [main]
                namespaces: []
                read_only: true
                label: shop
                weight: 5
                connections: 10
                in_flight: 20
                buffered_bytes: 1MiB
                transactions: 3
              - gid: 0
            """
        ).rules
        #expect(
            rules == [
                Configuration.AccessRule(
                    subject: .uid(1_001), backends: ["main"], namespaces: [], readOnly: true, label: "shop",
                    weight: 5, connections: 10, inFlight: 20, bufferedBytes: 1 << 20, transactions: 3),
                Configuration.AccessRule(subject: .gid(0), backends: nil, namespaces: nil, readOnly: false, label: nil),
            ])
    }

    @Test(
        "A password in a connection string is refused, and no message repeats it",
        arguments: [
            "host=db password=hunter2", "password = 'hunter2' host=db", "host=db sslpassword=hunter2",
            "postgresql://app:hunter2@db/x", "postgres://app:hunter2@db", "postgresql://app:hun/ter2@db/x",
            "postgresql://app:hunter2?@db/x", "postgresql://app@db/x?password=hunter2",
            "postgresql://app@db/x?user=a&pass%77ord=hunter2",
        ])
    func passwords(conninfo: String) {
        let remedy = "it contains a password; remove it; use password_file or the environment variable PGPASSWORD"
        #expect(
            errors("backends:\n  - name: a\n    kind: postgresql\n    conninfo: \"\(conninfo)\"\n")
                == ["prism.yaml:4: backends.a.conninfo: \(remedy)"])
        #expect(errors(overrides: Overrides(postgres: conninfo)) == ["--postgres: \(remedy)"])
    }

    @Test(
        "Connection strings without a password pass, malformed ones do not",
        arguments: [
            ("", true), ("host=db", true), ("host = db  user='a b' dbname=it\\'s", true), ("user='password=x'", true),
            ("postgresql://", true), ("postgresql://db:5432/x", true),
            ("postgresql://app@db:5432,db2:5433/x?sslmode=require", true),
            ("postgresql:///x?host=/run/postgresql", true), ("passfile=/p host=db", true),
            ("host", false), ("host='db", false), ("=db", false), ("db.example:5432", false),
            ("postgresql://db/x?a%zz=1", false),
        ])
    func connectionStrings(conninfo: String, isValid: Bool) {
        #expect(errors(overrides: Overrides(postgres: conninfo)).isEmpty == isValid)
    }
}
