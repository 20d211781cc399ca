internal import Glibc
public import PrismCore
internal import PrismReactor
internal import PrismWire
internal import Synchronization

/// Where completions go: one for each reactor. Called on the backend's threads, and for refusals on the reactor's own.
public typealias CompletionSink = @Sendable (Completion, UnsafeRawBufferPointer) -> Void

/// One SQLite file as a backend: reader threads, and one writer thread that commits in groups.
public final class SQLiteBackend: BackendPort {
    public struct Options: Sendable {
        public var name = "main"
        public var isDefault = true
        /// Reader threads, each with a connection of its own.
        public var readers = 4
        /// Read-only transactions open at the same time, each with a connection of its own.
        public var readTransactionsMax = 16
        public var queueRequestsMax = 65_536
        public var groupRequestsMax = 128
        public var streamWindowBytes = 256 << 10
        public var sweepIntervalNanoseconds: UInt64 = 1_000_000_000

        public init() {}
    }

    enum ReadJob: Sendable {
        case request(WorkTicket)
        case endTransaction(TransactionReference)
    }

    let options: Options
    let settings: SQLiteSettings
    let reads: WorkQueue<ReadJob>
    let writes: WorkQueue<WorkTicket>
    /// Requests of the transaction that holds the writer.
    let held: WorkQueue<WorkTicket>
    let readTransactions: ReadTransactions
    let stopping = Atomic<Bool>(false)
    /// The transaction that has the writer or waits for it was abandoned.
    let abandoned = Mutex<Set<TransactionReference>>([])
    let problem = Mutex<String>("")
    let openFailure = Mutex<Failure?>(nil)
    private let sinks: [CompletionSink]
    private let tickets = Mutex<[RequestReference: WorkTicket]>([:])
    private let writeTransactions = Mutex<Set<TransactionReference>>([])
    private let threads = Mutex<[WorkerThread]>([])
    private let running = Atomic<Int>(0)

    /// Starts the threads; a file that cannot be opened is reported by `snapshot` and by every request, and tried again.
    public init(options: Options, settings: SQLiteSettings, sinks: [CompletionSink]) throws {
        self.options = options
        self.settings = settings
        self.sinks = sinks
        reads = WorkQueue(countMax: options.queueRequestsMax)
        writes = WorkQueue(countMax: options.queueRequestsMax)
        held = WorkQueue(countMax: options.queueRequestsMax)
        readTransactions = ReadTransactions(countMax: options.readTransactionsMax)
        let writerReady = DispatchlessGate()
        start("sqlite-writer") { Writer(backend: $0).run(ready: writerReady) }
        writerReady.wait()
        for number in 0..<options.readers { start("sqlite-read-\(number)") { Reader(backend: $0).run() } }
    }

    private func start(_ name: String, _ body: @escaping @Sendable (SQLiteBackend) -> Void) {
        running.add(1, ordering: .relaxed)
        do {
            let thread = try WorkerThread(name: name, stackBytes: 2 << 20) { [self] in
                body(self)
                running.subtract(1, ordering: .releasing)
            }
            threads.withLock { $0.append(thread) }
        } catch {
            running.subtract(1, ordering: .releasing)
            problem.withLock { $0 = "\(error)" }
        }
    }

    /// Why the file could not be opened for writing at the start; nil: it could, or it is merely read-only.
    public var startProblem: String? {
        openFailure.withLock { $0.flatMap { $0.code == .permissionDenied ? nil : $0.message } }
    }

    // MARK: BackendPort

    public func submit(_ item: WorkItem) {
        let ticket = WorkTicket(item)
        tickets.withLock { $0[item.reference] = ticket }
        let isTaken: Bool
        if item.transaction != .none, item.kind != .begin {
            let isWriting = writeTransactions.withLock { $0.contains(item.transaction) }
            isTaken = isWriting ? held.append(ticket) : reads.append(.request(ticket))
        } else if item.kind == .begin, !item.isReadOnly {
            writeTransactions.withLock { _ = $0.insert(item.transaction) }
            isTaken = writes.append(ticket)
        } else if isRead(item) {
            isTaken = reads.append(.request(ticket))
        } else {
            isTaken = writes.append(ticket)
        }
        guard !isTaken else { return }
        fail(
            ticket,
            Failure(
                .resourceExhausted, at: .queue, "the queue of backend \(options.name) is full (queue_requests)",
                isRetryable: true, retryAfterMicroseconds: 100_000))
    }

