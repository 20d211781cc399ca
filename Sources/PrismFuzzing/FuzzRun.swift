import PrismCore
import PrismWire

/// One run under a seed: mutated bytes into the decoder, and through several connections into a multiplexer whose backend
/// answers, fails, streams and is cancelled at random; beside them a healthy neighbour. Pure; the same seed runs the same.
public struct FuzzRun: ~Copyable {
    private static let frameBytesMaxForAnswers = 64 << 20

    private let mutator: Mutator
    private var random: SeededGenerator
    private let multiplexer: Multiplexer
    private var now: UInt64 = 1_000_000_000_000
    private var connections: [FuzzedConnection] = []
    /// The first connection: sends what is right, one request at a time.
    private var neighbourID: UInt64 = 0
    private var submitted: [WorkItem] = []
    private var problems: [String] = []

    /// - Parameter corpus: streams of good (and bad) frames to start from; not empty.
    public init(seed: UInt64, corpus: [[UInt8]]) {
        mutator = Mutator(corpus: corpus)
        random = SeededGenerator(seed: seed)
        var settings = MultiplexerSettings()
        settings.backends = [
            BackendDescription(name: "main", kind: .sqlite, isDefault: true),
            BackendDescription(name: "other", kind: .sqlite, isDefault: false),
        ]
        settings.wire.frameBytesMax = random.pick([24 << 10, 64 << 10, 4 << 20])
        settings.wire.decodeBytesMax = random.pick([24 << 10, 256 << 10, 16 << 20])
        settings.inFlightPerConnectionMax = random.pick([1, 2, 8, 1_024])
        settings.bufferedBytesPerConnectionMax = random.pick([4 << 10, 8 << 20])
        settings.transactionsMax = random.pick([1, 4, 1_024])
        settings.unreservedFrameBytes = random.pick([100, 2_000, 8 << 10])
        multiplexer = Multiplexer(settings: settings)
    }

    /// - Returns: what did not hold, at most a few lines; empty: everything did.
    public mutating func run() -> [String] {
        for _ in 0..<4 {
            let input = mutator.input(&random)
            if let problem = DecoderFuzz.problem(input, &random) { problems.append(problem) }
        }
        for _ in 0..<2 + random.below(3) { connect() }
        for _ in 0..<20 + random.below(80) where problems.isEmpty { step() }
        if problems.isEmpty, random.chance(3) { drain() }
        if problems.isEmpty { finish() }
        return problems
    }

    // MARK: events

    private mutating func step() {
        switch random.below(12) {
        case 0, 1, 2, 3: sendMutated()
        case 4: askNeighbour()
        case 5, 6: completeOne()
        case 7: readSome()
        case 8:
            now += UInt64(random.below(random.chance(5) ? 40_000 : 50)) * 1_000_000
            multiplexer.advance(to: now)
        case 9:
            guard random.chance(4) else { return }
            let index = 1 + random.below(connections.count - 1)
            if random.chance(2) {
                multiplexer.connectionLost(connections[index].reference, now: now)
            } else {
                multiplexer.inputEnded(connections[index].reference, now: now)
            }
        case 10: if connections.count < 8, random.chance(3) { connect() }
        default: readAll()
        }
        settle()
    }

    private mutating func connect() {
        let pid = Int32(connections.count + 1)
        let peer = PeerCredentials(pid: pid, uid: 1_000, gid: 1_000)
        guard let reference = multiplexer.connectionOpened(peer: peer, now: now) else {
            return problems.append("a client was refused below the limit")
        }
        connections.append(FuzzedConnection(reference: reference, pid: pid))
        settle()
    }

    private mutating func sendMutated() {
        let index = 1 + random.below(connections.count - 1)
        var rest = mutator.input(&random)[...]
        while !rest.isEmpty {
            let count = random.chance(2) ? rest.count : 1 + random.below(rest.count)
            receive(Array(rest.prefix(count)), index)
            rest = rest.dropFirst(count)
        }
    }

    private mutating func receive(_ bytes: [UInt8], _ index: Int) {
        bytes.withUnsafeBytes { multiplexer.received(connections[index].reference, $0, now: now) }
        settle()
    }

    /// One good request of the neighbour, to its answer, whatever else is going on.
    private mutating func askNeighbour() {
        neighbourID += 1
        // Few ids, so that one which is not free again is noticed.
        let id = UInt8(truncatingIfNeeded: neighbourID % 2 + 1)
        let key: [UInt8] = [0x12, 1, 0x6B]
        let operation: [UInt8] = random.pick([[0x8A, 3, 0], [0x82, 1, 3] + key, [0x92, 1, 3] + key])
        let before = connections[0].finalsTotal
        receive(Mutator.framed([8, id] + operation), 0)
        if let position = submitted.lastIndex(where: { $0.reference.rawValue == newestReference }), operation[0] != 0x8A
        {
            complete(submitted.remove(at: position), .ok, Array(operation[..<2] + [0]))
        }
        read(0, all: true)
        if connections[0].isClosed || connections[0].hasLastFrame || connections[0].finalsTotal != before + 1 {
            problems.append("the neighbour's request \(neighbourID) got \(connections[0].finalsTotal - before) answers")
        }
    }

    private var newestReference: UInt64 { submitted.last?.reference.rawValue ?? 0 }

