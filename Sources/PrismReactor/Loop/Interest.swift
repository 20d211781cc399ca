/// What a descriptor is watched for. Hang-up and error are always reported, also for an empty interest.
///
/// Because the loop is level-triggered, a hung-up descriptor is reported in every tick until it is removed: whoever stops
/// reading a client (empty interest) must still remove it when `Readiness.hangUp` or `.error` comes.
public struct Interest: OptionSet, Sendable {
    /// epoll's own bits; a test holds them against the kernel's header.
    public let rawValue: UInt32

    @inlinable
    public init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    /// EPOLLIN: there is something to read, or the end of the peer's sending side.
    @inlinable public static var readable: Interest { Interest(rawValue: 0x001) }

    /// EPOLLOUT: a write would take at least some bytes.
    @inlinable public static var writable: Interest { Interest(rawValue: 0x004) }

    /// EPOLLRDHUP: the peer has ended its sending side, reported even while `readable` is not wanted. Level-triggered like the
    /// rest: leave it out once it has been seen, or it is reported in every tick.
    @inlinable public static var peerHalfClose: Interest { Interest(rawValue: 0x2000) }
}
