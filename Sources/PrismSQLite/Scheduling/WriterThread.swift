internal import CSQLite
internal import PrismCore
internal import PrismReactor
internal import PrismWire

/// The writer thread: commits plain writes in groups, lends itself to one interactive transaction at a time, sweeps in between.
final class WriterThread {
    static let reopenNanoseconds: UInt64 = 500_000_000

    let writer: Writer
    let versions = VersionSource()
    var executor: Executor?
    var output = ByteQueue()
    /// Answers of the group's members, until it is committed.
    var held = ByteQueue()
    /// Why the group's BEGIN or COMMIT failed.
    var groupFailure: Failure?
    var groupBeganNanoseconds: UInt64 = 0
    private var group: GroupCommit<WorkTicket>
    private var pace = GroupPace()
    private var openFailure: Failure?
    private var wasOpen = false
    /// Replaced, but closed only when the next connection is open: see `reopen`.
    private var replaced: Connection?
    private var reopenNanoseconds: UInt64 = 0
    private var sweepNanoseconds: UInt64 = 0

    init(writer: Writer) {
        self.writer = writer
        var limits = GroupCommit<WorkTicket>.Limits()
        limits.membersMax = writer.options.groupRequestsMax
        group = GroupCommit(limits: limits)
    }

    var answers: Answers { writer.answers }

    private enum Work {
        case queue(Writer.Queue.Work)
        case carried([WorkTicket])
        case sweep
    }

    func run(opened: () -> Void) {
        _ = open(MonotonicClock.now())
        writer.state.withLock { $0.hasTriedToOpen = true }
        opened()
        while let work = take() {
            let now = MonotonicClock.now()
            switch work {
            case .carried(let tickets), .queue(.writes(let tickets)): commit(tickets, now)
            case .queue(.begin(let transaction, let ticket)):
                if let executor = open(now) {
                    begin(transaction, ticket, executor, now)
                } else {
                    end(transaction)
                    fail(ticket, effect: .ended)
                }
            case .queue(.request(let transaction, let ticket)): request(transaction, ticket, now)
            case .queue(.abandon(let transaction)):
                rollBack()
                end(transaction)
            case .sweep, .queue(.none): break
            }
            if MonotonicClock.now() >= sweepNanoseconds, executor?.connection.isAutocommit != false { sweep() }
        }
        for ticket in group.dropCarried() { fail(ticket) }
        replaced?.close()
        executor?.connection.close()
    }

    /// Waits for work. Nil: closed, and nothing is left.
    private func take() -> Work? {
        writer.state.wait { state in
            state.isSleeping = false
            let now = MonotonicClock.now()
            let writesMax = min(group.startCapacity, pace.takenAtOnce)
            if group.carriedCount > 0 { return .done(.carried(state.queue.takeWrites(max: writesMax, now: now))) }
            switch state.queue.next(writesMax: writesMax, now: now) {
            case .none: break
            case let work: return .done(.queue(work))
            }
            if state.isClosing { return .done(nil) }
            let isHeld = state.queue.holdingTransaction != nil
            if !isHeld, now >= sweepNanoseconds { return .done(.sweep) }
            state.isSleeping = true
            return .wait(untilNanoseconds: isHeld ? .max : sweepNanoseconds)
        }
    }

    // MARK: groups

    private func commit(_ tickets: [WorkTicket], _ now: UInt64) {
        guard let executor = open(now) else {
            for ticket in tickets + group.dropCarried() { fail(ticket) }
            return
        }
        held.removeAll(keepingUpTo: 1 << 20)
        groupFailure = nil
        groupBeganNanoseconds = now
        pace.began()
        guard var action = group.start(tickets.filter { answers.begin($0, now: now) }) else { return }
        while true {
            switch action {
            case .begin:
                do throws(Failure) {
                    try versions.begin(on: executor.connection)
                    action = group.began(true)
                } catch {
                    groupFailure = error
                    rollBack()
                    action = group.began(false)
                }
            case .run(let ticket):
                let began = MonotonicClock.now()
                let end = runMember(ticket, executor)
                pace.ran(in: MonotonicClock.now() - began)
                action = group.ran(end, isTransactionOpen: isTransactionOpen(executor))
            case .supply(let max): action = group.supply(supply(max))
            case .commit:
                do throws(Failure) {
                    try executor.connection.commit()
                    action = group.committed(.committed)
                } catch {
                    groupFailure = error
                    action = group.committed(
                        error.outcome == .unknown
                            ? .unknown : .refused(isTransactionOpen: !executor.connection.isAutocommit))
                }
            case .rollBack: action = group.rolledBack((try? executor.connection.rollback()) != nil)
            case .settle(let settlements, let mustReopen):
                let now = MonotonicClock.now()
                for settlement in settlements { settle(settlement.member, settlement.verdict, now) }
                if mustReopen || groupFailure?.condemnsConnection == true { reopen() }
                return
            }
        }
    }

    /// What has arrived meanwhile joins, up to the next Begin; with `group_wait` also what arrives a little later.
    private func supply(_ max: Int) -> [WorkTicket] {
        guard !pace.isOver else { return [] }
        let max = min(max, pace.takenAtOnce)
        let until = groupBeganNanoseconds + writer.options.groupWaitNanoseconds
        let tickets: [WorkTicket] = writer.state.wait { state in
            state.isSleeping = false
            let now = MonotonicClock.now()
            let tickets = state.queue.takeWrites(max: max, now: now)
            guard tickets.isEmpty, writer.options.groupWaitNanoseconds > 0, !state.queue.hasWaiting, !state.isClosing,
                now < until
            else { return .done(tickets) }
            state.isSleeping = true
            return .wait(untilNanoseconds: until)
        }
        guard !tickets.isEmpty else { return [] }
        let now = MonotonicClock.now()
        return tickets.filter { answers.begin($0, now: now) }
    }

