internal import PrismCore
internal import PrismWire

/// One request on its way through the backend.
///
/// What is not constant belongs to whoever has the ticket: the thread that took it from a queue, or the reactor that took it
/// out of one.
final class WorkTicket: RequestState, @unchecked Sendable {
    /// An answer that is held back until its group is committed.
    enum HeldAnswer {
        case none
        /// Where it stands among the group's answers.
        case body(Range<Int>)
        case failure(Failure)
    }

    let reference: RequestReference
    let kind: OperationKind
    let isReadOnly: Bool
    let transaction: TransactionReference
    let uid: UInt32
    let flow: Flow
    let deadlineNanoseconds: UInt64
    /// The message; given up with the answer.
    var frame: FrameBox?
    var heldAnswer = HeldAnswer.none
    var startedNanoseconds: UInt64 = 0

    init(_ item: WorkItem) {
        reference = item.reference
        kind = item.kind
        isReadOnly = item.isReadOnly
        transaction = item.transaction
        uid = item.uid
        flow = item.flow
        deadlineNanoseconds = item.deadlineNanoseconds
        frame = item.frame
    }

    /// Its group died with it sealed: it runs again, and can be cancelled again. False: it is cancelled.
    func reopen() -> Bool { move(from: .sealed, to: .running) || !isCancelled }
}
