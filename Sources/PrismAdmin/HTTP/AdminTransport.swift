/// How a request came in, which decides what it may do.
enum AdminTransport: Sendable {
    /// The admin socket: its file mode has decided who may use it.
    case unixSocket
    /// A port that anyone in the pod's network may reach: read only.
    case tcp
}
