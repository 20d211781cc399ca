public import PrismCore
internal import PrismReactor
internal import PrismWire

/// Where completions go: one for each reactor. Called on the backend's threads, and for refusals on the reactor's own.
public typealias CompletionSink = @Sendable (Completion, UnsafeRawBufferPointer) -> Void

/// One SQLite file as a backend: reader threads over a pool of connections, and one writer thread that commits in groups.
public final class SQLiteBackend: BackendPort {
    public struct Options: Sendable {
        public var name = "main"
        public var isDefault = true
        /// Reader threads.
        public var readers = 4
        /// Reader connections, those held by streams and read-only transactions included; 2 at least.
        public var readerConnections = 20
        /// Requests waiting for a reader, and as many for the writer.
        public var queueRequestsMax = 65_536
        /// How long a request may wait for a connection or for the writer, nanoseconds.
        public var acquireTimeoutNanoseconds: UInt64 = 5_000_000_000
        public var groupRequestsMax = 128
        /// How long a group waits for more members, nanoseconds.
        public var groupWaitNanoseconds: UInt64 = 0
        public var streamWindowBytes = 256 << 10
        public var sweepIntervalNanoseconds: UInt64 = 1_000_000_000

        public init() {}
    }

    private let options: Options
    private let answers: Answers
    private let readers: ReaderPool
    private let writer: Writer
    private let tables: [RequestTable]

    /// Starts the threads; a file that cannot be opened is reported by `snapshot` and by every request, and tried again.
    ///
    /// - Parameter opened: called once, on the writer's thread, when `hasTriedToOpen` has become true.
    public init(
        options: Options, settings: SQLiteSettings, sinks: [CompletionSink], opened: @escaping @Sendable () -> Void
    ) throws {
        self.options = options
        answers = Answers(sinks: sinks)
        tables = sinks.map { _ in RequestTable() }
        // The writer opens the file, and creates it; readers do when they are asked for something.
        writer = try Writer(options: options, settings: settings, answers: answers, opened: opened)
        readers = try ReaderPool(options: options, settings: settings, answers: answers, writer: writer)
    }

    /// Whether the file has been opened, or could not be. Opening waits for locks of other processes up to the busy timeout.
    public var hasTriedToOpen: Bool { writer.state.withLock { $0.hasTriedToOpen } }

    /// The backend's name, its file, and why that could not be opened for writing at the start; nil: it could, or it is merely
    /// read-only.
    public var startProblem: String? {
        guard let failure = writer.openFailure, failure.code != .permissionDenied else { return nil }
        return "\(options.name), \(writer.settings.path): \(failure.message)"
    }

    // MARK: BackendPort

    public func submit(_ item: WorkItem) {
        let ticket = WorkTicket(item)
        let table = tables[Int(item.reference.reactor)]
        table.insert(ticket)
        if table.nextExpiryNanoseconds == .max {
            table.nextExpiryNanoseconds = item.submittedNanoseconds + options.acquireTimeoutNanoseconds
        }
        let admitted = route(ticket, item, table)
        if let failure = admitted {
            answers.fail(ticket, failure, effect: effect(of: failure, on: ticket), now: item.submittedNanoseconds)
        }
    }

    private func effect(of failure: Failure, on ticket: WorkTicket) -> Completion.TransactionEffect {
        ticket.kind == .begin || failure.code == .aborted ? .ended : .unchanged
    }

