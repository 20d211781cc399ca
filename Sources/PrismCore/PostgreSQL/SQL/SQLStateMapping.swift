public import PrismWire

/// PostgreSQL's errors as the contract's statuses. The only place that knows both.
public enum SQLStateMapping {
    static func row(of error: ServerError, at stage: Stage) -> SQLStateTable.Row {
        if error.sqlState == "0A000", isStalePlan(error) { return SQLStateTable.stalePlan }
        if error.sqlState == "08P01", error.isOfPooler { return SQLStateTable.pooler }
        let row =
            SQLStateTable.byState[error.sqlState] ?? SQLStateTable.byState[String(error.sqlState.prefix(2))]
            ?? SQLStateTable.raised
        return stage == .connect && row.code != .resourceExhausted ? SQLStateTable.notConnected : row
    }

    /// The status of an error by itself: whether its statement or transaction had an effect is for `outcome(kind:…)` to say.
    public static func code(of error: ServerError, at stage: Stage) -> StatusCode { row(of: error, at: stage).code }

    /// The answer to a request that ended with this error.
    /// - Parameters:
    ///   - stage: `connect` for what the server said while a connection was made, then `execute` or `stream`.
    ///   - item: of a `Write` or `Batch`, from 1.
    public static func failure(
        _ error: ServerError, at stage: Stage, outcome: Outcome, item: UInt32 = 0
    ) -> Failure {
        let row = row(of: error, at: stage)
        var message = error.message
        if !error.constraint.isEmpty, !error.message.contains(error.constraint) { message += " (\(error.constraint))" }
        message += ": \(row.remedy)"
        if outcome == .unknown {
            message += "; whether it took effect is not known: look, or repeat it with its idempotency key"
        }
        return Failure(
            row.code, at: stage, outcome: outcome, message, isRetryable: row.retryAfterMicroseconds != nil,
            retryAfterMicroseconds: row.retryAfterMicroseconds ?? 0, sqlState: error.sqlState, item: item,
            position: error.position, detail: error.detail, hint: error.hint)
    }

    /// The server does not know the prepared statement any more, or its result would have other columns: prepare it again
    /// under another name. Only errors of an execution count; its batch is rolled back, so that it may run again.
    public static func isStalePlan(_ error: ServerError) -> Bool {
        guard error.severity == .error else { return false }
        // The text is translated where lc_messages says so; the server's function is not.
        return error.sqlState == "26000"
            || error.sqlState == "0A000"
                && (error.routine == "RevalidateCachedQuery"
                    || error.message == "cached plan must not change result type")
    }

    /// Types do not fit: of a statement that ran before, because a column has got another type since.
    public static func isOfTypes(_ error: ServerError) -> Bool {
        error.severity == .error && ["42883", "42804", "42725", "42846"].contains(error.sqlState)
    }

    /// A value is none of the type that its place has, or had when its statement was prepared: each type has its own words for that.
    public static func isUnreadableValue(_ error: ServerError) -> Bool {
        error.severity == .error && error.sqlState.hasPrefix("22")
    }

    /// A type is not there any more under the number that it had. The second text is never translated.
    public static func isMissingType(_ error: ServerError) -> Bool {
        error.severity == .error
            && (error.sqlState == "42704"
                || error.sqlState == "XX000" && error.message.hasPrefix("cache lookup failed for type"))
    }
}
