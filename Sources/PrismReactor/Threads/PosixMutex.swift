internal import Glibc

/// A pthread mutex with one condition variable on CLOCK_MONOTONIC, at an address that does not move.
@usableFromInline
final class PosixMutex: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    init() {
        pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(condition, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    @usableFromInline func lock() { pthread_mutex_lock(mutex) }
    @usableFromInline func unlock() { pthread_mutex_unlock(mutex) }

    /// Sleeps, unlocked, until a notification or the time (nanoseconds; `.max`: never); may wake early.
    @usableFromInline func wait(untilNanoseconds: UInt64) {
        if untilNanoseconds == .max {
            pthread_cond_wait(condition, mutex)
        } else {
            var time = timespec(
                tv_sec: Int(untilNanoseconds / 1_000_000_000), tv_nsec: Int(untilNanoseconds % 1_000_000_000))
            pthread_cond_timedwait(condition, mutex, &time)
        }
    }

    @usableFromInline func notifyOne() { pthread_cond_signal(condition) }
    @usableFromInline func notifyAll() { pthread_cond_broadcast(condition) }
}
