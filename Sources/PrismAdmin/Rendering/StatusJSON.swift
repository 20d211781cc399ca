internal import PrismCore
internal import PrismWire

/// `/status` and the answer to `POST /drain`. Names are snake_case with units last; fields are added, never renamed.
enum StatusJSON {
    /// - Parameter notReadyReason: nil: ready.
    static func render(_ snapshot: StatusSnapshot, notReadyReason: String?) -> String {
        var json = JSONWriter()
        json.object { json in
            json.string("version", snapshot.version)
            json.number("process_id", snapshot.processID)
            json.literal("uptime_seconds", DecimalText.seconds(nanoseconds: snapshot.uptimeNanoseconds))
            json.number("reactors", snapshot.reactors)
            json.string("data_socket", snapshot.dataSocket)
            json.bool("ready", notReadyReason == nil)
            json.string("not_ready_reason", notReadyReason ?? "")
            drain(snapshot, &json)
            json.number("clients", snapshot.clients)
            json.number("in_flight", snapshot.inFlight)
            json.number("transactions", snapshot.transactions)
            json.number("buffered_bytes", snapshot.bufferedBytes)
            requests(snapshot.metrics, &json)
            counters(snapshot.metrics, &json)
            json.array("backends") { json in
                for index in snapshot.backends.indices { backend(index, snapshot, &json) }
            }
            json.object("without_backend") { json in durations(snapshot.backends.count, snapshot.metrics, &json) }
            json.array("client_list") { json in
                for client in snapshot.clientList.prefix(StatusSnapshot.clientsListedMax) { self.client(client, &json) }
            }
        }
        return json.text + "\n"
    }

    static func render(_ reply: DrainReply) -> String {
        var json = JSONWriter()
        json.object { json in
            switch reply {
            case .accepted(let state):
                json.bool("accepted", true)
                json.string("state", state.name)
            case .refused(let reason):
                json.bool("accepted", false)
                json.string("reason", reason)
            }
        }
        return json.text + "\n"
    }

    private static func drain(_ snapshot: StatusSnapshot, _ json: inout JSONWriter) {
        json.object("drain") { json in
            json.string("state", snapshot.drainState.name)
            json.string("reason", snapshot.drainReason)
            guard let report = snapshot.drainReport else { return json.null("report") }
            json.object("report") { json in
                for field in report.fields { json.number(field.name, field.value) }
            }
        }
    }

    private static func requests(_ metrics: Metrics, _ json: inout JSONWriter) {
        var byOperation: [String: UInt64] = [:]
        var byCode: [StatusCode: UInt64] = [:]
        for (key, count) in metrics.requests {
            byOperation[OperationKind(rawValue: key.operation)?.name ?? "unknown", default: 0] += count
            byCode[key.code, default: 0] += count
        }
        json.object("requests") { json in
            json.number("total", byCode.values.reduce(0, +))
            json.object("by_operation") { json in
                for (name, count) in byOperation.sorted(by: { $0.key < $1.key }) { json.number(name, count) }
            }
            json.object("by_code") { json in
                for (code, count) in byCode.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
                    json.number(code.name, count)
                }
            }
        }
    }

    private static func counters(_ metrics: Metrics, _ json: inout JSONWriter) {
        json.object("deadline_exceeded") { json in
            for stage in Stage.allCases where stage != .unspecified || metrics.deadlineExceeded[stage] != nil {
                json.number(stage.name, metrics.deadlineExceeded[stage] ?? 0)
            }
        }
        json.object("cancelled") { json in
            for reason in Metrics.CancelReason.allCases { json.number(reason.name, metrics.cancelled[reason] ?? 0) }
        }
        json.object("limits_reached") { json in
            for limit in Metrics.LimitName.allCases { json.number(limit.text, metrics.limitsReached[limit] ?? 0) }
        }
        json.number("bytes_in", metrics.bytesIn)
        json.number("bytes_out", metrics.bytesOut)
        json.number("connections_accepted", metrics.connectionsAccepted)
        json.number("connections_refused", metrics.connectionsRefused)
        json.number("protocol_errors", metrics.protocolErrors)
        json.number("invariant_violations", metrics.invariantViolations)
        json.number("late_completions", metrics.lateCompletions)
        json.number("unanswered_at_close", metrics.unansweredAtClose)
    }

    private static func backend(_ index: Int, _ snapshot: StatusSnapshot, _ json: inout JSONWriter) {
        let backend = snapshot.backends[index]
        json.object { json in
            json.string("name", backend.name)
            json.string("kind", backend.kind.name)
            json.bool("default", backend.isDefault)
            json.bool("healthy", backend.isHealthy)
            json.string("problem", backend.problem)
            json.number("queue_depth", backend.queueDepth)
            json.bool("overloaded", backend.isOverloaded)
            json.number("late", backend.lateTotal)
            json.object("connections") { json in
                for (state, count) in backend.connections.sorted(by: { $0.key < $1.key }) { json.number(state, count) }
            }
            durations(index, snapshot.metrics, &json)
        }
    }

    private static func durations(_ index: Int, _ metrics: Metrics, _ json: inout JSONWriter) {
        histogram("request_duration", index, metrics.requestDuration, &json)
        histogram("queue_duration", index, metrics.queueDuration, &json)
        histogram("backend_duration", index, metrics.backendDuration, &json)
    }

    /// Percentiles are the upper bounds of the buckets that they fall in, never interpolated. null: no values, or with values
    /// that it lies above the last bound (100 s).
    private static func histogram(
        _ key: String, _ index: Int, _ histograms: [LatencyHistogram], _ json: inout JSONWriter
    ) {
        guard histograms.indices.contains(index) else { return json.null(key) }
        let histogram = histograms[index]
        json.object(key) { json in
            json.number("count", histogram.count)
            for (name, share) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99)] {
                let bound = histogram.quantileBoundNanoseconds(share)
                guard let bound, bound != .max else {
                    json.null("\(name)_microseconds")
                    continue
                }
                json.number("\(name)_microseconds", bound / 1_000)
            }
        }
    }

    private static func client(_ client: StatusSnapshot.Client, _ json: inout JSONWriter) {
        json.object { json in
            json.number("uid", client.uid)
            json.number("pid", client.pid)
            json.string("name", client.name)
            json.number("in_flight", client.inFlight)
            json.number("buffered_bytes", client.bufferedBytes)
            json.number("requests_total", client.requestsTotal)
        }
    }
}

extension BackendDescription.Kind {
    /// As in the configuration.
    var name: String {
        switch self {
        case .sqlite: "sqlite"
        case .postgreSQL: "postgresql"
        }
    }
}
