extension SettingsTable {
    /// Of every kind.
    static let backend: [Setting<BackendDraft>] = [
        .text("name", \.name, "", .name, "What requests call it; unique.").required(),
        .choice("kind", \.kind, .sqlite, "`sqlite` or `postgresql`.").required(),
        .boolean(
            "default", \.isDefault, false,
            "Serves requests that name no backend. Exactly one is the default; a single backend is it by itself."),
        .integer(
            "queue_requests", \.queueRequests, 65_536, in: 1...1_000_000, "Requests that wait for it."
        ).limit(
            "`RESOURCE_EXHAUSTED`, `NOT_EXECUTED`, with when to retry; above half of it for clients that have more than their part."
        ),
    ]

    static let sqlite: [Setting<BackendDraft>] = [
        .text("path", \.sqlite.path, .databasePath, "The database file.")
            .automatic("chosen by the server, for one backend at most"),
        .boolean("create", \.sqlite.create, true, "Create the file if it is not there."),
        .integer("readers", \.sqlite.readers, 4, in: 1...64, "Reader worker threads.")
            .limit("Further reads wait in the queue."),
        .integer(
            "reader_connections", \.sqlite.readerConnections, 20, in: 2...1_024,
            "Reader connections, with those leased to streams and read-only transactions."
        ).limit("Streams and read-only transactions wait up to `acquire_timeout`; two are kept for gets."),
        .duration(
            "acquire_timeout", \.sqlite.acquireTimeoutNanoseconds, seconds(5), in: milliseconds(1)...hours(1),
            "How long a request waits for a reader connection or for the writer."
        ).limit("`RESOURCE_EXHAUSTED`, `NOT_EXECUTED`."),
        .choice(
            "synchronous", \.sqlite.synchronous, .full,
            "`full`: what was answered survives a power cut. `normal`: it survives only the process."),
        .duration(
            "busy_timeout", \.sqlite.busyTimeoutNanoseconds, seconds(5), in: 0...hours(1),
            "How long to wait for another process's lock on the file."
        ).limit("`UNAVAILABLE`, with when to retry."),
        .integer(
            "group_requests", \.sqlite.groupRequests, 128, in: 1...10_000, "Requests in one group commit."
        ).limit("The others go into the next group."),
        .duration(
            "group_wait", \.sqlite.groupWaitNanoseconds, 0, in: 0...milliseconds(100),
            "How long a group waits for more members."),
        .integer(
            "statement_cache", \.sqlite.statementCache, 256, in: 0...10_000,
            "Prepared statements that a connection keeps."
        ).limit("The one used longest ago is dropped."),
        .integer(
            "checkpoint_pages", \.sqlite.checkpointPages, 1_000, in: 1...1_000_000,
            "Pages in the write-ahead log at which a checkpoint runs."
        ).limit("A checkpoint runs after the commit."),
        .size("cache_size", \.sqlite.cacheBytes, mib(16), in: kib(64)...gib(16), "Page cache of a connection.")
            .limit("SQLite drops the page used longest ago."),
        .size(
            "statement_memory", \.sqlite.statementMemoryBytes, mib(32), in: mib(1)...gib(16),
            "What client statements of one connection may take beyond its page cache: sorting, grouping, recursion."
        ).limit("`RESOURCE_EXHAUSTED`, `NOT_EXECUTED`; also for a statement nested too deeply."),
        .size("mmap_size", \.sqlite.mmapBytes, 0, in: 0...gib(1_024), "Part of the file that is memory-mapped."),
        .duration(
            "sweep_interval", \.sqlite.sweepIntervalNanoseconds, seconds(1), in: milliseconds(10)...hours(24),
            "Between two rounds that remove expired entries and keys."),
        .integer(
            "sweep_rows", \.sqlite.sweepRows, 500, in: 1...100_000, "Rows that one round removes in one transaction."
        ).limit("The rest waits for the next transaction."),
    ]

