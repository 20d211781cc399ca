internal import Glibc
public import PrismCore
internal import PrismReactor
internal import Synchronization

/// What the admin listener may ask of a running server; from any task.
public final class ServerControl: Sendable {
    /// A reactor that has not answered within this counts as dead.
    public static let snapshotTimeoutNanoseconds: UInt64 = 1_000_000_000

    /// What became of a request to drain.
    public enum DrainAnswer: Sendable, Equatable {
        case accepted(DrainState)
        case refused(reason: String)
    }

    private let shards: [Shard]
    private let backends: [Backend]
    private let base: StatusSnapshot
    private let mode: DrainMachine.Mode
    private let started: UInt64
    private let serving = Atomic<Bool>(false)
    private let ending: DrainObserver
    public let readinessBackends: [String]

    init(
        shards: [Shard], backends: [Backend], base: StatusSnapshot, machine: DrainMachine,
        readinessBackends: [String]
    ) {
        self.shards = shards
        self.backends = backends
        self.base = base
        ending = DrainObserver(machine)
        mode = machine.settings.mode
        started = MonotonicClock.now()
        self.readinessBackends = readinessBackends
    }

    /// All listeners accept. Once true it stays true.
    public var isStarted: Bool { serving.load(ordering: .acquiring) }

    func markStarted() {
        // The runtime's timers want a descriptor, and end the process where they get none: they take it while there are some.
        Task { try? await Task.sleep(nanoseconds: 1) }
        serving.store(true, ordering: .releasing)
    }
    func drainChanged(_ machine: DrainMachine) { ending.changed(machine) }

    /// Everything at one moment; nil when a reactor did not answer in time. Never waits for a database.
    public func snapshot() async -> StatusSnapshot? {
        let parts = await withCheckedContinuation { (continuation: CheckedContinuation<[ShardSnapshot]?, Never>) in
            let gathering = Gathering(expected: shards.count, continuation)
            for shard in shards { shard.post(.snapshot { gathering.add($0) }) }
            Task {
                try? await Task.sleep(nanoseconds: Self.snapshotTimeoutNanoseconds)
                gathering.giveUp()
            }
        }
        return parts.map(assemble)
    }

    func assemble(_ parts: [ShardSnapshot]) -> StatusSnapshot {
        var snapshot = base
        let machine = ending.machine
        snapshot.backends = backends.map { $0.snapshot() }
        snapshot.uptimeNanoseconds = MonotonicClock.now() - started
        snapshot.drainState = machine.state
        snapshot.drainReason = machine.reason
        var report = DrainReport()
        for part in parts {
            snapshot.clients += part.clients
            snapshot.clientList += part.clientList
            snapshot.inFlight += part.inFlight
            snapshot.transactions += part.transactions
            snapshot.bufferedBytes += part.bufferedBytes
            snapshot.metrics.merge(part.metrics)
            report.merge(part.report)
        }
        for backend in snapshot.backends { snapshot.metrics.invariantViolations += backend.invariantViolations }
        if machine.startedNanoseconds > 0 {
            report.milliseconds = (MonotonicClock.now() - machine.startedNanoseconds) / 1_000_000
        }
        snapshot.clientList.sort { ($0.inFlight, $0.requestsTotal) > ($1.inFlight, $1.requestsTotal) }
        snapshot.clientList = Array(snapshot.clientList.prefix(StatusSnapshot.clientsListedMax))
        if machine.state > .serving { snapshot.drainReport = report }
        return snapshot
    }

    /// Begins the ending; repeating it changes nothing.
    /// - Parameter wait: classic mode only: answer when lame duck has ended.
    public func drain(wait: Bool) async -> DrainAnswer {
        if wait, mode == .native {
            return .refused(
                reason:
                    "with drain.mode native, preStop must return at once: Kubernetes runs the app's hook and ours together; use `prism drain` without --wait"
            )
        }
        shards[0].post(.drain)
        return .accepted(await ending.reached(wait ? .draining : .lameDuck))
    }
}

/// Collects one answer from each reactor, or gives up; resumes its waiter once.
private final class Gathering: Sendable {
    private struct State {
        var parts: [ShardSnapshot] = []
        var continuation: CheckedContinuation<[ShardSnapshot]?, Never>?
    }

    private let expected: Int
    private let state: Locked<State>

    init(expected: Int, _ continuation: CheckedContinuation<[ShardSnapshot]?, Never>) {
        self.expected = expected
        state = Locked(State(continuation: continuation))
    }

    func add(_ part: ShardSnapshot) {
        let finished: (CheckedContinuation<[ShardSnapshot]?, Never>, [ShardSnapshot])? = state.withLock { state in
            state.parts.append(part)
            guard state.parts.count == expected, let waiting = state.continuation else { return nil }
            state.continuation = nil
            return (waiting, state.parts)
        }
        finished?.0.resume(returning: finished?.1)
    }

    func giveUp() {
        let waiting = state.withLock { state in
            defer { state.continuation = nil }
            return state.continuation
        }
        waiting?.resume(returning: nil)
    }
}
