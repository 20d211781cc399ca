public import PrismWire

/// What one reactor has counted. Plain values: written by its thread only, copied to be read.
public struct Metrics: Sendable {
    /// Labels of `prism_requests_total`.
    public struct RequestKey: Hashable, Sendable {
        /// Index of the backend; -1: answered without one.
        public var backend: Int16
        public var operation: UInt8
        public var code: StatusCode
        /// Index into `clientLabels`.
        public var client: UInt8

        public func _rawHashValue(seed: Int) -> Int {
            let backend = UInt64(UInt16(bitPattern: backend))
            return mixedHash(
                backend << 24 | UInt64(operation) << 16 | UInt64(code.rawValue) << 8 | UInt64(client), seed)
        }
    }

    public enum CancelReason: UInt8, Sendable, CaseIterable {
        case deadline, request, disconnect, drain, transactionLimit

        public var name: String {
            switch self {
            case .deadline: "deadline"
            case .request: "request"
            case .disconnect: "disconnect"
            case .drain: "drain"
            case .transactionLimit: "transaction_limit"
            }
        }
    }

    /// A limit at which something was refused, or a client not read for a while.
    public enum LimitName: UInt8, Sendable, CaseIterable {
        case connections, inFlight, inFlightPerConnection, bufferedBytes, bufferedBytesPerConnection, transactions
        case streamStall, frameTimeout
        case ruleConnections, ruleInFlight, ruleBufferedBytes, ruleTransactions

        /// As the configuration calls it.
        public var text: String {
            switch self {
            case .connections: "limits.connections"
            case .inFlight: "limits.in_flight"
            case .inFlightPerConnection: "limits.in_flight_per_connection"
            case .bufferedBytes: "limits.buffered_bytes"
            case .bufferedBytesPerConnection: "limits.buffered_bytes_per_connection"
            case .transactions: "limits.transactions"
            case .streamStall: "limits.stream_stall"
            case .frameTimeout: "limits.frame_timeout"
            case .ruleConnections: "rules.connections"
            case .ruleInFlight: "rules.in_flight"
            case .ruleBufferedBytes: "rules.buffered_bytes"
            case .ruleTransactions: "rules.transactions"
            }
        }
    }

    /// Most different client labels; later ones count as `other` (label 0).
    public static let clientLabelsMax = 64

    private var counted: [RequestKey: UInt64] = [:]
    /// Of the last answers, which were alike: not in `counted` yet.
    private var run: (key: RequestKey, count: UInt64) = (RequestKey(backend: -1, operation: 0, code: .ok, client: 0), 0)
    public var requests: [RequestKey: UInt64] {
        get {
            var all = counted
            if run.count > 0 { all[run.key, default: 0] += run.count }
            return all
        }
        set {
            counted = newValue
            run.count = 0
        }
    }
    public var clientLabels: [String] = ["other"]
    /// By backend index; the last one is for requests without a backend.
    public var requestDuration: [LatencyHistogram]
    public var queueDuration: [LatencyHistogram]
    public var backendDuration: [LatencyHistogram]
    public var deadlineExceeded: [Stage: UInt64] = [:]
    public var cancelled: [CancelReason: UInt64] = [:]
    public var limitsReached: [LimitName: UInt64] = [:]
    public var bytesIn: UInt64 = 0
    public var bytesOut: UInt64 = 0
    public var connectionsAccepted: UInt64 = 0
    public var connectionsRefused: UInt64 = 0
    public var protocolErrors: UInt64 = 0
    public var invariantViolations: UInt64 = 0
    /// Late completions of requests that had their answer already.
    public var lateCompletions: UInt64 = 0
    /// Connections closed while requests that had been read were unanswered, although they were not in error.
    public var unansweredAtClose: UInt64 = 0

    public init(backends: Int) {
        requestDuration = Array(repeating: LatencyHistogram(), count: backends + 1)
        queueDuration = requestDuration
        backendDuration = requestDuration
    }

    public mutating func merge(_ other: Metrics) {
        // Label indices differ between reactors: translate by name.
        let labels = other.clientLabels.map { clientLabel($0) }
        var all = requests
        for (key, value) in other.requests {
            var translated = key
            translated.client = labels[Int(key.client)]
            all[translated, default: 0] += value
        }
        requests = all
        for index in requestDuration.indices {
            requestDuration[index].merge(other.requestDuration[index])
            queueDuration[index].merge(other.queueDuration[index])
            backendDuration[index].merge(other.backendDuration[index])
        }
        deadlineExceeded.merge(other.deadlineExceeded, uniquingKeysWith: +)
        cancelled.merge(other.cancelled, uniquingKeysWith: +)
        limitsReached.merge(other.limitsReached, uniquingKeysWith: +)
        bytesIn += other.bytesIn
        bytesOut += other.bytesOut
        connectionsAccepted += other.connectionsAccepted
        connectionsRefused += other.connectionsRefused
        protocolErrors += other.protocolErrors
        invariantViolations += other.invariantViolations
        lateCompletions += other.lateCompletions
        unansweredAtClose += other.unansweredAtClose
    }

    /// A request has been answered. One is mostly like the one before: a table is not asked for each of them.
    mutating func count(_ key: RequestKey) {
        if key != run.key {
            if run.count > 0 { counted[run.key, default: 0] += run.count }
            run = (key, 0)
        }
        run.count += 1
    }

    /// The index of a client's label, bounded.
    public mutating func clientLabel(_ name: String) -> UInt8 {
        if let index = clientLabels.firstIndex(of: name) { return UInt8(index) }
        guard clientLabels.count < Self.clientLabelsMax else { return 0 }
        clientLabels.append(name)
        return UInt8(clientLabels.count - 1)
    }
}