    private mutating func completeOne() {
        guard !submitted.isEmpty else { return }
        let work = submitted[random.below(submitted.count)]
        let field = Int(work.kind.rawValue) << 3 | 2
        let payload = [UInt8(truncatingIfNeeded: field & 0x7F | 0x80), UInt8(truncatingIfNeeded: field >> 7), 0]
        if work.kind.isStreamed, random.chance(2) {
            let part = Completion(reference: work.reference, kind: .part)
            payload.withUnsafeBytes { multiplexer.completed(part, body: $0, now: now) }
            return
        }
        submitted.removeAll { $0.reference == work.reference }
        complete(work, random.chance(3) ? random.pick([.aborted, .unavailable, .alreadyExists]) : .ok, payload)
        // A backend that says it twice: the second word is late.
        if random.chance(8) { complete(work, .ok, payload) }
    }

    private mutating func complete(_ work: WorkItem, _ code: StatusCode, _ payload: [UInt8]) {
        var body = ByteQueue()
        if code == .ok {
            payload.withUnsafeBytes { body.append($0) }
        } else {
            ResponseBody.append(Failure(code, at: .execute, "the fuzzer's backend"), to: &body)
        }
        let ends = work.kind == .commit || work.kind == .rollback
        let completion = Completion(
            reference: work.reference, kind: .final, code: code, stage: code == .ok ? .unspecified : .execute,
            transactionEffect: ends && code == .ok || random.chance(20) ? .ended : .unchanged, startedNanoseconds: now,
            backendNanoseconds: 1_000)
        multiplexer.completed(completion, body: body.bytes, now: now)
        settle()
    }

    // MARK: the end

    private mutating func drain() {
        for state in [DrainState.lameDuck, .draining, .cancelling] {
            multiplexer.enter(state, reason: "fuzz", budgetLeftNanoseconds: 1_000_000_000, now: now)
            settle()
            sendMutated()
            readSome()
        }
    }

    /// Everything is answered and read; then what was taken has been answered once, and nothing is left.
    private mutating func finish() {
        for _ in 0..<10_000 where problems.isEmpty {
            let open = submitted.count
            if open > 0 { complete(submitted.removeFirst(), .ok, []) }
            readAll()
            guard open == 0, !multiplexer.hasActions else { continue }
            break
        }
        let taken = Dictionary(uniqueKeysWithValues: multiplexer.clientList().map { ($0.pid, $0) })
        for connection in connections where !connection.isClosed && !connection.hasLastFrame {
            guard let client = taken[connection.pid] else { continue }
            if client.requestsTotal != connection.finalsTotal || client.inFlight != 0 {
                problems.append(
                    "\(client.requestsTotal) requests were taken, \(connection.finalsTotal) answered, \(client.inFlight) in flight"
                )
            }
        }
        for connection in connections { multiplexer.connectionLost(connection.reference, now: now) }
        settle()
        expect(multiplexer.clients == 0, "clients are left")
        expect(multiplexer.inFlight == 0, "requests are left")
        expect(multiplexer.openTransactions == 0, "transactions are left")
        expect(multiplexer.bufferedBytes == 0, "\(multiplexer.bufferedBytes) bytes are counted as buffered")
        expect(multiplexer.nextDeadline == .max, "a timer is left")
        expect(multiplexer.metrics.invariantViolations == 0, "an invariant was violated")
        expect(multiplexer.metrics.unansweredAtClose == 0, "a connection was closed before an answer")
    }

    private mutating func expect(_ holds: Bool, _ what: String) {
        if !holds { problems.append(what) }
    }

    // MARK: what clients read

    private mutating func readAll() {
        for index in connections.indices { read(index, all: true) }
    }

    private mutating func readSome() {
        read(random.below(connections.count), all: false)
    }

    private mutating func read(_ index: Int, all: Bool) {
        // Reading lets paused clients go on, whose answers come at once: again, until nothing comes.
        for _ in 0..<2_000 {
            guard let output = multiplexer.output(connections[index].reference), !output.isEmpty else { return }
            let count = all ? output.count : 1 + random.below(output.count)
            let bytes = UnsafeRawBufferPointer(rebasing: output[..<count])
            if let problem = connections[index].read(bytes, frameBytesMax: Self.frameBytesMaxForAnswers) {
                problems.append(problem)
            }
            multiplexer.wrote(connections[index].reference, count: count, now: now)
            settle()
            if !all { return }
        }
    }

    // MARK: actions, as the shell carries them out

    private mutating func settle() {
        repeat {
            multiplexer.settle(now: now)
            while let action = multiplexer.takeAction() { perform(action) }
        } while multiplexer.hasActions
        if let problem = multiplexer.accountingProblem() { problems.append(problem) }
    }

    private mutating func perform(_ action: MultiplexerAction) {
        switch action {
        case .submit(_, let work): submitted.append(work)
        case .cancel(_, let reference):
            let isKnown = submitted.contains { $0.reference == reference }
            let outcome = isKnown ? random.pick([.removed, .stopped, .tooLate]) : CancelOutcome.tooLate
            if outcome != .tooLate { submitted.removeAll { $0.reference == reference } }
            multiplexer.cancelled(reference, outcome, now: now)
        case .close(let reference):
            for index in connections.indices where connections[index].reference == reference {
                connections[index].isClosed = true
            }
        case .log(.invariantViolated(let what)): problems.append("an invariant was violated: \(what)")
        case .credit, .giveWay, .abandon, .flush, .pauseReading, .resumeReading, .shutdownReading, .log: break
        }
    }
}
