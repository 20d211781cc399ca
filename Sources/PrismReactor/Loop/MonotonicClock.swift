internal import CLinux

/// The clock of all deadlines: CLOCK_MONOTONIC, one clock for all containers of a pod.
public struct MonotonicClock: Sendable {
    /// Nanoseconds of CLOCK_MONOTONIC; never goes backwards. Any thread; no system call (vDSO, about 25 ns).
    public static func now() -> UInt64 {
        nanoseconds(of: CLOCK_MONOTONIC)
    }

    /// Milliseconds since 1970-01-01 UTC. Any thread. May jump either way when the clock is set: for expiry times that are
    /// stored and for logs, never for deadlines.
    public static func wallClockMilliseconds() -> Int64 {
        Int64(nanoseconds(of: CLOCK_REALTIME) / 1_000_000)
    }

    private static func nanoseconds(of clock: clockid_t) -> UInt64 {
        var time = timespec()
        clock_gettime(clock, &time)  // Cannot fail: both clocks exist on every Linux.
        return UInt64(truncatingIfNeeded: time.tv_sec) &* 1_000_000_000 &+ UInt64(truncatingIfNeeded: time.tv_nsec)
    }
}
