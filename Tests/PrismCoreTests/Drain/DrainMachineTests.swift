import PrismCore
import Testing

/// CONTRACT 6: the table of states, in both modes, line by line.
@Suite struct DrainMachineTests {
    typealias Activity = DrainMachine.Activity
    static let second: UInt64 = 1_000_000_000

    /// A machine with a clock of its own.
    struct Ending {
        var machine: DrainMachine
        var now = DrainMachineTests.second * 100

        init(_ mode: DrainMachine.Mode, _ change: (inout DrainMachine.Settings) -> Void = { _ in }) {
            var settings = DrainMachine.Settings()
            settings.mode = mode
            change(&settings)
            machine = DrainMachine(settings: settings)
        }

        @discardableResult
        mutating func on(_ event: DrainMachine.Event) -> DrainState {
            _ = machine.handle(event, now: now)
            return machine.state
        }

        @discardableResult
        mutating func after(milliseconds: UInt64, _ activity: Activity = Activity()) -> DrainState {
            now += milliseconds * 1_000_000
            while machine.advance(now: now, activity: activity) {}
            return machine.state
        }

        /// Milliseconds from now until the state must end.
        var left: UInt64 { (machine.stateEndsNanoseconds - now) / 1_000_000 }
    }

    static let busy = Activity(clients: 1, inFlight: 1, transactions: 0, unflushed: 1)
    static let idleClient = Activity(clients: 1)

    @Test("the first event of each kind in SERVING, in each mode")
    func firstEvents() {
        let expected: [(DrainMachine.Mode, DrainMachine.Event, DrainState)] = [
            (.native, .drainRequested, .lameDuck), (.native, .terminate, .draining), (.native, .interrupt, .draining),
            (.classic, .drainRequested, .lameDuck), (.classic, .terminate, .lameDuck),
            (.classic, .interrupt, .draining),
        ]
        for (mode, event, state) in expected {
            var ending = Ending(mode)
            #expect(ending.on(event) == state, "\(mode) \(event)")
        }
    }

    @Test("events in LAME_DUCK: a repeated drain changes nothing; classic: the first SIGTERM neither")
    func lameDuckEvents() {
        let expected: [(DrainMachine.Mode, DrainMachine.Event, DrainState)] = [
            (.native, .drainRequested, .lameDuck), (.native, .terminate, .draining), (.native, .interrupt, .draining),
            (.classic, .drainRequested, .lameDuck), (.classic, .terminate, .lameDuck),
            (.classic, .interrupt, .draining),
        ]
        for (mode, event, state) in expected {
            var ending = Ending(mode)
            ending.on(.drainRequested)
            #expect(ending.on(event) == state, "\(mode) \(event)")
        }
    }

    @Test("every later signal is the next state, to the end", arguments: [DrainMachine.Mode.native, .classic])
    func laterSignals(mode: DrainMachine.Mode) {
        var ending = Ending(mode)
        ending.on(.terminate)
        var states: [DrainState] = []
        for event in [DrainMachine.Event.terminate, .interrupt, .terminate, .interrupt] {
            states.append(ending.on(event))
        }
        let all: [DrainState] =
            mode == .native
            ? [.cancelling, .stopped, .stopped, .stopped] : [.draining, .cancelling, .stopped, .stopped]
        #expect(states == all)
    }

    @Test("native: lame duck has no clock; from SIGTERM to the exit there are 1.5 s, draining ends 600 ms before")
    func nativeBudget() {
        var ending = Ending(.native)
        ending.on(.drainRequested)
        #expect(ending.machine.stateEndsNanoseconds == .max)
        #expect(ending.after(milliseconds: 3_600_000) == .lameDuck)
        ending.on(.terminate)
        let began = ending.now
        #expect(ending.left == 900)
        #expect(ending.after(milliseconds: 899, Self.busy) == .draining)
        #expect(ending.after(milliseconds: 1, Self.busy) == .cancelling)
        #expect(ending.left == 500)
        #expect(ending.after(milliseconds: 499, Self.busy) == .cancelling)
        #expect(ending.after(milliseconds: 1, Self.busy) == .stopped)
        #expect(ending.machine.stateEndsNanoseconds - began <= 1_500_000_000)
    }

