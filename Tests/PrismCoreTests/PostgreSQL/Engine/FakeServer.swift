import PrismCore

/// A server of a few lines behind the engine's port: batches, transactions, prepared names, and whatever a test wants each
/// statement to answer. Nothing happens until the test says so.
final class FakeServer: PostgreSQLPort {
    enum Reply {
        /// Command tag.
        case done(String)
        /// One column of int8 in binary.
        case rows([Int64])
        /// Rows of any values, as they were asked for; nil: NULL.
        case values([[[UInt8]?]])
        case error(String)
        case fatal(String)
    }

    private enum Command {
        case prepare(PreparedName, String, [TypeOID])
        case describe(PreparedName)
        case execute(PreparedName, ValueFormat, RowDelivery)
        case statement(String)
        case sync
    }

    private struct Connection {
        var commands: [Command] = []
        var prepared: [PreparedName: String] = [:]
        /// Of them, those whose parameters have other types than their places by now.
        var misfits: Set<PreparedName> = []
        var status = TransactionStatus.idle
        var isSkipping = false
        /// Implicit transaction of the batch: a failure ends it at the Sync.
        var isReading = true
        /// Rows of the present command that are still to come: they are not read.
        var rest: [Int64]?
        /// The present command's rows are told together: at most one, with its end.
        var isTogether = false
        /// Its end has been told.
        var hasEnded = false
    }

    weak var engine: PostgreSQLEngine<FakeServer>?
    var now: UInt64 = 1_000_000_000
    /// What a client's statement answers. By default one row.
    var reply: (String) -> Reply = { _ in .rows([1]) }
    /// What a statement of the session's reset answers.
    var resetReply: (String) -> Reply = { .done($0) }
    /// Which of Prism's statements that are not prepared fail.
    var refuses: (String) -> String? = { _ in nil }
    var failureMessage = "failed"
    /// What COMMIT answers.
    var commitReply = Reply.done("COMMIT")
    /// Which types a PREPARE is refused with.
    var refusesTypes: (String, [TypeOID]) -> String? = { _, _ in nil }
    var parameterTypes: [TypeOID] = []
    /// Of the column that statements are described with, and of `values`.
    var describedType: TypeOID = 20
    var valueType: TypeOID = 17
    var keepsLargeMessages = false
    /// A transaction stays open behind the next ROLLBACK.
    var ignoresRollback = false
    private func takeIgnored() -> Bool {
        defer { ignoresRollback = false }
        return ignoresRollback
    }

    private var format = ValueFormat.binary

    private(set) var connecting: [ServerConnectionReference] = []
    private(set) var closed: [ServerConnectionReference] = []
    private(set) var cancels: [ServerConnectionReference] = []
    /// Everything that was sent, in order, as text.
    private(set) var log: [String] = []
    private var connections: [ServerConnectionReference: Connection] = [:]

    var open: [ServerConnectionReference] { connections.keys.sorted { $0.slot < $1.slot } }
    func isReading(_ connection: ServerConnectionReference) -> Bool { connections[connection]?.isReading ?? false }
    func hasWork(_ connection: ServerConnectionReference) -> Bool {
        connections[connection].map { !$0.commands.isEmpty || $0.rest != nil } ?? false
    }
    /// Connections that have something to answer.
    var working: [ServerConnectionReference] { open.filter { hasWork($0) } }
    func clearLog() { log.removeAll() }

    func keepsLargeMessage(_ connection: ServerConnectionReference) -> Bool { keepsLargeMessages }

    // MARK: the test's side

    /// A table has got a column of another type: what is prepared on any connection fits it no more.
    func alter(to types: [TypeOID]) {
        parameterTypes = types
        for (connection, state) in connections { connections[connection]?.misfits = Set(state.prepared.keys) }
    }

    func acceptAll() {
        let waiting = connecting
        connecting = []
        for connection in waiting {
            connections[connection] = Connection()
            engine?.connected(connection, now: now)
        }
    }

    func refuseAll() {
        let waiting = connecting
        connecting = []
        for connection in waiting { engine?.connectFailed(connection, "no", now: now) }
    }

    /// Answers until nothing is left to answer.
    func run() {
        var moved = true
        while moved {
            moved = false
            for connection in open where step(connection) { moved = true }
        }
    }

