/// How backends on the reactor's own thread answer: straight to the multiplexer, as long as one of their own turns is why they are
/// called. What they say from within an action of the multiplexer goes through the mailbox, since that action comes first.
///
/// The reactor's thread only, until it has ended.
public final class LocalAnswers {
    private let multiplexer: Multiplexer
    private let mailbox: (Completion, UnsafeRawBufferPointer) -> Void
    /// The time of the turn that is under way; nil: none is.
    private var now: UInt64?
    /// Answers of this thread wait in the mailbox: what follows goes behind them.
    private var isMailboxUsed = false
    /// How many the multiplexer has been told since they were counted last.
    private var told = 0

    /// - Parameter mailbox: keeps an answer until the loop takes it to the multiplexer.
    public init(multiplexer: Multiplexer, mailbox: @escaping (Completion, UnsafeRawBufferPointer) -> Void) {
        self.multiplexer = multiplexer
        self.mailbox = mailbox
    }

    /// - Returns: whether the multiplexer has been told; otherwise it waits in the mailbox.
    @discardableResult
    public func deliver(_ completion: Completion, body: UnsafeRawBufferPointer) -> Bool {
        if let now, !isMailboxUsed {
            told += 1
            multiplexer.completed(completion, body: body, now: now)
            return true
        }
        isMailboxUsed = true
        mailbox(completion, body)
        return false
    }

    /// A turn of the backends. The multiplexer's actions are to be carried out behind it.
    public func duringTurn<Result>(_ now: UInt64, _ turn: () -> Result) -> Result {
        self.now = now
        defer { self.now = nil }
        return turn()
    }

    /// Everything that waits in the mailbox is about to be taken.
    public func mailboxIsDrained() { isMailboxUsed = false }

    /// How many the multiplexer has been told since the last call.
    public func takeCount() -> Int {
        defer { told = 0 }
        return told
    }
}