    static let postgresql: [Setting<BackendDraft>] = [
        .text(
            "conninfo", \.postgresql.conninfo, "", .conninfo,
            "libpq's connection string or URL; what it leaves out comes from libpq's environment. No password."),
        .text(
            "password_file", \.postgresql.passwordFile, .filePath,
            "A file that holds the password and nothing else; read again when it changes."),
        .integer(
            "connections_min", \.postgresql.connectionsMin, 5, in: 0...10_000, "Connections kept open when idle."),
        .integer(
            "connections_max", \.postgresql.connectionsMax, 20, in: 1...10_000,
            """
            Connections in all; at least one for each reactor, among which they are divided. Where there are more than \
            reactors, one of them is for cancelling.
            """
        ).limit("Requests wait up to `acquire_timeout`."),
        .duration(
            "connect_timeout", \.postgresql.connectTimeoutNanoseconds, seconds(5), in: seconds(2)...seconds(600),
            "For each address of the server, in whole seconds; a `connect_timeout` in `conninfo` goes before it."
        ).limit("Another attempt follows, after a pause that grows to 10 s."),
        .duration(
            "acquire_timeout", \.postgresql.acquireTimeoutNanoseconds, seconds(5), in: milliseconds(1)...hours(1),
            "How long a request waits for a connection."
        ).limit("`RESOURCE_EXHAUSTED`, `NOT_EXECUTED`."),
        .duration(
            "idle_timeout", \.postgresql.idleTimeoutNanoseconds, seconds(600), in: seconds(1)...hours(24),
            "An idle connection above the minimum is closed after this."),
        .duration(
            "lifetime", \.postgresql.lifetimeNanoseconds, seconds(1_800), in: seconds(1)...hours(24 * 7),
            "A connection is replaced after about this long."),
        .boolean(
            "pooled", \.postgresql.pooled, false,
            "Behind a pooler in transaction mode: no session features, cancel by protocol."),
        .boolean(
            "create_schema", \.postgresql.createSchema, true,
            "Create Prism's own tables, in the schema `prism`, if they are not there."),
        .integer(
            "statement_cache", \.postgresql.statementCache, 256, in: 0...10_000,
            "Prepared statements that a connection keeps, beside Prism's own."
        ).limit("The one used longest ago is dropped."),
        .integer(
            "shared_connections", \.postgresql.sharedConnections, 4, in: 0...64,
            """
            Connections on which short reads of all clients travel together, divided among the reactors; of \
            `connections_max`, taken for one batch at a time. `0`: each request has a connection alone.
            """),
        .integer(
            "shared_requests", \.postgresql.sharedRequests, 64, in: 1...1_024, "Requests that travel in one batch."
        ).limit("The rest waits for the next batch."),
        .size(
            "shared_answer_bytes", \.postgresql.sharedAnswerBytes, kib(64), in: kib(1)...mib(1),
            "The largest answer that a batch brings."
        ).limit("The request runs again, alone."),
        .duration(
            "shared_guard", \.postgresql.sharedGuardNanoseconds, milliseconds(20), in: milliseconds(1)...seconds(60),
            "A batch that takes longer is cancelled in the database, and its requests run again, alone."),
        .duration(
            "sweep_interval", \.postgresql.sweepIntervalNanoseconds, seconds(1), in: milliseconds(10)...hours(24),
            "Between two rounds that remove expired entries and keys."),
        .integer(
            "sweep_rows", \.postgresql.sweepRows, 500, in: 1...100_000, "Rows that one round removes of each table."
        ).limit("The rest waits for the next round."),
    ]

    static let statement: [Setting<Configuration.Statement>] = [
        .text("name", \.name, "", .name, "What requests call it; unique.").required(),
        .text("sql", \.sql, "", .sql, "The statement; parameters are `$1`, `$2` … as in any other.").required(),
        .text("backend", \.backend, .name, "Where it runs.").automatic("the default backend"),
        .boolean("read_only", \.readOnly, false, "It counts as marked `read_only` by every request that names it."),
    ]

    static let rule: [Setting<RuleDraft>] = [
        .id("uid", \.uid, "The user that it is for; give `uid` or `gid`."),
        .id("gid", \.gid, "The group that it is for."),
        .list("backends", \.backends, .name, "Backends that it may use; `[]`: none.").automatic("all"),
        .list(
            "namespaces", \.namespaces, .namespace, "Key-value namespaces that it may use; `[]`: none."
        ).automatic("all"),
        .boolean("read_only", \.readOnly, false, "No writes."),
        .choice(
            "statements", \.statements, .any,
            "`named`: no SQL of its own, only statements of `statements` by name. Key-value is not concerned."),
        .text("label", \.label, .name, "What logs and metrics call it."),
        .integer(
            "weight", \.weight, 1, in: 1...100,
            "Its part beside that of the others, of turns at a backend and of what is scarce."),
        .integer("connections", \.connections, in: 1...1_000_000, "Connections of its clients together.")
            .limit("The new connection gets `RESOURCE_EXHAUSTED` with id 0 and is closed."),
        .integer("in_flight", \.inFlight, in: 1...1_000_000, "Requests of its clients in flight together.")
            .limit("`RESOURCE_EXHAUSTED`, `NOT_EXECUTED`, with when to retry."),
        .size("buffered_bytes", \.bufferedBytes, in: kib(4)...gib(64), "Bytes buffered for its clients together.")
            .limit("New requests get `RESOURCE_EXHAUSTED`, `NOT_EXECUTED`, with when to retry."),
        .integer("transactions", \.transactions, in: 1...1_000_000, "Open transactions of its clients together.")
            .limit("`Begin` gets `RESOURCE_EXHAUSTED`, `NOT_EXECUTED`, with when to retry."),
    ]

    /// The settings of a backend of this kind, with those of every kind.
    static func settings(of kind: Configuration.Backend.Kind) -> [Setting<BackendDraft>] {
        backend + (kind == .sqlite ? sqlite : postgresql)
    }
}
