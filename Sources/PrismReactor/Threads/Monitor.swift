/// State that threads wait for: a value behind a mutex, with one condition variable.
public final class Monitor<Value>: @unchecked Sendable {
    /// What a thread wants after a look at the state.
    public enum Step<Result> {
        case done(Result)
        /// Look again after a notification, at the latest at this time (CLOCK_MONOTONIC nanoseconds; `.max`: never by itself).
        case wait(untilNanoseconds: UInt64)
    }

    @usableFromInline let mutex = PosixMutex()
    @usableFromInline var value: Value

    public init(_ value: Value) { self.value = value }

    /// Any thread. Not reentrant.
    @inlinable
    public func withLock<Result>(_ body: (inout Value) -> Result) -> Result {
        mutex.lock()
        defer { mutex.unlock() }
        return body(&value)
    }

    /// Looks at the state under the lock until `look` is done, sleeping in between. Sleeps may end early.
    @inlinable
    public func wait<Result>(_ look: (inout Value) -> Step<Result>) -> Result {
        mutex.lock()
        defer { mutex.unlock() }
        while true {
            switch look(&value) {
            case .done(let result): return result
            case .wait(let until): mutex.wait(untilNanoseconds: until)
            }
        }
    }

    /// Wakes one waiting thread. Any thread; the lock need not be held.
    @inlinable
    public func notifyOne() { mutex.notifyOne() }

    /// Wakes all waiting threads. Any thread.
    @inlinable
    public func notifyAll() { mutex.notifyAll() }
}
