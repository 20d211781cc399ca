import PrismCore
import PrismWire
import Testing

/// Drives one multiplexer as a shell would, with a backend that does what the test says. Time stands still unless moved.
final class Session {
    let multiplexer: Multiplexer
    var now: UInt64 = 1_000_000_000_000
    /// What is with the backend: the client's id and the work.
    private(set) var submitted: [WorkItem] = []
    private(set) var abandoned: [TransactionReference] = []
    private(set) var gaveWay: [RequestReference] = []
    private(set) var closed: [ConnectionReference] = []
    private(set) var paused: Set<ConnectionReference> = []
    private(set) var readingShutDown: [ConnectionReference] = []
    private(set) var credited = 0
    private(set) var logs: [MultiplexerLog] = []
    /// What the backend says to a cancel.
    var cancelOutcome = CancelOutcome.removed
    private(set) var cancels = 0

    static func settings(_ change: (inout MultiplexerSettings) -> Void = { _ in }) -> MultiplexerSettings {
        var settings = MultiplexerSettings()
        settings.backends = [
            BackendDescription(name: "main", kind: .sqlite, isDefault: true),
            BackendDescription(name: "other", kind: .sqlite, isDefault: false),
        ]
        settings.serverVersion = "test"
        change(&settings)
        return settings
    }

    init(_ settings: MultiplexerSettings = Session.settings()) { multiplexer = Multiplexer(settings: settings) }

    // MARK: events

    func connect(uid: UInt32 = 1_000, gid: UInt32 = 1_000) -> ConnectionReference {
        let peer = PeerCredentials(pid: 1, uid: uid, gid: gid)
        let reference = multiplexer.connectionOpened(peer: peer, now: now)
        perform()
        return reference ?? ConnectionReference(index: -1, generation: 0)
    }

    func send(_ client: ConnectionReference, _ requests: TestRequest...) {
        send(client, bytes: requests.flatMap(\.frame))
    }

    func send(_ client: ConnectionReference, bytes: [UInt8]) {
        bytes.withUnsafeBytes { multiplexer.received(client, $0, now: now) }
        perform()
    }

    /// The client ends its sending side.
    func endSending(_ client: ConnectionReference) {
        multiplexer.inputEnded(client, now: now)
        perform()
    }

    func disconnect(_ client: ConnectionReference) {
        multiplexer.connectionLost(client, now: now)
        perform()
    }

    func advance(microseconds: UInt64) {
        now += microseconds * 1_000
        multiplexer.advance(to: now)
        perform()
    }

    func enter(_ state: DrainState) {
        multiplexer.enter(state, reason: "test", budgetLeftNanoseconds: 1_000_000_000, now: now)
        perform()
    }

    /// The backend's word on the oldest request that it has.
    func complete(
        _ code: StatusCode = .ok, _ outcome: Outcome = .notExecuted, ended: Bool = false, body: [UInt8]? = nil
    ) {
        guard let work = submitted.first else {
            Issue.record("nothing is with the backend")
            return
        }
        submitted.removeFirst()
        complete(work, code, outcome, ended: ended, body: body)
    }

    func complete(
        _ work: WorkItem, _ code: StatusCode = .ok, _ outcome: Outcome = .notExecuted, ended: Bool = false,
        body: [UInt8]? = nil
    ) {
        var packed = ByteQueue()
        if code != .ok { ResponseBody.append(Failure(code, at: .execute, outcome: outcome, "the test"), to: &packed) }
        if let body { body.withUnsafeBytes { packed.append($0) } }
        let completion = Completion(
            reference: work.reference, kind: .final, code: code, stage: code == .ok ? .unspecified : .execute,
            transactionEffect: ended ? .ended : .unchanged, startedNanoseconds: now, backendNanoseconds: 1_000)
        multiplexer.completed(completion, body: packed.bytes, now: now)
        perform()
    }

    func part(bytes: Int = 8) {
        guard let work = submitted.first else {
            Issue.record("nothing is with the backend")
            return
        }
        let body = Pack.data(32, Pack.data(3, String(repeating: "x", count: bytes)))
        body.withUnsafeBytes {
            multiplexer.completed(Completion(reference: work.reference, kind: .part), body: $0, now: now)
        }
        perform()
    }

    // MARK: what the client sees

    /// Reads everything that is there.
    func answers(_ client: ConnectionReference, _ place: SourceLocation = #_sourceLocation) -> [Answer] {
        guard let output = multiplexer.output(client) else { return [] }
        let count = output.count
        let answers = Answer.all(output)
        #expect(answers != nil, "the output is not whole frames", sourceLocation: place)
        multiplexer.wrote(client, count: count, now: now)
        perform()
        return answers ?? []
    }

    func read(_ client: ConnectionReference, _ place: SourceLocation = #_sourceLocation) -> [String] {
        answers(client, place).map(\.description)
    }

    /// Opens a transaction; the answer is its handle.
    func begin(_ client: ConnectionReference, id: UInt64 = 900, readOnly: Bool = false) -> UInt64 {
        send(client, readOnly ? .begin(id).readOnly() : .begin(id))
        complete()
        return answers(client).first?.transaction ?? 0
    }

    /// Nothing is left behind: to be called when every client is gone.
    func expectNothingLeft(_ place: SourceLocation = #_sourceLocation) {
        #expect(multiplexer.inFlight == 0, "requests are in flight", sourceLocation: place)
        #expect(multiplexer.openTransactions == 0, "transactions are open", sourceLocation: place)
        #expect(multiplexer.clients == 0, "clients are connected", sourceLocation: place)
        #expect(multiplexer.bufferedBytes == 0, "bytes are counted as buffered", sourceLocation: place)
        #expect(multiplexer.nextDeadline == .max, "a timer is armed", sourceLocation: place)
        #expect(multiplexer.metrics.invariantViolations == 0, sourceLocation: place)
    }

    // MARK: actions

    /// As the shell: carry out in order, then settle, until nothing more comes.
    private func perform() {
        repeat {
            multiplexer.settle(now: now)
            while let action = multiplexer.takeAction() { perform(action) }
        } while multiplexer.hasActions
        let problem = multiplexer.accountingProblem()
        #expect(problem == nil)
    }

    private func perform(_ action: MultiplexerAction) {
        switch action {
        case .submit(_, let work): submitted.append(work)
        case .cancel(_, let reference):
            cancels += 1
            let known = submitted.contains { $0.reference == reference }
            let outcome = known ? cancelOutcome : .tooLate
            if outcome != .tooLate { submitted.removeAll { $0.reference == reference } }
            multiplexer.cancelled(reference, outcome, now: now)
        case .credit(_, _, let bytes): credited += bytes
        case .giveWay(_, let reference): gaveWay.append(reference)
        case .abandon(_, let transaction): abandoned.append(transaction)
        case .flush: break
        case .pauseReading(let client): paused.insert(client)
        case .resumeReading(let client): paused.remove(client)
        case .shutdownReading(let client): readingShutDown.append(client)
        case .close(let client): closed.append(client)
        case .log(let entry): logs.append(entry)
        }
    }
}
