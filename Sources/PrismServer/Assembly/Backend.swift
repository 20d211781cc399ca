internal import PrismCore
internal import PrismPostgreSQL
internal import PrismReactor
internal import PrismSQLite

/// One of the configured backends. An enumeration rather than an existential: every request passes here.
enum Backend: Sendable {
    case sqlite(SQLiteBackend)
    case postgresql(PostgreSQLBackend)

    // As in `BackendPort`.

    func submit(_ item: consuming WorkItem) {
        switch self {
        case .sqlite(let backend): backend.submit(item)
        case .postgresql(let backend): backend.submit(item)
        }
    }

    func cancel(_ reference: RequestReference) -> CancelOutcome {
        switch self {
        case .sqlite(let backend): backend.cancel(reference)
        case .postgresql(let backend): backend.cancel(reference)
        }
    }

    func credit(_ reference: RequestReference, bytes: Int) {
        switch self {
        case .sqlite(let backend): backend.credit(reference, bytes: bytes)
        case .postgresql(let backend): backend.credit(reference, bytes: bytes)
        }
    }

    func giveWay(_ reference: RequestReference) {
        switch self {
        case .sqlite(let backend): backend.giveWay(reference)
        case .postgresql(let backend): backend.giveWay(reference)
        }
    }

    func abandon(_ transaction: TransactionReference) {
        switch self {
        case .sqlite(let backend): backend.abandon(transaction)
        case .postgresql(let backend): backend.abandon(transaction)
        }
    }

    func advance(to now: UInt64, reactor: UInt8) -> UInt64 {
        switch self {
        case .sqlite(let backend): backend.advance(to: now, reactor: reactor)
        case .postgresql(let backend): backend.advance(to: now, reactor: reactor)
        }
    }

    /// A connection of its own on this reactor is ready.
    func ready(_ token: BackendToken, _ readiness: Readiness, reactor: UInt8) {
        switch self {
        case .sqlite: break
        case .postgresql(let backend): backend.ready(token, readiness, reactor: reactor)
        }
    }

    /// The reactor was woken up.
    func takeReports(reactor: UInt8) {
        switch self {
        case .sqlite: break
        case .postgresql(let backend): backend.takeReports(reactor: reactor)
        }
    }

    /// Whether it has looked if it can be used. A server elsewhere is not waited for.
    var hasStarted: Bool {
        switch self {
        case .sqlite(let backend): backend.hasTriedToOpen
        case .postgresql: true
        }
    }

    /// Its name, and why it can never be used as it is configured; nil: it can.
    var startProblem: String? {
        switch self {
        case .sqlite(let backend): backend.startProblem
        case .postgresql: nil
        }
    }

    func snapshot() -> StatusSnapshot.Backend {
        switch self {
        case .sqlite(let backend): backend.snapshot()
        case .postgresql(let backend): backend.snapshot()
        }
    }

    /// Closes everything in order; threads that hang are left behind after the deadline (CLOCK_MONOTONIC nanoseconds).
    func stop(deadlineNanoseconds: UInt64) {
        switch self {
        case .sqlite(let backend): backend.stop(deadlineNanoseconds: deadlineNanoseconds)
        case .postgresql(let backend): backend.stop(deadlineNanoseconds: deadlineNanoseconds)
        }
    }
}
