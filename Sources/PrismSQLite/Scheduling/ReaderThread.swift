internal import PrismCore
internal import PrismReactor
internal import PrismWire

/// One reader thread: takes work with a connection to do it on, carries it out, reports back.
final class ReaderThread {
    static let outputKeptBytes = 1 << 16

    let pool: ReaderPool
    private var output = ByteQueue()

    init(pool: ReaderPool) { self.pool = pool }

    private var answers: Answers { pool.answers }

    func run() {
        while let work = take() {
            let now = MonotonicClock.now()
            switch work {
            case .pointReads(let tickets, let number): pointReads(tickets, number, now)
            case .lease(let ticket, let number): lease(ticket, number, now)
            case .begin(let transaction, let ticket, let number): begin(transaction, ticket, number, now)
            case .request(let transaction, let ticket, let number): request(transaction, ticket, number, now)
            case .resume(_, let number): resume(number)
            case .abandon(let transaction, let number):
                rollBack(number)
                end(transaction, number)
            case .close(let number):
                pool.connections[number].executor?.connection.close()
                pool.connections[number].executor = nil
                release(number)
            case .none: break
            }
        }
    }

    /// Waits for work. Nil: the pool is closed and nothing is left for this thread.
    private func take() -> ReaderPool.Scheduler.Work? {
        var hasSlept = false
        var mustWake = false
        let work: ReaderPool.Scheduler.Work? = pool.state.wait { state in
            if hasSlept {
                state.idleThreads -= 1
                state.isWakePending = false
            }
            let work = state.scheduler.next(now: MonotonicClock.now(), idleThreads: state.idleThreads)
            if case .none = work {
                if state.isClosing { return .done(state.scheduler.takeIdle().map { .close(connection: $0) }) }
                hasSlept = true
                state.idleThreads += 1
                return .wait(untilNanoseconds: state.scheduler.nextIdleNanoseconds ?? .max)
            }
            mustWake = state.wantsWake()
            return .done(work)
        }
        if mustWake { pool.state.notifyOne() }
        return work
    }

    // MARK: reads outside of transactions

    /// Together they share one read transaction: a third of the cost of one each.
    private func pointReads(_ tickets: [WorkTicket], _ number: Int, _ now: UInt64) {
        var now = now
        guard let executor = open(number, now, failing: tickets) else { return release(number) }
        let isShared = tickets.count > 1 && (try? executor.connection.begin(immediate: false)) != nil
        let wall = MonotonicClock.wallClockMilliseconds()
        var isUsable = true
        for ticket in tickets where answers.begin(ticket, now: now) {
            let result = start(ticket, on: executor, wall: wall, mayStream: false)
            now = MonotonicClock.now()
            switch result {
            case .success: answers.finish(ticket, output.bytes, now: now)
            case .failure(let failure):
                answers.fail(ticket, failure, now: now)
                if failure.condemnsConnection { isUsable = false }
            }
        }
        if isShared, (try? executor.connection.commit()) == nil { isUsable = false }
        release(number, isUsable: isUsable)
    }

    private func lease(_ ticket: WorkTicket, _ number: Int, _ now: UInt64) {
        guard let executor = open(number, now, failing: [ticket]), answers.begin(ticket, now: now) else {
            return release(number)
        }
        let result = start(ticket, on: executor, wall: MonotonicClock.wallClockMilliseconds(), mayStream: true)
        switch result {
        case .success(.answered): complete(ticket, number, .success(()))
        case .success(.streaming(let stream)): send(stream, ticket, number)
        case .success(.needsWriter):
            release(number)
            // As a new one: it has had no effect, and may still be cancelled while it waits.
            let now = MonotonicClock.now()
            guard ticket.move(from: .running, to: .queued) else {
                ticket.frame = nil
                return
            }
            if let failure = pool.writer.submitWrite(ticket, now: now) { answers.fail(ticket, failure, now: now) }
        case .failure(let failure): complete(ticket, number, .failure(failure))
        }
    }

    // MARK: read-only transactions

    private func begin(_ transaction: TransactionReference, _ ticket: WorkTicket, _ number: Int, _ now: UInt64) {
        guard let executor = open(number, now, failing: [ticket], effect: .ended), answers.begin(ticket, now: now)
        else {
            return end(transaction, number)
        }
        do throws(Failure) {
            executor.connection.request = ticket
            defer { executor.connection.request = nil }
            try executor.connection.begin(immediate: false)
            // A deferred transaction has no snapshot before its first read.
            _ = try executor.connection.integer("SELECT count(*) FROM sqlite_master")
        } catch {
            rollBack(number)
            end(transaction, number, isUsable: !error.condemnsConnection)
            return answers.fail(ticket, error, effect: .ended, now: MonotonicClock.now())
        }
        guard ticket.move(from: .running, to: .sealed) else {
            ticket.frame = nil
            rollBack(number)
            return end(transaction, number)
        }
        pool.change { $0.scheduler.finished(transaction) }
        answers.finish(ticket, now: MonotonicClock.now())
    }

