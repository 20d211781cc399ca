internal import PrismCore
import PrismWire

/// One run: clients, sockets and databases on virtual time around the real `Multiplexer` and the real `DrainMachine`. A pure
/// function of its seed. Not thread-safe; runs of different seeds share nothing and may go in parallel.
public final class Simulation {
    enum Event {
        case client(Int)
        case backend(Int, SimulatedBackend.Step)
        case signal(DrainMachine.Event)
    }

    /// Rounds of the loop after which a run counts as never coming to rest.
    static let ticksMax = 400_000

    let seed: UInt64
    let sabotage: Sabotage?
    let scenario: Scenario
    let ledger: Ledger
    var random: SeededGenerator
    var now = Scenario.start
    var events = EventQueue<Event>()
    let multiplexer: Multiplexer
    var machine: DrainMachine
    let backends: [SimulatedBackend]
    let clients: [SimulatedClient]
    let arena = Arena(limitBytes: 1 << 20, firstBlockBytes: 16 << 10)

    // The server's loop, as `Shard` and `DrainCoordinator` keep it.
    var backlog: [Int] = []
    var isListening = true
    /// Client by the multiplexer's connection index.
    var clientAt: [Int] = []
    var toFlush: [ConnectionReference] = []
    var pendingSignals: [DrainMachine.Event] = []
    /// Bytes of parts that the backend has not been credited yet.
    var streamBytes: [RequestReference: Int] = [:]
    var hasSabotaged = false
    var account = EndingAccount()

    init(seed: UInt64, sabotage: Sabotage?, scenario given: Scenario? = nil, trace: ((UInt64, String) -> Void)?) {
        self.seed = seed
        self.sabotage = sabotage
        var random = SeededGenerator(seed: seed)
        var drawing = random.fork()
        let scenario = given ?? Scenario.draw(&drawing)
        let ledger = Ledger(start: Scenario.start, trace: trace)
        self.scenario = scenario
        self.ledger = ledger
        ledger.connections = Array(repeating: Ledger.ConnectionRecord(), count: scenario.clients.count)
        let multiplexer = Multiplexer(settings: scenario.settings)
        self.multiplexer = multiplexer
        machine = DrainMachine(settings: scenario.drain)
        backends = scenario.backends.enumerated().map { number, plan in
            switch plan {
            case .sqlite(let behaviour):
                .sqlite(
                    ModelBackend(
                        number: number, behaviour: behaviour, ledger: ledger,
                        streamWindowBytes: scenario.settings.streamWindowBytes, random: random.fork(),
                        sabotage: sabotage))
            case .postgreSQL(let behaviour):
                .postgreSQL(
                    PostgreSQLBackend(
                        number: number, behaviour: behaviour, multiplexer: multiplexer, ledger: ledger,
                        random: random.fork(), sabotage: sabotage, start: Scenario.start))
            }
        }
        clients = scenario.clients.enumerated().map { number, profile in
            SimulatedClient(
                number: number, profile: profile,
                postgreSQL: scenario.settings.backends.map { $0.kind == .postgreSQL }, random: random.fork())
        }
        self.random = random
    }

    /// Runs one seed to its end.
    /// - Parameters:
    ///   - sabotage: a deliberate fault that the oracle must find.
    ///   - trace: gets each event with the virtual time since the start, nanoseconds.
    public static func run(
        seed: UInt64, sabotage: Sabotage? = nil, trace: ((UInt64, String) -> Void)? = nil
    ) -> RunResult {
        let simulation = Simulation(seed: seed, sabotage: sabotage, trace: trace)
        simulation.run()
        let ledger = simulation.ledger
        return RunResult(
            seed: seed, violations: ledger.violations, coverage: ledger.coverage, digest: ledger.digest,
            requests: ledger.requests.count, answers: ledger.answers,
            virtualNanoseconds: simulation.now - Scenario.start)
    }

    /// Runs a load to its end.
    /// - Parameter seed: of the order of events that are due together.
    public static func run(_ load: Load, seed: UInt64) -> Load.Result {
        let simulation = Simulation(seed: seed, sabotage: nil, scenario: load.scenario, trace: nil)
        simulation.run()
        return Load.Result(simulation.ledger, simulation.scenario, milliseconds: load.milliseconds)
    }