    private func isRead(_ item: WorkItem) -> Bool {
        switch item.kind {
        case .get, .getMany, .scan, .count, .begin: true
        case .query, .batch: item.isReadOnly || SQLText.maybeReads(item.frame)
        default: false
        }
    }

    public func cancel(_ reference: RequestReference) -> CancelOutcome {
        guard let ticket = tickets.withLock({ $0[reference] }) else { return .tooLate }
        let outcome = ticket.cancel()
        if outcome != .tooLate { forget(ticket) }
        return outcome
    }

    public func credit(_ reference: RequestReference, bytes: Int) {
        let ticket = tickets.withLock { $0[reference] }
        ticket?.outstanding.subtract(bytes, ordering: .releasing)
    }

    public func abandon(_ transaction: TransactionReference) {
        if writeTransactions.withLock({ $0.contains(transaction) }) {
            abandoned.withLock { _ = $0.insert(transaction) }
        } else {
            _ = reads.append(.endTransaction(transaction), evenIfFull: true)
        }
    }

    // MARK: for the threads

    func deliver(_ completion: Completion, _ body: UnsafeRawBufferPointer) {
        let reactor = Int(completion.reference.reactor)
        if reactor < sinks.count { sinks[reactor](completion, body) }
    }

    func forget(_ ticket: WorkTicket) { tickets.withLock { $0[ticket.item.reference] = nil } }

    func ended(_ transaction: TransactionReference) {
        writeTransactions.withLock { _ = $0.remove(transaction) }
        abandoned.withLock { _ = $0.remove(transaction) }
    }

    /// The final answer of a ticket that is `running` or `sealed`; nothing when it was cancelled.
    func finish(
        _ ticket: WorkTicket, _ body: UnsafeRawBufferPointer, code: StatusCode = .ok, stage: Stage = .unspecified,
        started: UInt64, effect: Completion.TransactionEffect = .unchanged
    ) {
        guard
            ticket.move(from: .running, to: .done) || ticket.move(from: .sealed, to: .done)
                || ticket.move(from: .queued, to: .done)
        else { return }
        forget(ticket)
        deliver(
            Completion(
                reference: ticket.item.reference, kind: .final, code: code, stage: stage, transactionEffect: effect,
                startedNanoseconds: started, backendNanoseconds: started == 0 ? 0 : MonotonicClock.now() - started),
            body)
    }

    func fail(
        _ ticket: WorkTicket, _ failure: Failure, started: UInt64 = 0, effect: Completion.TransactionEffect = .unchanged
    ) {
        var body = ByteQueue()
        ResponseBody.append(failure, to: &body)
        finish(ticket, body.bytes, code: failure.code, stage: failure.stage, started: started, effect: effect)
    }

    /// Takes a ticket into work. False: it was cancelled, or has just been answered because its deadline had passed.
    func begin(_ ticket: WorkTicket, now: UInt64) -> Bool {
        if ticket.item.deadlineNanoseconds <= now {
            fail(
                ticket, Failure(.deadlineExceeded, at: .queue, "the deadline passed in the queue", isRetryable: true))
            return false
        }
        return ticket.move(from: .queued, to: .running)
    }

    // MARK: state and end

    public func snapshot() -> StatusSnapshot.Backend {
        let problem = problem.withLock { $0 }
        return StatusSnapshot.Backend(
            name: options.name, kind: .sqlite, isDefault: options.isDefault, isHealthy: problem.isEmpty,
            problem: problem,
            queueDepth: reads.count + writes.count + held.count,
            connections: ["reader": options.readers, "writer": 1, "leased": readTransactions.count])
    }

    /// Closes everything; threads that hang are left behind after the deadline.
    public func stop(deadlineNanoseconds: UInt64) {
        stopping.store(true, ordering: .releasing)
        // The writer last: whoever closes the file last checkpoints its log, and a reader may not.
        reads.close()
        while running.load(ordering: .acquiring) > 1, MonotonicClock.now() < deadlineNanoseconds { usleep(200) }
        writes.close()
        held.close()
        while running.load(ordering: .acquiring) > 0, MonotonicClock.now() < deadlineNanoseconds { usleep(200) }
        guard running.load(ordering: .acquiring) == 0 else { return }
        for thread in threads.withLock({ $0 }) { thread.join() }
    }
}

/// Lets one thread wait for another's beginning.
final class DispatchlessGate: @unchecked Sendable {
    private let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)
    init() { sem_init(semaphore, 0, 0) }
    deinit {
        sem_destroy(semaphore)
        semaphore.deallocate()
    }
    func open() { sem_post(semaphore) }
    func wait() { while sem_wait(semaphore) != 0 {} }
}
