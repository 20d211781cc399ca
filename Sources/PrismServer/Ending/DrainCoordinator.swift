internal import PrismCore
internal import PrismReactor

/// Runs the drain machine on the first reactor and carries its states to all of them.
final class DrainCoordinator {
    private var machine: DrainMachine
    private let signals: SignalSource
    private let log: Log
    private unowned let own: Shard
    private let shards: [Shard]
    /// Called on every change, on the first reactor's thread.
    private let changed: (DrainMachine) -> Void
    private let backstop: EndingBackstop

    init(
        machine: DrainMachine, signals: SignalSource, own: Shard, shards: [Shard], log: Log,
        backstop: EndingBackstop, changed: @escaping (DrainMachine) -> Void
    ) {
        self.machine = machine
        self.signals = signals
        self.own = own
        self.shards = shards
        self.log = log
        self.changed = changed
        self.backstop = backstop
    }

    func readSignals(now: UInt64) {
        for signal in signals.read() {
            let event = DrainMachine.Event(signal)
            handle(event, now: now)
            log.signal(event)
        }
    }

    /// Takes over what the machine has come to while the sidecar started. Once, before the reactors run, on the main thread.
    func begin(now: UInt64) {
        if machine.state > .serving { carryOut(now) }
    }

    func handle(_ event: DrainMachine.Event, now: UInt64) {
        if machine.handle(event, now: now) { announce(now) }
    }

    /// Looks at the time and the activity. Returns when to be called again at the latest.
    func step(now: UInt64) -> UInt64 {
        guard machine.state > .serving else { return .max }
        while machine.state < .stopped {
            // Until a reactor has carried the state out, its numbers speak of the former one.
            let isSettled = shards.allSatisfy { $0.activity.hasReached(machine.state) }
            guard isSettled || now >= machine.stateEndsNanoseconds else { break }
            guard machine.advance(now: now, activity: total()) else { break }
            announce(now)
        }
        return machine.nextDeadlineNanoseconds
    }

    private func total() -> DrainMachine.Activity {
        var sum = DrainMachine.Activity()
        for shard in shards {
            let one = shard.activity.read()
            sum.clients += one.clients
            sum.inFlight += one.inFlight
            sum.transactions += one.transactions
            sum.unflushed += one.unflushed
        }
        return sum
    }

    private func announce(_ now: UInt64) {
        // Before anything that could hold it up.
        backstop.arm(for: machine, log)
        log.state(machine)
        carryOut(now)
    }

    private func carryOut(_ now: UInt64) {
        let left =
            machine.exitByNanoseconds == .max
            ? UInt64.max : machine.exitByNanoseconds - min(now, machine.exitByNanoseconds)
        changed(machine)
        for shard in shards where shard !== own {
            shard.post(.enter(machine.state, reason: machine.reason, budgetLeftNanoseconds: left))
        }
        own.enter(machine.state, machine.reason, left, now)
        _ = own.activity.publish(own.presentActivity, phase: machine.state)
    }
}
