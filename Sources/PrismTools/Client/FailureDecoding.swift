public import PrismWire

extension Failure {
    /// What a `Response` whose status is not OK says.
    public init(decoding response: UnsafePointer<Prism__V1__Response>) {
        let code = StatusCode(rawValue: UInt8(truncatingIfNeeded: response.pointee.status.rawValue)) ?? .unknown
        guard let body = response.pointee.failure?.pointee else {
            self.init(code, at: .unspecified, outcome: .unknown, "the sidecar gave no reason")
            return
        }
        self.init(
            code, at: Stage(rawValue: UInt8(truncatingIfNeeded: body.stage.rawValue)) ?? .unspecified,
            outcome: Outcome(rawValue: UInt8(truncatingIfNeeded: body.outcome.rawValue)) ?? .unspecified,
            body.message.string, isRetryable: body.retryable != 0,
            retryAfterMicroseconds: body.retry_after_microseconds, sqlState: body.sqlstate.string,
            sqliteCode: body.sqlite_code, currentVersion: body.current_version, item: body.item,
            position: body.position, detail: body.detail.string, hint: body.hint.string)
    }
}