    private func runMember(_ ticket: WorkTicket, _ executor: Executor) -> GroupCommit<WorkTicket>.RunEnd {
        guard ticket.reopen() else {
            ticket.frame = nil
            return .cancelled
        }
        let connection = executor.connection
        do throws(Failure) {
            try connection.savepoint()
            try execute(ticket, executor)
            // From here on a cancel is too late: the group's COMMIT may carry it.
            guard ticket.move(from: .running, to: .sealed) else {
                undo(executor)
                ticket.frame = nil
                return .cancelled
            }
            try connection.release()
            let start = held.count
            held.append(output.bytes)
            ticket.heldAnswer = .body(start..<held.count)
            return .applied(answerBytes: output.count)
        } catch {
            undo(executor)
            guard !ticket.isCancelled else {
                ticket.frame = nil
                return .cancelled
            }
            ticket.heldAnswer = .failure(error)
            return .refused(answerBytes: 256)
        }
    }

    /// Takes back what a request has done in its savepoint. When that fails, nothing of the transaction may be committed: it is
    /// rolled back, at worst with its connection.
    func undo(_ executor: Executor) {
        guard isTransactionOpen(executor), (try? executor.connection.rollbackToSavepoint()) == nil else { return }
        rollBack()
    }

    /// Whether this is still the writer's connection, in its transaction.
    func isTransactionOpen(_ executor: Executor) -> Bool {
        self.executor === executor && !executor.connection.isAutocommit
    }

    private func settle(_ ticket: WorkTicket, _ verdict: GroupCommit<WorkTicket>.Verdict, _ now: UInt64) {
        switch verdict {
        case .held:
            switch ticket.heldAnswer {
            case .failure(let failure): answers.fail(ticket, failure, now: now)
            case .body(let range):
                answers.finish(ticket, UnsafeRawBufferPointer(rebasing: held.bytes[range]), now: now)
            case .none:
                answers.fail(
                    ticket, Failure(.internal, at: .execute, outcome: .unknown, "an answer was lost"), now: now)
            }
        case .notBegun, .commitRefused:
            var failure =
                groupFailure
                ?? Failure(.unavailable, at: .execute, "the transaction could not be committed", isRetryable: true)
            failure.outcome = .notExecuted
            answers.fail(ticket, failure, now: now)
        case .unknown:
            var failure = groupFailure ?? Failure(.internal, at: .execute, "the group's state was lost")
            failure.outcome = .unknown
            failure.isRetryable = false
            failure.message += "; whether the change is durable is unknown: repeat it with an idempotency key to learn"
            answers.fail(ticket, failure, now: now)
        }
    }

    // MARK: the file

    private func open(_ now: UInt64) -> Executor? {
        if let executor { return executor }
        guard now >= reopenNanoseconds else { return nil }
        reopenNanoseconds = now + Self.reopenNanoseconds
        do throws(Failure) {
            var settings = writer.settings
            // Whoever deletes the file of a running sidecar is not given an empty one in its place.
            settings.createIfMissing = settings.createIfMissing && !wasOpen
            let connection = try Connection(role: .writer, settings: settings)
            try Schema.apply(on: connection)
            executor = Executor(connection: connection, versions: versions)
            wasOpen = true
            replaced?.close()
            replaced = nil
            openFailure = nil
        } catch {
            openFailure = error
        }
        let failure = openFailure
        writer.state.withLock { $0.openFailure = failure }
        return executor
    }

    /// The connection's state is in doubt: the next request opens a new one.
    ///
    /// After a failed fsync the kernel has dropped what it could not write and still shows it to whoever reads. As long as one
    /// connection is open, SQLite knows where the log's last good commit is and writes over that; the first to open the file
    /// again would recover the log from what it is shown, and write behind frames that the disk does not have.
    func reopen() {
        guard let connection = executor?.connection else { return }
        executor = nil
        reopenNanoseconds = 0
        // It must not keep the write lock from its successor.
        if replaced == nil, (try? connection.rollback()) != nil, connection.isAutocommit {
            replaced = connection
        } else {
            connection.close()
        }
    }

    /// The file is not open.
    private func fail(_ ticket: WorkTicket, effect: Completion.TransactionEffect = .unchanged) {
        var failure = openFailure ?? .databaseNotOpen
        failure.outcome = .notExecuted  // Whatever became of opening the file, this request never ran.
        answers.fail(ticket, failure, effect: effect, now: MonotonicClock.now())
    }

    /// Removes what has expired, a small batch at a time; also under load, between groups.
    private func sweep() {
        let now = MonotonicClock.now()
        sweepNanoseconds = now + writer.options.sweepIntervalNanoseconds
        guard let connection = open(now)?.connection else { return }
        let wall = MonotonicClock.wallClockMilliseconds()
        let retention = Int64(clamping: writer.settings.idempotencyRetentionMilliseconds)
        do throws(Failure) {
            for (which, before) in [(OwnStatement.sweepEntries, wall), (.sweepKeys, wall - retention)] {
                let statement = try connection.statement(which)
                statement.bind(1, integer: before)
                statement.bind(2, integer: Int64(writer.settings.sweepRows))
                try connection.run(statement)
                // A full batch: there is more.
                if sqlite3_changes64(connection.handle) >= Int64(writer.settings.sweepRows) {
                    sweepNanoseconds = min(sweepNanoseconds, now + writer.options.sweepIntervalNanoseconds / 10)
                }
            }
        } catch {
            try? connection.rollback()
            if error.condemnsConnection { reopen() }
        }
    }
}
