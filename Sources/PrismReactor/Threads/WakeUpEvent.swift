internal import CLinux
internal import Glibc

/// Wakes a thread that waits for a descriptor as well, without a reactor: for helper threads that block.
public final class WakeUpEvent: Sendable {
    private let event: CInt

    /// - Throws: EMFILE, ENFILE, ENOMEM at the system's limits.
    public init() throws(SystemCallError) {
        event = eventfd(0, CInt(EFD_CLOEXEC) | CInt(EFD_NONBLOCK))
        guard event >= 0 else { throw SystemCallError(call: "eventfd", code: errno) }
    }

    deinit { _ = Glibc.close(event) }

    /// Any thread. Stays raised until a wait has seen it.
    public func raise() {
        var one: UInt64 = 1
        _ = Glibc.write(event, &one, 8)
    }

    /// Returns once it has been raised, when there is something to read from `other`, or at the deadline (CLOCK_MONOTONIC
    /// nanoseconds; `.max`: never); sometimes earlier. One thread at a time.
    ///
    /// - Parameter other: negative: none.
    /// - Returns: whether there is something to read from `other`, or it has ended.
    public func wait(beside other: CInt, untilNanoseconds deadline: UInt64) -> Bool {
        let now = MonotonicClock.now()
        // Rounded up: a deadline that has not come yet would only be waited for again.
        let milliseconds = deadline <= now ? 0 : min((deadline - now - 1) / 1_000_000 + 1, 60_000)
        var descriptors = [
            pollfd(fd: event, events: Int16(POLLIN), revents: 0), pollfd(fd: other, events: Int16(POLLIN), revents: 0),
        ]
        guard poll(&descriptors, 2, CInt(milliseconds)) > 0 else { return false }
        if descriptors[0].revents != 0 {
            var count: UInt64 = 0
            _ = Glibc.read(event, &count, 8)
        }
        return descriptors[1].revents != 0
    }
}
