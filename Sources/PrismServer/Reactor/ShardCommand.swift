internal import PrismCore

/// What other threads ask of a reactor; rare.
enum ShardCommand: Sendable {
    case enter(DrainState, reason: String, budgetLeftNanoseconds: UInt64)
    case drain
    case snapshot(@Sendable (ShardSnapshot) -> Void)
}

/// One reactor's share of a status snapshot.
struct ShardSnapshot: Sendable {
    var metrics: Metrics
    var clients: Int
    var clientList: [StatusSnapshot.Client]
    var inFlight: Int
    var transactions: Int
    var bufferedBytes: Int
    var report: DrainReport
}
