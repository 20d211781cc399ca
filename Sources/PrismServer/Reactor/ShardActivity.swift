internal import PrismCore
internal import Synchronization

/// What one reactor holds, for the drain coordinator on another thread. Written every tick, relaxed: numbers to look at, not
/// to synchronise with.
final class ShardActivity: Sendable {
    private let clients = Atomic<Int>(0)
    private let inFlight = Atomic<Int>(0)
    private let transactions = Atomic<Int>(0)
    private let unflushed = Atomic<Int>(0)
    /// The state that this reactor has carried out; what it publishes before that says nothing about the state.
    private let phase = Atomic<UInt8>(DrainState.serving.rawValue)

    /// True: something has changed since the last time.
    func publish(_ activity: DrainMachine.Activity, phase: DrainState) -> Bool {
        let changed =
            read() != activity || self.phase.load(ordering: .relaxed) != phase.rawValue
        clients.store(activity.clients, ordering: .relaxed)
        inFlight.store(activity.inFlight, ordering: .relaxed)
        transactions.store(activity.transactions, ordering: .relaxed)
        unflushed.store(activity.unflushed, ordering: .relaxed)
        self.phase.store(phase.rawValue, ordering: .releasing)
        return changed
    }

    func read() -> DrainMachine.Activity {
        DrainMachine.Activity(
            clients: clients.load(ordering: .relaxed), inFlight: inFlight.load(ordering: .relaxed),
            transactions: transactions.load(ordering: .relaxed), unflushed: unflushed.load(ordering: .relaxed))
    }

    func hasReached(_ state: DrainState) -> Bool { phase.load(ordering: .acquiring) >= state.rawValue }
}
