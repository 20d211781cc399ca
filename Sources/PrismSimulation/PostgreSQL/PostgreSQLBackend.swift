import PrismCore
import PrismWire

/// The real PostgreSQL engine of one reactor with a model of its server, as the world sees a backend.
final class PostgreSQLBackend {
    struct Ticket {
        let work: WorkItem
        /// 0: a mutated frame's, of which nothing is known.
        let serial: Int
    }

    /// How long after the end of a run everything must have come to rest, nanoseconds: silent connections are found lost within.
    static let restNanoseconds: UInt64 = 200_000_000_000

    let number: Int
    let server: ModelServer
    let engine: PostgreSQLEngine<ModelServer>
    let ledger: Ledger
    let sabotage: Sabotage?
    var now: UInt64 = 0 { didSet { server.now = now } }
    var tickets: [RequestReference: Ticket] = [:]
    /// Completions that the session has not been told yet.
    private var mailbox: [(Completion, [UInt8])] = []
    private let answers: LocalAnswers
    /// The session has been told in the backend's own turn.
    var told: (Completion, _ bodyBytes: Int) -> Void = { _, _ in }
    /// When the engine wants to be called again at the latest.
    private(set) var nextDeadline: UInt64 = 0
    private(set) var isStopped = false
    /// The process has ended but for its connections: nobody wants anything any more.
    private var isEnding = false
    /// Since then every connection was seen back in the pool; a sweeper may have borrowed one again.
    private var hasRested = false
    /// Serials that a deliberate fault has run twice.
    private var reran: Set<Int> = []
    private let arena = Arena(limitBytes: 1 << 20, firstBlockBytes: 8 << 10)

    /// Where the engine's answers go; it is there before the backend is.
    private final class Sink {
        weak var backend: PostgreSQLBackend?
    }

    init(
        number: Int, behaviour: ServerBehaviour, multiplexer: Multiplexer, ledger: Ledger, random: SeededGenerator,
        sabotage: Sabotage?, start: UInt64
    ) {
        self.number = number
        self.ledger = ledger
        self.sabotage = sabotage
        let server = ModelServer(
            behaviour: behaviour, ledger: ledger, random: random, sabotage: sabotage, start: start)
        let sink = Sink()
        answers = LocalAnswers(multiplexer: multiplexer) { sink.backend?.mailbox.append(($0, Array($1))) }
        self.server = server
        engine = PostgreSQLEngine(settings: behaviour.settings, port: server) { completion, body in
            sink.backend?.completed(completion, Array(body))
        }
        sink.backend = self
        server.engine = engine
        server.serialInHand = { [weak self] connection in
            guard let self, let reference = engine.request(on: connection) else { return 0 }
            return tickets[reference]?.serial ?? 0
        }
        server.heardCompletion = { [weak self] in self?.answerTooEarly($0) }
    }

    // MARK: what a multiplexer asks for

    func submit(_ work: WorkItem) {
        let serial = ledger.knownSerial(of: work)
        if tickets[work.reference] != nil { ledger.violation(now, "a reference in use was submitted again") }
        tickets[work.reference] = Ticket(work: work, serial: serial)
        if serial > 0 { ledger.requests[serial - 1].isSubmitted = true }
        engine.submit(work)
    }

    func cancel(_ reference: RequestReference) -> CancelOutcome {
        let outcome = engine.cancel(reference, now: now)
        if outcome != .tooLate { tickets[reference] = nil }
        if outcome == .stopped, sabotage == .cancelNeighbour { cancelNeighbour() }
        return outcome
    }

    func credit(_ reference: RequestReference, bytes: Int) { engine.credit(reference, bytes: bytes) }

    func giveWay(_ reference: RequestReference) { engine.giveWay(reference, now: now) }

    func abandon(_ transaction: TransactionReference) { engine.abandon(transaction, now: now) }

    // MARK: the loop

    var hasWork: Bool { !mailbox.isEmpty || (!isStopped && server.hasArrivals) }

    func deliver() {
        guard !isStopped else { return }
        answers.duringTurn(now) { server.deliver() }
    }

    func takeCompletions() -> [(Completion, [UInt8])] {
        answers.mailboxIsDrained()
        defer { mailbox = [] }
        return mailbox
    }

    /// How many the session has been told in turns since the last call.
    func takeToldCount() -> Int { answers.takeCount() }

    func advance() {
        guard !isStopped else { return }
        nextDeadline = answers.duringTurn(now) { engine.advance(to: now) }
        guard isEnding, !hasRested else { return }
        let snapshot = engine.snapshot
        hasRested = snapshot.leased == 0 && snapshot.waiting == 0
    }

    private func completed(_ completion: Completion, _ body: [UInt8]) {
        guard let ticket = tickets[completion.reference] else {
            if sabotage == .answerBeforeSync { return }
            return ledger.violation(now, "the engine answers a request that is not its own any more")
        }
        if completion.kind == .final {
            guard !isSabotaged(completion, body, ticket) else { return }
            tickets[completion.reference] = nil
            if ticket.serial > 0 { ledger.requests[ticket.serial - 1].wasAnsweredByBackend = true }
        }
        cover(completion)
        say(completion, body)
    }

