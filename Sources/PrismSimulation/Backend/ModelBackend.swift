import PrismCore
import PrismWire

/// A database on virtual time: readers, and one writer that commits in groups with the core's own `GroupCommit` and
/// `WriterQueue`. It keeps what the real one keeps towards the multiplexer (`BackendPort`), and it knows what it has made durable.
final class ModelBackend {
    /// What it does later; handed back to `carryOut`.
    enum Step {
        case read(token: Int)
        case writer(token: Int)
        case expire
    }

    enum TicketState {
        case queued
        case running
        /// It has run: a cancel is too late.
        case sealed
        /// Its group has died; it will run again.
        case carried
    }

    struct Ticket {
        let work: WorkItem
        /// 0: a mutated frame's, of which nothing is known.
        let serial: Int
        var state = TicketState.queued
        var started: UInt64 = 0
        var token = 0
        /// Of a stream.
        var partsSent = 0
    }

    let number: Int
    let behaviour: BackendBehaviour
    let ledger: Ledger
    let streamWindowBytes: Int
    let sabotage: Sabotage?
    var random: SeededGenerator
    var now: UInt64 = 0

    var tickets: [RequestReference: Ticket] = [:]
    var nextToken = 0
    /// Steps to be put on the queue by the world.
    var scheduled: [(time: UInt64, step: Step)] = []
    /// Completions on their way to the reactor.
    var mailbox: [(Completion, [UInt8])] = []
    var isStopped = false

    // Readers.
    var readers: Readers
    var idleReaders: Int
    var readJobs: [Int: ReadJob] = [:]
    /// The transactions of parked streams.
    var parkedIn: [RequestReference: TransactionReference] = [:]
    var readTransactions: Set<TransactionReference> = []

    // The writer.
    var queue: WriterQueue<RequestReference, TransactionReference, RequestReference>
    var group: GroupCommit<RequestReference>
    var writer = WriterActivity.idle
    var writerToken = 0
    var writeTransactions: Set<TransactionReference> = []
    /// Serials run in the open transaction, not durable yet.
    var staged: [Int] = []
    var savepoints: [(name: String, count: Int)] = []
    /// The open interactive transaction is gone although nobody has been told.
    var isTransactionLost = false
    var groupAnswers: [RequestReference: (failure: Failure?, body: [UInt8])] = [:]
    var applied: [RequestReference] = []

    enum WriterActivity {
        case idle
        case group(GroupCommit<RequestReference>.Action)
        case opening(TransactionReference, RequestReference)
        case request(TransactionReference, RequestReference)
        case rollingBack(TransactionReference)
    }

    init(
        number: Int, behaviour: BackendBehaviour, ledger: Ledger, streamWindowBytes: Int, random: SeededGenerator,
        sabotage: Sabotage?
    ) {
        self.number = number
        self.behaviour = behaviour
        self.ledger = ledger
        self.streamWindowBytes = streamWindowBytes
        self.random = random
        self.sabotage = sabotage
        var queueLimits = WriterQueue<RequestReference, TransactionReference, RequestReference>.Limits()
        queueLimits.requestsMax = behaviour.queueRequestsMax
        queueLimits.acquireTimeoutNanoseconds = behaviour.acquireTimeoutNanoseconds
        queue = WriterQueue(limits: queueLimits)
        var groupLimits = GroupCommit<RequestReference>.Limits()
        groupLimits.membersMax = behaviour.groupMembersMax
        groupLimits.answerBytesMax = behaviour.answerBytesMax
        group = GroupCommit(limits: groupLimits)
        var readLimits = Readers.Limits()
        readLimits.connectionsMax = behaviour.readerConnections
        readLimits.connectionsForPointReads = min(2, behaviour.readerConnections / 2)
        readLimits.leaseWorkersMax = max(1, behaviour.readers - 1)
        readLimits.requestsMax = behaviour.queueRequestsMax
        readLimits.pointReadsPerBatchMax = behaviour.groupMembersMax
        readLimits.acquireTimeoutNanoseconds = behaviour.acquireTimeoutNanoseconds
        readLimits.idleTimeoutNanoseconds = behaviour.idleTimeoutNanoseconds
        readLimits.streamWindowBytes = streamWindowBytes
        readers = Readers(limits: readLimits)
        idleReaders = behaviour.readers
    }

    // MARK: what a multiplexer asks for

