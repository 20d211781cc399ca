internal import PrismCore
internal import PrismReactor
internal import Synchronization

/// One call that a helper thread makes for a connection. Nobody waits for it any more once it is abandoned.
final class HelperTicket: Sendable {
    let connection: ServerConnectionReference
    private let abandoned = Atomic<Bool>(false)

    init(_ connection: ServerConnectionReference) { self.connection = connection }

    var isAbandoned: Bool { abandoned.load(ordering: .relaxed) }
    func abandon() { abandoned.store(true, ordering: .relaxed) }
}

/// What helper threads tell a reactor.
enum HelperReport: Sendable {
    case connected(HelperTicket, ConnectionHandle, ServerFacts)
    case connectFailed(HelperTicket, message: String)
    case cancelReturned(HelperTicket)
}

/// Brings reports of helper threads to one reactor.
final class HelperInbox: Sendable {
    /// More than connections can be.
    private static let reportsMax = 1 << 16

    private let mailbox = Mailbox<HelperReport>(maximumMessages: reportsMax)
    private let reactor: Reactor

    init(reactor: Reactor) { self.reactor = reactor }

    /// Any thread.
    func report(_ report: HelperReport) {
        if mailbox.append(report) == .becameNonEmpty { reactor.wakeUp() }
    }

    /// The reactor's thread.
    func drain(_ body: (HelperReport) -> Void) { mailbox.drain(body) }
}
