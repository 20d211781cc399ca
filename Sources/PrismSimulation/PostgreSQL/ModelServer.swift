import PrismCore

/// A PostgreSQL server on virtual time, behind the port of the real engine: sessions with prepared statements, batches,
/// transactions and savepoints, and every way to fail that the engine must stand. It knows what it has made durable, and
/// nothing of the engine but what was sent.
final class ModelServer: PostgreSQLPort {
    enum Step {
        case connected(ServerConnectionReference)
        case connectFailed(ServerConnectionReference, String)
        /// The process has done what it was doing.
        case work(ModelSession, token: Int)
        /// A cancel reaches the process.
        case signal(ServerConnectionReference)
        case cancelReturned(ServerConnectionReference)
        /// A client finds its silent connection lost.
        case foundLost(ModelSession)
        case crash
    }

    private enum Arrival {
        case connected(ServerConnectionReference)
        case connectFailed(ServerConnectionReference, String)
        case cancelReturned(ServerConnectionReference)
    }

    /// Answers that fit between server and client before the server has to wait.
    static let outboxMax = 32

    let behaviour: ServerBehaviour
    let ledger: Ledger
    let sabotage: Sabotage?
    var random: SeededGenerator
    var now: UInt64 = 0
    weak var engine: PostgreSQLEngine<ModelServer>?
    /// The serial of the request that the engine is carrying out on a connection; 0: none. For commits, which name nobody.
    var serialInHand: (ServerConnectionReference) -> Int = { _ in 0 }
    /// The engine is about to hear that a statement of a connection is complete.
    var heardCompletion: (ServerConnectionReference) -> Void = { _ in }
    /// What is to happen later.
    var scheduled: [(time: UInt64, step: Step)] = []

    /// In the order in which they were opened; orphans among them.
    var sessions: [ModelSession] = []
    var connecting: [ServerConnectionReference] = []
    /// Idempotency keys of what is durable.
    var keys: [IdempotencyKey: IdempotencyRecord] = [:]
    private var arrivals: [Arrival] = []
    var downUntil: UInt64 = 0
    private var lastToken = 0

    init(behaviour: ServerBehaviour, ledger: Ledger, random: SeededGenerator, sabotage: Sabotage?, start: UInt64) {
        self.behaviour = behaviour
        self.ledger = ledger
        self.random = random
        self.sabotage = sabotage
        scheduled = behaviour.crashes.map { (start + $0, .crash) }
    }

    /// The client's end of a connection.
    func session(_ connection: ServerConnectionReference) -> ModelSession? {
        sessions.first { $0.reference == connection && !$0.isOrphaned }
    }

    func remove(_ session: ModelSession) { sessions.removeAll { $0 === session } }

    func token() -> Int {
        lastToken += 1
        return lastToken
    }

    func trace(_ session: ModelSession, _ text: @autoclosure () -> String) {
        ledger.note(now, "server session \(session.reference.slot).\(session.reference.generation) \(text())")
    }

    // MARK: what the engine asks

    func connect(_ connection: ServerConnectionReference) {
        connecting.append(connection)
        if random.chance(behaviour.connectHangsChance) {
            scheduled.append((now + 5_000_000_000, .connectFailed(connection, "timeout expired")))
        } else {
            let end = now + random.between(behaviour.connectLow, behaviour.connectHigh)
            scheduled.append(
                (
                    end,
                    random.chance(behaviour.connectFailsChance)
                        ? .connectFailed(connection, "connection refused") : .connected(connection)
                ))
        }
    }

    func close(_ connection: ServerConnectionReference) {
        connecting.removeAll { $0 == connection }
        arrivals.removeAll { arrival in
            switch arrival {
            case .connected(let other), .connectFailed(let other, _), .cancelReturned(let other): other == connection
            }
        }
        guard let session = session(connection) else { return }
        trace(session, "is closed by its client")
        orphan(session)
    }

    func sendPrepare(
        _ connection: ServerConnectionReference, name: PreparedName, sql: UnsafeRawBufferPointer, types: [TypeOID]
    ) {
        let statement = ModelStatement(sql: String(decoding: sql, as: UTF8.self), types: types)
        send(connection, .prepare(name, statement)) { $0.sentPrepared[name] = statement }
    }

