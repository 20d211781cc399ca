public import PrismWire

/// How far a request had come towards a commit when it ended.
public enum CommitPosition: UInt8, Sendable, CaseIterable {
    /// Nothing was sent that could commit: it waited, was being prepared, or only BEGIN was under way.
    case notBegun
    /// Its statement was sent with a Sync behind it, outside of any transaction, and has not completed.
    case running
    /// The statement's completion has come, the Sync's has not: the commit is made between the two.
    case complete
    /// Inside of BEGIN; COMMIT was not sent.
    case inTransaction
    /// COMMIT was sent.
    case commitSent
    /// The server holds it to reading: BEGIN READ ONLY, or a statement of Prism's own that only reads.
    case readOnly
}

/// What ended it.
public enum Ending: Sendable, Equatable {
    /// The server's answer. At `complete` and `commitSent` it is the commit that failed.
    case error(ServerError)
    case connectionLost
    /// The client is answered, at its deadline or its cancel, before the server is.
    case cancelledLate
    /// The commit is made here, and a synchronous standby may not have it: the server reports success with a warning.
    case replicationWaitCancelled
}

/// What is promised about the effects of a request that failed (CONTRACT 2). NOT_EXECUTED is only said where the server
/// cannot have committed; what is inside of a transaction must then be rolled back, or die with its connection.
public func outcome(kind: StatementKind, position: CommitPosition, ending: Ending) -> Outcome {
    switch position {
    case .notBegun, .readOnly:
        return .notExecuted
    case .inTransaction:
        // Nothing commits by itself there: the server refuses COMMIT in CALL and DO, and VACUUM and its like altogether.
        return ending == .replicationWaitCancelled ? .unknown : .notExecuted
    case .running:
        guard kind != .notTransactional, case .error(let error) = ending else { return .unknown }
        // A session that ends by an error of its own (an administrator's, a timeout's) aborts its transaction. A panic may
        // come from the commit itself.
        return error.severity == .panic || leavesOpen(error) ? .unknown : .notExecuted
    case .complete:
        guard kind != .notTransactional else { return .unknown }
        return ofCommit(ending)
    case .commitSent:
        return ofCommit(ending)
    }
}

/// A plain error is a commit that was refused, as by a deferred constraint; anything worse may come after it was made.
private func ofCommit(_ ending: Ending) -> Outcome {
    guard case .error(let error) = ending, error.severity == .error, !leavesOpen(error) else { return .unknown }
    return .notExecuted
}

/// What is no word on the commit: codes that say so themselves (transaction_resolution_unknown, statement_completion_unknown),
/// and a pooler that has lost its server.
private func leavesOpen(_ error: ServerError) -> Bool {
    error.sqlState == "08007" || error.sqlState == "40003" || error.isOfPooler
}
