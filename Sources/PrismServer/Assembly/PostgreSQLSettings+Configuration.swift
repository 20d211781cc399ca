internal import Glibc
internal import PrismConfiguration
internal import PrismCore
internal import PrismPostgreSQL
internal import PrismReactor
internal import PrismWire

extension ConnectSettings {
    init(_ postgresql: Configuration.PostgreSQL, _ configuration: Configuration) {
        self.init()
        conninfo = postgresql.conninfo
        passwordFile = postgresql.passwordFile
        connectTimeoutNanoseconds = postgresql.connectTimeoutNanoseconds
        // A backstop: what has not been cancelled by then was lost.
        let grace: UInt64 = 5_000
        statementTimeoutMilliseconds = configuration.deadlines.maximumNanoseconds / 1_000_000 + grace
        isPooled = postgresql.pooled
    }
}

extension EngineSettings {
    /// Of the whole backend.
    init(
        _ backend: Configuration.Backend, _ postgresql: Configuration.PostgreSQL, _ configuration: Configuration
    ) {
        self.init()
        name = backend.name
        pool.connectionsMin = min(postgresql.connectionsMin, postgresql.connectionsMax)
        pool.connectionsMax = postgresql.connectionsMax
        pool.waitersMax = backend.queueRequests
        pool.acquireTimeoutNanoseconds = postgresql.acquireTimeoutNanoseconds
        pool.idleTimeoutNanoseconds = postgresql.idleTimeoutNanoseconds
        pool.lifetimeNanoseconds = postgresql.lifetimeNanoseconds
        pool.connectsAtOnceMax = PostgreSQLBackend.connectsAtOnceMax
        statementCacheMax = postgresql.statementCache
        sharedConnectionsMax = postgresql.sharedConnections
        sharedBatchMax = postgresql.sharedRequests
        sharedResultBytesMax = postgresql.sharedAnswerBytes
        sharedGuardNanoseconds = postgresql.sharedGuardNanoseconds
        sweepIntervalNanoseconds = postgresql.sweepIntervalNanoseconds
        sweepRows = postgresql.sweepRows
        isPooled = postgresql.pooled
        limits = WireLimits(configuration.limits)
        resultBytesMax = configuration.limits.resultBytes
        streamWindowBytes = configuration.limits.streamWindow
        idempotencyRetentionMilliseconds = configuration.idempotency.retentionNanoseconds / 1_000_000
        idempotencyAnswerBytesMax = configuration.idempotency.answerBytes
        // Many pods may start at once: none is to wait as another does.
        seed = MonotonicClock.now() &* 0x9E37_79B9_7F4A_7C15 ^ UInt64(UInt32(bitPattern: getpid())) << 32
    }
}
