extension Configuration {
    /// What may grow, and how far. What happens at each limit: `docs/limits.md`.
    public struct Limits: Sendable, Equatable {
        /// Bytes after the length of a frame, both directions.
        public internal(set) var frameBytes = 0
        public internal(set) var connections = 0
        public internal(set) var inFlightPerConnection = 0
        public internal(set) var inFlight = 0
        public internal(set) var bufferedBytesPerConnection = 0
        public internal(set) var bufferedBytes = 0
        /// How long a frame may come in while others wait for room.
        public internal(set) var frameTimeoutNanoseconds: UInt64 = 0
        /// Memory that one decoded request may use.
        public internal(set) var decodeBytes = 0
        /// Open transactions, all backends together.
        public internal(set) var transactions = 0
        /// As configured; what holds is `streamWindow`.
        var streamWindowBytes = 0
        /// Bytes of a stream that wait for a client before its source pauses. Of a smaller buffer it would end the stream instead.
        public var streamWindow: Int { min(streamWindowBytes, bufferedBytesPerConnection) }
        /// How long a stream may wait for its client while others wait for its connection.
        public internal(set) var streamStallNanoseconds: UInt64 = 0
        public internal(set) var batchStatements = 0
        public internal(set) var writeItems = 0
        public internal(set) var getManyKeys = 0
        public internal(set) var valueBytes = 0
        /// A result that is buffered before it is answered: of a write with RETURNING, of a batch.
        public internal(set) var resultBytes = 0
        public internal(set) var sqlBytes = 0
        /// Parameters of one statement.
        public internal(set) var parameters = 0
    }
}
