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

    /// Any thread. A full mailbox holds the backend's thread back: an answer is never dropped. The reactor's own thread (a queue
    /// that is full answers at once) is not held back, since it would wait for itself; nor is a body that no mailbox of this
    /// size can take, which the multiplexer refuses.
    public func deliver(_ completion: Completion, body: UnsafeRawBufferPointer) {
        let mayExceed =
            reactor.isOnLoopThread
            || body.count > mailbox.maximumBytes - Completion.headerBytes - Self.recordOverheadBytes
        while true {
            let appended = mailbox.append(mayExceedMaximum: mayExceed) { writer in
                writer.write(count: Completion.headerBytes) { target in
                    if let base = target.baseAddress { completion.write(to: base) }
                }
                writer.write(bytes: body)
            }
            switch appended {
            case .becameNonEmpty: return reactor.wakeUp()
            case .alreadyNonEmpty: return
            case .full: usleep(200)
            }
        }
    }

    /// The reactor's thread.
    func drain(_ body: (Completion?, UnsafeRawBufferPointer) -> Void) {
        mailbox.drain { record in
            let header = UnsafeRawBufferPointer(rebasing: record.prefix(Completion.headerBytes))
            let rest = UnsafeRawBufferPointer(rebasing: record.dropFirst(Completion.headerBytes))
            body(Completion(record: header), rest)
        }
    }
}
