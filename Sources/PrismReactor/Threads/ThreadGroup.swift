/// Threads that end by themselves once they are told to, and are waited for with a limit. Any thread.
public final class ThreadGroup: Sendable {
    private struct State {
        var threads: [WorkerThread] = []
        var running = 0
    }

    private let state = Monitor(State())

    public init() {}

    /// As `WorkerThread.init`.
    /// - Parameter stackBytes: the default is what SQLite's own limits of depth are made for. Only what is used takes memory.
    public func start(
        _ name: String, stackBytes: Int = 8 << 20, _ body: @escaping @Sendable () -> Void
    ) throws(SystemCallError) {
        let thread = try WorkerThread(name: name, stackBytes: stackBytes) { [self] in
            body()
            state.withLock { $0.running -= 1 }
            state.notifyAll()
        }
        state.withLock {
            $0.threads.append(thread)
            $0.running += 1
        }
    }

    /// Waits for all of them; whoever has not ended by then (CLOCK_MONOTONIC) is left behind.
    public func join(deadlineNanoseconds: UInt64) {
        let ended: [WorkerThread] = state.wait { state in
            if state.running == 0 { return .done(state.threads) }
            return MonotonicClock.now() >= deadlineNanoseconds
                ? .done([]) : .wait(untilNanoseconds: deadlineNanoseconds)
        }
        for thread in ended { thread.join() }
    }
}
