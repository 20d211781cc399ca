internal import PrismCore
internal import Synchronization

/// Read-only transactions that are open, each with its connection. A connection is out while a thread works with it.
final class ReadTransactions: Sendable {
    final class Lease: @unchecked Sendable {
        let executor: Executor
        init(_ executor: Executor) { self.executor = executor }
    }

    private struct State {
        var leases: [TransactionReference: Lease?] = [:]
        var ending: Set<TransactionReference> = []
    }

    private let state = Mutex(State())
    let countMax: Int

    init(countMax: Int) { self.countMax = countMax }

    var count: Int { state.withLock { $0.leases.count } }

    /// Reserves a place. False: the limit is reached.
    func open(_ transaction: TransactionReference) -> Bool {
        state.withLock { state in
            guard state.leases.count < countMax else { return false }
            state.leases[transaction] = .some(nil)
            return true
        }
    }

    /// Takes the connection for one request; nil: it is gone, or out.
    func take(_ transaction: TransactionReference) -> Lease? {
        state.withLock { state in
            guard let lease = state.leases[transaction] ?? nil else { return nil }
            state.leases[transaction] = .some(nil)
            return lease
        }
    }

    /// Puts it back. False: the transaction was ended meanwhile; roll it back.
    func put(_ lease: Lease, for transaction: TransactionReference) -> Bool {
        state.withLock { state in
            if state.ending.remove(transaction) != nil {
                state.leases[transaction] = nil
                return false
            }
            state.leases[transaction] = lease
            return true
        }
    }

    func remove(_ transaction: TransactionReference) {
        state.withLock { state in
            state.leases[transaction] = nil
            state.ending.remove(transaction)
        }
    }

    /// Ends it: its connection, when it is in; else whoever has it will end it.
    func end(_ transaction: TransactionReference) -> Lease? {
        state.withLock { state in
            guard let entry = state.leases[transaction] else { return nil }
            guard let lease = entry else {
                state.ending.insert(transaction)
                return nil
            }
            state.leases[transaction] = nil
            return lease
        }
    }
}
