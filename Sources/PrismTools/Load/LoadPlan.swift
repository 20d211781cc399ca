/// What the load generator is to do.
public struct LoadPlan: Sendable {
    public enum Workload: String, Sendable, CaseIterable {
        /// Reads of keys that are there.
        case keyValueGet = "kv-get"
        /// Writes of values that change each time.
        case keyValuePut = "kv-put"
        /// 90 % reads, 10 % writes.
        case keyValueMixed = "kv-mixed"
        /// Reads of a row by its primary key, marked read-only.
        case sql = "sql"
    }

    /// Of 100 requests of the mixed workload, so many write.
    public static let mixedPutPercent: UInt64 = 10
    public static let clientsMax = 100_000
    public static let inFlightMax = 10_000
    /// Of all clients together: what the generator keeps in memory.
    public static let inFlightTotalMax = 4_000_000
    public static let keysMax = 100_000_000
    public static let valueBytesMax = 16 << 20
    public static let rateMax = 1_000_000
    public static let statementBytesMax = 256

    public var workload: Workload
    /// Of this run alone, so that no run overwrites anything or removes what another is reading: at most 58 of a-z 0-9.
    public let run: String
    /// Where this run's keys are.
    public var namespace: String { "bench-\(run)" }
    /// Where this run's rows are.
    public var table: String { "bench_rows_\(run)" }
    public var socketPath: String
    public var backend = ""
    /// Of each request.
    public var timeoutMicroseconds: UInt64 = 30_000_000
    public var clients = 1
    /// Requests in flight on each connection.
    public var inFlight = 1
    public var measuredNanoseconds: UInt64 = 10_000_000_000
    /// Runs before the measurement and is not in it.
    public var warmUpNanoseconds: UInt64 = 1_000_000_000
    /// Requests a second, at fixed times; nil: a closed loop.
    public var ratePerSecond: Int?
    /// Of the sql workload, instead of reading a row of its own table. A `$1` in it is bound to a number below `keys`.
    public var statement: String?
    /// What is loaded instead of the sidecar, by the sql workload only.
    public var peer: LoadPeer?
    public var keys = 10_000
    public var valueBytes = 100

    public init(workload: Workload, socketPath: String, run: String = Self.newRun()) {
        self.workload = workload
        self.run = run
        self.socketPath = socketPath
    }

    /// A name that no other run has.
    public static func newRun() -> String {
        String(UInt64.random(in: (1 << 48)...((1 << 49) - 1)), radix: 36)
    }
}
