import PrismCore

/// A backend of a run: a model of SQLite's, or the real PostgreSQL engine with a model of its server.
enum SimulatedBackend {
    enum Step {
        case model(ModelBackend.Step)
        case server(ModelServer.Step)
    }

    case sqlite(ModelBackend)
    case postgreSQL(PostgreSQLBackend)

    var number: Int {
        switch self {
        case .sqlite(let backend): backend.number
        case .postgreSQL(let backend): backend.number
        }
    }

    func setNow(_ now: UInt64) {
        switch self {
        case .sqlite(let backend): backend.now = now
        case .postgreSQL(let backend): backend.now = now
        }
    }

    // MARK: what a multiplexer asks for

    func submit(_ work: WorkItem) {
        switch self {
        case .sqlite(let backend): backend.submit(work)
        case .postgreSQL(let backend): backend.submit(work)
        }
    }

    func cancel(_ reference: RequestReference) -> CancelOutcome {
        switch self {
        case .sqlite(let backend): backend.cancel(reference)
        case .postgreSQL(let backend): backend.cancel(reference)
        }
    }

    func credit(_ reference: RequestReference, bytes: Int) {
        switch self {
        case .sqlite(let backend): backend.credit(reference, bytes: bytes)
        case .postgreSQL(let backend): backend.credit(reference, bytes: bytes)
        }
    }

    func giveWay(_ reference: RequestReference) {
        switch self {
        case .sqlite(let backend): backend.giveWay(reference)
        case .postgreSQL(let backend): backend.giveWay(reference)
        }
    }

    func abandon(_ transaction: TransactionReference) {
        switch self {
        case .sqlite(let backend): backend.abandon(transaction)
        case .postgreSQL(let backend): backend.abandon(transaction)
        }
    }

    // MARK: the loop

    func carryOut(_ step: Step) {
        switch (self, step) {
        case (.sqlite(let backend), .model(let step)): backend.carryOut(step)
        case (.postgreSQL(let backend), .server(let step)): backend.server.carryOut(step)
        default: break
        }
    }

    func takeScheduled() -> [(time: UInt64, step: Step)] {
        switch self {
        case .sqlite(let backend):
            defer { backend.scheduled.removeAll(keepingCapacity: true) }
            return backend.scheduled.map { ($0.time, .model($0.step)) }
        case .postgreSQL(let backend):
            defer { backend.server.scheduled.removeAll(keepingCapacity: true) }
            return backend.server.scheduled.map { ($0.time, .server($0.step)) }
        }
    }

    /// Something waits for the loop to turn.
    var hasWork: Bool {
        switch self {
        case .sqlite(let backend): !backend.mailbox.isEmpty
        case .postgreSQL(let backend): backend.hasWork
        }
    }

    /// What its connections say, in the loop's own thread.
    func deliver() { if case .postgreSQL(let backend) = self { backend.deliver() } }

    /// Time has passed, at the end of a tick.
    func advance() { if case .postgreSQL(let backend) = self { backend.advance() } }

    /// The process has ended but for its connections.
    func rest() { if case .postgreSQL(let backend) = self { backend.rest() } }

    var nextDeadline: UInt64 {
        if case .postgreSQL(let backend) = self { backend.nextDeadline } else { .max }
    }

    func takeCompletions() -> [(Completion, [UInt8])] {
        switch self {
        case .sqlite(let backend):
            var taken: [(Completion, [UInt8])] = []
            swap(&taken, &backend.mailbox)
            return taken
        case .postgreSQL(let backend): return backend.takeCompletions()
        }
    }

    /// How many the session has been told in the backend's own turns since the last call.
    func takeToldCount() -> Int {
        if case .postgreSQL(let backend) = self { backend.takeToldCount() } else { 0 }
    }

    // MARK: looks

    /// The request that it holds: its serial and deadline.
    func ticket(_ reference: RequestReference) -> (serial: Int, deadline: UInt64)? {
        switch self {
        case .sqlite(let backend): backend.tickets[reference].map { ($0.serial, $0.work.deadlineNanoseconds) }
        case .postgreSQL(let backend): backend.tickets[reference].map { ($0.serial, $0.work.deadlineNanoseconds) }
        }
    }

    var isCommitting: Bool {
        switch self {
        case .sqlite(let backend): if case .group(.commit) = backend.writer { true } else { false }
        case .postgreSQL(let backend): backend.server.sessions.contains { $0.isCommitting }
        }
    }

    /// How far a stream may be ahead of its client beyond its window: the part that passes it.
    var partBytesMax: Int {
        switch self {
        case .sqlite: 1_000
        case .postgreSQL(let backend): backend.server.behaviour.settings.streamPartBytes + 6_500
        }
    }

    var leaks: String {
        switch self {
        case .sqlite(let backend): backend.leaks
        case .postgreSQL(let backend): backend.leaks
        }
    }
}
