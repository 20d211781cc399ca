/// Typed messages from many threads to one, for what is rare: control, not data. Same waking rule as `ByteMailbox`.
public final class Mailbox<Message: Sendable>: Sendable {
    /// Messages waiting to be drained, at most.
    public let maximumMessages: Int

    private let messages = Locked<[Message]>([])

    public init(maximumMessages: Int) {
        self.maximumMessages = maximumMessages
    }

    /// Appends one message. Any thread. After `.becameNonEmpty` the caller must wake the consumer.
    public func append(_ message: Message) -> MailboxAppend {
        messages.withLock { messages in
            guard messages.count < maximumMessages else { return .full }
            messages.append(message)
            return messages.count == 1 ? .becameNonEmpty : .alreadyNonEmpty
        }
    }

    /// Hands every message that is there to `body`, in order. One consumer. Messages appended meanwhile wait for the next drain;
    /// `body` may append.
    ///
    /// - Returns: the number of messages.
    @discardableResult
    public func drain(_ body: (Message) -> Void) -> Int {
        let taken = messages.withLock { messages in
            let taken = messages
            messages = []
            return taken
        }
        for message in taken { body(message) }
        return taken.count
    }
}
