internal import Glibc
internal import PrismReactor

/// Writes lines on a thread of its own. Standard error may be a pipe that is full and that others write to as well, or a file on a
/// disk that is gone: no look beforehand tells whether a write will block, and who logs may be a reactor, or what ends the process.
final class LogWriter: Sendable {
    /// What waits to be written; beyond it lines are dropped.
    static let queueBytesMax = 256 << 10

    private struct Queue {
        var lines: [String] = []
        var bytes = 0
        var isWriting = false
        var isClosed = false
    }

    private let queue = Monitor(Queue())
    /// Nil: there was no thread to be had, and who logs writes.
    private let thread: WorkerThread?
    private let descriptor: CInt

    /// - Parameter descriptor: stays open as long as the process lives.
    init(descriptor: CInt) {
        self.descriptor = descriptor
        thread = try? WorkerThread(name: "log") { [queue] in Self.run(queue, descriptor) }
    }

    /// The thread ends when it has written the rest.
    deinit {
        queue.withLock { $0.isClosed = true }
        queue.notifyAll()
    }

    /// Any thread; never waits for whoever reads.
    ///
    /// - Returns: false: there is no room, the line is dropped.
    func append(_ line: String) -> Bool {
        guard thread != nil else {
            Self.write(line, descriptor)
            return true
        }
        let isQueued = queue.withLock { queue in
            guard queue.bytes + line.utf8.count <= Self.queueBytesMax else { return false }
            queue.bytes += line.utf8.count
            queue.lines.append(line)
            return true
        }
        if isQueued { queue.notifyAll() }
        return isQueued
    }

    /// Returns when all has been written that was appended before, or at the deadline (CLOCK_MONOTONIC nanoseconds). Any thread.
    ///
    /// - Returns: whether all has been written.
    @discardableResult
    func flush(untilNanoseconds deadline: UInt64) -> Bool {
        queue.wait { queue in
            if queue.lines.isEmpty, !queue.isWriting { return .done(true) }
            return MonotonicClock.now() < deadline ? .wait(untilNanoseconds: deadline) : .done(false)
        }
    }

    private static func run(_ queue: Monitor<Queue>, _ descriptor: CInt) {
        while true {
            let lines: [String]? = queue.wait { queue in
                queue.isWriting = !queue.lines.isEmpty
                guard queue.isWriting else { return queue.isClosed ? .done(nil) : .wait(untilNanoseconds: .max) }
                defer { queue.lines = [] }
                return .done(queue.lines)
            }
            guard let lines else { return }
            for line in lines {
                write(line, descriptor)
                // Room is made as lines go out: who logs meanwhile is not held against the whole batch.
                queue.withLock { $0.bytes -= line.utf8.count }
            }
            queue.withLock { $0.isWriting = false }
            queue.notifyAll()
        }
    }

    /// One write a line, so that lines of several processes do not mix. What cannot be written is lost.
    private static func write(_ line: String, _ descriptor: CInt) {
        var line = line
        line.withUTF8 { bytes in
            var written = 0
            while written < bytes.count {
                let count = Glibc.write(descriptor, bytes.baseAddress.map { $0 + written }, bytes.count - written)
                if count >= 0 {
                    written += count
                } else if errno == EAGAIN {
                    // Another process has made what it shares with this one non-blocking.
                    var target = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                    _ = poll(&target, 1, -1)
                } else if errno != EINTR {
                    return
                }
            }
        }
    }
}
