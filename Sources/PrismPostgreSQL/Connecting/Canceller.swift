public import PrismReactor

/// Cancels what servers are running, by the protocol's own request on a connection of its own. That blocks, so threads of
/// its own do it; one that hangs on a server which cannot be reached is left behind at the end.
public final class Canceller: Sendable {
    public static let threadsDefault = 4

    private struct Job: Sendable {
        let handle: CancelHandle
        let ticket: HelperTicket
        let inbox: HelperInbox
    }

    private let threads: HelperThreads<Job>

    /// - Throws: EAGAIN at a limit of threads or memory.
    public init(threads: Int = Canceller.threadsDefault) throws(SystemCallError) {
        self.threads = try HelperThreads(name: "pg-cancel", count: threads) { job in
            // Its connection has been closed: the number may be another one's by now, for all that we know.
            guard !job.ticket.isAbandoned else { return }
            _ = job.handle.send()
            job.inbox.report(.cancelReturned(job.ticket))
        }
    }

    /// The inbox hears of it whether it could be delivered or not; a server that has not got it goes on running.
    func cancel(_ handle: CancelHandle, _ ticket: HelperTicket, reportingTo inbox: HelperInbox) {
        threads.submit(Job(handle: handle, ticket: ticket, inbox: inbox))
    }

    /// See `Connector.stop`.
    public func stop(deadlineNanoseconds: UInt64) { threads.stop(deadlineNanoseconds: deadlineNanoseconds) }
}
