/// What a run has measured.
public struct LoadReport: Sendable {
    public let plan: LoadPlan
    /// OK answers within the measured time.
    public internal(set) var requests: UInt64 = 0
    /// Of OK answers, those that came after the end to requests sent before it included.
    public internal(set) var latency = LogLinearHistogram()
    public internal(set) var measuredNanoseconds: UInt64 = 0
    /// The generator's own, in the measured time.
    public internal(set) var processorNanoseconds: UInt64 = 0
    public internal(set) var connectionsLost = 0
    public internal(set) var warmUpErrors: UInt64 = 0
    /// By status name, and a few names of the generator's own: see docs/cli.md.
    public internal(set) var errorsByCode: [String: UInt64] = [:]

    init(plan: LoadPlan) {
        self.plan = plan
    }

    public var errors: UInt64 { errorsByCode.values.reduce(0, +) }

    public var requestsPerSecond: Double {
        measuredNanoseconds == 0 ? 0 : Double(requests) * 1e9 / Double(measuredNanoseconds)
    }

    mutating func countError(_ code: String, _ count: UInt64 = 1) {
        errorsByCode[code, default: 0] += count
    }

    private var percentiles: [(name: String, nanoseconds: UInt64?)] {
        [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999)].map { ($0.0, latency.quantileNanoseconds($0.1)) }
            + [("max", latency.count == 0 ? nil : latency.maximumNanoseconds)]
    }

    public func write(to json: inout JSONWriter) {
        json.field("workload", plan.workload.rawValue)
        json.field("clients", plan.clients)
        json.field("in_flight", plan.inFlight)
        json.field("keys", plan.keys)
        json.field("value_bytes", plan.valueBytes)
        json.key("seconds")
        json.double(Self.rounded(Double(measuredNanoseconds) / 1e9, 1_000))
        json.field("requests", requests)
        json.key("requests_per_second")
        json.double(Self.rounded(requestsPerSecond, 10))
        json.field("errors", errors)
        json.key("errors_by_code")
        json.beginObject()
        for (code, count) in errorsByCode.sorted(by: { $0.key < $1.key }) { json.field(code, count) }
        json.endObject()
        json.field("warm_up_errors", warmUpErrors)
        json.field("connections_lost", connectionsLost)
        json.key("latency_microseconds")
        json.beginObject()
        for (name, nanoseconds) in percentiles {
            json.key(name)
            if let nanoseconds { json.double(Double(nanoseconds / 100) / 10) } else { json.null() }
        }
        json.endObject()
        json.key("generator_cpu_seconds")
        json.double(Self.rounded(Double(processorNanoseconds) / 1e9, 1_000))
    }

    public var text: String {
        var text = "\(plan.workload.rawValue): \(plan.clients) clients × \(plan.inFlight) in flight, "
        text += "\(DurationText.text(nanoseconds: measuredNanoseconds)) after a warm-up of "
        text += "\(DurationText.text(nanoseconds: plan.warmUpNanoseconds))\n"
        text += "  requests/s  \(Int(requestsPerSecond.rounded()))\n"
        text += "  requests    \(requests)\n"
        text += "  errors      \(errors)\n"
        for (code, count) in errorsByCode.sorted(by: { $0.key < $1.key }) { text += "    \(code)  \(count)\n" }
        if warmUpErrors > 0 { text += "  (and \(warmUpErrors) errors while warming up)\n" }
        text += "  latency\n"
        for (name, nanoseconds) in percentiles {
            let padding = String(repeating: " ", count: 6 - name.count)
            text += "    \(name)\(padding)    \(nanoseconds.map { DurationText.text(nanoseconds: $0) } ?? "-")\n"
        }
        let processor = DurationText.text(nanoseconds: processorNanoseconds)
        return text + "  the generator itself used \(processor) of CPU\n"
    }

    private static func rounded(_ value: Double, _ scale: Double) -> Double {
        (value * scale).rounded() / scale
    }
}
