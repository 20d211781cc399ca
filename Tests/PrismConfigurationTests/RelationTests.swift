import Testing

@testable import PrismConfiguration

@Suite("Rules between settings")
struct RelationTests {
    @Test(
        "One error, exactly",
        arguments: [
            (
                "limits:\n  frame_bytes: 16MiB\n",
                "prism.yaml:2: limits.buffered_bytes_per_connection: 8MiB is less than limits.frame_bytes, 16MiB; "
                    + "raise limits.buffered_bytes_per_connection to at least 16MiB, or lower limits.frame_bytes"
            ),
            (
                "limits:\n  buffered_bytes: 4MiB\n",
                "prism.yaml:2: limits.buffered_bytes: 4MiB is less than limits.buffered_bytes_per_connection, 8MiB; "
                    + "raise limits.buffered_bytes to at least 8MiB, or lower limits.buffered_bytes_per_connection"
            ),
            (
                "limits:\n  decode_bytes: 1MiB\n",
                "prism.yaml:2: limits.decode_bytes: 1MiB is less than limits.frame_bytes, 4MiB; "
                    + "raise limits.decode_bytes to at least 4MiB, or lower limits.frame_bytes"
            ),
            (
                "limits:\n  value_bytes: 4MiB\n",
                "prism.yaml:2: limits.value_bytes: 4MiB does not fit into a frame of 4MiB; "
                    + "lower limits.value_bytes to at most 4193792, or raise limits.frame_bytes"
            ),
            (
                "deadlines:\n  maximum: 10s\n",
                "prism.yaml:2: deadlines.default: 30s is more than deadlines.maximum, 10s; "
                    + "lower deadlines.default, or raise deadlines.maximum"
            ),
            (
                "socket:\n  path: /a\nadmin:\n  socket: /a\n",
                "prism.yaml:4: admin.socket: it is also the data socket; "
                    + "choose another path, or remove it for admin.sock beside the data socket"
            ),
            // A value that was refused is not accused a second time.
            (
                "deadlines:\n  maximum: 10s\n  default: x\n",
                "prism.yaml:3: deadlines.default: \"x\" is not a duration; \(DurationText.remedy)"
            ),
        ])
    func one(yaml: String, expected: String) {
        #expect(errors(yaml) == [expected])
    }

    @Test("The smallest and the largest frame can be configured")
    func frames() throws {
        let smallest = try parse(
            """
            limits: {frame_bytes: 64KiB, value_bytes: 512, result_bytes: 512}
            idempotency: {answer_bytes: 512}
            """)
        #expect(smallest.limits.frameBytes == 65_536)
        let largest = try parse(
            "limits: {frame_bytes: 64MiB, buffered_bytes_per_connection: 64MiB, decode_bytes: 64MiB, value_bytes: 60MiB}\n"
        )
        #expect(largest.limits.frameBytes == 64 << 20)
    }

    @Test("A relation is blamed on the highest layer that took part in it")
    func blame() {
        #expect(
            errors("deadlines:\n  default: 20s\n", environment: ["PRISM_DEADLINES_MAXIMUM": "10s"])[0].hasPrefix(
                "PRISM_DEADLINES_MAXIMUM: deadlines.default: 20s is more than"))
    }

    @Test("Each reactor needs a connection to each PostgreSQL database")
    func connectionsForReactors() throws {
        let backend = "backends:\n  - {name: a, kind: postgresql, connections_min: 0, connections_max: 2}\n"
        #expect(errors("runtime: {reactors: 2}\n" + backend).isEmpty)
        #expect(
            errors("runtime: {reactors: 3}\n" + backend) == [
                "prism.yaml:3: backends.a.connections_max: 2 is less than runtime.reactors, 3, each of which needs one; "
                    + "raise connections_max to at least 3, or lower runtime.reactors"
            ])
    }

    @Test("Budgets that cannot fit are warned about, not refused")
    func drainWarnings() throws {
        #expect(try parse("drain: {after_sigterm: 1.9s}\n").warnings.isEmpty)
        #expect(try parse("drain: {after_sigterm: 2s}\n").warnings.count == 1)
        // In native mode the classic budget does not matter.
        #expect(try parse("drain: {total: 60s}\n").warnings.isEmpty)
        #expect(try parse("drain: {mode: classic}\n").warnings.isEmpty)
        let late = try parse("drain: {mode: classic, total: 60s}\n").warnings
        #expect(late.count == 1)
        #expect(late.first?.contains("drain.total 1m does not fit into drain.grace_period 30s") == true)
        #expect(try parse("drain: {mode: classic, total: 5s, minimum: 4s}\n").warnings.count == 1)
        #expect(try parse("drain: {mode: classic, total: 2s, after_sigterm: 2s, quiet: 0}\n").warnings.count == 1)
    }

    @Test("Settings without effect, and an admin socket open to all, are warned about")
    func otherWarnings() throws {
        #expect(try parse("transactions: {total: 5s}\n").warnings.count == 1)
        #expect(try parse("transactions: {sqlite_write_total: 500ms}\n").warnings.count == 1)
        #expect(try parse("admin: {mode: 0660}\n").warnings.isEmpty)
        #expect(try parse("admin: {mode: 0666}\n").warnings.count == 1)
    }
}
