internal import PrismCore
internal import PrismReactor

/// The drain machine as it was announced last, for every thread, and those who wait for a state of it: `prism drain` is
/// answered the moment its state is entered.
final class DrainObserver: Sendable {
    private struct Waiter {
        let number: UInt64
        let state: DrainState
        let continuation: CheckedContinuation<DrainState, Never>
    }

    private struct Observed {
        var machine: DrainMachine
        var waiters: [Waiter] = []
        var lastNumber: UInt64 = 0
    }

    private let observed: Locked<Observed>

    init(_ machine: DrainMachine) { observed = Locked(Observed(machine: machine)) }

    var machine: DrainMachine { observed.withLock { $0.machine } }

    /// On the first reactor's thread, before anything is done about the state.
    func changed(_ machine: DrainMachine) {
        let reached = observed.withLock { observed in
            observed.machine = machine
            let reached = observed.waiters.filter { $0.state <= machine.state }
            observed.waiters.removeAll { $0.state <= machine.state }
            return reached
        }
        for waiter in reached { waiter.continuation.resume(returning: machine.state) }
    }

    /// Returns when the state, or a later one, is entered, or when the task is cancelled. One waiter for each open connection of
    /// the admin listener, which has its limit.
    func reached(_ state: DrainState) async -> DrainState {
        let number = observed.withLock { observed in
            observed.lastNumber += 1
            return observed.lastNumber
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let present: DrainState? = observed.withLock { observed in
                    if observed.machine.state >= state || Task.isCancelled { return observed.machine.state }
                    observed.waiters.append(Waiter(number: number, state: state, continuation: continuation))
                    return nil
                }
                if let present { continuation.resume(returning: present) }
            }
        } onCancel: {
            let waiter = observed.withLock { observed -> Waiter? in
                guard let position = observed.waiters.firstIndex(where: { $0.number == number }) else { return nil }
                return observed.waiters.remove(at: position)
            }
            waiter?.continuation.resume(returning: machine.state)
        }
    }
}