    /// Answers one command. False: there is none.
    @discardableResult
    func step(_ connection: ServerConnectionReference) -> Bool {
        guard var state = connections[connection], state.isReading else { return false }
        if let rest = state.rest {
            connections[connection]?.rest = nil
            perform(.rows(rest), connection)
            sayEnd(connection)
            return true
        }
        guard !state.commands.isEmpty else { return false }
        let command = state.commands.removeFirst()
        connections[connection] = state
        if case .sync = command {
            connections[connection]?.isSkipping = false
            let status = state.status
            engine?.received(connection, .synchronized(status), now: now)
            return true
        }
        if state.isSkipping {
            say(connection, .skipped)
        } else {
            answer(command, connection)
        }
        sayEnd(connection)
        return true
    }

    private func sayEnd(_ connection: ServerConnectionReference) {
        defer {
            connections[connection]?.hasEnded = false
            connections[connection]?.isTogether = false
        }
        if connections[connection]?.rest == nil, connections[connection]?.hasEnded != true { say(connection, .end) }
    }

    /// A row of the present command, and whether it is its only one.
    private func say(_ connection: ServerConnectionReference, _ row: ServerRow, isOnly: Bool) {
        guard isOnly, connections[connection]?.isTogether == true else { return say(connection, .row(row)) }
        connections[connection]?.hasEnded = true
        say(connection, .whole(values: row.values, columns: row.columns, tag: CommandTag("SELECT 1")))
    }

    private func sayCompletion(_ connection: ServerConnectionReference, _ columns: ServerColumns, rows: Int) {
        guard connections[connection]?.hasEnded != true else { return }
        say(connection, .complete(columns: columns, tag: CommandTag("SELECT \(rows)")))
    }

    func lose(_ connection: ServerConnectionReference) {
        connections[connection] = nil
        engine?.lost(connection, "gone", now: now)
    }

    func returnCancels() {
        let waiting = cancels
        cancels = []
        for connection in waiting { engine?.cancelReturned(connection, now: now) }
    }

    /// Makes the next command fail as a cancel that has arrived does.
    func failNext(_ connection: ServerConnectionReference, _ sqlState: String) {
        guard hasWork(connection) else { return }
        if connections[connection]?.rest == nil { connections[connection]?.commands.removeFirst() }
        connections[connection]?.rest = nil
        fail(connection, sqlState, .error)
        say(connection, .end)
    }

    private func say(_ connection: ServerConnectionReference, _ result: ServerResult) {
        guard connections[connection] != nil else { return }
        engine?.received(connection, result, now: now)
    }

    private func fail(_ connection: ServerConnectionReference, _ sqlState: String, _ severity: ServerError.Severity) {
        connections[connection]?.isSkipping = true
        if connections[connection]?.status == .open { connections[connection]?.status = .failed }
        say(connection, .failed(ServerError(severity: severity, sqlState: sqlState, message: failureMessage)))
    }

    private func answer(_ command: Command, _ connection: ServerConnectionReference) {
        switch command {
        case .prepare(let name, let sql, let types):
            if let sqlState = refusesTypes(sql, types) { return fail(connection, sqlState, .error) }
            connections[connection]?.prepared[name] = sql
            say(connection, .complete(columns: nil, tag: .empty))
        case .describe(let name):
            guard connections[connection]?.prepared[name] != nil else { return fail(connection, "26000", .error) }
            say(
                connection,
                .described(parameters: parameterTypes, columns: [ServerColumn(name: "n", type: describedType)]))
        case .execute(let name, let format, let rows):
            self.format = format
            connections[connection]?.isTogether = rows != .oneByOne
            guard let sql = connections[connection]?.prepared[name] else { return fail(connection, "26000", .error) }
            if sql.hasPrefix("BEGIN") || sql == "ROLLBACK" { return control(sql, connection) }
            if sql.contains("$"), connections[connection]?.misfits.contains(name) == true {
                return fail(connection, "42883", .error)
            }
            guard connections[connection]?.status != .failed else { return fail(connection, "25P02", .error) }
            perform(Self.isReset(sql) ? resetReply(sql) : reply(sql), connection)
        case .statement(let sql): control(sql, connection)
        case .sync: break
        }
    }

    private static func isReset(_ sql: String) -> Bool {
        ["RESET", "UNLISTEN", "CLOSE", "DISCARD"].contains { sql.hasPrefix($0) } || sql.hasSuffix("unlock_all()")
    }

