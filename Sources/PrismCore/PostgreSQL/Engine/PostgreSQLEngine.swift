public import PrismWire

/// One reactor's share of a PostgreSQL backend: a pool of connections, and the requests that are carried out on them.
///
/// Pure: it sends through its port, is told what comes back, and gets the time with every call. Belongs to one thread.
public final class PostgreSQLEngine<Port: PostgreSQLPort> {
    let context: EngineContext<Port>
    var pool: PoolScheduler
    private var sessions: [ServerSession<Port>?]
    /// Requests by slot of the reactor's table; the generation tells old from new.
    private var jobs: [Job?] = []
    private var transactions: [TransactionReference: Int] = [:]
    private var actions: [PoolScheduler.Action] = []
    var isStopping = false
    private var sweeper: Sweeper
    var shared: SharedPipelines
    /// Why key-value does not work here; nil: it does.
    public var schemaProblem: String?
    /// Prism's tables are there, but of another version: no statement on them is sent. Where they only seem to be missing, or not
    /// to be allowed, the server has the last word: that may be mended meanwhile.
    public var refusesOwnTables = false {
        didSet { context.ownTablesRefusal = refusesOwnTables ? schemaProblem : nil }
    }
    private var lastProblem = ""

    public init(
        settings: EngineSettings, port: Port, sink: @escaping (Completion, UnsafeRawBufferPointer) -> Void
    ) {
        context = EngineContext(settings: settings, port: port, sink: sink)
        pool = PoolScheduler(limits: settings.pool, seed: settings.seed)
        sessions = Array(repeating: nil, count: max(1, settings.pool.connectionsMax))
        shared = SharedPipelines(settings)
        sweeper = Sweeper(intervalNanoseconds: settings.sweepIntervalNanoseconds)
    }

    // MARK: from the session

    public func submit(_ item: consuming WorkItem) {
        context.now = max(context.now, item.submittedNanoseconds)
        let job = Job(item)
        insert(job)
        if job.item.transaction != .none, job.item.kind != .begin { return submitToTransaction(job) }
        guard !isStopping else {
            return context.fail(job, .stopping, effect: job.item.kind == .begin ? .ended : .unchanged)
        }
        if mayShare(job) { share(job) } else { lease(for: job) }
    }

    /// Asks for a connection that the request has alone.
    func lease(for job: Job) {
        let item = job.item
        pool.acquire(
            item.reference, flow: item.flow, deadline: item.deadlineNanoseconds, isTransaction: item.kind == .begin,
            now: context.now)
        perform()
    }

    private func submitToTransaction(_ job: Job) {
        guard let slot = transactions[job.item.transaction], let session = sessions[slot],
            session.transaction == job.item.transaction, !session.isAbandoned
        else {
            if job.item.kind == .rollback { return context.finish(job, effect: .ended) }
            return context.fail(job, .transactionEnded, effect: .ended)
        }
        if session.job == nil, session.isClear {
            session.start(job)
            return finishTurn(session)
        }
        session.nextJob = job
    }

    public func cancel(_ reference: RequestReference, now: UInt64) -> CancelOutcome {
        context.now = max(context.now, now)
        guard let job = job(reference), !job.isDetached else { return .tooLate }
        if shared.queue.remove(reference) != nil || pool.withdraw(reference) {
            job.isDetached = true
            job.frame = nil
            return .removed
        }
        if job.batchSlot >= 0, let session = sessions[job.batchSlot] {
            session.cancelMember(job)
            finishTurn(session)
            return .stopped
        }
        for session in sessions {
            guard let session else { continue }
            if session.nextJob === job {
                session.nextJob = nil
                job.isDetached = true
                job.frame = nil
                return .removed
            }
            if session.job === job {
                let outcome = session.cancel(job)
                finishTurn(session)
                return outcome
            }
        }
        return .tooLate
    }

    public func credit(_ reference: RequestReference, bytes: Int) {
        guard let job = job(reference), let session = sessions.first(where: { $0?.job === job }) ?? nil else { return }
        session.credited(job, bytes: bytes)
    }

    /// The client of a stream does not read: it ends if another request waits for its connection.
    public func giveWay(_ reference: RequestReference, now: UInt64) {
        context.now = max(context.now, now)
        guard let job = job(reference), let session = sessions.first(where: { $0?.job === job }) ?? nil,
            session.mayGiveWay(job), pool.givesWay(session.connection)
        else { return }
        session.giveWay(job)
        finishTurn(session)
    }

