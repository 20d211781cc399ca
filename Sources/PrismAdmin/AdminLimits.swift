/// Every limit of the admin listeners. They protect the sidecar from whoever can reach a probe's port.
public enum AdminLimits {
    /// Connections over all admin listeners. At the limit the one that has waited longest without a request makes room, so that
    /// idle peers cannot keep a probe out; if none is idle the new one is closed.
    public static let connectionsMax = 64

    /// Bytes of a request's line and headers together.
    public static let requestHeadBytesMax = 16 * 1024

    /// Headers of a request.
    public static let requestHeadersMax = 64

    /// Bytes of a request's body. No endpoint reads one; more ends the connection with 413.
    public static let requestBodyBytesMax = 4 * 1024

    /// From the connection, or the last answer, to the end of the next request. Bounds idle, slow and unread connections alike.
    public static let idleMilliseconds: Int64 = 60_000

    /// For any answer but that to `POST /drain?wait=true`. A backstop above the second that an `AdminSource` has.
    public static let answerMilliseconds: Int64 = 2_000

    /// Until a connection is tried again that could not be accepted, for want of descriptors or memory.
    public static let acceptPauseMilliseconds: Int64 = 100

    /// For answers under way when the listener stops.
    public static let stopMilliseconds: Int64 = 50

    /// Pending connections in the kernel, for the TCP listener. The Unix socket's is the caller's.
    public static let backlog: Int32 = 64
}
