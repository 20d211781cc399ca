internal import PrismCore
internal import PrismReactor
internal import PrismWire

/// One reader thread: point reads in batches that share a read transaction, streams, read-only transactions.
final class Reader {
    static let batchMax = 32
    static let idleNanoseconds: UInt64 = 1_000_000_000
    static let reopenNanoseconds: UInt64 = 200_000_000

    private let backend: SQLiteBackend
    private let decoding: Arena
    private var executor: Executor?
    private var openFailure: Failure?
    private var triedNanoseconds: UInt64 = 0
    private var output = ByteQueue()

    init(backend: SQLiteBackend) {
        self.backend = backend
        decoding = Arena(limitBytes: backend.settings.limits.decodeBytesMax)
    }

    func run() {
        var batch: [SQLiteBackend.ReadJob] = []
        while backend.reads.take(
            max: Self.batchMax, takers: backend.options.readers, until: MonotonicClock.now() + Self.idleNanoseconds,
            &batch)
        {
            carryOut(batch)
            batch.removeAll(keepingCapacity: true)
        }
        executor?.connection.close()
    }

    private func carryOut(_ batch: [SQLiteBackend.ReadJob]) {
        var isShared = false
        for job in batch {
            switch job {
            case .endTransaction(let transaction): end(transaction)
            case .request(let ticket):
                let now = MonotonicClock.now()
                guard backend.begin(ticket, now: now) else { continue }
                let item = ticket.item
                if item.kind == .begin {
                    begin(ticket, now)
                } else if item.transaction != .none {
                    runInTransaction(ticket, now)
                } else if let executor = openExecutor(now) {
                    let isPoint = item.kind == .get || item.kind == .getMany
                    if isPoint, !isShared, batch.count > 1 {
                        isShared = (try? executor.connection.begin(immediate: false)) != nil
                    } else if !isPoint, isShared {
                        isShared = false
                        try? executor.connection.commit()
                    }
                    run(ticket, executor, now)
                } else {
                    backend.fail(ticket, openFailure ?? executorMissing, started: now)
                }
            }
        }
        if isShared { try? executor?.connection.commit() }
    }

    private var executorMissing: Failure { Failure(.unavailable, at: .connect, "the database is not open") }

    private func openExecutor(_ now: UInt64) -> Executor? {
        if let executor { return executor }
        guard now >= triedNanoseconds + Self.reopenNanoseconds else { return nil }
        triedNanoseconds = now
        do throws(Failure) {
            executor = Executor(connection: try Connection(role: .reader, settings: backend.settings), versions: nil)
            openFailure = nil
        } catch {
            openFailure = error
        }
        return executor
    }

    /// One request in autocommit or in the batch's shared transaction.
    private func run(_ ticket: WorkTicket, _ executor: Executor, _ started: UInt64) {
        switch execute(ticket, executor) {
        case .success(.answered): backend.finish(ticket, output.bytes, started: started)
        case .success(.needsWriter):
            // As a new one: it has had no effect, and may still be cancelled while it waits.
            guard ticket.move(from: .running, to: .queued) else { return }
            if !backend.writes.append(ticket) {
                backend.fail(
                    ticket,
                    Failure(
                        .resourceExhausted, at: .queue, "the writer's queue is full", isRetryable: true,
                        retryAfterMicroseconds: 100_000))
            }
        case .failure(let failure): backend.fail(ticket, failure, started: started)
        }
    }

    private func execute(_ ticket: WorkTicket, _ executor: Executor) -> Result<Executor.Result, Failure> {
        output.removeAll(keepingUpTo: 1 << 16)
        decoding.reset()
        guard let request = RequestMessage(ticket.item.frame.bytes, in: decoding) else {
            return .failure(Failure(.resourceExhausted, at: .execute, "no memory to decode the request"))
        }
        executor.connection.stopCheck = { ticket.isCancelled }
        defer { executor.connection.stopCheck = nil }
        do throws(Failure) {
            return .success(
                try executor.execute(
                    request, isReadOnly: ticket.item.isReadOnly,
                    wallMilliseconds: MonotonicClock.wallClockMilliseconds(),
                    parts: StreamSink(backend: backend, ticket: ticket), into: &output))
        } catch {
            output.removeAll(keepingUpTo: 1 << 16)
            return .failure(error)
        }
    }

