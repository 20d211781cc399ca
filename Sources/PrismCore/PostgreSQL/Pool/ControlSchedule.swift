/// When a backend's control connection, on which cancels are asked for, is to be there: from the first cancel on, until none
/// has been asked for during `idle_timeout`. Cancels do not wait for it: while it is not there they go another way.
///
/// Pure: it is told what happens, and the time (CLOCK_MONOTONIC nanoseconds).
public struct ControlSchedule: Sendable, Equatable {
    public enum Step: Sendable, Equatable {
        case nothing
        /// Report with `opened` or `failed`.
        case connect
        case close
    }

    /// From a failure to the next connect; doubles until the connection has served.
    public static let backoffFirstNanoseconds: UInt64 = 100_000_000
    public static let backoffMaxNanoseconds: UInt64 = 10_000_000_000
    /// One that leads to another server than the connections to be cancelled is replaced when it is as old as this.
    public static let renewalNanoseconds: UInt64 = 10_000_000_000

    private let idleTimeoutNanoseconds: UInt64
    private var isOpen = false
    private var openedAt: UInt64 = 0
    private var wantedUntil: UInt64 = 0
    private var leadsElsewhere = false
    private var retryAt: UInt64 = 0
    private var backoff = Self.backoffFirstNanoseconds

    public init(idleTimeoutNanoseconds: UInt64) { self.idleTimeoutNanoseconds = idleTimeoutNanoseconds }

    /// A cancel was asked for that it could carry out, or could if it were there.
    /// - Parameter elsewhere: the connection to be cancelled is another server's.
    public mutating func asked(elsewhere: Bool = false, now: UInt64) {
        wantedUntil = saturatingSum(now, idleTimeoutNanoseconds)
        if elsewhere, isOpen { leadsElsewhere = true }
    }

    public mutating func opened(now: UInt64) {
        isOpen = true
        openedAt = now
    }

    /// It has carried out cancels: what fails next fails for the first time.
    public mutating func served() { backoff = Self.backoffFirstNanoseconds }

    /// It could not be opened, or is lost.
    public mutating func failed(now: UInt64) {
        end()
        retryAt = saturatingSum(now, backoff)
        backoff = min(saturatingSum(backoff, backoff), Self.backoffMaxNanoseconds)
    }

    public mutating func step(now: UInt64) -> Step {
        guard now >= nextDeadline else { return .nothing }
        guard isOpen else { return .connect }
        end()
        // The server is to have seen the end of this one before the next one comes.
        retryAt = saturatingSum(now, Self.backoffFirstNanoseconds)
        return .close
    }

    /// When `step` has something to do; `.max`: never.
    public var nextDeadline: UInt64 {
        guard isOpen else { return retryAt < wantedUntil ? retryAt : .max }
        return min(wantedUntil, leadsElsewhere ? saturatingSum(openedAt, Self.renewalNanoseconds) : .max)
    }

    private mutating func end() {
        isOpen = false
        leadsElsewhere = false
    }
}
