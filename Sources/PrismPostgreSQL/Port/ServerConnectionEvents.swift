public import PrismCore

/// Who is told what becomes of connections. Called on the reactor's thread, from within `LibpqPort.ready`, `takeReports` and
/// `resume` only; never from within a call of `PostgreSQLPort`, all of which it may make. `now` is the tick's time, CLOCK_MONOTONIC
/// nanoseconds.
public protocol ServerConnectionEvents: AnyObject {
    func connected(_ connection: ServerConnectionReference, _ facts: ServerFacts, now: UInt64)

    /// - Parameter message: libpq's own, without a password.
    func connectFailed(_ connection: ServerConnectionReference, message: String, now: UInt64)

    /// See `ServerResult`; what is in it is borrowed until the call returns.
    func received(_ connection: ServerConnectionReference, _ result: ServerResult, now: UInt64)

    /// The connection is gone, and with it everything that was sent and has no results yet.
    func lost(_ connection: ServerConnectionReference, message: String, now: UInt64)

    /// A cancel request has been delivered, or could not be.
    func cancelReturned(_ connection: ServerConnectionReference, now: UInt64)

    /// The server has warned. Told before the result that follows the warning, sometimes before one that precedes it: libpq reads
    /// ahead.
    /// - Parameter sourceFunction: the C function in the server that warned, such as `SyncRepWaitForLSN`.
    func noticed(_ connection: ServerConnectionReference, sqlState: String, sourceFunction: String, now: UInt64)
}

/// What is known of a server once it is connected.
public struct ServerFacts: Sendable, Equatable {
    /// As PQserverVersion: 150018 is 15.18.
    public var version: Int
    public var processID: Int32
    /// Why Prism's own tables cannot be used; nil when they can.
    public var schemaProblem: String?
    /// They are there, but of another Prism: to be left alone.
    public var isSchemaOfOtherVersion: Bool

    public init(
        version: Int, processID: Int32, schemaProblem: String? = nil, isSchemaOfOtherVersion: Bool = false
    ) {
        self.version = version
        self.processID = processID
        self.schemaProblem = schemaProblem
        self.isSchemaOfOtherVersion = isSchemaOfOtherVersion
    }
}
