internal import Glibc
internal import PrismCore
internal import PrismReactor
internal import PrismWire

/// Parts of one stream, held back while the client has not taken those before. The thread waits meanwhile, and the statement
/// with it; the request's deadline bounds that.
struct StreamSink: PartSink {
    static let pollMicroseconds: UInt32 = 500

    let backend: SQLiteBackend
    let ticket: WorkTicket

    func emit(_ body: UnsafeRawBufferPointer) throws(Failure) {
        while ticket.outstanding.load(ordering: .acquiring) >= backend.options.streamWindowBytes {
            guard !ticket.isCancelled, !backend.stopping.load(ordering: .relaxed) else { break }
            usleep(Self.pollMicroseconds)
        }
        guard !ticket.isCancelled else { throw Failure(.cancelled, at: .stream, "cancelled while streaming") }
        ticket.outstanding.add(body.count, ordering: .relaxed)
        backend.deliver(Completion(reference: ticket.item.reference, kind: .part), body)
    }
}
