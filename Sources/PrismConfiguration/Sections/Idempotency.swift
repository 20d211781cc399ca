extension Configuration {
    public struct Idempotency: Sendable, Equatable {
        /// How long a recorded key is kept.
        public internal(set) var retentionNanoseconds: UInt64 = 0
        /// The largest answer that is kept with its key.
        public internal(set) var answerBytes = 0
    }
}
