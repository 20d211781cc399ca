internal import PrismCore
internal import PrismWire

/// `/`: the same for people. One page, nothing loaded from elsewhere, fresh every two seconds.
enum StatusPage {
    static func render(_ snapshot: StatusSnapshot, notReadyReason: String?) -> String {
        let metrics = snapshot.metrics
        let total = metrics.requests.values.reduce(0, +)
        let failed = metrics.requests.filter { $0.key.code != .ok }.values.reduce(0, +)
        let ready = notReadyReason.map { "<span class=\"bad\">not ready</span>: \(escaped($0))" } ?? "ready"
        return """
            <!doctype html>
            <html lang="en"><head><meta charset="utf-8"><title>Prism: \(snapshot.drainState.name)</title>
            <meta name="viewport" content="width=device-width"><meta http-equiv="refresh" content="2">
            <style>
            body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 60em; padding: 0 1em; color-scheme: light dark }
            table { border-collapse: collapse; width: 100% } td, th { text-align: left; padding: .2em .8em .2em 0 }
            th { font-weight: 600; border-bottom: 1px solid } .bad { color: #c00; font-weight: 600 }
            </style></head><body>
            <h1>Prism \(escaped(snapshot.version))</h1>
            <p>\(snapshot.drainState.name), \(ready). Up \(DecimalText.uptime(nanoseconds: snapshot.uptimeNanoseconds)), process \
            \(snapshot.processID), \(snapshot.reactors) reactor\(snapshot.reactors == 1 ? "" : "s"), socket \
            <code>\(escaped(snapshot.dataSocket))</code>.</p>
            <p>\(snapshot.clients) clients, \(snapshot.inFlight) requests in flight, \(snapshot.transactions) transactions, \
            \(total) requests answered, \(failed) of them not OK.</p>
            \(drainReport(snapshot))\(defects(metrics))<h2>Backends</h2>
            <table><tr><th>Name</th><th>Kind</th><th>Health</th><th>Queue</th><th>Connections</th><th>p50 at most</th>\
            <th>p99 at most</th></tr>
            \(snapshot.backends.indices.map { backend($0, snapshot) }.joined())</table>
            <h2>Clients</h2>
            <table><tr><th>Name</th><th>uid</th><th>pid</th><th>In flight</th><th>Requests</th><th>Buffered bytes</th></tr>
            \(snapshot.clientList.prefix(StatusSnapshot.clientsListedMax).map(client).joined())</table>
            <p><a href="/status">JSON</a> <a href="/metrics">metrics</a></p>
            </body></html>

            """
    }

    private static func drainReport(_ snapshot: StatusSnapshot) -> String {
        guard let report = snapshot.drainReport else { return "" }
        return """
            <p>Ending for \(report.milliseconds) ms: \(report.finished) finished, \(report.refused) refused, \
            \(report.cancelled) cancelled, \(report.transactionsRolledBack) transactions rolled back.</p>

            """
    }

    private static func defects(_ metrics: Metrics) -> String {
        let count = metrics.invariantViolations + metrics.unansweredAtClose
        return count == 0 ? "" : "<p class=\"bad\">\(count) broken invariants: please report them, with the log.</p>\n"
    }

    private static func backend(_ index: Int, _ snapshot: StatusSnapshot) -> String {
        let backend = snapshot.backends[index]
        let health = backend.isHealthy ? "healthy" : "<span class=\"bad\">\(escaped(backend.problem))</span>"
        let connections = backend.connections.sorted(by: { $0.key < $1.key }).map { "\($0.value) \(escaped($0.key))" }
        let histograms = snapshot.metrics.requestDuration
        let histogram = histograms.indices.contains(index) ? histograms[index] : LatencyHistogram()
        let bounds = [0.5, 0.99].map { share in
            histogram.quantileBoundNanoseconds(share).map(DecimalText.bound(nanoseconds:)) ?? "–"
        }
        return """
            <tr><td>\(escaped(backend.name))\(backend.isDefault ? " (default)" : "")</td><td>\(backend.kind.name)</td>\
            <td>\(health)</td><td>\(backend.queueDepth)</td><td>\(connections.joined(separator: ", "))</td>\
            <td>\(bounds[0])</td><td>\(bounds[1])</td></tr>

            """
    }

    private static func client(_ client: StatusSnapshot.Client) -> String {
        """
        <tr><td>\(client.name.isEmpty ? "–" : escaped(client.name))</td><td>\(client.uid)</td><td>\(client.pid)</td>\
        <td>\(client.inFlight)</td><td>\(client.requestsTotal)</td><td>\(client.bufferedBytes)</td></tr>

        """
    }

    /// Clients choose their names: nothing of theirs may become markup.
    private static func escaped(_ value: String) -> String {
        var result = ""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "'": result += "&#39;"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
