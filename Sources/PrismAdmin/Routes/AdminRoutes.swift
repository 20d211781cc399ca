internal import PrismCore

/// Which request gets which answer. No I/O but what the source does.
struct AdminRoutes: Sendable {
    let source: any AdminSource

    private enum Endpoint: String {
        case startup = "/startupz"
        case ready = "/readyz"
        case live = "/livez"
        case metrics = "/metrics"
        case status = "/status"
        case drain = "/drain"
        case page = "/"

        var allow: String { self == .drain ? "POST" : "GET, HEAD" }
    }

    static let noAnswer = "a reactor did not answer within 1 s"

    func respond(to request: AdminRequest) async -> AdminResponse {
        guard let endpoint = Endpoint(rawValue: request.path) else {
            return AdminResponse(
                404, .text, "no such page; there are / /startupz /readyz /livez /metrics /status and POST /drain\n")
        }
        if endpoint == .drain {
            guard request.method == "POST" else { return wrongMethod(endpoint) }
            return await drain(request)
        }
        guard request.method == "GET" || request.method == "HEAD" else { return wrongMethod(endpoint) }
        var response = await read(endpoint)
        response.omitsBody = request.method == "HEAD"
        return response
    }

    private func wrongMethod(_ endpoint: Endpoint) -> AdminResponse {
        AdminResponse(405, .text, "\(endpoint.rawValue) takes \(endpoint.allow) only\n", allow: endpoint.allow)
    }

    private func read(_ endpoint: Endpoint) async -> AdminResponse {
        if endpoint == .startup {
            return source.isStarted
                ? AdminResponse(200, .text, "started\n")
                : AdminResponse(503, .text, "not started: not yet accepting connections\n")
        }
        let snapshot = await source.snapshot()
        switch endpoint {
        case .live:
            return snapshot == nil
                ? AdminResponse(503, .text, "not alive: \(Self.noAnswer)\n") : AdminResponse(200, .text, "alive\n")
        case .ready:
            let reason = readiness(snapshot)
            return reason.map { AdminResponse(503, .text, "not ready: \($0)\n") }
                ?? AdminResponse(200, .text, "ready\n")
        case .metrics:
            guard let snapshot else { break }
            return AdminResponse(200, .metrics, MetricsText.render(snapshot))
        case .status:
            guard let snapshot else { break }
            return AdminResponse(200, .json, StatusJSON.render(snapshot, notReadyReason: readiness(snapshot)))
        case .page:
            guard let snapshot else { break }
            return AdminResponse(200, .html, StatusPage.render(snapshot, notReadyReason: readiness(snapshot)))
        case .startup, .drain:
            break
        }
        return AdminResponse(503, .text, "\(Self.noAnswer)\n")
    }

    private func readiness(_ snapshot: StatusSnapshot?) -> String? {
        Readiness.problem(isStarted: source.isStarted, snapshot: snapshot, backends: source.readinessBackends)
    }

    private func drain(_ request: AdminRequest) async -> AdminResponse {
        guard request.transport == .unixSocket else {
            return AdminResponse(403, .text, "draining over TCP is refused; use the admin socket: prism drain\n")
        }
        let wait: Bool
        switch request.query["wait"] {
        case nil, "false": wait = false
        case "true": wait = true
        case .some: return AdminResponse(400, .text, "wait is true or false\n")
        }
        let reply = await source.drain(wait: wait)
        return AdminResponse(reply.httpStatus, .json, StatusJSON.render(reply))
    }
}

extension DrainReply {
    var httpStatus: Int {
        switch self {
        case .accepted: 200
        case .refused: 409
        }
    }
}
