import PrismCore
import PrismWire

/// One engine with a fake server, and what it has answered.
final class EngineHarness {
    let server = FakeServer()
    let engine: PostgreSQLEngine<FakeServer>
    private let box = Box()
    private let arena = Arena(limitBytes: 16 << 20)
    /// The number of the next request.
    var slots = 0

    private final class Box {
        var answers: [String] = []
        var completions: [Completion] = []
        var bodies: [[UInt8]] = []
    }

    init(connections: Int = 1, _ change: (inout EngineSettings) -> Void = { _ in }) {
        var settings = EngineSettings()
        settings.pool.connectionsMin = connections
        settings.pool.connectionsMax = connections
        settings.sweepIntervalNanoseconds = 0
        settings.sharedConnectionsMax = 0
        change(&settings)
        let box = box
        engine = PostgreSQLEngine(settings: settings, port: server) { completion, body in
            let answer = Answer(body)
            let name = completion.reference.slot
            let isPart = completion.kind == .part
            box.completions.append(completion)
            box.bodies.append(Array(body))
            let effect = completion.transactionEffect == .ended ? " ended" : ""
            if isPart {
                box.answers.append("\(name) part")
            } else if completion.code == .ok {
                box.answers.append("\(name) OK\(effect)")
            } else {
                box.answers.append(
                    "\(name) \(completion.code.name) \(completion.stage.name) \(answer?.outcome.name ?? "?")\(effect)")
            }
        }
        server.engine = engine
        _ = engine.advance(to: server.now)
        server.acceptAll()
    }

    /// What was answered since the last look: `slot OK`, `slot part`, or `slot CODE stage OUTCOME`.
    func takeAnswers() -> [String] {
        defer { box.answers.removeAll() }
        return box.answers
    }

    /// What was answered since the last look, whole.
    func takeBodies() -> [[UInt8]] {
        defer { box.bodies.removeAll() }
        return box.bodies
    }

    @discardableResult
    func submit(
        _ request: TestRequest, transaction: TransactionReference = .none, readOnly: Bool = false,
        deadline: UInt64 = .max, uid: UInt32 = 1
    ) -> RequestReference {
        let message = Array(request.frame.dropFirst(4))
        let reference = RequestReference(reactor: 0, slot: slots, generation: 1)
        slots += 1
        // As a multiplexer makes it, which has decoded it before.
        arena.reset()
        let frame = message.withUnsafeBytes { bytes in
            RequestMessage(borrowing: bytes, in: arena).map { FrameBox(bytes, $0, keepsQuery: readOnly) }
                ?? FrameBox(bytes)
        }
        engine.submit(
            WorkItem(
                reference: reference, kind: OperationKind(rawValue: UInt8(request.operation))!, isReadOnly: readOnly,
                transaction: transaction, uid: uid, flow: Flow(client: ClientIdentity(uid: uid)),
                deadlineNanoseconds: deadline, submittedNanoseconds: server.now,
                frame: frame))
        return reference
    }

    /// The end of a tick.
    func advance() { _ = engine.advance(to: server.now) }

    /// The end of a tick, and all that the server has to say then.
    func tick() {
        advance()
        server.run()
    }

    func cancel(_ reference: RequestReference) -> CancelOutcome { engine.cancel(reference, now: server.now) }
}
