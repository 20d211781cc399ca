/// What an ending did: the last log line, and part of `/status`. Each reactor keeps its own; `merge` adds them up.
///
/// Every request that is answered after the end has begun counts once, among `finished`, `refused` or `cancelled`; a client
/// that counts its own answers comes to the same numbers. `Hello`, `Ping` and `Cancel` count nowhere, nor does what was
/// refused for a reason of its own (a limit, a mistake): none of them is ever in flight.
public struct DrainReport: Sendable, Equatable {
    /// Requests in flight on entering each state.
    public var inFlightAtLameDuck: UInt64 = 0
    public var inFlightAtDraining: UInt64 = 0
    public var inFlightAtCancelling: UInt64 = 0
    /// Those a backend had not let go of when CANCELLING had used up its budget: answered `UNKNOWN`, if they may write.
    public var inFlightAtStopped: UInt64 = 0
    /// Answers that the ending had no part in, whatever their status.
    public var finished: UInt64 = 0
    /// `UNAVAILABLE` at admission, since DRAINING.
    public var refused: UInt64 = 0
    /// Requests in flight that the ending has cut, each answered.
    public var cancelled: UInt64 = 0
    /// Requests in flight whose client left before their answer.
    public var disconnected: UInt64 = 0
    /// Open transactions that the ending has cut.
    public var transactionsRolledBack: UInt64 = 0
    /// Requests that were read and never answered on a connection not in error. Must be 0.
    public var unanswered: UInt64 = 0
    /// From the start of the clock; 0 before.
    public var milliseconds: UInt64 = 0

    public init() {}

    /// Whether anything was cut: with `drain.strict_exit` the exit code is then 3.
    public var cutAnything: Bool { cancelled > 0 || transactionsRolledBack > 0 || unanswered > 0 }

    /// Names and fields, as the log line and `/status` have them, in their order.
    private static let names: [(String, any WritableKeyPath<DrainReport, UInt64> & Sendable)] = [
        ("in_flight_at_lame_duck", \.inFlightAtLameDuck), ("in_flight_at_draining", \.inFlightAtDraining),
        ("in_flight_at_cancelling", \.inFlightAtCancelling), ("in_flight_at_stopped", \.inFlightAtStopped),
        ("finished", \.finished), ("refused", \.refused), ("cancelled", \.cancelled), ("disconnected", \.disconnected),
        ("transactions_rolled_back", \.transactionsRolledBack), ("unanswered", \.unanswered),
        ("milliseconds", \.milliseconds),
    ]

    public var fields: [(name: String, value: UInt64)] { Self.names.map { ($0.0, self[keyPath: $0.1]) } }

    /// Adds another reactor's counts.
    public mutating func merge(_ other: DrainReport) {
        for (_, field) in Self.names { self[keyPath: field] += other[keyPath: field] }
    }
}
