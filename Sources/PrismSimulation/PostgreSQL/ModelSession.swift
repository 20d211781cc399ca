import PrismCore

/// One session of the model server: the process, and the connection to it.
final class ModelSession {
    enum Command: CustomStringConvertible {
        case prepare(PreparedName, ModelStatement)
        case describe(PreparedName)
        case execute(PreparedName, [[UInt8]?], ValueFormat, RowDelivery)
        case statement(String)
        case sync

        var description: String {
            switch self {
            case .prepare(let name, let statement):
                "prepare \(name.text) \(statement.types): \(statement.sql.prefix(40))"
            case .describe(let name): "describe \(name.text)"
            case .execute(let name, _, _, _): "execute \(name.text)"
            case .statement(let sql): sql
            case .sync: "sync"
            }
        }
    }

    /// What is on its way to the client.
    enum Reply {
        case described(parameters: [TypeOID], columns: [ServerColumn])
        case row([[UInt8]?], ServerColumns, RowDelivery)
        case complete(ServerColumns?, String, RowDelivery)
        case failed(ServerError)
        case skipped
        case end
        case synchronized(TransactionStatus)
        /// The wait for a standby was broken off.
        case standbyNotice
        case lost(String)
    }

    enum Block {
        /// No transaction is open, or the implicit one of a batch.
        case none
        case open
        case failed
    }

    let reference: ServerConnectionReference
    /// Sent, and carried out in this order.
    var commands: [Command] = []
    var outbox: [Reply] = []
    /// What the server has not put on the way yet.
    var held: [Reply] = []
    var isReading = true
    /// Rows that its client tells when the last has come.
    var gathered: [(values: [[UInt8]?], columns: ServerColumns)] = []

    /// What has come next ends a command.
    var isEndNext: Bool { if case .end? = outbox.first { true } else { false } }

    var prepared: [PreparedName: ModelStatement] = [:]
    var block = Block.none
    /// Whose changes the open transaction, explicit or implicit, holds.
    var staged: [SerialMark] = []
    var savepoints: [(name: String, count: Int, claims: [IdempotencyKey: IdempotencyRecord])] = []
    /// Idempotency keys that the open transaction has claimed.
    var claims: [IdempotencyKey: IdempotencyRecord] = [:]
    /// Whose statements stand in the open transaction, explicit or implicit.
    var company: [(owner: ModelServer.Owner, mark: SerialMark, isSQL: Bool)] = []
    var isReadOnlyBlock = false
    /// Of the open transaction.
    var beganNanoseconds: UInt64 = 0
    /// Who has changed the session's settings; nil: nobody. And before the open transaction, which its end by a rollback brings back.
    var setBy: ModelServer.Owner?
    var setBefore: ModelServer.Owner?
    /// The plan that was asked for last does not show all.
    var hidesSomething = false
    /// Behind a failure, up to the Sync.
    var isSkipping = false

    /// What the process is doing: 0: nothing.
    var token = 0
    /// The first command is producing its rows: how many are left, and which is next.
    var rowsLeft: Int?
    var rowNumber = 0
    var rowsFormat = ValueFormat.binary
    var rowsMark = SerialMark.none
    var rowsFiller = 0
    /// The cancel that reached it while it was doing its first command.
    var isCancelled = false
    var isWaitingForStandby = false
    /// A cancel whose call has returned, and whose signal the process takes when it runs next.
    var owesSignal = false
    /// Its client is gone, or believed to be: what has arrived is carried out, and nobody hears of it.
    var isOrphaned = false
    /// The server's side is gone: what is in `outbox` is all that the client will hear.
    var isDead = false

    /// Statements by name, as they were sent.
    var sentPrepared: [PreparedName: ModelStatement] = [:]
    /// Whether an explicit transaction stands open behind everything that was sent.
    var sentBegin = false
    /// Serials sent in it.
    var sentSerials: [Int] = []

    init(_ reference: ServerConnectionReference) { self.reference = reference }

    var status: TransactionStatus {
        switch block {
        case .none: .idle
        case .open: .open
        case .failed: .failed
        }
    }

    /// It is making a commit.
    var isCommitting: Bool {
        guard token != 0, let first = commands.first else { return false }
        return isCommit(first)
    }

    /// Whether the command would commit changes.
    func isCommit(_ command: Command) -> Bool {
        guard !isSkipping else { return false }
        switch command {
        case .sync: return block == .none && !staged.isEmpty
        case .statement("COMMIT"): return block == .open
        default: return false
        }
    }

    func rollBack() {
        setBy = setBefore
        company = []
        isReadOnlyBlock = false
        staged = []
        savepoints = []
        claims = [:]
        block = .none
    }
}

/// A statement as far as the model understands it.
struct ModelStatement {
    let sql: String
    let types: [TypeOID]
    /// One of Prism's own.
    let own: PostgreSQLStatement?

    private static let ownByText = Dictionary(
        PostgreSQLStatement.allCases.map { ($0.sql, $0) }, uniquingKeysWith: { first, _ in first })

    init(sql: String, types: [TypeOID]) {
        self.sql = sql
        self.types = types
        own = Self.ownByText[sql]
    }

    /// A client's, of those that `RequestFactory` writes.
    var isClients: Bool { own == nil && sql.contains("$1") }
    var isRead: Bool {
        if let own { return !Self.writing.contains(own) }
        return !isClients || sql.contains("rows(")
    }
    /// Begins or ends a transaction.
    var isFrame: Bool { sql.hasPrefix("BEGIN") || sql == "ROLLBACK" }
    /// Asks how long the transaction has taken.
    var isTiming: Bool { sql.contains("clock_timestamp") }
    /// It takes time, and can fail.
    var isWork: Bool { isClients || own != nil && own != .sweepEntries && own != .sweepKeys }
    /// Makes its change durable by itself.
    var commitsByItself: Bool { Self.commitsByItself(sql) }
    static func commitsByItself(_ sql: String) -> Bool { sql.hasPrefix("call ") }
    /// It sets something that stays set, and its plan tells.
    var changesSession: Bool { sql.hasSuffix("limit 7") }
    var returnsRows: Bool { sql.contains("rows(") || sql.contains("returning") || sql.contains("write(") }

    private static let writing: Set<PostgreSQLStatement> = [
        .putAlways, .putIfAbsent, .putIfPresent, .putIfVersion, .delete, .deleteIfVersion, .tombstone,
        .tombstoneIfVersion, .increment, .touch,
    ]

    static let columns = [
        ServerColumn(name: "serial", type: 20), ServerColumn(name: "number", type: 20),
        ServerColumn(name: "filler", type: 25),
    ]

    /// What clients send.
    static let reading = [
        "select serial, number, filler from unnest($1) as rows(serial, number, filler)",
        "select serial, number, filler from unnest($1) as rows(serial, number, filler) where true",
        "with r as (select 1) select * from rows($1)",
        "select serial, number, filler from unnest($1) as rows(serial, number, filler) limit 7",
    ]
    static let changing = [
        "insert into t values ($1)", "update t set v = $1", "insert into t values ($1) returning *",
        "select * from write($1)", "call work($1)",
    ]
}
