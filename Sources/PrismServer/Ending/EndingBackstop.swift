internal import PrismCore
internal import PrismReactor

/// Ends the process when its budget is used up, whatever holds up the way there: a reactor in a system call that does not return, a
/// thread that is not joined, a destructor of a library. A thread of its own that does nothing but wait.
final class EndingBackstop: Sendable {
    private struct State {
        var exitByNanoseconds: UInt64?
        var orderlyExitCode: Int32?
        var isDisarmed = false
    }

    private let state = Monitor(State())
    private let expired: @Sendable (_ orderlyExitCode: Int32?) -> Void

    /// - Parameter expired: ends the process; called once at most, on the backstop's thread. Given is the exit code of an ending
    ///   that has reported and not exited yet; nil: it has not come so far.
    init(expired: @escaping @Sendable (_ orderlyExitCode: Int32?) -> Void) { self.expired = expired }

    /// The clock has started. Any thread; only the first call counts.
    ///
    /// - Parameter exitByNanoseconds: CLOCK_MONOTONIC.
    /// - Throws: EAGAIN at a limit of threads or memory.
    func arm(exitByNanoseconds: UInt64) throws(SystemCallError) {
        let isFirst = state.withLock { state in
            guard state.exitByNanoseconds == nil else { return false }
            state.exitByNanoseconds = exitByNanoseconds
            return true
        }
        guard isFirst else { return }
        _ = try WorkerThread(name: "backstop") { [state, expired] in
            let code: Int32?? = state.wait { state in
                if state.isDisarmed { return .done(nil) }
                return MonotonicClock.now() < exitByNanoseconds
                    ? .wait(untilNanoseconds: exitByNanoseconds) : .done(.some(state.orderlyExitCode))
            }
            if let code { expired(code) }
        }
    }

    /// As `arm`, once the machine's clock runs. Without a thread for it the ending goes on, and says so.
    func arm(for machine: DrainMachine, _ log: Log) {
        guard machine.exitByNanoseconds != .max else { return }
        do { try arm(exitByNanoseconds: machine.exitByNanoseconds) } catch {
            log.warning("backstop_failed", [("reason", .string("\(error)"))])
        }
    }

    /// The report is out; what is left is to exit.
    func reported(exitCode: Int32) { state.withLock { $0.orderlyExitCode = exitCode } }

    /// For tests: nobody ends the process any more.
    func disarm() {
        state.withLock { $0.isDisarmed = true }
        state.notifyAll()
    }
}