    func submit(_ work: WorkItem) {
        let serial = ledger.knownSerial(of: work)
        if tickets[work.reference] != nil { ledger.violation(now, "a reference in use was submitted again") }
        tickets[work.reference] = Ticket(work: work, serial: serial)
        if serial > 0 { ledger.requests[serial - 1].isSubmitted = true }
        if random.chance(behaviour.refuseChance), work.kind != .rollback {
            ledger.coverage.saw(.backendRefused)
            let failure = Failure(.unavailable, at: .connect, "the model backend is away", isRetryable: true)
            return fail(work.reference, failure, effect: work.kind == .begin ? .ended : .unchanged)
        }
        if work.transaction != .none, work.kind != .begin {
            if writeTransactions.contains(work.transaction) {
                submitToHolder(work)
            } else if readTransactions.contains(work.transaction) {
                submitRead(work)
            } else {
                endWithoutTransaction(work.reference)
            }
        } else if work.isReadOnly || work.kind.isKeyValueRead {
            submitRead(work)
        } else {
            submitWrite(work)
        }
    }

    func cancel(_ reference: RequestReference) -> CancelOutcome {
        guard let ticket = tickets[reference] else { return .tooLate }
        switch ticket.state {
        case .queued:
            _ = queue.remove(reference) ?? readers.remove(reference)
            forget(ticket)
            kickWriter()
            kickReaders()
            return .removed
        case .carried:
            forget(ticket)
            return .stopped
        case .running:
            if sabotage == .claimStopped, case .group = writer { return .stopped }
            forget(ticket)
            if isRead(ticket.work) {
                stopReading(ticket)
            } else {
                hurryWriter()
            }
            return .stopped
        case .sealed: return .tooLate
        }
    }

    func credit(_ reference: RequestReference, bytes: Int) {
        readers.credit(reference, bytes: bytes)
        kickReaders()
    }

    func giveWay(_ reference: RequestReference) {
        readers.giveWay(reference)
        kickReaders()
    }

    func abandon(_ transaction: TransactionReference) {
        if sabotage == .leakTransaction { return }
        if readTransactions.contains(transaction) { return abandonReading(transaction) }
        guard writeTransactions.contains(transaction) else { return }
        switch queue.abandon(transaction) {
        case .rollsBack(let references):
            for reference in references { fail(reference, Self.aborted, effect: .ended) }
            hurryWriter()
        case .neverBegan(let reference):
            writeTransactions.remove(transaction)
            fail(reference, Self.aborted, effect: .ended)
        case .unknown: break
        }
        kickWriter()
    }

    private func abandonReading(_ transaction: TransactionReference) {
        switch readers.abandon(transaction) {
        case .rollsBack(let references):
            for reference in references { fail(reference, Self.aborted, effect: .ended) }
            // At most one of a transaction is running.
            let running = tickets.values.first { $0.work.transaction == transaction && $0.state == .running }
            if let running {
                fail(running.work.reference, Self.aborted, effect: .ended)
                stopReading(running)
            }
        case .neverBegan(let reference):
            readTransactions.remove(transaction)
            fail(reference, Self.aborted, effect: .ended)
        case .unknown: break
        }
        kickReaders()
    }

    // MARK: time

    func carryOut(_ step: Step) {
        guard !isStopped else { return }
        switch step {
        case .read(let token):
            guard let job = readJobs.removeValue(forKey: token) else { return }
            continueReading(job)
        case .writer(let token):
            guard token == writerToken else { return }
            continueWriting()
        case .expire:
            kickWriter()
            kickReaders()
        }
    }

    /// What it still holds although nobody wants anything of it; empty: nothing.
    var leaks: String {
        var leaks: [String] = []
        // What has run once cannot be let go: it may hang in its COMMIT, or run again after its group has died.
        let held = tickets.values.filter { $0.serial == 0 || !ledger.requests[$0.serial - 1].wasSealed }
            .filter { $0.state != .sealed }.sorted { $0.serial < $1.serial }
        for ticket in held { leaks.append("serial \(ticket.serial) (\(ticket.work.kind.name), \(ticket.state))") }
        // A worker that hangs, in a ROLLBACK say, may keep others from theirs.
        if readJobs.isEmpty, !readTransactions.isEmpty {
            leaks.append("\(readTransactions.count) read-only transactions")
        }
        if readers.count > 0 { leaks.append("\(readers.count) waiting for a reader") }
        if readJobs.isEmpty, readers.usage.leased > 0 { leaks.append("\(readers.usage.leased) leased connections") }
        if idleReaders + readJobs.count != behaviour.readers { leaks.append("a reader") }
        if writeTransactions.count > (queue.holdingTransaction == nil ? 0 : 1) {
            leaks.append("\(writeTransactions.count) read-write transactions")
        }
        if queue.holdingTransaction != nil, case .idle = writer { leaks.append("the writer") }
        if queue.count > 0 { leaks.append("\(queue.count) waiting for the writer") }
        if group.invariantViolations > 0 { leaks.append("a broken group") }
        return leaks.joined(separator: ", ")
    }

