/// What became of one read or write on a non-blocking socket.
public enum TransferResult: Equatable, Sendable {
    /// So many bytes were moved; for a write maybe fewer than given.
    case bytes(Int)

    /// Nothing to read, or no room to write, at the moment.
    case wouldBlock

    /// Read: the peer has ended its sending side; it may still receive. Write: the peer receives no more.
    case closed

    /// The socket is lost; the error number. ECONNRESET on a read: the peer closed with bytes of ours unread.
    case failed(CInt)
}
