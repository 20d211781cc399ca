import PrismWire

/// One server connection: what has been sent on it, for whom, and what comes back.
///
/// Everything is matched by what was sent: `expected` mirrors the connection's pipeline. A job is carried out in rounds, each
/// ending in a Sync; what happens next is decided when the Sync comes.
///
///     idle ──start──> working ──answered──> [rollback, reset] ──> idle (given back to the pool)
///       working ──cancel──> working until the cancel is delivered, every Sync has come and a fence has passed ──> as above
///     In an interactive transaction it stays leased between the jobs.
final class ServerSession<Port: PostgreSQLPort> {
    /// Why something was sent.
    enum Purpose {
        case prepare(PreparedName)
        case describe
        case deallocate(PreparedName)
        case typeNames
        case typeNumber
        case plan
        case hidden
        /// How long the transaction has taken so far.
        case timing
        case begin
        case claimKey
        case findKey
        case storeAnswer
        /// An execution of the job: which.
        case unit(Int)
        /// Says why the unit before it did nothing.
        case explanation(Int)
        case commit
        /// A statement of ours whose success says nothing.
        case control
        /// Which of `SessionReset.statements`; nil: ROLLBACK.
        case reset(Int?)
        case fence
        case sweep
        /// A member of the shared batch: which.
        case member(Int)
        case batchSync
        /// Ends a round of the job.
        case jobSync
        /// With the number of client executions that it resets.
        case resetSync(UInt64, readOnly: UInt64)
        case fenceSync
    }

    let connection: ServerConnectionReference
    let context: EngineContext<Port>
    let port: Port
    let answer: AnswerBuilder
    let decoding: Arena
    var output = ByteQueue()
    var parameters = ParameterList()

    var expected = MovingQueue<Purpose>(capacity: 64)
    var cache: StatementCache
    var fence = CancelFence()
    /// When a connection that a cancel has not brought to an end is given up.
    var givesUpAt = UInt64.max
    /// When a connection is given up on which nobody waits for what is still under way.
    var restEndsAt = UInt64.max
    var status = TransactionStatus.idle
    /// Executions of client SQL that were sent, and how many of them a reset has followed.
    var clientExecutions: UInt64 = 0
    private var executionsReset: UInt64 = 0
    /// Likewise of those in a read-only transaction of ours: its rollback undoes all that it may have changed but locks.
    var readOnlyExecutions: UInt64 = 0
    private var readOnlyReset: UInt64 = 0
    /// Client SQL has run since the last reset.
    var isDirty: Bool { executionsReset != clientExecutions && !settings.isPooled }
    /// A client's statement may hold advisory locks of the session.
    var mayHoldLocks: Bool { readOnlyReset != readOnlyExecutions && !settings.isPooled }
    /// The connection cannot be trusted any more: closed when the job is answered.
    var isRetired = false
    /// What failed in the present round, and doing what.
    var roundFailure: (purpose: Purpose, error: ServerError)?
    /// From when on the next batch releases all advisory locks.
    var unlockAt: UInt64 = 0
    /// Set while it holds an interactive transaction.
    var transaction = TransactionReference.none
    var isAbandoned = false

    var job: Job?
    /// The next request of the transaction, when it comes before the connection is clear.
    var nextJob: Job?
    /// The shared batch that is under way; there is no job then.
    var batch: SharedBatch?
    /// What has left a batch unanswered; the engine takes it.
    var reruns: [Rerun] = []
    var ended: EndedBatch?
    /// The job's request, decoded; valid while there is a job.
    var request: RequestMessage?
    var results = UnitResults()
    var learning = Learning()
    /// Nothing in the plan that is being looked at speaks against sharing.
    var isPlanPlain = false
    /// The plan that is being looked at.
    var plan: [UInt8] = []

