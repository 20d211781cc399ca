internal import NIOConcurrencyHelpers
internal import NIOCore

/// The way of one answer back to its connection's loop. Given up with the connection, since a loop that has ended takes no work.
final class PendingAnswer: Sendable {
    private let deliver: NIOLockedValueBox<(@Sendable (AdminResponse) -> Void)?>

    /// - Parameter deliver: schedules the answer on the loop; called once at most.
    init(_ deliver: @escaping @Sendable (AdminResponse) -> Void) {
        self.deliver = NIOLockedValueBox(deliver)
    }

    /// Any thread; the first one counts.
    func answer(_ response: AdminResponse) {
        deliver.withLockedValue { deliver in
            deliver?(response)
            deliver = nil
        }
    }

    /// Nothing is delivered after this has returned.
    func abandon() {
        deliver.withLockedValue { $0 = nil }
    }
}
