extension Configuration {
    public struct Runtime: Sendable, Equatable {
        /// Reactor threads, 1 to 64; 0: from the CPU quota, capped by affinity.
        public internal(set) var reactors = 0
    }
}
