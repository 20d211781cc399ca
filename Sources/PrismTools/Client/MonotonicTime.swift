internal import Glibc

/// CLOCK_MONOTONIC nanoseconds: what every deadline of this module is counted in.
public func monotonicNanoseconds() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

/// The deadline that lies `milliseconds` ahead; saturates.
public func deadline(inMilliseconds milliseconds: UInt64) -> UInt64 {
    let (nanoseconds, overflow) = milliseconds.multipliedReportingOverflow(by: 1_000_000)
    let (deadline, late) = monotonicNanoseconds().addingReportingOverflow(nanoseconds)
    return overflow || late ? .max : deadline
}
