/// A backend as a session sees it; carried out by a shell (`PrismSQLite`), a model (`PrismSimulation`), later libpq.
///
/// `submit`, `cancel`, `credit` and `abandon` are called on a reactor's thread and never block. Completions come back
/// through that reactor's mailbox.
public protocol BackendPort: AnyObject, Sendable {
    /// Takes a request over. Always followed by exactly one final completion unless a cancel removed or stopped it; a full
    /// queue is such a completion (RESOURCE_EXHAUSTED).
    func submit(_ item: WorkItem)

    /// Asks that a submitted request has no effect. May be repeated; an unknown reference answers `tooLate`.
    func cancel(_ reference: RequestReference) -> CancelOutcome

    /// The client has taken `bytes` of this stream's parts; the backend may send as many more.
    func credit(_ reference: RequestReference, bytes: Int)

    /// The client of a stream outside of transactions does not read: ends it if another request waits for its connection. May be
    /// repeated; an unknown reference, or one that is not streaming, is left alone.
    func giveWay(_ reference: RequestReference)

    /// Rolls a transaction back with nobody to answer: its limit is reached or its client is gone. Idempotent; stops a
    /// statement of it that is still running.
    func abandon(_ transaction: TransactionReference)

    /// Time has passed: answers what has waited too long for a connection. Called at the end of each tick of each reactor.
    /// - Returns: when it must be called again at the latest; `.max`: no need.
    func advance(to now: UInt64, reactor: UInt8) -> UInt64
}

extension BackendPort {
    public func giveWay(_ reference: RequestReference) {}
    public func advance(to now: UInt64, reactor: UInt8) -> UInt64 { .max }
}

/// What a session must know of a backend.
public struct BackendDescription: Sendable, Equatable {
    public enum Kind: UInt8, Sendable {
        case sqlite = 1
        case postgreSQL = 2
    }

    public var name: String
    public var kind: Kind
    public var isDefault: Bool
    /// Limits of a read-write transaction, nanoseconds.
    public var writeTransactionIdleNanoseconds: UInt64
    public var writeTransactionTotalNanoseconds: UInt64
    /// Limits of a read-only transaction, nanoseconds.
    public var readTransactionIdleNanoseconds: UInt64
    public var readTransactionTotalNanoseconds: UInt64

    public init(
        name: String, kind: Kind, isDefault: Bool, writeTransactionIdleNanoseconds: UInt64 = 1_000_000_000,
        writeTransactionTotalNanoseconds: UInt64 = 5_000_000_000,
        readTransactionIdleNanoseconds: UInt64 = 10_000_000_000,
        readTransactionTotalNanoseconds: UInt64 = 60_000_000_000
    ) {
        self.name = name
        self.kind = kind
        self.isDefault = isDefault
        self.writeTransactionIdleNanoseconds = writeTransactionIdleNanoseconds
        self.writeTransactionTotalNanoseconds = writeTransactionTotalNanoseconds
        self.readTransactionIdleNanoseconds = readTransactionIdleNanoseconds
        self.readTransactionTotalNanoseconds = readTransactionTotalNanoseconds
    }
}
