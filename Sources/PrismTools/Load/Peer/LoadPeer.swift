/// A PostgreSQL server, or a pooler before one, that is loaded instead of the sidecar.
public struct LoadPeer: Sendable, Equatable {
    /// libpq's connection string or URL.
    public var conninfo: String
    /// Parses the statement anew with every request: for a pooler in transaction mode that knows no prepared statements.
    public var isUnnamed: Bool

    /// - Parameter conninfo: without a password, which would show in process lists; libpq has other ways to it.
    public init(conninfo: String, isUnnamed: Bool = false) {
        self.conninfo = conninfo
        self.isUnnamed = isUnnamed
    }
}
