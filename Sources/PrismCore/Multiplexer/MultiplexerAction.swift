public import PrismWire

/// What the shell must do, in order. Drained after every batch of events.
public enum MultiplexerAction: Sendable {
    case submit(backend: Int, WorkItem)
    /// Ask the backend, and tell `Multiplexer.cancelled` what it said before handling any other event.
    case cancel(backend: Int, RequestReference)
    case credit(backend: Int, RequestReference, bytes: Int)
    /// Its client does not read the stream; the backend ends it if others wait.
    case giveWay(backend: Int, RequestReference)
    case abandon(backend: Int, TransactionReference)
    /// There is output to be written; once a tick is enough.
    case flush(ConnectionReference)
    case pauseReading(ConnectionReference)
    case resumeReading(ConnectionReference)
    /// Shut the receiving side down, then go on reading until its end.
    case shutdownReading(ConnectionReference)
    /// Close the descriptor; the multiplexer has forgotten the connection.
    case close(ConnectionReference)
    case log(MultiplexerLog)
}

/// Events worth a line in the log.
public enum MultiplexerLog: Sendable {
    case protocolError(connection: ConnectionReference, peer: PeerCredentials, message: String)
    case connectionRefused(peer: PeerCredentials, message: String)
    case frameTimedOut(peer: PeerCredentials, message: String)
    case invariantViolated(String)
    /// `client` is what it called itself in Hello, or else its label; `backend` is the configured name.
    case slowRequest(
        connection: ConnectionReference, client: String, backend: String, operation: String, code: String,
        trace: TraceIdentifier?,
        totalNanoseconds: UInt64, queueNanoseconds: UInt64)
}