    // MARK: read-only transactions

    private func begin(_ ticket: WorkTicket, _ started: UInt64) {
        let transaction = ticket.item.transaction
        guard backend.readTransactions.open(transaction) else {
            let failure = Failure(
                .resourceExhausted, at: .connect,
                "all reader connections are held by transactions (reader_connections)",
                isRetryable: true, retryAfterMicroseconds: 100_000)
            return backend.fail(ticket, failure, started: started, effect: .ended)
        }
        do throws(Failure) {
            let executor = Executor(
                connection: try Connection(role: .reader, settings: backend.settings), versions: nil)
            try executor.connection.begin(immediate: false)
            // A deferred transaction has no snapshot before its first read.
            _ = try executor.connection.integer("SELECT count(*) FROM sqlite_master")
            guard ticket.move(from: .running, to: .sealed) else {
                backend.readTransactions.remove(transaction)
                return executor.connection.close()
            }
            guard backend.readTransactions.put(ReadTransactions.Lease(executor), for: transaction) else {
                executor.connection.close()
                let failure = Failure(.cancelled, at: .execute, "the transaction was abandoned")
                return backend.fail(ticket, failure, started: started, effect: .ended)
            }
            backend.finish(ticket, UnsafeRawBufferPointer(start: nil, count: 0), started: started)
        } catch {
            backend.readTransactions.remove(transaction)
            backend.fail(ticket, error, started: started, effect: .ended)
        }
    }

    private func runInTransaction(_ ticket: WorkTicket, _ started: UInt64) {
        let transaction = ticket.item.transaction
        guard let lease = backend.readTransactions.take(transaction) else {
            if ticket.item.kind == .rollback { return finishEnd(ticket, started) }
            let failure = Failure(.aborted, at: .execute, "the transaction has ended; begin again")
            return backend.fail(ticket, failure, started: started, effect: .ended)
        }
        let connection = lease.executor.connection
        connection.bindToCurrentThread()
        if ticket.item.kind == .commit || ticket.item.kind == .rollback {
            try? connection.rollback()
            connection.close()
            backend.readTransactions.remove(transaction)
            return finishEnd(ticket, started)
        }
        var result: Result<Executor.Result, Failure> = .success(.answered)
        if ticket.item.kind == .savepoint || ticket.item.kind == .rollbackTo {
            result = savepoint(ticket, connection)
        } else {
            result = execute(ticket, lease.executor)
        }
        let isOpen = backend.readTransactions.put(lease, for: transaction)
        if !isOpen { connection.close() }
        let effect: Completion.TransactionEffect = isOpen ? .unchanged : .ended
        switch result {
        case .success(.answered): backend.finish(ticket, output.bytes, started: started, effect: effect)
        case .success(.needsWriter):
            backend.fail(
                ticket, ClientStatement.invalid("the transaction is read-only, and the statement writes"),
                started: started,
                effect: effect)
        case .failure(let failure): backend.fail(ticket, failure, started: started, effect: effect)
        }
    }

    private func savepoint(_ ticket: WorkTicket, _ connection: Connection) -> Result<Executor.Result, Failure> {
        output.removeAll(keepingUpTo: 1 << 16)
        decoding.reset()
        guard let request = RequestMessage(ticket.item.frame.bytes, in: decoding) else {
            return .failure(executorMissing)
        }
        do throws(Failure) {
            if let name = request.savepoint?.name.bytes { try connection.savepoint(named: name) }
            if let name = request.rollbackTo?.name.bytes { try connection.rollbackTo(named: name) }
            return .success(.answered)
        } catch {
            return .failure(error)
        }
    }

    private func finishEnd(_ ticket: WorkTicket, _ started: UInt64) {
        backend.finish(ticket, UnsafeRawBufferPointer(start: nil, count: 0), started: started, effect: .ended)
    }

    private func end(_ transaction: TransactionReference) {
        guard let lease = backend.readTransactions.end(transaction) else { return }
        lease.executor.connection.bindToCurrentThread()
        try? lease.executor.connection.rollback()
        lease.executor.connection.close()
    }
}
