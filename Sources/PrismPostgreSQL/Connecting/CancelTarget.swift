/// Names one server process beyond doubt: process numbers are used again, also by other servers.
struct CancelTarget: Sendable, Equatable {
    /// When its server was started, as the server writes it: tells servers apart.
    var server: String
    var processID: Int32
    /// When the process began to serve its connection, as the server writes it.
    var started: String

    private static let own = """
        SELECT pg_catalog.concat_ws(' ', extract(epoch FROM pg_catalog.pg_postmaster_start_time()), \
        pid, extract(epoch FROM backend_start)) \
        FROM pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid())
        """

    init(server: String, processID: Int32, started: String) {
        self.server = server
        self.processID = processID
        self.started = started
    }

    /// Of the process behind a connection; nil: it does not say, for instance for lack of rights. Then only the protocol's own
    /// request can cancel it.
    /// - Parameter processID: what the server, or a pooler in between, has given for cancelling: a pooler gives its own,
    ///   and may pass the process on to somebody else.
    init?(_ query: BlockingQuery, processID: Int32) throws(BlockingQuery.Lost) {
        guard let answer = try query.run(Self.own).value else { return nil }
        let parts = answer.split(separator: " ", omittingEmptySubsequences: false)
        guard parts.count == 3, parts[1] == "\(processID)", parts.allSatisfy(Self.isNumber) else { return nil }
        self.init(server: String(parts[0]), processID: processID, started: String(parts[2]))
    }

    private static func isNumber(_ text: Substring) -> Bool {
        !text.isEmpty && text.utf8.allSatisfy { "0123456789.e+-".utf8.contains($0) }
    }
}
