/// What happened on a descriptor, as `ReactorHandler.ready` gets it.
public struct Readiness: OptionSet, Sendable {
    /// epoll's own bits; a test holds them against the kernel's header.
    public let rawValue: UInt32

    @inlinable
    public init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    /// EPOLLIN: there is something to read, or the end of the peer's sending side.
    @inlinable public static var readable: Readiness { Readiness(rawValue: 0x001) }

    /// EPOLLOUT: a write would take at least some bytes, or would fail at once.
    @inlinable public static var writable: Readiness { Readiness(rawValue: 0x004) }

    /// EPOLLERR: the descriptor has a pending error; reading or writing tells which.
    @inlinable public static var error: Readiness { Readiness(rawValue: 0x008) }

    /// EPOLLHUP: both directions are gone (for a Unix socket: the peer has closed). Bytes sent before may still be readable.
    @inlinable public static var hangUp: Readiness { Readiness(rawValue: 0x010) }

    /// EPOLLRDHUP: the peer will send no more, but may still receive unless `hangUp` is set too.
    @inlinable public static var peerHalfClosed: Readiness { Readiness(rawValue: 0x2000) }
}