    public func abandon(_ transaction: TransactionReference, now: UInt64) {
        context.now = max(context.now, now)
        guard let slot = transactions[transaction], let session = sessions[slot], session.transaction == transaction
        else { return }
        session.isAbandoned = true
        if let job = session.job, !job.isDetached { _ = session.cancel(job) } else { session.settle() }
        finishTurn(session)
    }

    // MARK: from the port

    public func connected(_ connection: ServerConnectionReference, now: UInt64) {
        context.now = max(context.now, now)
        guard !isStopping, connection.slot < sessions.count else { return context.port.close(connection) }
        lastProblem = ""
        sessions[connection.slot] = ServerSession(connection, context: context)
        pool.connected(connection, now: context.now)
        perform()
    }

    public func connectFailed(_ connection: ServerConnectionReference, _ message: String, now: UInt64) {
        context.now = max(context.now, now)
        lastProblem = message
        pool.connectFailed(connection, now: context.now)
        perform()
    }

    public func received(_ connection: ServerConnectionReference, _ result: ServerResult, now: UInt64) {
        context.now = max(context.now, now)
        guard let session = session(connection) else { return }
        guard session.isLeased else {
            // An idle connection has nothing to say but farewell.
            return lost(connection, "the server ended it", now: context.now)
        }
        session.received(result)
        if let job = session.job, job.isStreaming, !job.isHeld {
            job.isHeld = true
            pool.hold(connection)
        }
        finishTurn(session)
    }

    public func lost(_ connection: ServerConnectionReference, _ message: String, now: UInt64) {
        context.now = max(context.now, now)
        guard let session = session(connection) else { return }
        if session.isLeased {
            session.conclude("the connection to the database was lost (\(message))")
            finishTurn(session)
        } else {
            sessions[connection.slot] = nil
            pool.lost(connection, now: context.now)
            perform()
        }
    }

    public func cancelReturned(_ connection: ServerConnectionReference, now: UInt64) {
        context.now = max(context.now, now)
        guard let session = session(connection) else { return }
        session.cancelReturned()
        finishTurn(session)
    }

    /// A warning or notice of the server. Only one matters: the wait for a standby was broken off behind a local commit.
    public func noticed(_ connection: ServerConnectionReference, sourceFunction: String) {
        guard sourceFunction == "SyncRepWaitForLSN" else { return }
        session(connection)?.job?.isReplicationDoubtful = true
    }

    // MARK: time

    /// - Returns: when it must be called again at the latest.
    public func advance(to now: UInt64) -> UInt64 {
        context.now = max(context.now, now)
        pool.advance(to: context.now)
        perform()
        var next = pool.nextDeadline
        for session in sessions {
            guard let session, session.isLeased else { continue }
            next = min(next, session.advance())
            finishTurn(session)
        }
        next = min(next, advanceShared(), pool.nextDeadline)
        // Of batches that have just begun as well.
        for session in sessions { next = min(next, session?.batch?.guardAt ?? .max) }
        if let item = sweeper.due(now: context.now, isWorkable: !isStopping && schemaProblem == nil && !pool.isDown) {
            pool.acquire(item, now: context.now)
            perform()
        }
        return min(next, sweeper.nextDeadline)
    }

    // MARK: the pool

    func perform() {
        while pool.hasActions {
            var batch: [PoolScheduler.Action] = []
            swap(&batch, &actions)
            pool.takeActions(into: &batch)
            for action in batch { perform(action) }
            swap(&batch, &actions)
        }
    }

    private func perform(_ action: PoolScheduler.Action) {
        switch action {
        case .connect(let connection): context.port.connect(connection)
        case .close(let connection):
            if sessions[connection.slot]?.connection == connection { sessions[connection.slot] = nil }
            context.port.close(connection)
        case .lease(let waiter, let connection): lease(connection, to: waiter)
        case .refuse(let waiter, let refusal): refuse(waiter, refusal)
        }
    }

    private func lease(_ connection: ServerConnectionReference, to waiter: RequestReference) {
        guard let session = session(connection) else {
            refuse(waiter, .acquireTimeout)
            return pool.release(connection, isReusable: false, now: context.now)
        }
        session.isLeased = true
        if waiter == Sweeper.reference {
            session.startSweep()
            return finishTurn(session)
        }
        if let runner = shared.runner(waiter) {
            run(runner, on: session)
            return finishTurn(session)
        }
        guard let job = job(waiter), !job.isDetached else {
            session.isLeased = false
            return pool.release(connection, isReusable: true, now: context.now)
        }
        if job.item.kind == .begin { transactions[job.item.transaction] = connection.slot }
        session.start(job)
        finishTurn(session)
    }