    /// Set by the engine while somebody has the connection.
    var isLeased = false
    /// There may be something for the engine to take.
    var hasNews = false
    /// The lease is over: whether the connection can be used again.
    private var release: Bool?
    /// Transactions that have ended; the engine takes them out of its table.
    private var endedTransaction = TransactionReference.none
    var sweep = Sweep.none
    /// When a sweep that is under way is stopped.
    var sweepEndsAt = UInt64.max
    private(set) var isReading = true
    private(set) var retirement: String?

    init(_ connection: ServerConnectionReference, context: EngineContext<Port>) {
        self.connection = connection
        self.context = context
        port = context.port
        answer = AnswerBuilder(settings: context.settings)
        decoding = Arena(limitBytes: context.settings.limits.decodeBytesMax, firstBlockBytes: 16 << 10)
        cache = StatementCache(capacity: context.settings.statementCacheMax)
    }

    var settings: EngineSettings { context.settings }
    var isInTransaction: Bool { transaction != .none }
    /// Nothing is under way on it.
    var isClear: Bool { expected.isEmpty && fence.isClear }
    /// It can go back to the pool.
    var isFree: Bool { job == nil && !isInTransaction && isClear && !isDirty && !mayHoldLocks && status == .idle }

    // MARK: sending

    func sendStatement(_ sql: String, _ purpose: Purpose) {
        expected.append(purpose)
        port.sendStatement(connection, sql: sql)
    }

    /// A statement of Prism's own with what is in `parameters`, prepared in the same round if need be.
    func sendOwn(_ statement: PostgreSQLStatement, _ purpose: Purpose) {
        execute(own: statement.rawValue, { statement.sql }, types: statement.types, purpose, statement.rows)
    }

    /// - Parameter own: its number among all that Prism prepares for itself.
    func execute(
        own: Int, _ sql: () -> String, types: [TypeOID], _ purpose: Purpose, _ rows: RowDelivery = .oneByOne
    ) {
        execute(own: own, sql, types: types, parameters, purpose, rows)
    }

    /// Whatever is in `parameters` stays there.
    func executeWithoutParameters(own: Int, _ sql: () -> String, _ purpose: Purpose) {
        execute(own: own, sql, types: [], Self.noParameters, purpose, .single)
    }

    private static var noParameters: ParameterList { ParameterList() }

    private func execute(
        own: Int, _ sql: () -> String, types: [TypeOID], _ parameters: borrowing ParameterList, _ purpose: Purpose,
        _ rows: RowDelivery
    ) {
        let name: PreparedName
        if !settings.isPooled, let known = cache.ownName(own) {
            name = known
        } else {
            name = settings.isPooled ? .unnamed : cache.insertOwn(own)
            expected.append(.prepare(name))
            var sql = sql()
            sql.withUTF8 {
                port.sendPrepare(connection, name: name, sql: UnsafeRawBufferPointer($0), types: types)
            }
        }
        expected.append(purpose)
        port.sendExecute(connection, name: name, parameters: parameters, results: .binary, rows: rows)
    }

    func sendSync(_ purpose: Purpose) {
        expected.append(purpose)
        port.sendSync(connection)
    }

    func setReading(_ wanted: Bool) {
        guard wanted != isReading else { return }
        isReading = wanted
        port.setReading(connection, wanted)
    }

    // MARK: receiving

    func received(_ result: ServerResult) {
        guard let head = expected.first else {
            retire("an answer came that nobody waits for")
            return conclude()
        }
        switch result {
        case .row(let row): received(row, for: head)
        case .described(let parameters, let columns):
            learning.parameters = parameters
            learning.columns = columns
        case .complete(let columns, let tag): completed(head, columns, tag)
        case .whole(let values, let columns, let tag):
            if case .member(let index) = head {
                memberAnswered(index, values, columns, tag)
            } else {
                if let values { received(ServerRow(columns: columns, values: values), for: head) }
                if !isRetired { completed(head, columns, tag) }
            }
            expected.popFirst()
        case .failed(let error):
            if case .prepare(let name) = head { cache.preparationFailed(name) }
            if roundFailure == nil { roundFailure = (head, error) }
            if error.severity != .error { isRetired = true }
        case .skipped:
            switch head {
            case .prepare(let name): cache.preparationFailed(name)
            case .deallocate(let name): cache.deallocationSkipped(name)
            default: break
            }
        case .end:
            switch head {
            // A commit that failed is reported in front of its Sync.
            case .jobSync, .resetSync, .fenceSync, .batchSync: break
            default: expected.popFirst()
            }
        case .synchronized(let status): synchronized(head, status)
        case .unusable(let what): retire(what)
        }
        if isRetired { conclude() }
    }

