/// What became of one `accept`.
public enum AcceptResult: Equatable, Sendable {
    /// A new connection: non-blocking, close-on-exec, owned by the caller.
    case accepted(CInt)

    /// Nobody is waiting.
    case wouldBlock

    /// Out of descriptors or memory (EMFILE, ENFILE, ENOBUFS, ENOMEM). The connection stays in the queue and a level-triggered
    /// loop would spin on it: stop watching the listener until something was closed or some time has passed.
    case exhausted(SystemCallError)

    /// The listener itself is unusable.
    case failed(SystemCallError)
}