    func refuse(_ waiter: RequestReference, _ refusal: PoolScheduler.Refusal) {
        if waiter == Sweeper.reference { return sweeper.finished(now: context.now, isMore: false) }
        if let runner = shared.runner(waiter) { return refuse(runner: runner, refusal) }
        guard let job = job(waiter) else { return }
        context.fail(
            job,
            Failure.refusal(
                refusal, backend: context.settings.name, problem: lastProblem,
                retryAfterNanoseconds: pool.retryAfterNanoseconds(now: context.now)),
            effect: job.item.kind == .begin ? .ended : .unchanged)
    }

    /// A session may have come to the end of its lease.
    private func finishTurn(_ session: ServerSession<Port>) {
        guard session.hasNews else { return }
        session.hasNews = false
        if let transaction = session.takeEndedTransaction() { transactions[transaction] = nil }
        takeEnded(session)
        let reruns = session.takeReruns()
        if let isReusable = session.takeRelease() { release(session, isReusable) }
        // Behind the release: what goes alone may have this connection.
        if !reruns.isEmpty { runAgain(reruns) }
    }

    private func release(_ session: ServerSession<Port>, _ isReusable: Bool) {
        var isReusable = isReusable
        if isReusable, context.port.keepsLargeMessage(session.connection) { isReusable = false }
        session.isLeased = false
        if session.sweep != .none {
            sweeper.finished(now: context.now, isMore: session.sweep == .full)
            session.sweep = .none
        }
        if !isReusable, sessions[session.connection.slot] === session { sessions[session.connection.slot] = nil }
        pool.release(session.connection, isReusable: isReusable, now: context.now)
        perform()
    }

    // MARK: tables

    private func insert(_ job: Job) {
        let slot = job.reference.slot
        while jobs.count <= slot { jobs.append(nil) }
        jobs[slot] = job
    }

    func job(_ reference: RequestReference) -> Job? {
        guard reference.slot < jobs.count, let job = jobs[reference.slot], job.reference == reference else {
            return nil
        }
        return job
    }

    private func session(_ connection: ServerConnectionReference) -> ServerSession<Port>? {
        guard connection.slot < sessions.count, let session = sessions[connection.slot],
            session.connection == connection
        else { return nil }
        return session
    }

    // MARK: state and end

    /// The request that is being carried out on a connection; nil: none.
    public func request(on connection: ServerConnectionReference) -> RequestReference? {
        session(connection)?.job?.reference
    }

    public var snapshot: EngineSnapshot {
        let usage = pool.usage
        return EngineSnapshot(
            idle: usage.idle, leased: usage.leased, connecting: usage.connecting,
            waiting: usage.waiting - shared.acquiring + shared.queue.count,
            isOverloaded: pool.isOverloaded || shared.queue.isOverloaded, late: pool.lateTotal + shared.queue.lateTotal,
            isDown: pool.isDown, problem: lastProblem.isEmpty ? schemaProblem ?? "" : lastProblem,
            invariantViolations: context.invariantViolations, shared: shared.totals)
    }

    /// Gives everything up: who waits is refused, connections are closed. The session has answered every request before.
    public func stop(now: UInt64) {
        context.now = max(context.now, now)
        isStopping = true
        pool.stop(now: context.now)
        perform()
        while let waiter = shared.queue.popOldest() { refuse(waiter.reference, .stopping) }
        for session in sessions {
            guard let session else { continue }
            session.conclude("the sidecar is ending")
            finishTurn(session)
        }
    }
}

/// What an engine has, for status and metrics.
public struct EngineSnapshot: Sendable {
    public var idle: Int
    public var leased: Int
    public var connecting: Int
    public var waiting: Int
    public var isOverloaded = false
    /// Requests refused because they would have been late, ever.
    public var late: UInt64 = 0
    public var isDown: Bool
    /// The latest reason why a connection could not be opened; empty: none since the last that could.
    public var problem: String
    public var invariantViolations: UInt64
    public var shared = StatusSnapshot.SharedTotals()
}
