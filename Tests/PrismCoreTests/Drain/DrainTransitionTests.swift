import PrismCore
import Testing

/// CONTRACT 6: every transition there is, one by one, and that there is no other.
@Suite struct DrainTransitionTests {
    typealias Transition = DrainMachine.Transition
    static let busy = DrainMachine.Activity(clients: 1, inFlight: 1, transactions: 1, unflushed: 1)

    @Test("each transition is taken by its cause, and by nothing before", arguments: DrainMachine.transitions)
    func taken(transition: Transition) {
        var drive = Drive(transition.mode, transition.from, transition.cause)
        drive.reach(transition.from)
        #expect(drive.machine.state == transition.from, "the way to \(transition.from.name)")
        drive.cause(transition.cause)
        #expect(drive.machine.lastTransition == transition)
        #expect(drive.machine.state == transition.to)
        #expect(drive.machine.reason == transition.cause.rawValue)
    }

    @Test("whatever else comes leaves the state as it is", arguments: [DrainMachine.Mode.native, .classic])
    func stays(mode: DrainMachine.Mode) {
        // By state and event, as far as a first signal: what is not in the list changes nothing.
        let events: [(DrainMachine.Event, DrainMachine.Cause)] = [
            (.drainRequested, .drainRequested), (.terminate, .terminate), (.interrupt, .interrupt),
        ]
        for from in DrainState.allCases {
            for (event, cause) in events {
                let expected = DrainMachine.transitions.first {
                    $0.mode == mode && $0.from == from && $0.cause == cause
                }
                // Native: nothing but a signal leads there.
                guard mode == .classic || from <= .lameDuck || event == .drainRequested else { continue }
                var drive = Drive(mode, from, cause)
                drive.reach(from)
                #expect(
                    drive.machine.handle(event, now: drive.now) == (expected != nil), "\(mode) \(from.name) \(event)")
                #expect(drive.machine.state == expected?.to ?? from, "\(mode) \(from.name) \(event)")
            }
        }
    }

    @Test("whatever comes in whatever order, only these are taken, and each of them sometimes")
    func noOther() {
        var taken: Set<Transition> = []
        for seed in 0..<3_000 as Range<UInt64> {
            var random = SplitMix(seed)
            var settings = DrainMachine.Settings()
            settings.mode = random.chance(2) ? .native : .classic
            settings.totalNanoseconds = 5_000_000_000
            var machine = DrainMachine(settings: settings)
            var now: UInt64 = 1_000_000_000
            for _ in 0..<30 {
                let changed: Bool
                switch random.below(8) {
                case 0: changed = machine.handle(.terminate, now: now)
                case 1: changed = machine.handle(.interrupt, now: now)
                case 2: changed = machine.handle(.drainRequested, now: now)
                default:
                    now += UInt64(random.below(700)) * 1_000_000
                    let isBusy = random.chance(2)
                    changed = machine.advance(now: now, activity: isBusy ? Self.busy : DrainMachine.Activity())
                }
                if changed, let last = machine.lastTransition { taken.insert(last) }
            }
        }
        #expect(taken == Set(DrainMachine.transitions))
    }

    @Test("the documentation has the same list")
    func documented() throws {
        var lines = ["| From | To | By | Native | Classic |", "|---|---|---|---|---|"]
        var seen: Set<String> = []
        for transition in DrainMachine.transitions.sorted(by: { $0.from < $1.from }) {
            let row = "| `\(transition.from.name)` | `\(transition.to.name)` | \(transition.cause.rawValue) |"
            guard seen.insert(row).inserted else { continue }
            let modes = [DrainMachine.Mode.native, .classic].map { mode in
                let isThere = DrainMachine.transitions.contains {
                    $0.mode == mode && $0.from == transition.from && $0.to == transition.to
                        && $0.cause == transition.cause
                }
                return isThere ? " yes |" : " – |"
            }
            lines.append(row + modes.joined())
        }
        try DocumentTable.hold("docs/draining.md", "drain-transitions", lines.joined(separator: "\n") + "\n")
    }

    /// Leads a machine to a state by a way that leaves the cause in question possible.
    struct Drive {
        var machine: DrainMachine
        var now: UInt64 = 100_000_000_000
        let from: DrainState
        let wanted: DrainMachine.Cause

        init(_ mode: DrainMachine.Mode, _ from: DrainState, _ cause: DrainMachine.Cause) {
            var settings = DrainMachine.Settings()
            settings.mode = mode
            self.from = from
            wanted = cause
            machine = DrainMachine(settings: settings)
        }

        /// Classic: without a signal, unless a later one is asked for. Native: there is no way beyond LAME_DUCK without one.
        mutating func reach(_ state: DrainState) {
            let needsSignal = wanted == .laterSignal
            if state >= .lameDuck {
                on(needsSignal && machine.settings.mode == .classic ? .terminate : .drainRequested)
            }
            if state >= .draining {
                if machine.settings.mode == .native { on(.terminate) } else { pass(machine.stateEndsNanoseconds - now) }
            }
            if state >= .cancelling { pass(machine.stateEndsNanoseconds - now) }
            if state >= .stopped { pass(machine.stateEndsNanoseconds - now) }
        }

        mutating func cause(_ cause: DrainMachine.Cause) {
            switch cause {
            case .drainRequested: on(.drainRequested)
            case .terminate: on(.terminate)
            case .interrupt: on(.interrupt)
            case .laterSignal: on(.terminate)
            case .clientsGone:
                pass(0, DrainMachine.Activity())
                pass(machine.settings.quietNanoseconds, DrainMachine.Activity())
            case .idle, .flushed: pass(0, DrainMachine.Activity(clients: 1))
            case .budget:
                let left = machine.stateEndsNanoseconds - now
                pass(left - 1)
                #expect(machine.state == from, "not before its time")
                pass(1)
            }
        }

        private mutating func on(_ event: DrainMachine.Event) { _ = machine.handle(event, now: now) }

        /// One step: a state that follows at once is not entered.
        private mutating func pass(_ nanoseconds: UInt64, _ activity: DrainMachine.Activity = busy) {
            now += nanoseconds
            _ = machine.advance(now: now, activity: activity)
        }
    }
}