    func sendDescribe(_ connection: ServerConnectionReference, name: PreparedName) { send(connection, .describe(name)) }

    func sendExecute(
        _ connection: ServerConnectionReference, name: PreparedName, parameters: borrowing ParameterList,
        results: ValueFormat, rows: RowDelivery
    ) {
        let values = Self.values(of: parameters)
        send(connection, .execute(name, values, results, rows)) { session in
            guard let statement = session.sentPrepared[name], !statement.isRead else { return }
            let serial = Self.mark(statement, values).serial
            if session.sentBegin { session.sentSerials.append(serial) } else { self.ledger.sealed(serial) }
        }
    }

    func sendStatement(_ connection: ServerConnectionReference, sql: String) {
        send(connection, .statement(sql)) { session in
            if sql.hasPrefix("BEGIN") {
                session.sentBegin = true
                session.sentSerials = []
            } else if sql == "COMMIT" {
                for serial in session.sentSerials { self.ledger.sealed(serial) }
                self.ledger.sealed(self.serialInHand(connection))
                session.sentBegin = false
            } else if sql == "ROLLBACK" {
                session.sentBegin = false
            }
        }
    }

    func sendSync(_ connection: ServerConnectionReference) { send(connection, .sync) }

    func cancel(_ connection: ServerConnectionReference) { askToCancel(connection) }

    func setReading(_ connection: ServerConnectionReference, _ isReading: Bool) {
        if !isReading { ledger.coverage.saw(.streamPaused) }
        session(connection)?.isReading = isReading
    }

    private func send(
        _ connection: ServerConnectionReference, _ command: ModelSession.Command,
        _ note: (ModelSession) -> Void = { _ in }
    ) {
        guard let session = session(connection) else {
            return ledger.violation(now, "the engine sends on a connection that is closed")
        }
        note(session)
        trace(session, "is sent \(command)")
        guard !session.isDead else { return }
        session.commands.append(command)
        kick(session)
    }

    // MARK: what the engine is told

    /// Whether `deliver` has something to tell.
    var hasArrivals: Bool {
        !arrivals.isEmpty || sessions.contains { !$0.isOrphaned && $0.isReading && !$0.outbox.isEmpty }
    }

    /// Tells the engine what has arrived, or some of it.
    func deliver() {
        guard let engine else { return }
        let arrived = arrivals
        arrivals = []
        for arrival in arrived {
            switch arrival {
            case .connected(let connection): engine.connected(connection, now: now)
            case .connectFailed(let connection, let message): engine.connectFailed(connection, message, now: now)
            case .cancelReturned(let connection): engine.cancelReturned(connection, now: now)
            }
        }
        for session in sessions {
            while !session.isOrphaned, session.isReading, !session.outbox.isEmpty, !random.chance(20) {
                hand(session.outbox.removeFirst(), of: session, to: engine)
            }
            kick(session)
        }
    }

    /// The one place where the engine is told what a server says.
    private func hand(_ reply: ModelSession.Reply, of session: ModelSession, to engine: PostgreSQLEngine<ModelServer>) {
        let connection = session.reference
        func tell(_ result: ServerResult) { engine.received(connection, result, now: now) }
        switch reply {
        case .described(let parameters, let columns): tell(.described(parameters: parameters, columns: columns))
        case .row(let values, let columns, .oneByOne):
            Self.withBorrowed(values) { tell(.row(ServerRow(columns: columns, values: $0))) }
        case .row(let values, let columns, .together(let readsMax)):
            session.gathered.append((values, columns))
            // A read for each of them.
            guard session.gathered.count > readsMax else { return }
            ledger.coverage.saw(.gatheredTooMuch)
            orphan(session)
            engine.lost(connection, "more came than was to be gathered", now: now)
        case .complete(let columns?, let tag, .together) where session.gathered.count <= 1 && session.isEndNext:
            // What is behind it has come with it.
            session.outbox.removeFirst()
            heardCompletion(connection)
            let row = session.gathered.first
            session.gathered = []
            Self.withBorrowed(row?.values ?? []) { values in
                tell(.whole(values: row == nil ? nil : values, columns: columns, tag: CommandTag(tag)))
            }
            ledger.coverage.saw(.answeredWhole)
        case .complete(let columns, let tag, _):
            for row in session.gathered where !session.isOrphaned {
                ledger.coverage.saw(.rowsGathered)
                Self.withBorrowed(row.values) { tell(.row(ServerRow(columns: row.columns, values: $0))) }
            }
            session.gathered = []
            guard !session.isOrphaned else { return }
            heardCompletion(connection)
            tell(.complete(columns: columns, tag: CommandTag(tag)))
        case .failed(let error):
            session.gathered = []
            if error.severity == .error { ledger.heardFailure(serialInHand(connection)) }
            tell(.failed(error))
        case .skipped: tell(.skipped)
        case .end: tell(.end)
        case .synchronized(let status):
            // A BEGIN that failed has begun nothing.
            if session.commands.isEmpty { session.sentBegin = status != .idle }
            tell(.synchronized(status))
        case .standbyNotice: engine.noticed(connection, sourceFunction: "SyncRepWaitForLSN")
        case .lost(let message):
            remove(session)
            engine.lost(connection, message, now: now)
        }
    }

