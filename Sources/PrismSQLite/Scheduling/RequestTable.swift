internal import PrismCore

/// One reactor's requests and transactions by slot. Touched on that reactor's thread only, so it has no lock.
///
/// An entry is overwritten when its slot is used again; the generation tells an old name from a new one.
final class RequestTable: @unchecked Sendable {
    private struct TransactionEntry {
        var reference = TransactionReference.none
        var isWriting = false
    }

    private var tickets: [WorkTicket?] = []
    private var transactions: [TransactionEntry] = []
    /// When a request of this reactor may have waited too long, at the earliest.
    var nextExpiryNanoseconds = UInt64.max

    func insert(_ ticket: WorkTicket) {
        let slot = ticket.reference.slot
        while tickets.count <= slot { tickets.append(nil) }
        tickets[slot] = ticket
    }

    func ticket(_ reference: RequestReference) -> WorkTicket? {
        guard reference.slot < tickets.count, let ticket = tickets[reference.slot], ticket.reference == reference else {
            return nil
        }
        return ticket
    }

    func insert(_ transaction: TransactionReference, isWriting: Bool) {
        while transactions.count <= transaction.slot { transactions.append(TransactionEntry()) }
        transactions[transaction.slot] = TransactionEntry(reference: transaction, isWriting: isWriting)
    }

    /// Whether the transaction is the writer's; nil: nobody knows it.
    func isWriting(_ transaction: TransactionReference) -> Bool? {
        guard transaction.slot < transactions.count else { return nil }
        let entry = transactions[transaction.slot]
        return entry.reference == transaction ? entry.isWriting : nil
    }
}
