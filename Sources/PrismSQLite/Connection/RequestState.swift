internal import Synchronization

/// What may still be undone of a request on its way through the backend.
///
///     queued ──taken──> running ──its effect stands──> sealed ──answered──> done
///     queued, running ──cancel──> cancelled
///
/// Whoever moves it away from `queued` or `running` first decides: a cancel that finds it sealed is too late, and a thread that
/// finds it cancelled must undo it. So what a cancel answers is always true.
class RequestState: @unchecked Sendable {
    enum State: UInt8 {
        case queued, running, sealed, done, cancelled
    }

    private let state = Atomic<UInt8>(State.queued.rawValue)

    final var isCancelled: Bool { state.load(ordering: .acquiring) == State.cancelled.rawValue }

    /// - Returns: whether it was in `from`, and now is in `to`.
    final func move(from: State, to: State) -> Bool {
        state.compareExchange(
            expected: from.rawValue, desired: to.rawValue, ordering: .acquiringAndReleasing
        ).exchanged
    }
}