    private static func withBorrowed(
        _ values: [[UInt8]?], _ body: (UnsafeBufferPointer<UnsafeRawBufferPointer>) -> Void
    ) {
        var flat: [UInt8] = []
        for case .some(let value) in values { flat += value }
        flat.append(0)
        flat.withUnsafeBytes { bytes in
            var offset = 0
            let borrowed = values.map { value in
                guard let value else { return UnsafeRawBufferPointer(start: nil, count: 0) }
                defer { offset += value.count }
                return UnsafeRawBufferPointer(start: bytes.baseAddress.map { $0 + offset }, count: value.count)
            }
            borrowed.withUnsafeBufferPointer(body)
        }
    }

    // MARK: time

    func carryOut(_ step: Step) {
        switch step {
        case .connected(let connection): accept(connection)
        case .connectFailed(let connection, let message): refuse(connection, message)
        case .work(let session, let token):
            if session.token == token, !session.isDead { work(session) }
        case .signal(let connection):
            if let session = session(connection), !session.isDead { signal(session) }
        case .cancelReturned(let connection):
            if session(connection) != nil { arrivals.append(.cancelReturned(connection)) }
        case .foundLost(let session):
            session.outbox.append(.lost("the connection timed out"))
        case .crash: crash()
        }
    }

    private func accept(_ connection: ServerConnectionReference) {
        guard connecting.contains(connection) else { return }
        guard now >= downUntil else { return refuse(connection, "the database system is starting up") }
        connecting.removeAll { $0 == connection }
        sessions.append(ModelSession(connection))
        arrivals.append(.connected(connection))
    }

    func refuse(_ connection: ServerConnectionReference, _ message: String) {
        guard connecting.contains(connection) else { return }
        connecting.removeAll { $0 == connection }
        ledger.coverage.saw(.connectFailed)
        arrivals.append(.connectFailed(connection, message))
    }

    // MARK: marks

    static func bytes(_ number: Int64) -> [UInt8] { withUnsafeBytes(of: number.bigEndian) { Array($0) } }

    private static func values(of parameters: borrowing ParameterList) -> [[UInt8]?] {
        var values: [[UInt8]?] = []
        let copy = { (bytes: UnsafeRawBufferPointer?, format: ValueFormat) in
            // Numbers as bytes in network order, whichever way they travel.
            if let bytes, format == .text, let number = Int64(String(decoding: bytes, as: UTF8.self)) {
                values.append(Self.bytes(number))
            } else {
                values.append(bytes.map { Array($0) })
            }
        }
        parameters.forEach(copy)
        return values
    }

    /// Whose execution it is, as the statement itself says.
    static func mark(_ statement: ModelStatement, _ values: [[UInt8]?]) -> SerialMark {
        if statement.own != nil {
            guard values.count > 1, let key = values[1] else { return .none }
            return SerialMark(key: String(decoding: key, as: UTF8.self))
        }
        guard let bytes = values.first ?? nil, bytes.count == 8 else { return .none }
        return SerialMark(number: bytes.reduce(into: Int64(0)) { $0 = $0 << 8 | Int64($1) })
    }
}
