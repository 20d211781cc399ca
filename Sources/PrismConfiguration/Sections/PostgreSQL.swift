extension Configuration {
    /// A PostgreSQL backend.
    public struct PostgreSQL: Sendable, Equatable {
        /// libpq's connection string or URL; never holds a password. Empty: libpq's environment.
        public internal(set) var conninfo = ""
        /// Read when connecting, and again when it changes.
        public internal(set) var passwordFile: String?
        public internal(set) var connectionsMin = 0
        public internal(set) var connectionsMax = 0
        public internal(set) var connectTimeoutNanoseconds: UInt64 = 0
        public internal(set) var acquireTimeoutNanoseconds: UInt64 = 0
        public internal(set) var idleTimeoutNanoseconds: UInt64 = 0
        public internal(set) var lifetimeNanoseconds: UInt64 = 0
        /// Behind a pooler in transaction mode: no session features are used.
        public internal(set) var pooled = false
        /// Prism's own tables are made when they are missing.
        public internal(set) var createSchema = true
        /// Client statements kept prepared on each connection.
        public internal(set) var statementCache = 0
        public internal(set) var sharedConnections = 0
        public internal(set) var sharedRequests = 0
        public internal(set) var sharedAnswerBytes = 0
        public internal(set) var sharedGuardNanoseconds: UInt64 = 0
        public internal(set) var sweepIntervalNanoseconds: UInt64 = 0
        public internal(set) var sweepRows = 0
    }
}
