internal import PrismCore

/// Prometheus' text exposition format 0.0.4, as it is written.
struct PrometheusText {
    enum Kind: String {
        case counter, gauge, histogram
    }

    typealias Labels = [(name: String, value: String)]

    private(set) var text = ""

    /// Begins a metric; its samples follow. `help` is one line without backslashes.
    mutating func family(_ name: String, _ kind: Kind, _ help: String) {
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(kind.rawValue)\n"
    }

    mutating func sample(_ name: String, _ value: some BinaryInteger) {
        sample(name, [], text: String(value))
    }

    mutating func sample(_ name: String, _ labels: Labels, _ value: some BinaryInteger) {
        sample(name, labels, text: String(value))
    }

    mutating func sample(_ name: String, _ labels: Labels = [], text value: String) {
        text += name
        if !labels.isEmpty {
            text += "{"
            for (index, label) in labels.enumerated() {
                if index > 0 { text += "," }
                text += "\(label.name)=\"\(Self.escaped(label.value))\""
            }
            text += "}"
        }
        text += " \(value)\n"
    }

    /// Buckets are cumulative and `le` is in seconds, as the format asks.
    mutating func histogram(_ name: String, _ labels: Labels, _ histogram: LatencyHistogram) {
        var seen: UInt64 = 0
        for (bound, count) in zip(LatencyHistogram.boundsNanoseconds, histogram.counts) {
            seen += count
            sample("\(name)_bucket", labels + [("le", DecimalText.seconds(nanoseconds: bound))], seen)
        }
        sample("\(name)_bucket", labels + [("le", "+Inf")], histogram.count)
        sample("\(name)_sum", labels, text: DecimalText.seconds(nanoseconds: histogram.sumNanoseconds))
        sample("\(name)_count", labels, histogram.count)
    }

    private static func escaped(_ value: String) -> String {
        guard value.utf8.contains(where: { $0 == 0x5C || $0 == 0x22 || $0 == 0x0A }) else { return value }
        var result = ""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\\": result += "\\\\"
            case "\"": result += "\\\""
            case "\n": result += "\\n"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