    private func request(_ transaction: TransactionReference, _ ticket: WorkTicket, _ number: Int, _ now: UInt64) {
        guard let executor = pool.connections[number].executor else {
            end(transaction, number, isUsable: false)
            return answers.fail(ticket, .transactionEnded, effect: .ended, now: now)
        }
        executor.connection.bindToCurrentThread()
        guard answers.begin(ticket, now: now) else { return pool.change { $0.scheduler.finished(transaction) } }
        switch ticket.kind {
        case .commit, .rollback:
            rollBack(number)
            end(transaction, number)
            answers.finish(ticket, effect: .ended, now: MonotonicClock.now())
        case .savepoint, .rollbackTo: complete(ticket, number, executor.setSavepoint(ticket))
        default:
            let result = start(ticket, on: executor, wall: MonotonicClock.wallClockMilliseconds(), mayStream: true)
            switch result {
            case .success(.answered): complete(ticket, number, .success(()))
            case .success(.streaming(let stream)): send(stream, ticket, number)
            case .success(.needsWriter):
                complete(
                    ticket, number,
                    .failure(ClientStatement.invalid("the transaction is read-only, and the statement writes")))
            case .failure(let failure): complete(ticket, number, .failure(failure))
            }
        }
    }

    // MARK: streams

    /// Sends the part that is in the output, and more, until the stream ends or its client does not keep up.
    private func send(_ stream: ReadStream, _ ticket: WorkTicket, _ number: Int) {
        let connection = pool.connections[number]
        while true {
            let bytes = output.count
            pool.state.withLock { $0.scheduler.sending(ticket.reference, bytes: bytes, connection: number) }
            answers.part(ticket, output.bytes)
            var isParked = false
            pool.change { state in
                guard !state.scheduler.sent(ticket.reference) else { return }
                isParked = true
                connection.executor?.connection.request = nil
                connection.parked = ReaderConnection.Parked(stream: stream, ticket: ticket)
                // A cancel that came before found nothing parked to wake.
                if ticket.isCancelled || state.isClosing { state.scheduler.wake(ticket.reference) }
            }
            guard !isParked, next(of: stream, ticket, number) else { return }
        }
    }

    /// The next part into the output. False: that was the end, and it has been answered.
    private func next(of stream: ReadStream, _ ticket: WorkTicket, _ number: Int) -> Bool {
        output.removeAll(keepingUpTo: Self.outputKeptBytes)
        var end: Result<Void, Failure> = .success(())
        if ticket.isCancelled || isClosing {
            stream.close()
            end = .failure(.stopping)  // told to nobody who has cancelled
        } else if pool.state.withLock({ $0.scheduler.isGivingWay(ticket.reference) }) {
            stream.close()
            end = .failure(.streamStalled)
        } else {
            do throws(Failure) {
                guard try stream.next(mayBeCut: true, into: &output) else { return true }
            } catch {
                var failure = error
                failure.stage = .stream
                end = .failure(failure)
            }
        }
        pool.state.withLock { $0.scheduler.streamEnded(ticket.reference) }
        complete(ticket, number, end)
        return false
    }

    private func resume(_ number: Int) {
        let connection = pool.connections[number]
        guard let parked = connection.parked, let executor = connection.executor else { return release(number) }
        connection.parked = nil
        executor.connection.bindToCurrentThread()
        executor.connection.request = parked.ticket
        if next(of: parked.stream, parked.ticket, number) { send(parked.stream, parked.ticket, number) }
    }

    private var isClosing: Bool { pool.state.withLock { $0.isClosing } }

    // MARK: pieces

    /// Runs a request up to its answer or the first part of it, which is then in the output.
    private func start(_ ticket: WorkTicket, on executor: Executor, wall: Int64, mayStream: Bool)
        -> Result<Executor.Progress, Failure>
    {
        output.removeAll(keepingUpTo: Self.outputKeptBytes)
        guard let frame = ticket.frame else { return .failure(.databaseNotOpen) }
        executor.connection.request = ticket
        do throws(Failure) {
            let progress = try executor.start(
                try executor.decode(frame), isReadOnly: ticket.isReadOnly, wallMilliseconds: wall, mayStream: mayStream,
                into: &output)
            if case .streaming = progress { return .success(progress) }
            executor.connection.request = nil
            return .success(progress)
        } catch {
            executor.connection.request = nil
            return .failure(error)
        }
    }

