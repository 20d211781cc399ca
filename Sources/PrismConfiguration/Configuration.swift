/// Everything that can be configured, validated as a whole: a value of this type obeys every range and every rule
/// between settings. Made by `load` or `parse` only, and not changed afterwards.
///
/// Durations are `UInt64` nanoseconds (names end in `Nanoseconds`), sizes are `Int` bytes. A setting whose default is
/// chosen at run time is `nil` here until it is set.
public struct Configuration: Sendable {
    public internal(set) var socket = Socket()
    public internal(set) var admin = Admin()
    public internal(set) var runtime = Runtime()
    public internal(set) var limits = Limits()
    public internal(set) var deadlines = Deadlines()
    public internal(set) var transactions = Transactions()
    public internal(set) var drain = Drain()
    public internal(set) var idempotency = Idempotency()
    public internal(set) var log = Log()
    public internal(set) var readiness = Readiness()
    /// 1 to 64, names unique, exactly one of them the default.
    public internal(set) var backends: [Backend] = []
    /// At most 1,024, names unique.
    public internal(set) var statements: [Statement] = []
    /// At most 1,024, in the order of the file. Enforced by admission, not here.
    public internal(set) var rules: [AccessRule] = []

    /// What is allowed but probably not meant, one sentence each. For the log at start-up and for `config check`.
    public internal(set) var warnings: [String] = []

    /// Where each setting that is not at its default came from, by full name (`limits.frame_bytes`,
    /// `backends.main.path`).
    var origins: [String: Origin] = [:]

    /// All settings at their defaults and one SQLite backend named `main`.
    public static let defaults: Configuration = {
        var configuration = Configuration()
        configuration.backends = [Backend.defaultSQLite]
        return configuration
    }()

    init() {
        for setting in SettingsTable.global { setting.write(&self, setting.defaultValue) }
    }

    /// The backend of requests that name none.
    public var defaultBackend: Backend {
        backends.first { $0.isDefault } ?? backends.first ?? Backend.defaultSQLite
    }

    /// Where the setting of that full name came from; `.default` for one that nobody set.
    public func origin(of name: String) -> Origin {
        origins[name] ?? .default
    }
}
