extension Configuration {
    /// The admin listeners.
    public struct Admin: Sendable, Equatable {
        /// `nil`: `admin.sock` beside the data socket.
        public internal(set) var socket: String?
        /// Permission bits, 0 to 0o777.
        public internal(set) var mode: UInt32 = 0
        /// `nil`: the group of the directory.
        public internal(set) var group: Group?
        /// `nil`: no listener on TCP. One on TCP refuses `POST /drain`.
        public internal(set) var tcp: TCPAddress?
    }
}
