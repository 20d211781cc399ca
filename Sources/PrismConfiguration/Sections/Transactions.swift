extension Configuration {
    /// How long an interactive transaction may be idle and may last, before it is rolled back.
    public struct Transactions: Sendable, Equatable {
        public internal(set) var idleNanoseconds: UInt64 = 0
        public internal(set) var totalNanoseconds: UInt64 = 0
        /// SQLite read-write: it holds the only writer.
        public internal(set) var sqliteWriteIdleNanoseconds: UInt64 = 0
        public internal(set) var sqliteWriteTotalNanoseconds: UInt64 = 0
    }
}
