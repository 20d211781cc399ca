public import PrismWire

/// What the text of a client's statement says about it, before the server has seen it.
public struct SQLVerdict: Sendable, Equatable {
    /// Why it is not sent at all, wherever it stands; nil: see `refusal(inTransaction:readOnly:)`.
    public internal(set) var refusal: Failure?
    public internal(set) var command: SQLCommand = .other
    public internal(set) var kind: StatementKind = .notTransactional
    /// Only makes sense between Begin and Commit (or in a Batch): LOCK, SET CONSTRAINTS.
    public internal(set) var needsTransaction = false
    /// Whether a request that is marked read-only may share a pipeline with others by its text: it begins with SELECT,
    /// VALUES, TABLE or WITH, calls plain functions only, and names no advisory lock, which a rollback does not release.
    public internal(set) var sharesPipeline = false

    init() {}

    /// False: the server would refuse it in a read-only transaction, or it cannot be run in one. True is no promise.
    public var mayRunUnderReadOnly: Bool {
        switch command {
        case .call, .do, .lock, .set: true
        case .notify: false
        default: kind == .reading
        }
    }

    /// The refusal for a statement at this place.
    /// - Parameters:
    ///   - inTransaction: it stands between Begin and Commit, or in a Batch.
    ///   - readOnly: the request or its transaction is read-only.
    public func refusal(inTransaction: Bool, readOnly: Bool) -> Failure? {
        if let refusal { return refusal }
        if needsTransaction, !inTransaction { return SQLRefusal.outsideTransaction.failure }
        if readOnly, !mayRunUnderReadOnly { return SQLRefusal.writesUnderReadOnly.failure }
        return nil
    }
}
