internal import PrismCore

/// Ready means accepting. Databases count only where the configuration names them: one database's blip must not take every pod
/// out of service.
enum Readiness {
    /// - Returns: why not, for a person; nil: ready.
    static func problem(isStarted: Bool, snapshot: StatusSnapshot?, backends: [String]) -> String? {
        guard isStarted else { return "not yet accepting connections" }
        guard let snapshot else { return AdminRoutes.noAnswer }
        guard snapshot.drainState == .serving else {
            let reason = snapshot.drainReason.isEmpty ? "" : " (\(snapshot.drainReason))"
            return "ending, in state \(snapshot.drainState.name)\(reason)"
        }
        for name in backends {
            guard let backend = snapshot.backends.first(where: { $0.name == name }) else {
                return "backend \"\(name)\" of readiness.backends is not configured"
            }
            if !backend.isHealthy {
                let problem = backend.problem.isEmpty ? "unhealthy" : backend.problem
                return "backend \"\(name)\": \(problem)"
            }
        }
        return nil
    }
}
