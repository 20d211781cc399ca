internal import PrismCore
internal import PrismWire

/// `/metrics`: CONTRACT 8's names, and a few more; docs/metrics.md explains each.
///
/// Label values are bounded: backends are configured, clients are counted by `Metrics.clientLabelsMax`, all else is an enumeration.
/// Samples come in a fixed order, so that two scrapes can be compared as text.
enum MetricsText {
    static func render(_ snapshot: StatusSnapshot) -> String {
        var out = PrometheusText()
        requests(snapshot, &out)
        durations(snapshot, &out)
        load(snapshot, &out)
        backends(snapshot, &out)
        endings(snapshot, &out)
        faults(snapshot, &out)
        process(snapshot, &out)
        return out.text
    }

    /// A sample's labels after translation; two keys that read the same are one sample, or the whole scrape would be refused.
    private struct RequestLabels: Hashable, Comparable {
        var backend: String
        var operation: String
        var code: String
        var client: String

        static func < (a: Self, b: Self) -> Bool {
            (a.backend, a.operation, a.code, a.client) < (b.backend, b.operation, b.code, b.client)
        }
    }

    private static func requests(_ snapshot: StatusSnapshot, _ out: inout PrometheusText) {
        let metrics = snapshot.metrics
        var counts: [RequestLabels: UInt64] = [:]
        for (key, count) in metrics.requests {
            let client = Int(key.client)
            let labels = RequestLabels(
                backend: backendLabel(Int(key.backend), snapshot),
                operation: OperationKind(rawValue: key.operation)?.name ?? "unknown", code: key.code.name,
                client: metrics.clientLabels.indices.contains(client) ? metrics.clientLabels[client] : "other")
            counts[labels, default: 0] += count
        }
        out.family("prism_requests_total", .counter, "Requests answered, by their final status.")
        for (labels, count) in counts.sorted(by: { $0.key < $1.key }) {
            out.sample(
                "prism_requests_total",
                [
                    ("backend", labels.backend), ("operation", labels.operation), ("code", labels.code),
                    ("client", labels.client),
                ], count)
        }
    }

    private static func durations(_ snapshot: StatusSnapshot, _ out: inout PrometheusText) {
        let metrics = snapshot.metrics
        let families = [
            (
                "prism_request_duration_seconds", "From the read that completed a request to its final answer.",
                metrics.requestDuration
            ),
            ("prism_queue_duration_seconds", "Time that requests waited for their backend.", metrics.queueDuration),
            ("prism_backend_duration_seconds", "Time that requests spent in their backend.", metrics.backendDuration),
        ]
        for (name, help, histograms) in families {
            out.family(name, .histogram, help)
            for (index, histogram) in histograms.enumerated() {
                // The last one is for requests without a backend: worth showing only once there were some.
                let isConfigured = snapshot.backends.indices.contains(index)
                guard isConfigured || histogram.count > 0 else { continue }
                out.histogram(name, [("backend", backendLabel(index, snapshot))], histogram)
            }
        }
    }

    private static func load(_ snapshot: StatusSnapshot, _ out: inout PrometheusText) {
        out.family("prism_in_flight", .gauge, "Requests read and not yet answered.")
        out.sample("prism_in_flight", snapshot.inFlight)
        out.family("prism_clients", .gauge, "Connected clients.")
        out.sample("prism_clients", snapshot.clients)
        out.family("prism_transactions", .gauge, "Interactive transactions open.")
        out.sample("prism_transactions", snapshot.transactions)
        out.family("prism_buffered_bytes", .gauge, "Bytes buffered for all clients.")
        out.sample("prism_buffered_bytes", snapshot.bufferedBytes)
        out.family("prism_bytes_total", .counter, "Bytes read from clients (in) and written to them (out).")
        out.sample("prism_bytes_total", [("direction", "in")], snapshot.metrics.bytesIn)
        out.sample("prism_bytes_total", [("direction", "out")], snapshot.metrics.bytesOut)
        out.family("prism_connections_accepted_total", .counter, "Client connections accepted.")
        out.sample("prism_connections_accepted_total", snapshot.metrics.connectionsAccepted)
        out.family(
            "prism_connections_refused_total", .counter,
            "Client connections closed on arrival, at a limit or by a rule.")
        out.sample("prism_connections_refused_total", snapshot.metrics.connectionsRefused)
        out.family(
            "prism_limit_reached_total", .counter,
            "Refusals at a limit, and pauses in which a client was not read, by limit.")
        for limit in Metrics.LimitName.allCases {
            out.sample(
                "prism_limit_reached_total", [("limit", limit.text)], snapshot.metrics.limitsReached[limit] ?? 0)
        }
    }

