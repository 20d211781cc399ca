internal import PrismCore
internal import PrismReactor

/// Runs the drain machine while the sidecar still starts, so that a pod that is deleted meanwhile does not wait for a database file that
/// somebody else has locked. What it has come to is then the coordinator's.
///
/// On the main thread but for `lookAgain`. Nobody can have connected: no state needs carrying out.
final class StartWatch {
    private(set) var machine: DrainMachine
    private let signals: SignalSource
    private let backstop: EndingBackstop
    private let log: Log
    private let event: WakeUpEvent

    /// - Throws: at the limit of descriptors.
    init(machine: DrainMachine, signals: SignalSource, backstop: EndingBackstop, log: Log) throws(SystemCallError) {
        self.machine = machine
        self.signals = signals
        self.backstop = backstop
        self.log = log
        event = try WakeUpEvent()
    }

    /// What is waited for may have happened. Any thread.
    var lookAgain: @Sendable () -> Void { { [event] in event.raise() } }

    /// Returns when it has happened, or when the ending has come to DRAINING: from then on there is nothing to start for.
    ///
    /// - Returns: whether it has happened.
    func wait(until hasHappened: () -> Bool) -> Bool {
        while !hasHappened() {
            let now = MonotonicClock.now()
            readSignals(now)
            if machine.state < .draining { advance(now) }
            guard machine.state < .draining else { return false }
            _ = event.wait(beside: signals.descriptor, untilNanoseconds: machine.nextDeadlineNanoseconds)
        }
        // Nobody could connect so far. As if somebody had just left, quiet begins now.
        advance(MonotonicClock.now(), clients: 1)
        return true
    }

    private func readSignals(_ now: UInt64) {
        for signal in signals.read() {
            let event = DrainMachine.Event(signal)
            let hasChanged = machine.handle(event, now: now)
            backstop.arm(for: machine, log)
            log.signal(event)
            if hasChanged { log.state(machine) }
        }
    }

    /// One state at most.
    @discardableResult
    private func advance(_ now: UInt64, clients: Int = 0) -> Bool {
        guard machine.advance(now: now, activity: DrainMachine.Activity(clients: clients)) else { return false }
        log.state(machine)
        return true
    }

    /// The rest of an ending that has nobody to tell; it is reported as any other.
    ///
    /// - Returns: the exit code.
    func end(_ backends: [Backend]) -> Int32 {
        while advance(MonotonicClock.now()) {}
        for backend in backends { backend.stop(deadlineNanoseconds: machine.stateEndsNanoseconds) }
        var report = DrainReport()
        report.milliseconds = (MonotonicClock.now() - machine.startedNanoseconds) / 1_000_000
        log.report(report)
        backstop.reported(exitCode: Server.ExitCode.orderly)
        return Server.ExitCode.orderly
    }
}