    private func say(_ completion: Completion, _ body: [UInt8]) {
        if body.withUnsafeBytes({ answers.deliver(completion, body: $0) }) { told(completion, body.count) }
    }

    private func cover(_ completion: Completion) {
        if completion.code == .unavailable, completion.stage == .connect { ledger.coverage.saw(.poolDownRefused) }
        if completion.code == .resourceExhausted, completion.stage == .queue { ledger.coverage.saw(.poolExhausted) }
    }

    // MARK: deliberate faults

    /// True: the answer has been replaced, or is not to be given.
    private func isSabotaged(_ completion: Completion, _ body: [UInt8], _ ticket: Ticket) -> Bool {
        if sabotage == .crossErrors, completion.code != .ok { crossError(completion, body) }
        if sabotage == .rerunCommitted, completion.code == .ok, ticket.work.kind == .put,
            ticket.work.transaction == .none, !reran.contains(ticket.serial)
        {
            reran.insert(ticket.serial)
            engine.submit(ticket.work)
            return true
        }
        guard sabotage == .denyLostCommit || sabotage == .repeatWrite else { return false }
        let answer = body.withUnsafeBytes { Answer($0, in: arena) }
        guard answer?.outcome == .unknown, completion.code == .unavailable else { return false }
        if sabotage == .repeatWrite {
            guard ticket.work.transaction == .none else { return false }
            engine.submit(ticket.work)
            return true
        }
        var denial = ByteQueue()
        ResponseBody.append(Failure(.unavailable, at: .execute, "the connection was lost"), to: &denial)
        tickets[completion.reference] = nil
        say(completion, Array(denial.bytes))
        return true
    }

    /// Another read that is under way, by its serial.
    private func neighbour(of reference: RequestReference?) -> RequestReference? {
        tickets.filter { $0.key != reference && $0.value.serial > 0 && $0.value.work.transaction == .none }
            .filter { $0.value.work.isReadOnly || $0.value.work.kind.isKeyValueRead }
            .min { $0.value.serial < $1.value.serial }?.key
    }

    private func answer(_ reference: RequestReference, _ completion: Completion, _ body: [UInt8]) {
        _ = engine.cancel(reference, now: now)
        tickets[reference] = nil
        say(Completion(reference: reference, kind: .final, code: completion.code, stage: completion.stage), body)
    }

    private func cancelNeighbour() {
        guard let neighbour = neighbour(of: nil) else { return }
        var body = ByteQueue()
        let error = ServerError(sqlState: "57014", message: "canceling statement due to user request")
        let failure = SQLStateMapping.failure(error, at: .execute, outcome: .notExecuted)
        ResponseBody.append(failure, to: &body)
        answer(
            neighbour, Completion(reference: neighbour, kind: .final, code: failure.code, stage: failure.stage),
            Array(body.bytes))
    }

    private func crossError(_ completion: Completion, _ body: [UInt8]) {
        guard let neighbour = neighbour(of: completion.reference) else { return }
        answer(neighbour, completion, body)
    }

    /// A statement of the request in hand is complete, and its Sync has not been heard of.
    private func answerTooEarly(_ connection: ServerConnectionReference) {
        guard sabotage == .answerBeforeSync, let reference = engine.request(on: connection),
            let ticket = tickets[reference], ticket.work.kind == .put, ticket.work.transaction == .none
        else { return }
        tickets[reference] = nil
        say(Completion(reference: reference, kind: .final), [])
    }

    // MARK: the end

    /// From now on nobody wants anything any more.
    func rest() {
        isEnding = true
        advance()
    }

    /// The process ends: connections are closed.
    func stop() {
        guard !isStopped else { return }
        isStopped = true
        judgeRest()
        engine.stop(now: now)
        nextDeadline = .max
        let left = server.sessions.filter { !$0.isOrphaned }.count + server.connecting.count
        if left > 0 { ledger.violation(now, "left after the end: backend \(number): \(left) server connections") }
        let snapshot = engine.snapshot
        if snapshot.idle + snapshot.leased + snapshot.connecting + snapshot.waiting > 0 {
            ledger.violation(now, "left after the end: backend \(number): places in the pool")
        }
    }

    private func judgeRest() {
        let snapshot = engine.snapshot
        if snapshot.shared.reruns > 0 { ledger.coverage.saw(.batchRerun) }
        if !hasRested {
            ledger.violation(
                now,
                "left after the end: backend \(number): \(snapshot.leased) leased connections, \(snapshot.waiting) waiting"
            )
        }
        if snapshot.invariantViolations > 0 {
            ledger.violation(now, "backend \(number): the engine found an invariant broken")
        }
    }

    /// What it still holds although nobody wants anything of it; empty: nothing.
    var leaks: String {
        tickets.values.sorted { $0.serial < $1.serial }
            .map { "serial \($0.serial) (\($0.work.kind.name))" }.joined(separator: ", ")
    }
}
