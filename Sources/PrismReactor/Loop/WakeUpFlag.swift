internal import Synchronization

/// Who has to write to the loop's eventfd, and when: the pure half of `Reactor.wakeUp()`.
///
/// A write is needed only while the loop sleeps, and only once. A loop that is awake looks at this flag before it sleeps, so
/// that under load other threads reach it without a system call.
///
/// ```
///            loop: prepareToSleep            any thread: raise (must write)
/// awake ──────────────────────────> sleeping ──────────────────────────────> raised
///   │ any thread: raise (no write)                                             ^ │
///   └──────────────────────────────────────────────────────────────────────────┘ │
/// awake <──────────────────────────────────────── loop: consume (true) ──────────┘
/// ```
struct WakeUpFlag: ~Copyable, Sendable {
    private static let awake: UInt8 = 0
    private static let sleeping: UInt8 = 1
    private static let raised: UInt8 = 2

    private let state = Atomic<UInt8>(WakeUpFlag.awake)

    /// Any thread, after what it has to tell is visible in a mailbox.
    ///
    /// - Returns: whether the caller must write to the eventfd.
    func raise() -> Bool {
        state.exchange(Self.raised, ordering: .acquiringAndReleasing) == Self.sleeping
    }

    /// The loop, before a wait that may block.
    ///
    /// - Returns: false if the flag is raised; then the loop must not block.
    func prepareToSleep() -> Bool {
        state.compareExchange(
            expected: Self.awake, desired: Self.sleeping, ordering: .acquiringAndReleasing
        ).exchanged
    }

    /// The loop, after every wait and before it drains mailboxes. A read-modify-write, not a store: it must see what was
    /// written before the `raise` that it takes back.
    ///
    /// - Returns: whether the flag was raised.
    func consume() -> Bool {
        state.exchange(Self.awake, ordering: .acquiringAndReleasing) == Self.raised
    }
}
