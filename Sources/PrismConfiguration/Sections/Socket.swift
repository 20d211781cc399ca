extension Configuration {
    /// The data socket.
    public struct Socket: Sendable, Equatable {
        /// At most 107 bytes; `nil`: the server takes the first usable directory of its list.
        public internal(set) var path: String?
        /// Permission bits, 0 to 0o777.
        public internal(set) var mode: UInt32 = 0
        /// `nil`: the group of the directory.
        public internal(set) var group: Group?
        /// Connections the kernel holds before they are accepted; capped by `net.core.somaxconn`.
        public internal(set) var backlog = 0
    }
}
