/// What the command line may override; `nil` where a flag was not given.
public struct Overrides: Sendable, Equatable {
    /// `--socket`: `socket.path`.
    public var socket: String?
    /// `--admin-socket`: `admin.socket`.
    public var adminSocket: String?
    /// `--sqlite FILE`: replaces all backends by one SQLite backend named `main`.
    public var sqlite: String?
    /// `--postgres CONNINFO`: replaces all backends by one PostgreSQL backend named `main`.
    public var postgres: String?

    /// `--json`: `log.format`.
    public var logFormat: String?

    public init(
        socket: String? = nil, adminSocket: String? = nil, sqlite: String? = nil, postgres: String? = nil,
        logFormat: String? = nil
    ) {
        self.socket = socket
        self.adminSocket = adminSocket
        self.sqlite = sqlite
        self.postgres = postgres
        self.logFormat = logFormat
    }
}
