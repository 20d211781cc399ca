/// Who is at the other end of a Unix socket, as the kernel recorded it at `connect` (or `listen`, seen from the client).
public struct PeerCredentials: Equatable, Sendable {
    /// 0 when the peer lives in a PID namespace that cannot be seen from here, as in another container of the pod.
    public let processIdentifier: Int32

    /// The effective user; 65534 when it has no mapping in this user namespace.
    public let userIdentifier: UInt32

    public let groupIdentifier: UInt32

    public init(processIdentifier: Int32, userIdentifier: UInt32, groupIdentifier: UInt32) {
        self.processIdentifier = processIdentifier
        self.userIdentifier = userIdentifier
        self.groupIdentifier = groupIdentifier
    }
}
