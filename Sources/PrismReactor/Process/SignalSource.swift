internal import CLinux
internal import Glibc

/// Signals as something to read: no handler runs, the reactor is told instead.
///
/// Watch `descriptor` for `.readable` and call `read`.
public final class SignalSource: Sendable {
    /// A signalfd, non-blocking and close-on-exec; closed with this object.
    public let descriptor: CInt

    /// Blocks the signals in the calling thread and in every thread that it starts from now on; so call it on the main thread
    /// before any thread exists, or a signal may reach one that does not block it. The signals stay blocked when this object
    /// ends. A child inherits the mask over `exec`: reset it there.
    public init(_ signals: [CInt]) throws(SystemCallError) {
        var set = try Self.blocked(signals)
        descriptor = signalfd(-1, &set, CInt(SFD_CLOEXEC) | CInt(SFD_NONBLOCK))
        guard descriptor >= 0 else { throw SystemCallError(call: "signalfd", code: errno) }
    }

    /// Keeps signals that come from here on for a source that is made later, on the same thread. As process 1 a signal that finds
    /// neither a handler nor itself blocked would be dropped, as any other process it would end it.
    public static func block(_ signals: [CInt]) throws(SystemCallError) { _ = try blocked(signals) }

    private static func blocked(_ signals: [CInt]) throws(SystemCallError) -> sigset_t {
        var set = sigset_t()
        sigemptyset(&set)
        for signal in signals {
            guard sigaddset(&set, signal) == 0 else { throw SystemCallError(call: "sigaddset", code: errno) }
        }
        let code = pthread_sigmask(SIG_BLOCK, &set, nil)
        guard code == 0 else { throw SystemCallError(call: "pthread_sigmask", code: code) }
        return set
    }

    deinit {
        if descriptor >= 0 { _ = close(descriptor) }
    }

    /// The signals that have come, oldest first; empty if none. Two of the same kind before a read count as one.
    public func read() -> [CInt] {
        var signals: [CInt] = []
        var information = signalfd_siginfo()
        let size = MemoryLayout<signalfd_siginfo>.size
        while true {
            let count = Glibc.read(descriptor, &information, size)
            if count == size {
                signals.append(CInt(information.ssi_signo))
            } else if count >= 0 || errno != EINTR {
                return signals
            }
        }
    }

    /// Ignores SIGPIPE in the whole process: a write to a closed pipe or socket then fails with EPIPE. Inherited over `exec`.
    public static func ignoreBrokenPipes() {
        _ = signal(SIGPIPE, SIG_IGN)
    }
}
