internal import PrismReactor

/// Threads that end by themselves once they are told to, and are waited for with a limit.
final class ThreadGroup: Sendable {
    private struct State {
        var threads: [WorkerThread] = []
        var running = 0
    }

    private let state = Monitor(State())

    /// What SQLite's own limits of depth are made for. Only what is used takes memory.
    private static let stackBytes = 8 << 20

    func start(_ name: String, _ body: @escaping @Sendable () -> Void) throws(SystemCallError) {
        let thread = try WorkerThread(name: name, stackBytes: Self.stackBytes) { [self] in
            body()
            state.withLock { $0.running -= 1 }
            state.notifyAll()
        }
        state.withLock {
            $0.threads.append(thread)
            $0.running += 1
        }
    }

    /// Whoever has not ended by then is left behind.
    func join(deadlineNanoseconds: UInt64) {
        let ended: [WorkerThread] = state.wait { state in
            if state.running == 0 { return .done(state.threads) }
            return MonotonicClock.now() >= deadlineNanoseconds
                ? .done([]) : .wait(untilNanoseconds: deadlineNanoseconds)
        }
        for thread in ended { thread.join() }
    }
}
