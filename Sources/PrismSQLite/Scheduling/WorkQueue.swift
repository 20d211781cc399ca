internal import Glibc

/// A bounded first-in-first-out queue between reactors and a backend's threads.
final class WorkQueue<Element: Sendable>: @unchecked Sendable {
    private let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let filled = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var elements: [Element] = []
    private var head = 0
    private var waiting = 0
    private var isClosed = false
    let countMax: Int

    init(countMax: Int) {
        self.countMax = countMax
        pthread_mutex_init(lock, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(filled, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(filled)
        pthread_mutex_destroy(lock)
        filled.deallocate()
        lock.deallocate()
    }

    var count: Int {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        return elements.count - head
    }

    /// False: full or closed.
    func append(_ element: Element, evenIfFull: Bool = false) -> Bool {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        guard !isClosed, evenIfFull || elements.count - head < countMax else { return false }
        elements.append(element)
        if waiting > 0 { pthread_cond_signal(filled) }
        return true
    }

    /// Takes up to `max`, but leaves a fair share for `takers` threads. Waits until the deadline when there is nothing; empty: it
    /// passed, or the queue is closed.
    func take(max: Int, takers: Int = 1, until deadlineNanoseconds: UInt64, _ target: inout [Element]) -> Bool {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        while elements.count == head {
            guard !isClosed else { return false }
            waiting += 1
            var time = timespec(
                tv_sec: Int(deadlineNanoseconds / 1_000_000_000), tv_nsec: Int(deadlineNanoseconds % 1_000_000_000))
            let result = pthread_cond_timedwait(filled, lock, &time)
            waiting -= 1
            if result == ETIMEDOUT, elements.count == head { return !isClosed }
        }
        let available = elements.count - head
        let share = Swift.min(max, Swift.max(1, available / takers))
        target.append(contentsOf: elements[head..<head + share])
        head += share
        if head == elements.count {
            elements.removeAll(keepingCapacity: elements.capacity <= 4_096)
            head = 0
        } else if head > 4_096, head * 2 > elements.count {
            elements.removeFirst(head)
            head = 0
        }
        return true
    }

    /// What was taken and could not be used yet goes back to the front.
    func putBack(_ element: Element) {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        if head > 0 {
            head -= 1
            elements[head] = element
        } else {
            elements.insert(element, at: 0)
        }
        if waiting > 0 { pthread_cond_signal(filled) }
    }

    func close() {
        pthread_mutex_lock(lock)
        isClosed = true
        pthread_cond_broadcast(filled)
        pthread_mutex_unlock(lock)
    }
}
