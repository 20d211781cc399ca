internal import PrismCore
internal import PrismReactor

/// How backends on the reactor's own thread answer: straight to the multiplexer, as long as one of their own turns is why they are
/// called. What they say from within an action of the multiplexer goes through the mailbox, since that action comes first.
///
/// The reactor's thread only, until it has ended.
final class LocalAnswers {
    private let multiplexer: Multiplexer
    private let mailbox: CompletionMailbox
    /// The time of the turn that is under way; nil: none is.
    private var now: UInt64?
    /// Answers of this thread wait in the mailbox: what follows goes behind them.
    private var isMailboxUsed = false
    /// How many the multiplexer has been told since they were counted last.
    private var told = 0

    init(multiplexer: Multiplexer, mailbox: CompletionMailbox) {
        self.multiplexer = multiplexer
        self.mailbox = mailbox
    }

    func deliver(_ completion: Completion, body: UnsafeRawBufferPointer) {
        if let now, !isMailboxUsed {
            told += 1
            return multiplexer.completed(completion, body: body, now: now)
        }
        isMailboxUsed = true
        mailbox.deliver(completion, body: body)
    }

    /// A turn of the backends. The multiplexer's actions are to be carried out behind it.
    func duringTurn<Result>(_ now: UInt64, _ turn: () -> Result) -> Result {
        self.now = now
        defer { self.now = nil }
        return turn()
    }

    /// Everything that waits in the mailbox is about to be taken.
    func mailboxIsDrained() { isMailboxUsed = false }

    func takeCount() -> Int {
        defer { told = 0 }
        return told
    }
}
