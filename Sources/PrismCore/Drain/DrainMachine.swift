/// How the end of the process goes (CONTRACT 6). Pure: fed with signals, commands, activity and the time.
///
/// In short (`transitions` has all of them):
///
///     SERVING ──drain, classic: SIGTERM──> LAME_DUCK ──native: SIGTERM; classic: quiet, budget, second SIGTERM──> DRAINING
///     SERVING ──SIGINT, native: SIGTERM─────────────────────────────────────────────────────────────────────────> DRAINING
///     DRAINING ──idle, budget, signal──> CANCELLING ──all answered and flushed, budget, signal──> STOPPED
public struct DrainMachine: Sendable {
    public enum Mode: String, Sendable {
        /// Kubernetes native sidecar, systemd: the app has ended when SIGTERM comes.
        case native
        /// A plain container beside the app: both end at the same time.
        case classic
    }

    public struct Settings: Sendable, Equatable {
        public var mode: Mode = .native
        /// Native: from SIGTERM to the exit. Classic: what is kept of the total after lame duck.
        public var afterSigtermNanoseconds: UInt64 = 1_500_000_000
        /// Classic: from the beginning to the exit.
        public var totalNanoseconds: UInt64 = 25_000_000_000
        /// Classic: lame duck ends when no client has been connected for this long.
        public var quietNanoseconds: UInt64 = 1_000_000_000
        /// Classic: lame duck lasts at least this long.
        public var minimumNanoseconds: UInt64 = 0
        public var strictExit = false

        public init() {}
    }

    /// DRAINING ends this long before the exit at the latest.
    public static let drainingReserveNanoseconds: UInt64 = 600_000_000
    public static let cancellingNanosecondsMax: UInt64 = 500_000_000
    public static let stoppedNanosecondsMax: UInt64 = 100_000_000

    public enum Event: Sendable {
        case terminate
        case interrupt
        /// `prism drain`.
        case drainRequested
    }

    /// What the multiplexers of all reactors hold at this moment.
    public struct Activity: Sendable, Equatable {
        public var clients = 0
        public var inFlight = 0
        public var transactions = 0
        /// Connections with answers that are not written yet.
        public var unflushed = 0

        public init(clients: Int = 0, inFlight: Int = 0, transactions: Int = 0, unflushed: Int = 0) {
            self.clients = clients
            self.inFlight = inFlight
            self.transactions = transactions
            self.unflushed = unflushed
        }
    }

    public let settings: Settings
    public private(set) var state: DrainState = .serving
    /// The last one taken; nil: still serving.
    public private(set) var lastTransition: Transition?
    /// When the clock began; 0 before.
    public private(set) var startedNanoseconds: UInt64 = 0
    /// When the state ends at the latest; `UInt64.max` without a budget.
    public private(set) var stateEndsNanoseconds: UInt64 = .max
    /// When the process has ended at the latest.
    public private(set) var exitByNanoseconds: UInt64 = .max

    private var signals = 0
    /// Why the state is what it is; empty: still serving.
    public var reason: String { lastTransition?.cause.rawValue ?? "" }
    private var lameDuckSinceNanoseconds: UInt64 = 0
    private var quietSinceNanoseconds: UInt64?

    public init(settings: Settings) { self.settings = settings }

    /// When `advance` must be called next without any event.
    public var nextDeadlineNanoseconds: UInt64 {
        guard state == .lameDuck, settings.mode == .classic, let quietSince = quietSinceNanoseconds else {
            return stateEndsNanoseconds
        }
        let quietEnds = max(
            saturatingSum(quietSince, settings.quietNanoseconds),
            saturatingSum(lameDuckSinceNanoseconds, settings.minimumNanoseconds))
        return min(stateEndsNanoseconds, quietEnds)
    }

