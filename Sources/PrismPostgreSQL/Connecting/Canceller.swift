public import PrismReactor

/// Cancels what servers are running: on a control connection, all that was asked for meanwhile with one statement; by the
/// protocol's own request where that is not possible. The request costs the server a process, and blocks, so threads of its own
/// make it; one that hangs on a server which cannot be reached is left behind at the end.
public final class Canceller: Sendable {
    public static let threadsDefault = 4

    private let threads: HelperThreads<CancelJob>
    private let control: ControlThread?

    /// - Parameter control: nil: there is no control connection.
    /// - Throws: EAGAIN at a limit of threads or memory; EMFILE at one of descriptors.
    public init(
        threads: Int = Canceller.threadsDefault, control: ControlSettings? = nil
    ) throws(SystemCallError) {
        let threads = try HelperThreads<CancelJob>(name: "pg-cancel", count: threads) { job in
            // Its connection has been closed: the number may be another one's by now, for all that we know.
            guard !job.ticket.isAbandoned else { return }
            _ = job.handle.send()
            job.report()
        }
        self.threads = threads
        do throws(SystemCallError) {
            self.control = try control.map { settings throws(SystemCallError) in
                try ControlThread(settings) { threads.submit($0) }
            }
        } catch {
            threads.stop(deadlineNanoseconds: MonotonicClock.now())
            throw error
        }
    }

    /// The inbox hears of it whether it could be delivered or not; a server that has not got it goes on running.
    func cancel(_ handle: CancelHandle, _ ticket: HelperTicket, reportingTo inbox: HelperInbox) {
        let job = CancelJob(handle: handle, ticket: ticket, inbox: inbox)
        if control?.submit(job) != true { threads.submit(job) }
    }

    /// Any thread.
    public var isControlOpen: Bool { control?.isOpen == true }

    /// See `Connector.stop`.
    public func stop(deadlineNanoseconds: UInt64) {
        control?.stop(deadlineNanoseconds: deadlineNanoseconds)
        threads.stop(deadlineNanoseconds: deadlineNanoseconds)
    }
}

/// The control connection of one backend.
public struct ControlSettings: Sendable {
    /// As the connections that it cancels.
    public var connect: ConnectSettings
    /// It is closed when no cancel was asked for during this.
    public var idleTimeoutNanoseconds: UInt64
    /// For one statement; then the connection is given up, and the protocol's request is made instead.
    public var answerTimeoutNanoseconds: UInt64 = 1_000_000_000

    public init(_ connect: ConnectSettings, idleTimeoutNanoseconds: UInt64 = 600_000_000_000) {
        self.connect = connect
        self.idleTimeoutNanoseconds = idleTimeoutNanoseconds
    }
}
