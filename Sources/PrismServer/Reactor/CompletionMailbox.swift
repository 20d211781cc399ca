internal import Glibc
public import PrismCore
internal import PrismReactor

/// How backends' threads answer to a reactor: flat records, no allocation, one wake-up for many.
public final class CompletionMailbox: Sendable {
    private let mailbox: ByteMailbox
    private let reactor: Reactor
    /// A record's length and padding.
    private static let recordOverheadBytes = 16

    init(reactor: Reactor, bytesMax: Int) {
        self.reactor = reactor
        mailbox = ByteMailbox(maximumBytes: bytesMax)
    }

    /// Any thread. The reactor's own is not woken up: it looks again before it sleeps. A full mailbox holds the backend's thread back: an answer is never dropped. The reactor's own thread (a queue
    /// that is full answers at once) is not held back, since it would wait for itself; nor is a body that no mailbox of this
    /// size can take, which the multiplexer refuses.
    public func deliver(_ completion: Completion, body: UnsafeRawBufferPointer) {
        let isOnLoopThread = reactor.isOnLoopThread
        let mayExceed =
            isOnLoopThread
            || body.count > mailbox.maximumBytes - Completion.headerBytes - Self.recordOverheadBytes
        while true {
            let appended = mailbox.append(mayExceedMaximum: mayExceed) { writer in
                writer.write(count: Completion.headerBytes) { target in
                    if let base = target.baseAddress { completion.write(to: base) }
                }
                writer.write(bytes: body)
            }
            switch appended {
            case .becameNonEmpty: return isOnLoopThread ? () : reactor.wakeUp()
            case .alreadyNonEmpty: return
            case .full: usleep(200)
            }
        }
    }

    /// Whether nothing waits to be drained.
    var isEmpty: Bool { mailbox.isEmpty }

    /// The reactor's thread.
    /// - Returns: how many there were.
    @discardableResult
    func drain(_ body: (Completion?, UnsafeRawBufferPointer) -> Void) -> Int {
        mailbox.drain { record in
            let header = UnsafeRawBufferPointer(rebasing: record.prefix(Completion.headerBytes))
            let rest = UnsafeRawBufferPointer(rebasing: record.dropFirst(Completion.headerBytes))
            body(Completion(record: header), rest)
        }
    }
}
