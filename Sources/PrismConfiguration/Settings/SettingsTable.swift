/// The one place where settings are declared. Parsing, environment names, `config show`, `config schema`, the
/// documentation's tables and "did you mean" are made from it.
enum SettingsTable {
    static let global: [Setting<Configuration>] =
        socket + admin + runtime + limits + deadlines + transactions + drain + idempotency + log + readiness

    /// Keys of the file's top level that hold lists of mappings.
    static let lists = ["backends", "statements", "rules"]
    static let backendsMax = 64
    static let statementsMax = 1_024
    static let rulesMax = 1_024

    /// In the table's order.
    static let sections: [String] = {
        var sections: [String] = []
        for setting in global where sections.last != setting.section { sections.append(setting.section) }
        return sections
    }()

    static let byName: [String: Setting<Configuration>] =
        Dictionary(global.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })

    /// Variables that name the sockets for every command, beside the systematic names.
    static let environmentAliases = ["PRISM_SOCKET": "socket.path"]

    static let socket: [Setting<Configuration>] = [
        .text("socket.path", \.socket.path, .socketPath, "The data socket.")
            .automatic("prism.sock in the first usable of /run/prism, $XDG_RUNTIME_DIR/prism, /tmp/prism-UID"),
        .mode("socket.mode", \.socket.mode, 0o660, "Its file mode: who may connect."),
        .group("socket.group", \.socket.group, "Its group.").automatic("the group of its directory"),
        .integer(
            "socket.backlog", \.socket.backlog, 4_096, in: 1...65_535,
            "Connections that the kernel holds until they are accepted; `net.core.somaxconn` caps it."
        ).limit("The kernel makes the next `connect` wait, or fail with EAGAIN if it is non-blocking."),
    ]

    static let admin: [Setting<Configuration>] = [
        .text("admin.socket", \.admin.socket, .socketPath, "The admin socket.")
            .automatic("admin.sock beside the data socket"),
        .mode("admin.mode", \.admin.mode, 0o600, "Its file mode: who may see status and drain."),
        .group("admin.group", \.admin.group, "Its group.").automatic("the group of its directory"),
        .address(
            "admin.tcp", \.admin.tcp,
            "Also answer probes, metrics and status on this address. Draining is refused there."),
    ]

    static let runtime: [Setting<Configuration>] = [
        .integer(
            "runtime.reactors", \.runtime.reactors, 0, in: 0...64,
            "Reactor threads; 0: from the CPU quota, capped by affinity.")
    ]

    static let deadlines: [Setting<Configuration>] = [
        .duration(
            "deadlines.default", \.deadlines.defaultNanoseconds, seconds(30), in: milliseconds(1)...hours(24),
            "Deadline of a request that gives none (`Watch` has none)."
        ).limit("`DEADLINE_EXCEEDED`; the work in the database is stopped."),
        .duration(
            "deadlines.maximum", \.deadlines.maximumNanoseconds, hours(1), in: milliseconds(1)...hours(24),
            "The longest deadline; a longer one is cut to it."
        ).limit("The deadline that the request gave is shortened to it."),
    ]

    static let transactions: [Setting<Configuration>] = [
        .duration(
            "transactions.idle", \.transactions.idleNanoseconds, seconds(10), in: milliseconds(1)...hours(24),
            "How long a transaction may wait for its next request."
        ).limit("Rolled back; its requests get `ABORTED` until `Rollback`."),
        .duration(
            "transactions.total", \.transactions.totalNanoseconds, seconds(60), in: milliseconds(1)...hours(24),
            "How long a transaction may last."
        ).limit("Rolled back; its requests get `ABORTED` until `Rollback`."),
        .duration(
            "transactions.sqlite_write_idle", \.transactions.sqliteWriteIdleNanoseconds, seconds(1),
            in: milliseconds(1)...hours(1),
            "The same for a read-write transaction on SQLite, which holds the only writer."
        ).limit("Rolled back; its requests get `ABORTED` until `Rollback`."),
        .duration(
            "transactions.sqlite_write_total", \.transactions.sqliteWriteTotalNanoseconds, seconds(5),
            in: milliseconds(1)...hours(1),
            "How long a read-write transaction on SQLite may last."
        ).limit("Rolled back; its requests get `ABORTED` until `Rollback`."),
    ]

    static let drain: [Setting<Configuration>] = [
        .choice(
            "drain.mode", \.drain.mode, .native,
            "`native`: Kubernetes native sidecar or systemd. `classic`: a plain container beside the app."),
        .duration(
            "drain.after_sigterm", \.drain.afterSigtermNanoseconds, milliseconds(1_500),
            in: milliseconds(1_200)...hours(1),
            "From SIGTERM (classic: from the end of lame duck) to the exit, at most."
        ).because("draining ends 600 ms before the exit"),
        .duration(
            "drain.total", \.drain.totalNanoseconds, seconds(25), in: milliseconds(1_200)...hours(24),
            "Classic: from the start of the drain to the exit, at most."
        ).because("draining ends 600 ms before the exit"),
        .duration(
            "drain.quiet", \.drain.quietNanoseconds, seconds(1), in: 0...hours(1),
            "Classic: lame duck ends when no client has been connected for this long."),
        .duration(
            "drain.minimum", \.drain.minimumNanoseconds, 0, in: 0...hours(24),
            "Classic: lame duck lasts at least this long."),
        .duration(
            "drain.grace_period", \.drain.gracePeriodNanoseconds, seconds(30), in: 0...hours(24),
            "A copy of the manifest's `terminationGracePeriodSeconds`, for the warning that budgets cannot fit."),
        .boolean("drain.strict_exit", \.drain.strictExit, false, "Exit with 3 if requests were cut."),
    ]

    static let idempotency: [Setting<Configuration>] = [
        .duration(
            "idempotency.retention", \.idempotency.retentionNanoseconds, hours(24), in: seconds(1)...hours(24 * 365),
            "How long a recorded idempotency key is kept."
        ).limit("The key is removed; the same key is then a new write."),
        .size(
            "idempotency.answer_bytes", \.idempotency.answerBytes, kib(64), in: 0...mib(1),
            "The largest answer that is kept with its key."
        ).limit("Only the key is kept; a repeat gets OK, marked replayed, without payload."),
    ]

    static let log: [Setting<Configuration>] = [
        .choice(
            "log.format", \.log.format, .automatic,
            "`auto`: text if standard error is a terminal, else JSON."),
        .choice("log.level", \.log.level, .info, "The least important level that is logged."),
        .duration(
            "log.slow_request", \.log.slowRequestNanoseconds, seconds(1), in: 0...hours(24),
            "A request that takes longer is logged as slow."),
    ]

    static let readiness: [Setting<Configuration>] = [
        .list(
            "readiness.backends", \.readiness.backends, .name,
            "Backends that must be up for the sidecar to be ready; in a variable, separated by commas.")
    ]
}
