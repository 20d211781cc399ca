/// A value behind a pthread mutex. For what several threads touch briefly; never held across a system call.
///
/// Not `Synchronization.Mutex`: that one waits on a futex of its own, which ThreadSanitizer cannot see, so every use of it
/// would be reported as a race.
public final class Locked<Value: ~Copyable>: @unchecked Sendable {
    @usableFromInline let mutex = PosixMutex()
    @usableFromInline var value: Value

    public init(_ value: consuming Value) { self.value = value }

    /// Any thread. Not reentrant: `body` must not touch this lock again.
    @inlinable
    public func withLock<Result, Failing: Error>(
        _ body: (inout Value) throws(Failing) -> Result
    ) throws(Failing) -> Result {
        mutex.lock()
        defer { mutex.unlock() }
        return try body(&value)
    }
}
