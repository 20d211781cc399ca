internal import PrismReactor

/// A few threads for calls that block, fed from one queue.
///
/// The queue is as long as the connections are many: none has more than one call to connect and one to cancel under way.
final class HelperThreads<Job: Sendable>: Sendable {
    private struct State {
        var jobs: [Job] = []
        var isStopping = false
    }

    private let state = Monitor(State())
    private let threads = ThreadGroup()

    /// - Parameter perform: may block; called on any of the threads.
    init(name: String, count: Int, _ perform: @escaping @Sendable (Job) -> Void) throws(SystemCallError) {
        for number in 1...max(count, 1) {
            try threads.start("\(name)-\(number)") { [state] in
                while let job = Self.next(state) { perform(job) }
            }
        }
    }

    /// Any thread.
    func submit(_ job: Job) {
        state.withLock { if !$0.isStopping { $0.jobs.append(job) } }
        state.notifyOne()
    }

    /// Drops what has not begun; a thread that hangs is left behind after the deadline (CLOCK_MONOTONIC nanoseconds).
    func stop(deadlineNanoseconds: UInt64) {
        state.withLock {
            $0.isStopping = true
            $0.jobs = []
        }
        state.notifyAll()
        threads.join(deadlineNanoseconds: deadlineNanoseconds)
    }

    private static func next(_ state: Monitor<State>) -> Job? {
        state.wait { state in
            if state.isStopping { return .done(nil) }
            return state.jobs.isEmpty ? .wait(untilNanoseconds: .max) : .done(state.jobs.removeFirst())
        }
    }
}
