import Testing

@testable import PrismConfiguration

@Suite("Named statements in the configuration")
struct StatementTests {
    @Test("They arrive with their settings, and in a rule")
    func everything() throws {
        let configuration = try parse(
            """
            backends:
              - {name: main, kind: sqlite, default: true}
              - {name: orders, kind: postgresql}
            statements:
              - name: by_id
                backend: orders
                sql: |
                  select *
                  from orders where id = $1
                read_only: true
              - {sql: delete from t, name: clear-all}
            rules:
              - {uid: 1, statements: named}
              - {uid: 2}
            """)
        #expect(configuration.statements.map(\.name) == ["by_id", "clear-all"])
        #expect(configuration.statements.map(\.backend) == ["orders", nil])
        #expect(configuration.statements.map(\.sql) == ["select *\nfrom orders where id = $1\n", "delete from t"])
        #expect(configuration.statements.map(\.readOnly) == [true, false])
        #expect(configuration.rules.map(\.statements) == [.named, .any])
        #expect(values(configuration).contains("statements.clear-all.sql = delete from t"))
    }

    @Test(
        "What is wrong is refused with its line and a remedy",
        arguments: [
            (
                "statements:\n  - {name: a, sql: select 1}\n  - name: a\n    sql: select 2\n",
                "prism.yaml:3: statements[1]: the name \"a\" is used twice; rename one of the two"
            ),
            (
                "statements:\n  - name: a\n",
                "prism.yaml:2: statements.a: sql is missing; add sql: (1–16384 bytes of SQL)"
            ),
            (
                "statements:\n  - sql: select 1\n",
                "prism.yaml:2: statements[0]: name is missing; add name: (1–64 of a-z 0-9 - _)"
            ),
            (
                "statements:\n  - {name: A, sql: select 1}\n",
                "prism.yaml:2: statements[0].name: \"A\" is not a valid name; use 1 to 64 of a-z 0-9 - _"
            ),
            (
                "statements:\n  - name: a\n    sql: '  '\n",
                "prism.yaml:3: statements.a.sql: the SQL is empty; give one statement"
            ),
            (
                "statements:\n  - name: a\n    sql: select 1\n    backend: other\n",
                "prism.yaml:4: statements.a.backend: there is no backend \"other\"; configured are main"
            ),
            (
                "statements:\n  - name: a\n    sql: select 1\n    readonly: true\n",
                "prism.yaml:4: statements.a.readonly: unknown setting; did you mean read_only?"
            ),
            (
                "rules:\n  - uid: 1\n    statements: name\n",
                "prism.yaml:3: rules[0].statements: \"name\" is not one of its values; did you mean named? use any or named"
            ),
        ])
    func refused(_ yaml: String, _ message: String) { #expect(errors(yaml) == [message]) }

    @Test("1,024 of 16 KiB are taken, one more of each is refused")
    func limits() {
        func statements(_ count: Int) -> String {
            "statements:\n" + (0..<count).map { "  - {name: s\($0), sql: select 1}\n" }.joined()
        }
        #expect(errors(statements(1_024)).isEmpty)
        #expect(errors(statements(1_025)) == ["prism.yaml:1: statements: the list has 1025 entries; use at most 1024"])
        func sql(_ bytes: Int) -> String {
            "statements:\n  - {name: a, sql: \(String(repeating: "x", count: bytes))}\n"
        }
        #expect(errors(sql(16_384)).isEmpty)
        #expect(
            errors(sql(16_385)) == [
                "prism.yaml:2: statements.a.sql: the SQL has 16385 bytes; use at most 16384, or a view or function"
            ])
    }
}