    // MARK: answering

    static let aborted = Failure(.aborted, at: .execute, "the transaction has ended; begin again")

    func forget(_ ticket: Ticket) {
        tickets[ticket.work.reference] = nil
        if ticket.work.kind == .begin, ticket.state == .queued { forgetTransaction(ticket) }
    }

    /// Its Begin has not worked.
    private func forgetTransaction(_ ticket: Ticket) {
        writeTransactions.remove(ticket.work.transaction)
        readTransactions.remove(ticket.work.transaction)
    }

    func fail(
        _ reference: RequestReference, _ failure: Failure, effect: Completion.TransactionEffect = .unchanged
    ) {
        guard let ticket = tickets[reference] else { return }
        if ticket.work.kind == .begin, ticket.state == .queued { forgetTransaction(ticket) }
        var failure = failure
        if random.chance(50) { failure.message += String(repeating: " and so on", count: 700) }
        var body = ByteQueue()
        ResponseBody.append(failure, to: &body)
        deliver(ticket, failure.code, failure.stage, effect, Array(body.bytes))
    }

    func succeed(_ reference: RequestReference, effect: Completion.TransactionEffect = .unchanged) {
        guard let ticket = tickets[reference] else { return }
        deliver(ticket, .ok, .unspecified, effect, okBody(ticket))
    }

    func deliver(
        _ ticket: Ticket, _ code: StatusCode, _ stage: Stage, _ effect: Completion.TransactionEffect, _ body: [UInt8]
    ) {
        tickets[ticket.work.reference] = nil
        let completion = Completion(
            reference: ticket.work.reference, kind: .final, code: code, stage: stage, transactionEffect: effect,
            startedNanoseconds: ticket.started, backendNanoseconds: ticket.started == 0 ? 0 : now - ticket.started)
        if ticket.serial > 0 { ledger.requests[ticket.serial - 1].wasAnsweredByBackend = true }
        mailbox.append((completion, body))
    }

    func okBody(_ ticket: Ticket) -> [UInt8] {
        var serial = ticket.serial
        if sabotage == .crossAnswers, serial > 1 { serial -= 1 }
        let filler = [UInt8](repeating: 0x61, count: serial > 0 ? ledger.requests[ticket.serial - 1].bodyBytes : 0)
        var writer = ProtobufWriter()
        switch ticket.work.kind {
        case .get:
            writer.field(16) {
                $0.field(1, 1)
                $0.field(2, filler)
                $0.field(3, UInt64(serial))
            }
        case .put: writer.field(18) { $0.field(1, UInt64(serial)) }
        case .delete: writer.field(19) { $0.field(1, 1) }
        case .increment: writer.field(20) { $0.field(2, UInt64(serial)) }
        case .query:
            writer.field(32) {
                if ticket.partsSent == 0 { $0.field(1) { $0.field(1, filler) } }
                $0.field(3, "\(serial) \(ticket.partsSent)")
            }
        default: break
        }
        return writer.bytes
    }

    func endWithoutTransaction(_ reference: RequestReference) {
        if tickets[reference]?.work.kind == .rollback { return succeed(reference, effect: .ended) }
        fail(reference, Self.aborted, effect: .ended)
    }

    // MARK: bookkeeping

    /// The next step of something, after a while; nothing when it hangs.
    func schedule(_ step: Step, isCommit: Bool = false) {
        guard let wait = behaviour.step(&random, isCommit: isCommit) else { return ledger.coverage.saw(.backendHung) }
        scheduled.append((now + wait, step))
    }

    func token() -> Int {
        nextToken += 1
        return nextToken
    }

    func isRead(_ work: WorkItem) -> Bool {
        if writeTransactions.contains(work.transaction) { return false }
        return work.isReadOnly || work.kind.isKeyValueRead || readTransactions.contains(work.transaction)
    }
}
