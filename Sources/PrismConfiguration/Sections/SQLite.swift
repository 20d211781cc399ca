extension Configuration {
    /// A SQLite backend: one file, one writer, several readers.
    public struct SQLite: Sendable, Equatable {
        public enum Synchronous: String, Sendable, CaseIterable {
            /// What was answered survives a power cut.
            case full
            /// What was answered survives the process, not a power cut.
            case normal
        }

        /// `nil`: chosen by the server. At most one backend has none.
        public internal(set) var path: String?
        /// Create the file if it is not there.
        public internal(set) var create = false
        /// Reader worker threads.
        public internal(set) var readers = 0
        /// Reader connections leased at most, with streams and read-only transactions.
        public internal(set) var readerConnections = 0
        /// How long a request waits for a reader connection or for the writer.
        public internal(set) var acquireTimeoutNanoseconds: UInt64 = 0
        public internal(set) var synchronous = Synchronous.full
        /// How long to wait for another process's lock on the file.
        public internal(set) var busyTimeoutNanoseconds: UInt64 = 0
        /// Requests in one group commit at most.
        public internal(set) var groupRequests = 0
        /// How long a group waits for more members; 0: not at all.
        public internal(set) var groupWaitNanoseconds: UInt64 = 0
        /// Prepared statements a connection keeps.
        public internal(set) var statementCache = 0
        /// Pages in the write-ahead log at which a checkpoint is tried.
        public internal(set) var checkpointPages = 0
        /// Page cache a connection, bytes.
        public internal(set) var cacheBytes = 0
        /// What a connection's client statements may take beyond that, bytes.
        public internal(set) var statementMemoryBytes = 0
        /// Memory-mapped part of the file, bytes; 0: none.
        public internal(set) var mmapBytes = 0
        /// Between two rounds of the sweeper.
        public internal(set) var sweepIntervalNanoseconds: UInt64 = 0
        /// Expired rows removed in one transaction at most.
        public internal(set) var sweepRows = 0
    }
}