    /// Nil: it waits for its turn.
    private func route(_ ticket: WorkTicket, _ item: WorkItem, _ table: RequestTable) -> Failure? {
        let now = item.submittedNanoseconds
        if item.kind == .begin {
            table.insert(item.transaction, isWriting: !item.isReadOnly)
            return item.isReadOnly ? readers.submitBegin(ticket, now: now) : writer.submitBegin(ticket, now: now)
        }
        if item.transaction != .none {
            let isWriting = table.isWriting(item.transaction)
            let failure =
                switch isWriting {
                case true?: writer.submitRequest(ticket, now: now)
                case false?: readers.submitRequest(ticket, now: now)
                case nil: Failure?.some(.transactionEnded)
                }
            guard failure?.code == .aborted, item.kind == .rollback else { return failure }
            // Rolled back already.
            answers.finish(ticket, effect: .ended, now: now)
            return nil
        }
        switch item.kind {
        case .get, .getMany: return readers.submitPointRead(ticket, now: now)
        case .scan, .count: return readers.submitLease(ticket, now: now)
        case .query where item.isReadOnly || item.beginsLikeRead, .batch where item.isReadOnly || item.beginsLikeRead:
            return readers.submitLease(ticket, now: now)
        default: return writer.submitWrite(ticket, now: now)
        }
    }

    public func cancel(_ reference: RequestReference) -> CancelOutcome {
        guard let ticket = tables[Int(reference.reactor)].ticket(reference) else { return .tooLate }
        if ticket.move(from: .queued, to: .cancelled) {
            // Where it does not wait any more, a thread has just taken it and will find it cancelled.
            if readers.remove(reference) || writer.remove(reference) { ticket.frame = nil }
            return .removed
        }
        guard ticket.move(from: .running, to: .cancelled) else { return .tooLate }
        if ticket.kind.isStreamed {
            readers.wake(reference)
            writer.wake()
        }
        return .stopped
    }

    public func credit(_ reference: RequestReference, bytes: Int) {
        let table = tables[Int(reference.reactor)]
        guard let ticket = table.ticket(reference) else { return }
        if ticket.transaction != .none, table.isWriting(ticket.transaction) == true {
            writer.credit(reference, bytes: bytes)
        } else {
            readers.credit(reference, bytes: bytes)
        }
    }

    public func giveWay(_ reference: RequestReference) { readers.giveWay(reference) }

    public func abandon(_ transaction: TransactionReference) {
        switch tables[Int(transaction.reactor)].isWriting(transaction) {
        case true?: writer.abandon(transaction)
        case false?: readers.abandon(transaction)
        case nil: break
        }
    }

    public func advance(to now: UInt64, reactor: UInt8) -> UInt64 {
        let table = tables[Int(reactor)]
        guard now >= table.nextExpiryNanoseconds else { return table.nextExpiryNanoseconds }
        for (tickets, retryAfter) in [readers.expire(now: now), writer.expire(now: now)] {
            for ticket in tickets {
                answers.fail(
                    ticket,
                    .notAcquired(
                        backend: options.name, raise: "reader_connections", retryAfterNanoseconds: retryAfter),
                    effect: ticket.kind == .begin ? .ended : .unchanged, now: now)
            }
        }
        // A query that turns out to write enters the writer's queue later, and no reactor sees it: look again in any case.
        table.nextExpiryNanoseconds = min(
            readers.nextExpiryNanoseconds, writer.nextExpiryNanoseconds, now + options.acquireTimeoutNanoseconds)
        return table.nextExpiryNanoseconds
    }

    // MARK: state and end

    public func snapshot() -> StatusSnapshot.Backend {
        let failure = writer.openFailure ?? readers.openFailure
        let reading = readers.look
        let writing = writer.look
        var snapshot = StatusSnapshot.Backend(
            name: options.name, kind: .sqlite, isDefault: options.isDefault, isHealthy: failure == nil,
            problem: failure?.message ?? "", queueDepth: reading.waiting + writing.waiting,
            connections: [
                "reader": reading.usage.idle + reading.usage.busy, "writer": 1, "leased": reading.usage.leased,
            ])
        snapshot.isOverloaded = reading.isOverloaded || writing.isOverloaded
        snapshot.lateTotal = reading.late + writing.late
        return snapshot
    }

    /// Ends everything; threads that hang are left behind after the deadline.
    public func stop(deadlineNanoseconds: UInt64) {
        // The writer last: whoever closes the file last checkpoints its log, and a reader may not.
        readers.stop(deadlineNanoseconds: deadlineNanoseconds)
        writer.stop(deadlineNanoseconds: deadlineNanoseconds)
    }
}
