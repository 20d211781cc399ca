import PrismCore
import PrismReactor
import Testing

@testable import PrismPostgreSQL

/// Runs one port on a reactor of its own, and writes down in plain words what each connection was told.
final class PortDriver: ReactorHandler, ServerConnectionEvents {
    struct TimedOut: Error, CustomStringConvertible {
        var description: String
    }

    let reactor: Reactor
    let port: LibpqPort
    let connector: Connector
    let canceller: Canceller
    private(set) var transcripts: [ServerConnectionReference: [String]] = [:]
    private(set) var rowCounts: [ServerConnectionReference: Int] = [:]
    private(set) var facts: [ServerConnectionReference: ServerFacts] = [:]
    private(set) var columns: [ServerColumns] = []
    private(set) var errors: [ServerError] = []
    /// Commands that were answered in one.
    private(set) var wholes = 0
    /// Long results are counted, not written down.
    var writesRows = true
    /// Called with every row.
    var onRow: (ServerConnectionReference, ServerRow) -> Void = { _, _ in }
    private var condition: () -> Bool = { true }
    /// Far beyond what any of these tests takes: a backstop, not a measurement.
    private var backstop: UInt64 = 0
    private var isTimedOut = false
    private var nextSlot = 0

    /// - Parameter control: nil: cancels are made by the protocol's own request.
    init(_ settings: ConnectSettings, schema: SchemaInstaller? = nil, control: ControlSettings? = nil) throws {
        reactor = try Reactor()
        connector = try Connector(settings, schema: schema, hasControl: control != nil)
        canceller = try Canceller(control: control)
        port = LibpqPort(backend: 3, reactor: reactor, connector: connector, canceller: canceller)
    }

    convenience init(_ cluster: Cluster) throws {
        var settings = ConnectSettings()
        settings.conninfo = cluster.conninfo
        try self.init(settings)
    }

    deinit {
        port.closeAll()
        let deadline = MonotonicClock.now() + 10_000_000_000
        connector.stop(deadlineNanoseconds: deadline)
        canceller.stop(deadlineNanoseconds: deadline)
    }

    /// Runs the loop until the condition holds at the end of a tick.
    func run(_ what: String = "", until condition: @escaping () -> Bool) throws {
        if condition() { return }
        self.condition = condition
        backstop = MonotonicClock.now() + 60_000_000_000
        isTimedOut = false
        reactor.run(self)
        if isTimedOut { throw TimedOut(description: "\(what): \(transcripts)") }
    }

    /// Handles what is there.
    func tick() throws {
        var looks = 0
        try run {
            looks += 1
            return looks > 1
        }
    }

    /// A connection at a place of its own, not yet heard of.
    func begin(generation: UInt32 = 1) -> ServerConnectionReference {
        let connection = ServerConnectionReference(slot: nextSlot, generation: generation)
        nextSlot += 1
        port.connect(connection)
        return connection
    }

    func connect() throws -> ServerConnectionReference {
        let connection = begin()
        try run("connect") { [self] in transcript(connection).last != nil }
        try #require(transcript(connection) == ["connected"])
        transcripts[connection] = []
        return connection
    }

    func transcript(_ connection: ServerConnectionReference) -> [String] { transcripts[connection, default: []] }

    /// What the connection was told up to and with the next `synchronized`, or its loss; then forgotten.
    func batch(_ connection: ServerConnectionReference, count: Int = 1) throws -> [String] {
        try run("batch") { [self] in
            let ends = transcript(connection).filter { $0.hasPrefix("synchronized") || $0.hasPrefix("lost") }
            return ends.count == count || ends.last?.hasPrefix("lost") == true
        }
        defer { transcripts[connection] = [] }
        return transcript(connection)
    }

    /// Statements in one batch, with what they were answered by.
    @discardableResult
    func statements(_ connection: ServerConnectionReference, _ statements: String...) throws -> [String] {
        for statement in statements { port.sendStatement(connection, sql: statement) }
        port.sendSync(connection)
        return try batch(connection)
    }

