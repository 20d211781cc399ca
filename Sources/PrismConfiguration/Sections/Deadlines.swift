extension Configuration {
    public struct Deadlines: Sendable, Equatable {
        /// For requests that give none (not `Watch`).
        public internal(set) var defaultNanoseconds: UInt64 = 0
        /// Caps what a request gives.
        public internal(set) var maximumNanoseconds: UInt64 = 0
    }
}
