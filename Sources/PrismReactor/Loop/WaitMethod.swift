internal import CLinux

/// How the loop waits with nanosecond deadlines.
enum WaitMethod: Equatable, Sendable {
    /// `epoll_pwait2` (Linux 5.11): the timeout travels with the wait.
    case nanosecondTimeout

    /// A timerfd among the watched descriptors, for kernels without `epoll_pwait2` and for sandboxes that refuse it.
    case timerDescriptor

    /// Chosen by trying once, on an epoll descriptor that is otherwise not in use yet.
    static func supported(by epoll: CInt) -> WaitMethod {
        var event = epoll_event()
        return chosen(probeResult: prism_epoll_wait_nanoseconds(epoll, &event, 1, 0))
    }

    /// - Parameter probeResult: what the trial returned; negative error numbers. Old kernels say ENOSYS; seccomp profiles that
    ///   do not know the call say EPERM or ENOSYS.
    static func chosen(probeResult: CInt) -> WaitMethod {
        switch probeResult {
        case -ENOSYS, -EPERM: .timerDescriptor
        default: .nanosecondTimeout
        }
    }
}