    private func completed(_ purpose: Purpose, _ columns: ServerColumns?, _ tag: CommandTag) {
        switch purpose {
        case .unit(let index): unitCompleted(index, columns, tag)
        case .member(let index): memberCompleted(index, columns, tag)
        case .sweep: swept(tag.text)
        // A client can deallocate Prism's statements and prepare its own under their names, but nothing with such a tag.
        case .reset(let index): if !SessionReset.isTag(tag.text, of: index) { isRetired = true }
        default: break
        }
    }

    private func received(_ row: ServerRow, for purpose: Purpose) {
        if case .member(let index) = purpose { return received(row, ofMember: index) }
        guard let job, !job.isDetached else { return }
        switch purpose {
        case .unit(let index): received(row, of: index, job)
        case .explanation(let index): explained(row, index, job)
        case .claimKey: job.isKeyOurs = true
        case .findKey: receivedEarlierAnswer(row, job)
        case .typeNames: learnTypeName(row)
        case .typeNumber: learnTypeNumber(row)
        case .plan: receivedPlan(row)
        case .hidden: isPlanPlain = false
        case .timing: job.serverNanoseconds = ServerTiming.nanoseconds(row)
        default: break
        }
    }

    private func synchronized(_ purpose: Purpose, _ status: TransactionStatus) {
        expected.popFirst()
        // Not known while another batch is on its way (the reset behind an execution): that one's Sync will tell.
        if status != .unknown { self.status = status } else if expected.isEmpty { isRetired = true }
        let failure = roundFailure
        switch purpose {
        case .fenceSync:
            roundFailure = nil
            fence.fenceSynchronized()
        case .resetSync(let executions, let readOnly):
            // Whatever fails in it, the rest was skipped. Hit by a cancel that came late it is sent again.
            if failure == nil {
                executionsReset = executions
                readOnlyReset = readOnly
            } else if fence.isClear {
                isRetired = true
            }
            roundFailure = nil
        case .jobSync:
            roundFailure = nil
            if let job, !job.isDetached { roundEnded(job, failure) }
        case .batchSync:
            roundFailure = nil
            batchEnded(failure)
        default:
            retire("a Sync came where none was expected")
        }
        settle()
    }

    /// Nothing more can be expected of the connection.
    func retire(_ why: String) {
        guard !isRetired else { return }
        isRetired = true
        context.invariantViolations += 1
        retirement = why
    }

    // MARK: to the engine

    /// The lease is over.
    func giveBack(isReusable: Bool) {
        guard isLeased, release == nil else { return }
        release = isReusable
        hasNews = true
    }

    func takeRelease() -> Bool? {
        defer { release = nil }
        return release
    }

    func takeEndedBatch() -> EndedBatch? {
        defer { ended = nil }
        return ended
    }

    func takeReruns() -> [Rerun] {
        guard !reruns.isEmpty else { return [] }
        defer { reruns.removeAll(keepingCapacity: true) }
        return reruns
    }

    func takeEndedTransaction() -> TransactionReference? {
        guard endedTransaction != .none else { return nil }
        defer { endedTransaction = .none }
        return endedTransaction
    }

    func note(ended transaction: TransactionReference) {
        endedTransaction = transaction
        hasNews = true
    }
}
