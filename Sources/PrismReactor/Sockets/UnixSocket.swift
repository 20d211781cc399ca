internal import CLinux
internal import Glibc

/// Unix stream sockets: system calls with typed results, no policy. Any thread; descriptors belong to the caller.
public enum UnixSocket {
    /// The longest path in bytes: `sun_path` without its terminating NUL.
    public static let pathBytesMaximum = MemoryLayout.size(ofValue: sockaddr_un().sun_path) - 1

    /// Which direction `shutdown` ends.
    public enum Direction: Sendable {
        case read, write, both
    }

    // MARK: Making connections

    /// A new stream socket, close-on-exec.
    public static func make(blocking: Bool = false) throws(SystemCallError) -> CInt {
        let flags = CInt(SOCK_CLOEXEC.rawValue) | (blocking ? 0 : CInt(SOCK_NONBLOCK.rawValue))
        let descriptor = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue) | flags, 0)
        guard descriptor >= 0 else { throw SystemCallError(call: "socket", code: errno) }
        return descriptor
    }

    /// Creates the socket file. Its mode follows the umask; EADDRINUSE if the path exists, in use or not.
    public static func bind(_ descriptor: CInt, path: String) throws(UnixSocketError) {
        let code = try withAddress(path) { address, length in
            Glibc.bind(descriptor, address, length) == 0 ? 0 : errno
        }
        guard code == 0 else { throw .systemCall(SystemCallError(call: "bind", code: code)) }
    }

    /// - Parameter backlog: connections waiting for `accept`; the kernel caps it at `net.core.somaxconn`.
    public static func listen(_ descriptor: CInt, backlog: CInt) throws(SystemCallError) {
        guard Glibc.listen(descriptor, backlog) == 0 else { throw SystemCallError(call: "listen", code: errno) }
    }

    /// Takes one waiting connection. Never blocks on a non-blocking listener.
    public static func accept(_ listener: CInt) -> AcceptResult {
        while true {
            let result = prism_accept(listener)
            if result >= 0 { return .accepted(result) }
            switch -result {
            case EINTR, ECONNABORTED: continue  // ECONNABORTED: that client has left; the next one may be there.
            case EAGAIN: return .wouldBlock
            case let code where [EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(code):
                return .exhausted(SystemCallError(call: "accept4", code: code))
            case let code: return .failed(SystemCallError(call: "accept4", code: code))
            }
        }
    }

    /// A new socket connected to `path`.
    ///
    /// - Parameter blocking: how the socket behaves, during `connect` and later. With a full backlog, a blocking `connect` waits
    ///   and a non-blocking one fails with EAGAIN (a Unix socket is never "in progress").
    /// - Throws: ENOENT if there is no file, ECONNREFUSED if nobody listens on it (a stale file), EACCES.
    public static func connect(path: String, blocking: Bool) throws(UnixSocketError) -> CInt {
        let descriptor: CInt
        do throws(SystemCallError) {
            descriptor = try make(blocking: blocking)
        } catch {
            throw .systemCall(error)
        }
        do throws(UnixSocketError) {
            let code = try withAddress(path) { address, length in
                while Glibc.connect(descriptor, address, length) != 0 {
                    if errno != EINTR { return errno }
                }
                return 0
            }
            guard code == 0 else { throw .systemCall(SystemCallError(call: "connect", code: code)) }
        } catch {
            close(descriptor)
            throw error
        }
        return descriptor
    }

    /// Two connected sockets, non-blocking and close-on-exec.
    public static func makePair() throws(SystemCallError) -> (CInt, CInt) {
        var pair: [CInt] = [-1, -1]
        let flags = CInt(SOCK_CLOEXEC.rawValue) | CInt(SOCK_NONBLOCK.rawValue)
        guard socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue) | flags, 0, &pair) == 0 else {
            throw SystemCallError(call: "socketpair", code: errno)
        }
        return (pair[0], pair[1])
    }

    /// Who connected (on an accepted socket) or who listens (on a connected one).
    public static func peerCredentials(_ descriptor: CInt) throws(SystemCallError) -> PeerCredentials {
        var process: Int32 = 0
        var user: UInt32 = 0
        var group: UInt32 = 0
        let result = prism_peer_credentials(descriptor, &process, &user, &group)
        guard result == 0 else { throw SystemCallError(call: "getsockopt", code: -result) }
        return PeerCredentials(processIdentifier: process, userIdentifier: user, groupIdentifier: group)
    }

    // MARK: Moving bytes

    /// Reads what is there, up to the buffer's size. EINTR is retried. An empty buffer reads nothing: `.bytes(0)`.
    public static func read(_ descriptor: CInt, into buffer: UnsafeMutableRawBufferPointer) -> TransferResult {
        guard buffer.count > 0 else { return .bytes(0) }
        while true {
            let count = recv(descriptor, buffer.baseAddress, buffer.count, 0)
            if count > 0 { return .bytes(count) }
            if count == 0 { return .closed }
            switch errno {
            case EINTR: continue
            case EAGAIN: return .wouldBlock
            case let code: return .failed(code)
            }
        }
    }

    /// Writes as much as the socket takes. EINTR is retried; never raises SIGPIPE.
    public static func write(_ descriptor: CInt, from buffer: UnsafeRawBufferPointer) -> TransferResult {
        guard buffer.count > 0 else { return .bytes(0) }
        while true {
            let count = send(descriptor, buffer.baseAddress, buffer.count, CInt(MSG_NOSIGNAL))
            if count >= 0 { return .bytes(count) }
            switch errno {
            case EINTR: continue
            case EAGAIN: return .wouldBlock
            case EPIPE, ECONNRESET: return .closed
            case let code: return .failed(code)
            }
        }
    }

    // MARK: Settings and ending

    /// Limits how long a blocking read and write wait; they then answer `.wouldBlock`.
    ///
    /// - Parameter milliseconds: 0 for no limit.
    public static func setTimeout(_ descriptor: CInt, milliseconds: Int) throws(SystemCallError) {
        var time = timeval(tv_sec: milliseconds / 1000, tv_usec: milliseconds % 1000 * 1000)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            guard setsockopt(descriptor, SOL_SOCKET, option, &time, socklen_t(MemoryLayout<timeval>.size)) == 0 else {
                throw SystemCallError(call: "setsockopt", code: errno)
            }
        }
    }

    /// Ends one or both directions. `.read` on our side makes the peer's writes fail; what it had sent stays readable. A socket
    /// whose peer has left is no error.
    public static func shutdown(_ descriptor: CInt, _ direction: Direction) {
        let how =
            switch direction {
            case .read: SHUT_RD
            case .write: SHUT_WR
            case .both: SHUT_RDWR
            }
        _ = Glibc.shutdown(descriptor, CInt(how))
    }

    /// Closes a descriptor. Not retried on EINTR: Linux has closed it by then, and its number may be somebody else's.
    public static func close(_ descriptor: CInt) {
        _ = Glibc.close(descriptor)
    }

    /// `body` returns 0 or an error number, which is passed on.
    private static func withAddress(
        _ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> CInt
    ) throws(UnixSocketError) -> CInt {
        let bytes = Array(path.utf8)
        guard !bytes.isEmpty, !bytes.contains(0) else { throw .pathInvalid }
        guard bytes.count <= pathBytesMaximum else {
            throw .pathTooLong(lengthBytes: bytes.count, maximumBytes: pathBytesMaximum)
        }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }
}
