extension Configuration {
    public struct Readiness: Sendable, Equatable {
        /// Names of configured backends that must be up for the sidecar to be ready.
        public internal(set) var backends: [String] = []
    }
}
