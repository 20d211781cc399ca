/// How connections to one PostgreSQL server are made.
public struct ConnectSettings: Sendable, Equatable {
    /// libpq's connection string or URL; empty: libpq's environment.
    public var conninfo = ""
    /// Holds the password and nothing else; read anew for every connection.
    public var passwordFile: String?
    /// For each address of the server; libpq counts whole seconds, two at least.
    public var connectTimeoutNanoseconds: UInt64 = 5_000_000_000
    /// For looking after Prism's own tables, on a connection that is there.
    public var schemaTimeoutNanoseconds: UInt64 = 15_000_000_000
    /// The longest that any statement may run on a server that would not notice the sidecar's death by itself; 0: no limit.
    public var statementTimeoutMilliseconds: UInt64 = 0
    /// Behind a pooler in transaction mode, which takes no start-up options.
    public var isPooled = false

    public init() {}

    /// What every session of Prism starts with, and what RESET ALL brings back. A server before 14 does not know
    /// `client_connection_check_interval`, nor does one on a system that cannot tell.
    func startupOptions(withConnectionCheck: Bool) -> String {
        var options = [
            "DateStyle=ISO", "IntervalStyle=postgres", "extra_float_digits=1", "bytea_output=hex",
            #"default_transaction_isolation=read\ committed"#, "standard_conforming_strings=on",
        ]
        if withConnectionCheck {
            options.append("\(Self.connectionCheckName)=\(Self.connectionCheckMilliseconds)")
        } else if statementTimeoutMilliseconds > 0 {
            // Only there: it would take the place of a shorter one that the role or the database has.
            options.append("statement_timeout=\(statementTimeoutMilliseconds)")
        }
        return options.map { "-c \($0)" }.joined(separator: " ")
    }

    static let connectionCheckName = "client_connection_check_interval"
    /// How soon a server notices that a sidecar has died while it runs a statement for it.
    private static let connectionCheckMilliseconds = 1_000

    /// The keywords and values of PQconnectdbParams, later ones before earlier ones.
    ///
    /// - Parameters:
    ///   - userOptions: `options` of the conninfo, or what libpq's environment has instead; ours come behind and win.
    func parameters(userOptions: String, password: String?, withConnectionCheck: Bool) -> [(String, String)] {
        let seconds = max(2, (connectTimeoutNanoseconds + 999_999_999) / 1_000_000_000)
        var parameters = [
            // Before the conninfo, which may say otherwise.
            ("connect_timeout", "\(seconds)"), ("fallback_application_name", "prism"),
            ("dbname", conninfo), ("client_encoding", "UTF8"),
        ]
        if !isPooled {
            let ours = startupOptions(withConnectionCheck: withConnectionCheck)
            parameters.append(("options", userOptions.isEmpty ? ours : "\(userOptions) \(ours)"))
        }
        if let password { parameters.append(("password", password)) }
        return parameters
    }
}
