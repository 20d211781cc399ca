import PrismCore
import PrismWire

/// Everything that was sent, carried out and answered in a run, and what is wrong with it.
final class Ledger {
    /// Most violations kept of one run; the first ones tell the story.
    static let violationsMax = 20

    var requests: [RequestRecord] = []
    var connections: [ConnectionRecord] = []
    private(set) var violations: [Violation] = []
    var coverage = Coverage()
    private(set) var digest: UInt64 = 0xCBF2_9CE4_8422_2325
    private(set) var answers = 0
    private let start: UInt64
    let trace: ((UInt64, String) -> Void)?

    /// One client's connection, as the server's side of it goes.
    struct ConnectionRecord {
        /// Requests that the server has read and not yet answered for good, by id, in the order sent.
        var open: [UInt64: [Int]] = [:]
        /// All bytes that the multiplexer has put into its output; what the client gets must be their beginning.
        var emitted: [UInt8] = []
        var received = 0
        /// What it sends may be anything: nothing is expected of its answers.
        var isMutated = false
        /// It has sent something that ends the connection, or may.
        var mayFail = false
        var hasFailed = false
        var isLost = false
        var isClosed = false
        /// Requests by the transaction's handle, in the order sent.
        var transactions: [UInt64: [Int]] = [:]
        var handles: [UInt64] = []
    }

    init(start: UInt64, trace: ((UInt64, String) -> Void)?) {
        self.start = start
        self.trace = trace
    }

    func note(_ now: UInt64, _ text: @autoclosure () -> String) {
        if let trace { trace(now - min(start, now), text()) }
    }

    func mix(_ value: UInt64) { digest = (digest ^ value) &* 0x100_0000_01B3 }

    func violation(_ now: UInt64, _ text: String) {
        note(now, "VIOLATION \(text)")
        guard violations.count < Self.violationsMax else { return }
        violations.append(Violation(nanoseconds: now - min(start, now), message: text))
    }

    func describe(_ serial: Int) -> String {
        let request = requests[serial - 1]
        return "client \(request.client) request \(request.id) (\(request.kind.name), serial \(serial))"
    }

    func request(_ serial: Int) -> RequestRecord? {
        requests.indices.contains(serial - 1) ? requests[serial - 1] : nil
    }

    /// Whether what the request changes is durable, by itself or by one with its key.
    func isDurable(_ request: RequestRecord) -> Bool { requests[request.effect - 1].isCommitted }

    /// The serial that a request carries; 0: a mutated frame's, of which nothing is known.
    func knownSerial(of work: WorkItem) -> Int {
        let arena = Arena(limitBytes: 1 << 20, firstBlockBytes: 8 << 10)
        guard let frame = work.frame, let request = RequestMessage(frame.bytes, in: arena),
            let serial = Int(String(decoding: request.traceparent, as: UTF8.self)), serial > 0,
            serial <= requests.count
        else { return 0 }
        return serial
    }

    // MARK: the backend's truth

    /// A change is durable.
    func committed(_ serial: Int, _ now: UInt64) { committed(SerialMark(serial: serial), now) }

    /// One execution of a request is durable.
    func committed(_ mark: SerialMark, _ now: UInt64) {
        guard let request = request(mark.serial) else { return }
        if request.committedUnits.contains(mark.unit) { violation(now, "\(describe(mark.serial)) was executed twice") }
        requests[mark.serial - 1].committedUnits.append(mark.unit)
        mix(UInt64(mark.serial) << 8 | 2)
    }

    func sealed(_ serial: Int) {
        guard request(serial) != nil else { return }
        requests[serial - 1].wasSealed = true
        requests[serial - 1].hasFailed = false
    }

    /// The backend's server has said that it failed, and has been heard.
    func heardFailure(_ serial: Int) { if request(serial) != nil { requests[serial - 1].hasFailed = true } }

