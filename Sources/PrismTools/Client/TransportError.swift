internal import Glibc

/// What can go wrong below a request: on the socket, before anybody looked at a message.
public enum TransportError: Error, Equatable, Sendable {
    /// `sun_path` holds 107 bytes and a zero.
    case pathTooLong(String)
    case cannotConnect(path: String, errorNumber: Int32)
    case timedOut
    /// The peer closed, or ended its sending side.
    case closed
    case systemCall(String, errorNumber: Int32)

    public var message: String {
        switch self {
        case .pathTooLong(let path):
            "the socket path has \(path.utf8.count) bytes, a Unix socket's path holds 107: \(path)"
        case .cannotConnect(let path, let errorNumber):
            "cannot connect to \(path): \(systemErrorText(errorNumber))"
        case .timedOut: "no answer in time"
        case .closed: "the sidecar closed the connection"
        case .systemCall(let call, let errorNumber): "\(call) failed: \(systemErrorText(errorNumber))"
        }
    }

    /// What to do about it; empty when there is nothing to add.
    public var remedy: String {
        switch self {
        case .pathTooLong: "use a shorter path, such as one below /run or /tmp"
        case .cannotConnect(_, ENOENT): "start `prism serve`, or name its socket with --socket or PRISM_SOCKET"
        case .cannotConnect(_, ECONNREFUSED): "nobody listens there any more: start `prism serve`"
        case .cannotConnect(_, EACCES), .cannotConnect(_, EPERM):
            "the socket's mode and group decide who may connect: join its group, or set socket.mode and socket.group"
        case .timedOut: "give it longer with --timeout, and see `prism status`"
        default: ""
        }
    }
}

/// The C library's text for an error number.
public func systemErrorText(_ errorNumber: Int32) -> String {
    guard let text = strerror(errorNumber) else { return "error \(errorNumber)" }
    return String(cString: text)
}
