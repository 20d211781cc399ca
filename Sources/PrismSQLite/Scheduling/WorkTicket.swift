internal import PrismCore
internal import Synchronization

/// One request on its way through the backend, and the word on what may still be undone.
///
///     queued ──taken──> running ──its effect is in the transaction──> sealed ──answered──> done
///     queued, running ──cancel──> cancelled
///
/// Whoever moves it away from `queued` or `running` first decides: a cancel that finds it sealed is too late, and a writer that
/// finds it cancelled must undo it. So what a cancel answers is always true.
final class WorkTicket: Sendable {
    enum State: UInt8 {
        case queued, running, sealed, done, cancelled
    }

    let item: WorkItem
    private let state = Atomic<UInt8>(State.queued.rawValue)
    /// Bytes of parts that the client has not taken yet.
    let outstanding = Atomic<Int>(0)

    init(_ item: WorkItem) { self.item = item }

    var isCancelled: Bool { state.load(ordering: .acquiring) == State.cancelled.rawValue }

    func move(from: State, to: State) -> Bool {
        state.compareExchange(
            expected: from.rawValue, desired: to.rawValue, ordering: .acquiringAndReleasing
        ).exchanged
    }

    /// Its group died with it sealed: it runs again, and can be cancelled again.
    func reopen() -> Bool { move(from: .sealed, to: .running) || move(from: .running, to: .running) }

    func cancel() -> CancelOutcome {
        if move(from: .queued, to: .cancelled) { return .removed }
        if move(from: .running, to: .cancelled) { return .stopped }
        return .tooLate
    }
}
