internal import PrismConfiguration
internal import PrismCore
internal import PrismPostgreSQL
internal import PrismReactor
internal import PrismSQLite

/// Makes a backend of its configuration.
enum BackendFactory {
    /// - Parameters:
    ///   - number: its place among the backends.
    ///   - shards: all of them; their loops do not run yet.
    ///   - opened: called on a thread of the backend's, when `hasStarted` has become true behind this.
    ///   - log: told when the backend cannot be reached any more, and when it can again.
    static func make(
        _ backend: Configuration.Backend, number: Int, _ configuration: Configuration, sqlitePathDefault: String,
        shards: [Shard], opened: @escaping @Sendable () -> Void, log: Log
    ) throws(StartError) -> Backend {
        switch backend.engine {
        case .sqlite(let sqlite):
            try make(
                backend, sqlite, configuration, pathDefault: sqlitePathDefault, sinks: shards.map(\.completions),
                opened: opened)
        case .postgresql(let postgresql):
            try make(backend, postgresql, number: number, configuration, shards: shards, log: log)
        }
    }

    private static func make(
        _ backend: Configuration.Backend, _ sqlite: Configuration.SQLite, _ configuration: Configuration,
        pathDefault: String, sinks: [CompletionMailbox], opened: @escaping @Sendable () -> Void
    ) throws(StartError) -> Backend {
        var settings = SQLiteSettings(path: sqlite.path ?? pathDefault)
        settings.createIfMissing = sqlite.create
        settings.synchronous = sqlite.synchronous == .full ? .full : .normal
        settings.busyTimeoutMilliseconds = Int(sqlite.busyTimeoutNanoseconds / 1_000_000)
        settings.statementCacheMax = sqlite.statementCache
        settings.cacheSizeBytes = sqlite.cacheBytes
        settings.statementMemoryBytes = sqlite.statementMemoryBytes
        settings.mmapSizeBytes = sqlite.mmapBytes
        settings.checkpointPages = sqlite.checkpointPages
        settings.sweepRows = sqlite.sweepRows
        let limits = configuration.limits
        settings.resultBytesMax = limits.resultBytes
        settings.limits.frameBytesMax = limits.frameBytes
        settings.limits.decodeBytesMax = limits.decodeBytes
        settings.limits.valueBytesMax = limits.valueBytes
        settings.limits.sqlBytesMax = limits.sqlBytes
        settings.limits.parametersMax = limits.parameters
        settings.idempotencyRetentionMilliseconds = configuration.idempotency.retentionNanoseconds / 1_000_000
        settings.idempotencyAnswerBytesMax = configuration.idempotency.answerBytes
        var options = SQLiteBackend.Options()
        options.name = backend.name
        options.isDefault = backend.isDefault
        options.readers = sqlite.readers
        options.readerConnections = sqlite.readerConnections
        options.acquireTimeoutNanoseconds = sqlite.acquireTimeoutNanoseconds
        options.groupWaitNanoseconds = sqlite.groupWaitNanoseconds
        options.queueRequestsMax = backend.queueRequests
        options.groupRequestsMax = sqlite.groupRequests
        options.streamWindowBytes = limits.streamWindow
        options.sweepIntervalNanoseconds = sqlite.sweepIntervalNanoseconds
        do {
            return .sqlite(
                try SQLiteBackend(
                    options: options, settings: settings,
                    sinks: sinks.map { mailbox in { completion, body in mailbox.deliver(completion, body: body) } },
                    opened: opened))
        } catch {
            throw StartError(message: "backend \(backend.name): \(error)", exitCode: Server.ExitCode.failed)
        }
    }

    private static func make(
        _ backend: Configuration.Backend, _ postgresql: Configuration.PostgreSQL, number: Int,
        _ configuration: Configuration, shards: [Shard], log: Log
    ) throws(StartError) -> Backend {
        var options = PostgreSQLBackend.Options()
        options.name = backend.name
        options.isDefault = backend.isDefault
        options.createSchema = postgresql.createSchema
        options.connect = ConnectSettings(postgresql, configuration)
        options.engine = EngineSettings(backend, postgresql, configuration)
        options.healthChanged = { [name = backend.name] change in
            switch change {
            case .down(let reason):
                log.warning("backend_down", [("backend", .string(name)), ("reason", .string(reason))])
            case .up: log.info("backend_up", [("backend", .string(name))])
            }
        }
        do throws(SystemCallError) {
            return .postgresql(
                try PostgreSQLBackend(
                    options, number: number, reactors: shards.map(\.reactor),
                    sinks: shards.map { shard in
                        { [answers = shard.localAnswers] in answers.deliver($0, body: $1) }
                    }))
        } catch {
            throw StartError(message: "backend \(backend.name): \(error)", exitCode: Server.ExitCode.failed)
        }
    }
}