    /// Asks again and again until the first value of the answer is this one.
    func poll(
        _ connection: ServerConnectionReference, _ sql: String, until value: String, meanwhile other: PortDriver? = nil
    ) throws {
        let limit = MonotonicClock.now() + 60_000_000_000
        while true {
            try other?.tick()
            let answer = try statements(connection, sql)
            if answer.first == "row \(value)" { return }
            if MonotonicClock.now() > limit { throw TimedOut(description: "\(sql): \(answer)") }
        }
    }

    func prepare(_ connection: ServerConnectionReference, _ number: UInt32, _ sql: String, types: [TypeOID] = []) {
        var sql = sql
        sql.withUTF8 {
            port.sendPrepare(
                connection, name: PreparedName(number: number), sql: UnsafeRawBufferPointer($0), types: types)
        }
    }

    func execute(
        _ connection: ServerConnectionReference, _ number: UInt32, _ parameters: [String?] = [],
        results: ValueFormat = .text, rows: RowDelivery = .oneByOne
    ) {
        var list = ParameterList()
        for parameter in parameters {
            if let parameter { list.append(text: parameter) } else { list.appendNull() }
        }
        port.sendExecute(connection, name: PreparedName(number: number), parameters: list, results: results, rows: rows)
    }

    // MARK: ReactorHandler

    func ready(token: UInt64, events: Readiness) {
        guard let token = BackendToken(rawValue: token) else { return }
        port.ready(token, events, self)
    }

    func wokenUp() { port.takeReports(self) }

    func endOfTick(now: UInt64) -> UInt64 {
        port.resume(self)
        let next = port.flush() ? now : .max
        if condition() { reactor.stop() }
        if now >= backstop {
            isTimedOut = true
            reactor.stop()
        }
        return min(next, backstop)
    }

    // MARK: ServerConnectionEvents

    func connected(_ connection: ServerConnectionReference, _ facts: ServerFacts, now: UInt64) {
        self.facts[connection] = facts
        note(connection, "connected")
    }

    func connectFailed(_ connection: ServerConnectionReference, message: String, now: UInt64) {
        note(connection, "connect failed: \(message)")
    }

    func lost(_ connection: ServerConnectionReference, message: String, now: UInt64) {
        note(connection, "lost: \(message)")
    }

    func cancelReturned(_ connection: ServerConnectionReference, now: UInt64) { note(connection, "cancel returned") }

    func noticed(_ connection: ServerConnectionReference, sqlState: String, sourceFunction: String, now: UInt64) {
        note(connection, "noticed \(sqlState) \(sourceFunction)")
    }

    func received(_ connection: ServerConnectionReference, _ result: ServerResult, now: UInt64) {
        switch result {
        case .described(let parameters, let columns):
            note(connection, "described \(parameters) \(columns.map { "\($0.name):\($0.type)" })")
        case .row(let row):
            rowCounts[connection, default: 0] += 1
            if writesRows { note(connection, "row " + row.values.map(Self.text).joined(separator: "|")) }
            if columns.last !== row.columns { columns.append(row.columns) }
            onRow(connection, row)
        case .whole(let values, let columns, let tag):
            wholes += 1
            if let values { received(connection, .row(ServerRow(columns: columns, values: values)), now: now) }
            received(connection, .complete(columns: columns, tag: tag), now: now)
            received(connection, .end, now: now)
        case .complete(let columns, let tag):
            let names = columns.map { " " + $0.columns.map(\.name).joined(separator: ",") } ?? ""
            note(connection, "complete \(tag.text)\(names)")
        case .failed(let error):
            errors.append(error)
            note(connection, "failed \(error.sqlState)")
        case .skipped: note(connection, "skipped")
        case .end: note(connection, "end")
        case .synchronized(let status): note(connection, "synchronized \(status)")
        case .unusable(let reason): note(connection, "unusable: \(reason)")
        }
    }

    private func note(_ connection: ServerConnectionReference, _ line: String) {
        transcripts[connection, default: []].append(line)
    }

    private static func text(_ value: UnsafeRawBufferPointer) -> String {
        value.baseAddress == nil ? "NULL" : String(decoding: value, as: UTF8.self)
    }
}
