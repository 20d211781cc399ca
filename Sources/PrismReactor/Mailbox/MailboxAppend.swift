/// What became of an append to a mailbox.
public enum MailboxAppend: Equatable, Sendable {
    /// It is in, and the mailbox was empty: the appender must wake the consumer.
    case becameNonEmpty

    /// It is in, behind others: whoever put the first one in wakes the consumer.
    case alreadyNonEmpty

    /// The mailbox is at its maximum (or memory is out); nothing was put in.
    case full
}
