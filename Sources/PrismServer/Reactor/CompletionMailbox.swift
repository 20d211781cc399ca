internal import Glibc
public import PrismCore
internal import PrismReactor

/// How backends' threads answer to a reactor: flat records, no allocation, one wake-up for many.
public final class CompletionMailbox: Sendable {
    private let mailbox: ByteMailbox
    private let reactor: Reactor

    init(reactor: Reactor, bytesMax: Int) {
        self.reactor = reactor
        mailbox = ByteMailbox(maximumBytes: bytesMax)
    }

    /// Any thread but the reactor's own. A full mailbox holds the backend back: an answer is never dropped.
    public func deliver(_ completion: Completion, body: UnsafeRawBufferPointer) {
        while true {
            let appended = mailbox.append { writer in
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