    @Test("with nothing to do the states follow one another at once")
    func nothingToDo() {
        var ending = Ending(.native)
        ending.on(.terminate)
        #expect(ending.after(milliseconds: 0) == .stopped)
    }

    @Test("draining waits for requests and transactions; cancelling for answers that are not flushed")
    func whatHoldsAState() {
        var ending = Ending(.native)
        ending.on(.terminate)
        #expect(ending.after(milliseconds: 1, Activity(clients: 1, inFlight: 1)) == .draining)
        #expect(ending.after(milliseconds: 1, Activity(clients: 1, transactions: 1)) == .draining)
        #expect(ending.after(milliseconds: 1, Activity(clients: 1, unflushed: 1)) == .cancelling)
        #expect(ending.after(milliseconds: 1, Activity(clients: 1, inFlight: 1)) == .cancelling)
        #expect(ending.after(milliseconds: 1, Activity(clients: 1)) == .stopped)
    }

    @Test("classic: lame duck ends when clients have been gone for drain.quiet, and one that comes back counts anew")
    func classicQuiet() {
        var ending = Ending(.classic)
        ending.on(.drainRequested)
        #expect(ending.after(milliseconds: 5_000, Self.idleClient) == .lameDuck)
        #expect(ending.after(milliseconds: 0) == .lameDuck)
        #expect(ending.after(milliseconds: 999) == .lameDuck)
        #expect(ending.machine.nextDeadlineNanoseconds == ending.now + 1_000_000)
        #expect(ending.after(milliseconds: 0, Self.idleClient) == .lameDuck)
        #expect(ending.after(milliseconds: 1) == .lameDuck)
        #expect(ending.after(milliseconds: 999) == .lameDuck)
        #expect(ending.after(milliseconds: 1) > .lameDuck)
    }

    @Test("classic: lame duck lasts drain.minimum even if nobody is there")
    func classicMinimum() {
        var ending = Ending(.classic) { $0.minimumNanoseconds = 5 * Self.second }
        ending.on(.drainRequested)
        ending.after(milliseconds: 0)
        #expect(ending.after(milliseconds: 4_999) == .lameDuck)
        #expect(ending.after(milliseconds: 1) > .lameDuck)
    }

    @Test("classic: lame duck ends drain.after_sigterm before the exit at the latest")
    func classicBudget() {
        var ending = Ending(.classic)
        ending.on(.terminate)
        let began = ending.now
        #expect(ending.left == 23_500)
        #expect(ending.after(milliseconds: 23_499, Self.idleClient) == .lameDuck)
        #expect(ending.after(milliseconds: 1, Self.busy) == .draining)
        #expect(ending.left == 900)
        #expect(ending.after(milliseconds: 900, Self.busy) == .cancelling)
        #expect(ending.after(milliseconds: 500, Self.busy) == .stopped)
        #expect(ending.machine.stateEndsNanoseconds - began <= 25 * Self.second)
    }

    @Test("whatever comes in whatever order, no state outlives the exit and none goes back")
    func randomEvents() {
        for seed in 0..<2_000 as Range<UInt64> {
            var random = SplitMix(seed)
            var ending = Ending(random.chance(2) ? .native : .classic)
            var last = DrainState.serving
            for _ in 0..<40 {
                switch random.below(6) {
                case 0: ending.on(.terminate)
                case 1: ending.on(.interrupt)
                case 2: ending.on(.drainRequested)
                default:
                    let activity = Activity(
                        clients: random.below(2), inFlight: random.below(2), transactions: random.below(2),
                        unflushed: random.below(2))
                    ending.after(milliseconds: UInt64(random.below(4_000)), activity)
                }
                #expect(ending.machine.state >= last, "seed \(seed)")
                last = ending.machine.state
                if ending.machine.exitByNanoseconds != .max {
                    #expect(
                        ending.now < ending.machine.exitByNanoseconds || ending.machine.state >= .cancelling,
                        "seed \(seed)")
                }
            }
        }
    }
}