    private static func shared(
        _ name: String, _ help: String, _ field: KeyPath<StatusSnapshot.SharedTotals, UInt64>,
        _ snapshot: StatusSnapshot,
        _ out: inout PrometheusText
    ) {
        out.family(name, .counter, help)
        for backend in snapshot.backends {
            out.sample(name, [("backend", backend.name)], backend.shared[keyPath: field])
        }
    }

    private static func backends(_ snapshot: StatusSnapshot, _ out: inout PrometheusText) {
        out.family("prism_backend_healthy", .gauge, "1: the backend answers, 0: it does not.")
        for backend in snapshot.backends {
            out.sample("prism_backend_healthy", [("backend", backend.name)], backend.isHealthy ? 1 : 0)
        }
        out.family("prism_queue_depth", .gauge, "Requests waiting for the backend.")
        for backend in snapshot.backends {
            out.sample("prism_queue_depth", [("backend", backend.name)], backend.queueDepth)
        }
        out.family(
            "prism_queue_overloaded", .gauge,
            "1: some client's requests wait too long, and its newest go first; 0: none do.")
        for backend in snapshot.backends {
            out.sample("prism_queue_overloaded", [("backend", backend.name)], backend.isOverloaded ? 1 : 0)
        }
        out.family(
            "prism_queue_late_total", .counter, "Requests refused because they would have been answered too late.")
        for backend in snapshot.backends {
            out.sample("prism_queue_late_total", [("backend", backend.name)], backend.lateTotal)
        }
        shared(
            "prism_shared_batches_total", "Batches of short reads sent to the backend.", \.batches, snapshot, &out)
        shared("prism_shared_requests_total", "Requests in these batches.", \.requests, snapshot, &out)
        shared(
            "prism_shared_reruns_total", "Of these, requests that had to run again, alone or in another batch.",
            \.reruns,
            snapshot, &out)
        out.family("prism_backend_connections", .gauge, "Connections to the backend, by what they do.")
        for backend in snapshot.backends {
            for (state, count) in backend.connections.sorted(by: { $0.key < $1.key }) {
                out.sample("prism_backend_connections", [("backend", backend.name), ("state", state)], count)
            }
        }
    }

    private static func endings(_ snapshot: StatusSnapshot, _ out: inout PrometheusText) {
        let metrics = snapshot.metrics
        out.family(
            "prism_deadline_exceeded_total", .counter, "Requests that reached their deadline, by where they were.")
        for stage in Stage.allCases where stage != .unspecified || metrics.deadlineExceeded[stage] != nil {
            out.sample(
                "prism_deadline_exceeded_total", [("stage", stage.name)], metrics.deadlineExceeded[stage] ?? 0)
        }
        out.family("prism_cancelled_total", .counter, "Requests stopped before their end, by why.")
        for reason in Metrics.CancelReason.allCases {
            out.sample("prism_cancelled_total", [("reason", reason.name)], metrics.cancelled[reason] ?? 0)
        }
        out.family(
            "prism_drain_state", .gauge, "1 SERVING, 2 LAME_DUCK, 3 DRAINING, 4 CANCELLING, 5 STOPPED.")
        out.sample("prism_drain_state", snapshot.drainState.rawValue)
    }

    private static func faults(_ snapshot: StatusSnapshot, _ out: inout PrometheusText) {
        let metrics = snapshot.metrics
        out.family(
            "prism_protocol_errors_total", .counter, "Client connections ended for a frame that breaks the protocol.")
        out.sample("prism_protocol_errors_total", metrics.protocolErrors)
        out.family(
            "prism_invariant_violations_total", .counter, "What must always hold and did not: a defect of Prism.")
        out.sample("prism_invariant_violations_total", metrics.invariantViolations)
        out.family(
            "prism_late_completions_total", .counter, "Backend results that came after their request was answered.")
        out.sample("prism_late_completions_total", metrics.lateCompletions)
        out.family(
            "prism_unanswered_at_close_total", .counter,
            "Connections closed, though not in error, with requests unanswered: a defect of Prism.")
        out.sample("prism_unanswered_at_close_total", metrics.unansweredAtClose)
    }

    private static func process(_ snapshot: StatusSnapshot, _ out: inout PrometheusText) {
        out.family("prism_uptime_seconds", .gauge, "Since the process began.")
        out.sample("prism_uptime_seconds", text: DecimalText.seconds(nanoseconds: snapshot.uptimeNanoseconds))
        out.family("prism_reactors", .gauge, "Reactor threads.")
        out.sample("prism_reactors", snapshot.reactors)
        out.family("prism_build_info", .gauge, "Always 1; the version is its label.")
        out.sample("prism_build_info", [("version", snapshot.version)], 1)
    }

    /// Empty for requests without a backend: no configured name can collide with it.
    private static func backendLabel(_ index: Int, _ snapshot: StatusSnapshot) -> String {
        snapshot.backends.indices.contains(index) ? snapshot.backends[index].name : ""
    }
}