    /// The request has come to its end: gives its connection back, then answers it from the output.
    private func complete(_ ticket: WorkTicket, _ number: Int, _ result: Result<Void, Failure>) {
        let connection = pool.connections[number].executor?.connection
        connection?.request = nil
        var effect = Completion.TransactionEffect.unchanged
        if case .failure(let failure) = result, failure.condemnsConnection {
            pool.connections[number].isCondemned = true
        }
        if ticket.transaction == .none {
            release(number)
        } else if connection?.isAutocommit == false {
            pool.change { $0.scheduler.finished(ticket.transaction) }
        } else {
            effect = .ended
            end(ticket.transaction, number, isUsable: false)
        }
        let now = MonotonicClock.now()
        switch result {
        case .success: answers.finish(ticket, output.bytes, effect: effect, now: now)
        case .failure(let failure): answers.fail(ticket, failure, effect: effect, now: now)
        }
    }

    /// Gives the connection back; in autocommit, or not at all.
    private func release(_ number: Int, isUsable: Bool = true) {
        let isIdle = pool.connections[number].executor?.connection.isAutocommit ?? false
        let isOpen = close(number, unless: isUsable && isIdle)
        let now = MonotonicClock.now()
        pool.change { $0.scheduler.released(connection: number, isUsable: isOpen, now: now) }
    }

    /// Gives a transaction's connection back, and answers what was sent behind its end.
    private func end(_ transaction: TransactionReference, _ number: Int, isUsable: Bool = true) {
        let isOpen = close(number, unless: isUsable)
        let now = MonotonicClock.now()
        var left: [WorkTicket] = []
        pool.change { left = $0.scheduler.ended(transaction, isUsable: isOpen, now: now) }
        for ticket in left { answers.fail(ticket, .transactionEnded, effect: .ended, now: now) }
    }

    /// Whether the connection is open afterwards.
    private func close(_ number: Int, unless isUsable: Bool) -> Bool {
        let connection = pool.connections[number]
        if !isUsable || connection.isCondemned {
            connection.executor?.connection.close()
            connection.executor = nil
            connection.isCondemned = false
        }
        return connection.executor != nil
    }

    private func rollBack(_ number: Int) {
        guard let executor = pool.connections[number].executor else { return }
        executor.connection.bindToCurrentThread()
        if (try? executor.connection.rollback()) == nil { _ = close(number, unless: false) }
    }

    /// The connection, for this thread; opened when it is not. Nil: it cannot be, and the tickets have been answered.
    private func open(
        _ number: Int, _ now: UInt64, failing tickets: [WorkTicket],
        effect: Completion.TransactionEffect = .unchanged
    ) -> Executor? {
        let connection = pool.connections[number]
        if let executor = connection.executor {
            executor.connection.bindToCurrentThread()
            guard now >= connection.lookAgainNanoseconds else { return executor }
            connection.lookAgainNanoseconds = now + ReaderPool.lookAgainNanoseconds
            guard executor.connection.isMoved else { return executor }
            _ = close(number, unless: false)
        }
        let recent = pool.state.withLock { now < $0.reopenNanoseconds ? $0.openFailure : nil }
        do throws(Failure) {
            if let recent { throw recent }
            let executor = Executor(
                connection: try Connection(role: .reader, settings: pool.settings), versions: nil)
            pool.state.withLock { $0.openFailure = nil }
            connection.executor = executor
            return executor
        } catch {
            let failure = error
            pool.state.withLock { state in
                guard recent == nil else { return }
                state.openFailure = failure
                state.reopenNanoseconds = now + ReaderPool.reopenNanoseconds
            }
            for ticket in tickets { answers.fail(ticket, failure, effect: effect, now: now) }
            return nil
        }
    }
}

extension Executor {
    /// Carries out Savepoint or RollbackTo.
    func setSavepoint(_ ticket: WorkTicket) -> Result<Void, Failure> {
        guard let frame = ticket.frame else { return .failure(.databaseNotOpen) }
        do throws(Failure) {
            let request = try decode(frame)
            // Short, and without a savepoint of its own to undo it by: from here on a cancel is too late.
            guard ticket.move(from: .running, to: .sealed) else { return .failure(.stopping) }  // told to nobody
            if let name = request.savepoint?.name.bytes { try connection.savepoint(named: name) }
            if let name = request.rollbackTo?.name.bytes { try connection.rollbackTo(named: name) }
            return .success(())
        } catch {
            return .failure(error)
        }
    }
}
