/// Why a Unix socket could not be bound or connected.
public enum UnixSocketError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The kernel's address has room for `maximumBytes` of path; use a shorter directory.
    case pathTooLong(lengthBytes: Int, maximumBytes: Int)

    /// The path is empty or contains a NUL byte.
    case pathInvalid

    case systemCall(SystemCallError)

    /// The kernel's error number; nil where the path was refused before any call.
    public var code: CInt? {
        guard case .systemCall(let error) = self else { return nil }
        return error.code
    }

    public var description: String {
        switch self {
        case .pathTooLong(let lengthBytes, let maximumBytes):
            "socket path is \(lengthBytes) bytes long, a Unix socket's path may have at most \(maximumBytes)"
        case .pathInvalid:
            "socket path is empty or contains a NUL byte"
        case .systemCall(let error):
            error.description
        }
    }
}
