internal import PrismConfiguration
internal import PrismCore
internal import PrismSQLite

/// Makes a backend of its configuration.
enum BackendFactory {
    static func make(
        _ backend: Configuration.Backend, _ configuration: Configuration, sqlitePathDefault: String,
        sinks: [CompletionMailbox]
    ) throws(StartError) -> Backend {
        guard case .sqlite(let sqlite) = backend.engine else {
            throw StartError(message: "backend \(backend.name) is not SQLite", exitCode: Server.ExitCode.configuration)
        }
        var settings = SQLiteSettings(path: sqlite.path ?? sqlitePathDefault)
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
        options.streamWindowBytes = limits.streamWindowBytes
        options.sweepIntervalNanoseconds = sqlite.sweepIntervalNanoseconds
        do {
            let made = try SQLiteBackend(
                options: options, settings: settings,
                sinks: sinks.map { mailbox in { completion, body in mailbox.deliver(completion, body: body) } })
            if let problem = made.startProblem {
                throw StartError(
                    message: "backend \(backend.name), \(settings.path): \(problem)", exitCode: Server.ExitCode.failed)
            }
            return .sqlite(made)
        } catch let error as StartError {
            throw error
        } catch {
            throw StartError(message: "backend \(backend.name): \(error)", exitCode: Server.ExitCode.failed)
        }
    }
}
