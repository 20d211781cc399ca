internal import Glibc

/// A connected Unix stream socket on which every wait has a deadline. Belongs to one thread; closes itself.
public struct UnixStream: ~Copyable {
    private let descriptor: Int32

    /// Takes over a connected descriptor.
    public init(descriptor: Int32) {
        self.descriptor = descriptor
    }

    /// - Parameter deadline: CLOCK_MONOTONIC nanoseconds.
    public init(connectingTo path: String, deadline: UInt64) throws(TransportError) {
        descriptor = try Self.connect(path, deadline: deadline)
    }

    deinit { close(descriptor) }

    /// A connected descriptor that the caller must close.
    public static func connect(_ path: String, deadline: UInt64) throws(TransportError) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let capacity = MemoryLayout.size(ofValue: address.sun_path)
        guard path.utf8.count < capacity, !path.isEmpty else { throw .pathTooLong(path) }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }

        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw .systemCall("socket", errorNumber: errno) }
        // A connect to a Unix socket waits only for room in the listener's backlog, for as long as SO_SNDTIMEO says.
        let left = Self.millisecondsLeft(until: deadline)
        var timeout = timeval(tv_sec: Int(left) / 1000, tv_usec: Int(max(left, 1)) % 1000 * 1000)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        while true {
            let result = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
                }
            }
            if result == 0 { return descriptor }
            let errorNumber = errno
            if errorNumber == EINTR { continue }
            close(descriptor)
            throw errorNumber == EAGAIN ? .timedOut : .cannotConnect(path: path, errorNumber: errorNumber)
        }
    }

    /// Sends all of `bytes`.
    ///
    /// - Parameter deadline: CLOCK_MONOTONIC nanoseconds.
    public func send(_ bytes: UnsafeRawBufferPointer, deadline: UInt64) throws(TransportError) {
        var rest = bytes
        while !rest.isEmpty {
            let sent = Glibc.send(
                descriptor, rest.baseAddress, rest.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
            if sent >= 0 {
                rest = UnsafeRawBufferPointer(rebasing: rest[sent...])
                continue
            }
            switch errno {
            case EINTR: continue
            case EAGAIN: try wait(for: Int16(POLLOUT), deadline: deadline)
            case EPIPE, ECONNRESET: throw .closed
            default: throw .systemCall("send", errorNumber: errno)
            }
        }
    }

    /// Reads what is there, waiting for the first byte. Never answers 0.
    ///
    /// - Parameter deadline: CLOCK_MONOTONIC nanoseconds.
    public func receive(into buffer: UnsafeMutableRawBufferPointer, deadline: UInt64) throws(TransportError) -> Int {
        while true {
            let count = recv(descriptor, buffer.baseAddress, buffer.count, Int32(MSG_DONTWAIT))
            if count > 0 { return count }
            if count == 0 { throw .closed }
            switch errno {
            case EINTR: continue
            case EAGAIN: try wait(for: Int16(POLLIN), deadline: deadline)
            case ECONNRESET: throw .closed
            default: throw .systemCall("recv", errorNumber: errno)
            }
        }
    }

    func send(_ bytes: [UInt8], deadline: UInt64) throws(TransportError) {
        var failure: TransportError?
        bytes.withUnsafeBytes { buffer in
            do throws(TransportError) { try send(buffer, deadline: deadline) } catch { failure = error }
        }
        if let failure { throw failure }
    }

    func receive(into buffer: inout [UInt8], deadline: UInt64) throws(TransportError) -> Int {
        var failure: TransportError?
        let count = buffer.withUnsafeMutableBytes { buffer in
            do throws(TransportError) {
                return try receive(into: buffer, deadline: deadline)
            } catch {
                failure = error
                return 0
            }
        }
        if let failure { throw failure }
        return count
    }

    private func wait(for events: Int16, deadline: UInt64) throws(TransportError) {
        while true {
            let left = Self.millisecondsLeft(until: deadline)
            var entry = pollfd(fd: descriptor, events: events, revents: 0)
            let ready = poll(&entry, 1, left)
            if ready > 0 { return }
            if ready == 0 && left < .max { throw .timedOut }
            if ready < 0 && errno != EINTR { throw .systemCall("poll", errorNumber: errno) }
        }
    }

    /// Rounded up: a wait must not end before its deadline.
    private static func millisecondsLeft(until deadline: UInt64) -> Int32 {
        let now = monotonicNanoseconds()
        guard deadline > now else { return 0 }
        return Int32(clamping: (deadline - now - 1) / 1_000_000 + 1)
    }
}