    /// It was asked to stop it.
    func askedToCancel(_ serial: Int) { if request(serial) != nil { requests[serial - 1].wasCancelled = true } }

    // MARK: the wire

    func arrived(_ serial: Int, _ phase: DrainState, _ now: UInt64) {
        requests[serial - 1].arrived = now
        requests[serial - 1].phaseAtArrival = phase
        let request = requests[serial - 1]
        connections[request.client].open[request.id, default: []].append(serial)
        if request.transaction != 0 {
            if connections[request.client].transactions[request.transaction] == nil {
                connections[request.client].handles.append(request.transaction)
            }
            connections[request.client].transactions[request.transaction, default: []].append(serial)
        }
        mix(UInt64(serial) << 8 | 1)
    }

    /// A frame has come out of the multiplexer; the serial of the request it answers, if that is known.
    func emitted(_ answer: Answer, client: Int, _ context: Context) -> Int? {
        let now = context.now
        answers += 1
        mix(answer.id << 16 | UInt64(answer.code.rawValue) << 8 | UInt64(answer.outcome.rawValue))
        mix(now)
        guard answer.id != 0 else {
            connectionSaid(answer, client: client, now)
            return nil
        }
        if connections[client].hasFailed {
            violation(now, "client \(client): answer \(answer.id) after the last answer with id 0")
        }
        guard let serial = connections[client].open[answer.id]?.first else {
            if !connections[client].isMutated {
                violation(now, "client \(client): answer to id \(answer.id), which is not in flight")
            }
            return nil
        }
        if answer.isPart {
            requests[serial - 1].parts += 1
            let isExpected =
                answer.serial == requests[serial - 1].effect && answer.partNumber == requests[serial - 1].parts
            if answer.rows.isEmpty, !isExpected {
                violation(now, "\(describe(serial)): a part is missing, doubled or another request's")
            }
            count(answer.rows, serial, now)
            return serial
        }
        let rest = connections[client].open[answer.id]?.dropFirst() ?? []
        connections[client].open[answer.id] = rest.isEmpty ? nil : Array(rest)
        requests[serial - 1].finalAnswers += 1
        requests[serial - 1].code = answer.code
        requests[serial - 1].stage = answer.stage
        requests[serial - 1].outcome = answer.outcome
        requests[serial - 1].answeredAt = now
        note(
            now,
            "answer \(describe(serial)): \(answer.code.name) \(answer.code == .ok ? "" : answer.outcome.name + " " + answer.stage.name + ": " + answer.message)"
        )
        count(answer.rows, serial, now)
        judge(answer, serial, context)
        cover(answer, requests[serial - 1])
        return serial
    }

    private func count(_ rows: [(serial: Int, number: Int)], _ serial: Int, _ now: UInt64) {
        for row in rows where !connections[requests[serial - 1].client].isMutated {
            requests[serial - 1].rows += 1
            if row.serial != requests[serial - 1].effect || row.number != requests[serial - 1].rows {
                violation(now, "\(describe(serial)): a row is missing, doubled or another request's")
            }
        }
    }

    private func connectionSaid(_ answer: Answer, client: Int, _ now: UInt64) {
        if answer.code == .ok {
            if answer.isNotice { coverage.saw(.notice) } else { violation(now, "client \(client): OK with id 0") }
            return
        }
        note(now, "client \(client): last answer, id 0: \(answer.code.name) \(answer.message)")
        // Whoever writes a frame slowly while others wait may be ended.
        let isSlowFrame = answer.code == .resourceExhausted && answer.message.contains("limits.frame_timeout")
        if isSlowFrame { coverage.saw(.frameTimeout) }
        if !isSlowFrame, !connections[client].mayFail, !connections[client].isMutated {
            violation(now, "client \(client) broke no rule, but its connection ended: \(answer.message)")
        }
        if connections[client].hasFailed { violation(now, "client \(client): two last answers with id 0") }
        connections[client].hasFailed = true
    }
}
