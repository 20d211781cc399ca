internal import CLinux
internal import Glibc

/// A thread with a name and a stack of known size, for work that blocks or must stay on one thread.
public final class WorkerThread: Sendable {
    /// Enough for SQLite and libpq, small enough for many.
    public static let stackBytesDefault = 512 * 1024

    private let handle: Locked<pthread_t?>

    /// Starts the thread. All signals are blocked in it but those that its own faults raise, so that signals reach a
    /// `SignalSource` and a crash still leaves a trace.
    ///
    /// - Parameters:
    ///   - name: shown by `ps -L` and `top -H`; cut to 15 bytes.
    ///   - stackBytes: at least 64 KiB; rounded up to whole pages.
    ///   - body: runs once; the thread ends with it.
    /// - Throws: EAGAIN at a limit of threads or memory.
    public init(
        name: String, stackBytes: Int = WorkerThread.stackBytesDefault, _ body: @escaping @Sendable () -> Void
    ) throws(SystemCallError) {
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        let pageBytes = 4096
        let wholePages = (max(stackBytes, 64 * 1024) + pageBytes - 1) & ~(pageBytes - 1)
        let code = pthread_attr_setstacksize(&attributes, wholePages)
        guard code == 0 else { throw SystemCallError(call: "pthread_attr_setstacksize", code: code) }

        let start = Unmanaged.passRetained(Start(name: name, body: body))
        var thread = pthread_t()
        let created = Self.withSignalsBlocked {
            pthread_create(
                &thread, &attributes,
                { argument in
                    guard let argument else { return nil }
                    let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
                    prism_set_thread_name(start.name)
                    start.body()
                    return nil
                }, start.toOpaque())
        }
        guard created == 0 else {
            start.release()
            throw SystemCallError(call: "pthread_create", code: created)
        }
        handle = Locked(thread)
    }

    deinit {
        handle.withLock { thread in
            if let thread { pthread_detach(thread) }
        }
    }

    /// Waits until the thread has ended. Any other thread; a second call returns at once. Without it the thread runs on by
    /// itself when this object ends.
    public func join() {
        let thread = handle.withLock { thread in
            defer { thread = nil }
            return thread
        }
        if let thread { pthread_join(thread, nil) }
    }

    /// A new thread inherits the mask of the one that creates it; set it around the creation, so that no signal slips in.
    private static func withSignalsBlocked(_ body: () -> CInt) -> CInt {
        var all = sigset_t()
        var before = sigset_t()
        sigfillset(&all)
        for fault in [SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS] { sigdelset(&all, fault) }
        pthread_sigmask(SIG_SETMASK, &all, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        return body()
    }

    private final class Start: Sendable {
        let name: String
        let body: @Sendable () -> Void

        init(name: String, body: @escaping @Sendable () -> Void) {
            // Cut at a character, within the kernel's 15 bytes.
            var cut = name
            while cut.utf8.count > 15 { cut.removeLast() }
            self.name = cut
            self.body = body
        }
    }
}
