internal import CPostgreSQL
internal import Glibc
internal import PrismReactor
internal import PrismWire

/// Connections to a peer. libpq logs in, and prepares what is run; afterwards the load generator speaks on their sockets, and libpq
/// only closes them. One thread; blocks, for a bounded time.
final class PeerConnections {
    /// For logging in, and for every statement that is not measured.
    private static let timeoutSeconds = 30
    private var connections: [OpaquePointer] = []

    deinit {
        for connection in connections { PQfinish(connection) }
    }

    /// Valid as long as this object.
    var descriptors: [CInt] { connections.map { PQsocket($0) } }

    /// Connects once more.
    func add(_ peer: LoadPeer) throws(ToolError) {
        let parameters = [
            // Before the conninfo, which may say otherwise: what is encrypted cannot be spoken on the bare socket.
            ("sslmode", "disable"), ("gssencmode", "disable"), ("connect_timeout", "\(Self.timeoutSeconds)"),
            ("fallback_application_name", "prism bench"), ("dbname", peer.conninfo),
        ]
        let keywords = parameters.map { strdup($0.0) }
        let values = parameters.map { strdup($0.1) }
        defer { for text in keywords + values { free(text) } }
        let expandsName: CInt = 1
        guard
            let connection = PQconnectdbParams(
                keywords.map { UnsafePointer($0) } + [nil], values.map { UnsafePointer($0) } + [nil], expandsName)
        else { throw Self.failure(.resourceExhausted, "out of memory") }
        connections.append(connection)
        guard PQstatus(connection) == CONNECTION_OK else {
            throw Self.failure(.unavailable, Self.text(PQerrorMessage(connection)))
        }
        // Nothing of libpq's may reach standard error.
        PQsetNoticeReceiver(connection, { _, _ in }, nil)
        guard PQsslInUse(connection) == 0, PQgssEncInUse(connection) == 0 else {
            throw .usage(
                "the peer's connection is encrypted, and the load generator speaks in the clear",
                remedy: "use its Unix socket, or sslmode=disable and gssencmode=disable")
        }
    }

    /// Prepares the statement on the connection added last.
    func prepare(_ name: String, _ sql: String) throws(ToolError) {
        guard let connection = connections.last else { return }
        try finish(PQsendPrepare(connection, name, sql, 0, nil), connection)
    }

    /// Runs one statement, with parameters as text, on the connection added last.
    func run(_ sql: String, _ parameters: [String] = []) throws(ToolError) {
        guard let connection = connections.last else { return }
        let values = parameters.map { strdup($0) }
        defer { for value in values { free(value) } }
        let isSent = PQsendQueryParams(
            connection, sql, CInt(values.count), nil, values.map { UnsafePointer($0) }, nil, nil, 0)
        try finish(isSent, connection)
    }

    /// Waits for the end of what has been sent.
    private func finish(_ isSent: CInt, _ connection: OpaquePointer) throws(ToolError) {
        let deadline = MonotonicClock.now() + UInt64(Self.timeoutSeconds) * 1_000_000_000
        guard isSent == 1 else { throw Self.failure(.unavailable, Self.text(PQerrorMessage(connection))) }
        var error: ToolError?
        while true {
            while PQisBusy(connection) != 0 {
                try Self.wait(PQsocket(connection), until: deadline)
                guard PQconsumeInput(connection) == 1 else {
                    throw Self.failure(.unavailable, Self.text(PQerrorMessage(connection)), outcome: .unknown)
                }
            }
            guard let result = PQgetResult(connection) else { break }
            defer { PQclear(result) }
            let status = PQresultStatus(result)
            guard error == nil, status != PGRES_COMMAND_OK, status != PGRES_TUPLES_OK else { continue }
            let code = PQresultErrorField(result, CInt(PRISM_PG_DIAG_SQLSTATE.rawValue))
            error = .failed(
                Failure(
                    .invalidArgument, at: .execute, outcome: .notExecuted, Self.text(PQresultErrorMessage(result)),
                    sqlState: code.map { String(cString: $0) } ?? ""))
        }
        if let error { throw error }
    }

    private static func wait(_ descriptor: CInt, until deadline: UInt64) throws(ToolError) {
        let now = MonotonicClock.now()
        guard now < deadline else {
            throw .failed(
                Failure(
                    .deadlineExceeded, at: .execute, outcome: .unknown, "the peer did not answer in \(timeoutSeconds) s"
                ))
        }
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        // An interrupted poll is another round.
        _ = poll(&entry, 1, CInt((deadline - now) / 1_000_000 + 1))
    }

    private static func failure(_ code: StatusCode, _ message: String, outcome: Outcome = .notExecuted) -> ToolError {
        .failed(Failure(code, at: .connect, outcome: outcome, message))
    }

    private static func text(_ message: UnsafePointer<CChar>?) -> String {
        let lines = message.map { String(cString: $0) }?.split(whereSeparator: \.isNewline) ?? []
        return lines.isEmpty ? "the peer gave no reason" : lines.joined(separator: "; ")
    }

    private static func text(_ message: UnsafeMutablePointer<CChar>?) -> String {
        text(UnsafePointer(message))
    }
}