    /// A signal or a command. True: the state has changed.
    public mutating func handle(_ event: Event, now: UInt64) -> Bool {
        switch event {
        case .drainRequested:
            return state == .serving && enterLameDuck(.drainRequested, now)
        case .terminate:
            defer { signals += 1 }
            if signals > 0 { return enterNext(.laterSignal, now) }
            if settings.mode == .native { return state < .draining && enterDraining(.terminate, now) }
            return state == .serving && enterLameDuck(.terminate, now)
        case .interrupt:
            defer { signals += 1 }
            if signals > 0 { return enterNext(.laterSignal, now) }
            return enterNext(.interrupt, now)
        }
    }

    /// Time has passed or the activity has changed. True: the state has changed; call again until it answers false.
    public mutating func advance(now: UInt64, activity: Activity) -> Bool {
        switch state {
        case .serving, .stopped: return false
        case .lameDuck:
            guard settings.mode == .classic else { return false }
            if activity.clients > 0 {
                quietSinceNanoseconds = nil
            } else if quietSinceNanoseconds == nil {
                quietSinceNanoseconds = now
            }
            if now >= stateEndsNanoseconds { return enterDraining(.budget, now) }
            return now >= nextDeadlineNanoseconds && enterDraining(.clientsGone, now)
        case .draining:
            if activity.inFlight == 0, activity.transactions == 0 { return enterCancelling(.idle, now) }
            return now >= stateEndsNanoseconds && enterCancelling(.budget, now)
        case .cancelling:
            if activity.inFlight == 0, activity.unflushed == 0 { return enterStopped(.flushed, now) }
            return now >= stateEndsNanoseconds && enterStopped(.budget, now)
        }
    }

    private mutating func enterNext(_ cause: Cause, _ now: UInt64) -> Bool {
        switch state {
        case .serving, .lameDuck: enterDraining(cause, now)
        case .draining: enterCancelling(cause, now)
        case .cancelling: enterStopped(cause, now)
        case .stopped: false
        }
    }

    private mutating func enter(_ next: DrainState, _ cause: Cause) {
        lastTransition = Transition(mode: settings.mode, from: state, cause: cause, to: next)
        state = next
    }

    private mutating func enterLameDuck(_ cause: Cause, _ now: UInt64) -> Bool {
        enter(.lameDuck, cause)
        lameDuckSinceNanoseconds = now
        guard settings.mode == .classic else { return true }  // native: the clock starts at SIGTERM
        startClock(now, settings.totalNanoseconds)
        stateEndsNanoseconds = max(now, saturatingDifference(exitByNanoseconds, settings.afterSigtermNanoseconds))
        return true
    }

    private mutating func enterDraining(_ cause: Cause, _ now: UInt64) -> Bool {
        enter(.draining, cause)
        if startedNanoseconds == 0 {
            startClock(now, settings.mode == .native ? settings.afterSigtermNanoseconds : settings.totalNanoseconds)
        }
        stateEndsNanoseconds = max(now, saturatingDifference(exitByNanoseconds, Self.drainingReserveNanoseconds))
        return true
    }

    private mutating func enterCancelling(_ cause: Cause, _ now: UInt64) -> Bool {
        enter(.cancelling, cause)
        stateEndsNanoseconds = min(
            saturatingSum(now, Self.cancellingNanosecondsMax),
            max(now, saturatingDifference(exitByNanoseconds, Self.stoppedNanosecondsMax)))
        return true
    }

    private mutating func enterStopped(_ cause: Cause, _ now: UInt64) -> Bool {
        enter(.stopped, cause)
        stateEndsNanoseconds = saturatingSum(now, Self.stoppedNanosecondsMax)
        return true
    }

    private mutating func startClock(_ now: UInt64, _ budget: UInt64) {
        startedNanoseconds = max(now, 1)
        exitByNanoseconds = saturatingSum(now, budget)
    }
}

/// Times saturate instead of wrapping: `UInt64.max` is "never".
func saturatingSum(_ left: UInt64, _ right: UInt64) -> UInt64 {
    let (sum, overflow) = left.addingReportingOverflow(right)
    return overflow ? .max : sum
}

func saturatingDifference(_ left: UInt64, _ right: UInt64) -> UInt64 {
    left == .max ? .max : left - min(left, right)
}