    private func control(_ sql: String, _ connection: ServerConnectionReference) {
        let status = connections[connection]?.status ?? .unknown
        if status == .failed, !sql.hasPrefix("ROLLBACK") { return fail(connection, "25P02", .error) }
        if let sqlState = refuses(sql) { return fail(connection, sqlState, .error) }
        if sql.hasPrefix("BEGIN") {
            connections[connection]?.status = .open
        } else if sql == "COMMIT" {
            connections[connection]?.status = .idle
            return perform(commitReply, connection)
        } else if sql == "ROLLBACK", !takeIgnored() {
            connections[connection]?.status = .idle
        } else if sql.hasPrefix("ROLLBACK TO") {
            connections[connection]?.status = .open
        }
        say(connection, .complete(columns: nil, tag: CommandTag(sql)))
    }

    private func perform(_ reply: Reply, _ connection: ServerConnectionReference) {
        switch reply {
        case .done(let tag): say(connection, .complete(columns: nil, tag: CommandTag(tag)))
        case .error(let sqlState): fail(connection, sqlState, .error)
        case .fatal(let sqlState): fail(connection, sqlState, .fatal)
        case .rows(let numbers):
            let columns = ServerColumns([ServerColumn(name: "n", type: 20)], format: .binary)
            for (index, number) in numbers.enumerated() {
                guard connections[connection]?.isReading == true else {
                    connections[connection]?.rest = Array(numbers[index...])
                    return
                }
                withUnsafeBytes(of: number.bigEndian) { bytes in
                    withUnsafePointer(to: bytes) { pointer in
                        say(
                            connection,
                            ServerRow(columns: columns, values: UnsafeBufferPointer(start: pointer, count: 1)),
                            isOnly: numbers.count == 1)
                    }
                }
            }
            sayCompletion(connection, columns, rows: numbers.count)
        case .values(let rows):
            let columns = ServerColumns(
                rows.first?.map { _ in ServerColumn(name: "v", type: valueType) } ?? [], format: format)
            for row in rows { say(connection, row, columns, isOnly: rows.count == 1) }
            sayCompletion(connection, columns, rows: rows.count)
        }
    }

    private func say(
        _ connection: ServerConnectionReference, _ row: [[UInt8]?], _ columns: ServerColumns, isOnly: Bool
    ) {
        // A value that is empty has an address all the same.
        let values = row.map { value in
            guard let value else { return UnsafeMutableRawBufferPointer(start: nil, count: 0) }
            let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: value.count, alignment: 1)
            copy.copyBytes(from: value)
            return copy
        }
        values.map { UnsafeRawBufferPointer($0) }.withUnsafeBufferPointer {
            say(connection, ServerRow(columns: columns, values: $0), isOnly: isOnly)
        }
        for value in values { value.deallocate() }
    }

    // MARK: PostgreSQLPort

    func connect(_ connection: ServerConnectionReference) { connecting.append(connection) }

    func close(_ connection: ServerConnectionReference) {
        connections[connection] = nil
        connecting.removeAll { $0 == connection }
        closed.append(connection)
    }

    func sendPrepare(
        _ connection: ServerConnectionReference, name: PreparedName, sql: UnsafeRawBufferPointer, types: [TypeOID]
    ) {
        let text = String(decoding: sql, as: UTF8.self)
        note(connection, "prepare \(text)\(types.isEmpty ? "" : " \(types)")", .prepare(name, text, types))
    }

    func sendDescribe(_ connection: ServerConnectionReference, name: PreparedName) {
        note(connection, "describe", .describe(name))
    }

    func sendExecute(
        _ connection: ServerConnectionReference, name: PreparedName, parameters: borrowing ParameterList,
        results: ValueFormat, rows: RowDelivery
    ) {
        note(connection, "execute", .execute(name, results, rows))
    }

    func sendStatement(_ connection: ServerConnectionReference, sql: String) { note(connection, sql, .statement(sql)) }
    func sendSync(_ connection: ServerConnectionReference) { note(connection, "sync", .sync) }
    func cancel(_ connection: ServerConnectionReference) { cancels.append(connection) }

    func setReading(_ connection: ServerConnectionReference, _ isReading: Bool) {
        connections[connection]?.isReading = isReading
    }

    private func note(_ connection: ServerConnectionReference, _ text: String, _ command: Command) {
        log.append(text)
        connections[connection]?.commands.append(command)
    }
}
