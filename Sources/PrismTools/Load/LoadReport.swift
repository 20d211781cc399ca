/// What a run has measured.
public struct LoadReport: Sendable {
    public let plan: LoadPlan
    /// OK answers within the measured time.
    public internal(set) var requests: UInt64 = 0
    /// Of OK answers, those that came after the end to requests sent before it included.
    public internal(set) var latency = LogLinearHistogram()
    public internal(set) var measuredNanoseconds: UInt64 = 0
    /// OK answers that came within the requests' timeout, those after the end included.
    public internal(set) var good: UInt64 = 0
    /// At a fixed rate: requests that were meant for the measured time.
    public internal(set) var offered: UInt64 = 0
    /// The generator's own, in the measured time.
    public internal(set) var processorNanoseconds: UInt64 = 0
    /// Of the process that listens at the other end, the sidecar's or a peer's, without its children, in the measured time; nil where
    /// it cannot be seen.
    public internal(set) var sidecarProcessorNanoseconds: UInt64?
    /// A signal ended the run early.
    public internal(set) var isInterrupted = false
    /// What could not be removed, and why; nil: nothing of this run is left.
    public internal(set) var leftBehind: String?
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

    /// Microseconds of the sidecar's CPU per OK answer.
    public var sidecarMicrosecondsPerRequest: Double? {
        guard requests > 0, let nanoseconds = sidecarProcessorNanoseconds else { return nil }
        return Double(nanoseconds) / 1_000 / Double(requests)
    }

    private var percentiles: [(name: String, nanoseconds: UInt64?)] {
        [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999)].map { ($0.0, latency.quantileNanoseconds($0.1)) }
            + [("max", latency.count == 0 ? nil : latency.maximumNanoseconds)]
    }

    public func write(to json: inout JSONWriter) {
        json.field("workload", plan.workload.rawValue)
        json.field("target", plan.peer == nil ? "prism" : "postgresql")
        json.field("clients", plan.clients)
        json.field("in_flight", plan.inFlight)
        json.field("keys", plan.keys)
        json.field("value_bytes", plan.valueBytes)
        json.key("seconds")
        json.double(Self.rounded(Double(measuredNanoseconds) / 1e9, 1_000))
        if let rate = plan.ratePerSecond {
            json.field("rate", rate)
            json.field("offered", offered)
        } else {
            for name in ["rate", "offered"] {
                json.key(name)
                json.null()
            }
        }
        json.field("requests", requests)
        json.field("good", good)
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
        json.key("sidecar_cpu_seconds")
        Self.write(sidecarProcessorNanoseconds.map { Double($0) / 1e9 }, scale: 1_000, to: &json)
        json.key("sidecar_cpu_microseconds_per_request")
        Self.write(sidecarMicrosecondsPerRequest, scale: 100, to: &json)
        json.field("interrupted", isInterrupted)
        json.key("left_behind")
        if let leftBehind { json.string(leftBehind) } else { json.null() }
    }

    private static func write(_ value: Double?, scale: Double, to json: inout JSONWriter) {
        if let value { json.double(rounded(value, scale)) } else { json.null() }
    }

    public var text: String {
        var text = "\(plan.workload.rawValue): \(plan.clients) clients × \(plan.inFlight) in flight, "
        text += "\(DurationText.text(nanoseconds: measuredNanoseconds)) after a warm-up of "
        text += "\(DurationText.text(nanoseconds: plan.warmUpNanoseconds))\n"
        if let rate = plan.ratePerSecond { text += "  offered     \(offered), \(rate) a second\n" }
        text += "  requests/s  \(Int(requestsPerSecond.rounded()))\n"
        text += "  requests    \(requests)\n"
        if good < latency.count { text += "  in time     \(good)\n" }
        text += "  errors      \(errors)\n"
        for (code, count) in errorsByCode.sorted(by: { $0.key < $1.key }) { text += "    \(code)  \(count)\n" }
        if warmUpErrors > 0 { text += "  (and \(warmUpErrors) errors while warming up)\n" }
        text += "  latency\n"
        for (name, nanoseconds) in percentiles {
            let padding = String(repeating: " ", count: 6 - name.count)
            text += "    \(name)\(padding)    \(nanoseconds.map { DurationText.text(nanoseconds: $0) } ?? "-")\n"
        }
        let processor = DurationText.text(nanoseconds: processorNanoseconds)
        text += "  the generator itself used \(processor) of CPU\n"
        if let perRequest = sidecarMicrosecondsPerRequest {
            text +=
                "  \(plan.peer == nil ? "the sidecar" : "the process that listens") used \(Self.rounded(perRequest, 10)) µs of CPU a request\n"
        }
        if isInterrupted { text += "  interrupted: this is what was measured until then\n" }
        if let leftBehind { text += "  \(Printable.terminal(leftBehind))\n" }
        return text
    }

    private static func rounded(_ value: Double, _ scale: Double) -> Double {
        (value * scale).rounded() / scale
    }
}