    private func run() {
        hearTurns()
        for client in clients { schedule(client, at: now + client.profile.startNanoseconds) }
        for signal in scenario.signals { events.add(.signal(signal.event), at: now + signal.time) }
        collectSteps()
        var ticks = 0
        while machine.state < .stopped {
            ticks += 1
            guard ticks <= Self.ticksMax else {
                ledger.violation(now, "the run does not come to rest")
                break
            }
            let next = min(events.nextTime, serverWakesAt)
            guard next != .max else {
                ledger.violation(now, "nothing is left to happen, and the sidecar has not stopped")
                break
            }
            now = max(now, next) + random.between(0, scenario.stallNanosecondsMax)
            while let due = events.popDue(now) { happen(due.event, at: due.time) }
            for backend in backends { backend.setNow(now) }
            tick()
            collectSteps()
        }
        stop()
        ledger.judgeEnd(now)
    }

    private var serverWakesAt: UInt64 {
        let hasWork =
            !pendingSignals.isEmpty || (isListening && !backlog.isEmpty) || !toFlush.isEmpty
            || backends.contains { $0.hasWork } || multiplexer.hasActions
            || clients.contains { client in
                client.reference != nil
                    && (client.socket.isReadable || client.socket.isWritable || client.socket.clientIsGone)
            }
        if hasWork { return now + 1_000 }
        var timer = multiplexer.nextDeadline
        if sabotage == .lateDeadline, timer != .max { timer += 300_000_000 }
        for backend in backends { timer = min(timer, backend.nextDeadline) }
        if machine.state > .serving, sabotage != .stuckDrain { timer = min(timer, machine.nextDeadlineNanoseconds) }
        return timer
    }

    private func happen(_ event: Event, at time: UInt64) {
        switch event {
        case .client(let number): step(clients[number], time)
        case .backend(let number, let step):
            backends[number].setNow(time)
            backends[number].carryOut(step)
            collectSteps()
        case .signal(let event): pendingSignals.append(event)
        }
    }

    func collectSteps() {
        for backend in backends {
            for (time, step) in backend.takeScheduled() { events.add(.backend(backend.number, step), at: time) }
        }
    }

    /// What the backends are still doing is done, without anybody to answer; then they are stopped.
    private func comeToRest() {
        let end = now + PostgreSQLBackend.restNanoseconds
        for backend in backends { backend.rest() }
        var time = now
        var modelSteps = 0
        for step in 0... {
            guard step < Self.ticksMax else {
                ledger.violation(now, "the backends do not come to rest")
                break
            }
            let deadline = backends.map(\.nextDeadline).min() ?? .max
            let next = max(time, min(events.nextTime, deadline))
            if next > end { stopBackends(end) }
            guard next != .max else { break }
            time = next
            for backend in backends { backend.setNow(time) }
            if let due = events.popDue(time), case .backend(let number, let step) = due.event {
                // SQLite's model looks at its queues again and again.
                if case .model = step { modelSteps += 1 }
                if modelSteps < 10_000 { backends[number].carryOut(step) }
            }
            for backend in backends {
                backend.deliver()
                backend.advance()
            }
            deliverCompletions()
            collectSteps()
        }
        stopBackends(max(time, end))
    }

    private func stopBackends(_ time: UInt64) {
        for backend in backends {
            guard case .postgreSQL(let backend) = backend else { continue }
            backend.now = max(backend.now, time)
            backend.stop()
        }
    }

    /// After the process has ended: nothing may be left.
    private func stop() {
        for client in clients {
            guard let reference = client.reference else { continue }
            // A client that does not read keeps its own requests from being taken up.
            if multiplexer.output(reference)?.isEmpty == false {
                ledger.coverage.saw(.stoppedWithUnflushed)
                ledger.connections[client.number].isLost = true
            }
            multiplexer.connectionLost(reference, now: now)
            perform()
        }
        collectSteps()
        comeToRest()
        deliverCompletions()
        perform()
        var leaks: [String] = []
        if multiplexer.clients > 0 { leaks.append("\(multiplexer.clients) connections") }
        if multiplexer.inFlight > 0 { leaks.append("\(multiplexer.inFlight) requests in flight") }
        if multiplexer.openTransactions > 0 { leaks.append("\(multiplexer.openTransactions) transactions") }
        if multiplexer.bufferedBytes != 0 { leaks.append("\(multiplexer.bufferedBytes) buffered bytes") }
        if multiplexer.nextDeadline != .max { leaks.append("a timer") }
        for backend in backends where !backend.leaks.isEmpty {
            leaks.append("backend \(backend.number): \(backend.leaks)")
        }
        if !leaks.isEmpty { ledger.violation(now, "left after the end: \(leaks.joined(separator: "; "))") }
        if let difference = account.disagreement(with: multiplexer.report) { ledger.violation(now, difference) }
        if multiplexer.metrics.invariantViolations > 0 { ledger.violation(now, "an invariant was found broken") }
        if multiplexer.metrics.unansweredAtClose > 0 {
            ledger.violation(
                now, "\(multiplexer.metrics.unansweredAtClose) requests unanswered when their connection closed")
        }
    }
}
