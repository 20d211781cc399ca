import PrismAdmin
import Synchronization

@testable import PrismCore

/// A process to be described, as the test wants it.
final class FakeSource: AdminSource {
    struct State {
        var isStarted = true
        var readinessBackends: [String] = []
        var snapshot: StatusSnapshot? = FakeSource.snapshot()
        var reply = DrainReply.accepted(.lameDuck)
        var drains: [Bool] = []
    }

    private let state = Mutex(State())

    func change(_ change: @Sendable (inout State) -> Void) { state.withLock { change(&$0) } }
    var drains: [Bool] { state.withLock { $0.drains } }

    var isStarted: Bool { state.withLock { $0.isStarted } }
    var readinessBackends: [String] { state.withLock { $0.readinessBackends } }
    func snapshot() async -> StatusSnapshot? { state.withLock { $0.snapshot } }
    func drain(wait: Bool) async -> DrainReply {
        state.withLock {
            $0.drains.append(wait)
            return $0.reply
        }
    }

    /// Two backends, a client with a hostile name, and a number in every counter.
    static func snapshot() -> StatusSnapshot {
        var snapshot = StatusSnapshot(
            version: "1.2.3",
            backends: [
                .init(
                    name: "main", kind: .sqlite, isDefault: true, queueDepth: 3, connections: ["writer": 1, "idle": 4]),
                .init(
                    name: "pg", kind: .postgreSQL, isDefault: false, isHealthy: false, problem: "refused <b>&\"quoted\""
                ),
            ])
        snapshot.processID = 4_711
        snapshot.uptimeNanoseconds = 90_500_000_000
        snapshot.dataSocket = "/run/prism/prism.sock"
        snapshot.clients = 2
        snapshot.inFlight = 5
        snapshot.transactions = 1
        snapshot.bufferedBytes = 1_000
        snapshot.clientList = [
            .init(
                uid: 1_000, pid: 7, name: "<script>\"\\\n", inFlight: 5, bufferedBytes: 1_000, requestsTotal: .max)
        ]
        var metrics = Metrics(backends: 2)
        let label = metrics.clientLabel("uid 1000 \"\\\n")
        metrics.requests = [
            .init(backend: 0, operation: 16, code: .ok, client: label): 10,
            .init(backend: 0, operation: 16, code: .ok, client: 0): 1,
            .init(backend: -1, operation: 0, code: .unimplemented, client: label): 2,
        ]
        metrics.requestDuration[0].record(nanoseconds: 10_000)
        metrics.requestDuration[0].record(nanoseconds: 30_000)
        metrics.requestDuration[0].record(nanoseconds: 200_000_000_000)
        metrics.queueDuration[0].record(nanoseconds: 1)
        metrics.deadlineExceeded = [.queue: 4]
        metrics.cancelled = [.disconnect: 5]
        metrics.bytesIn = 6
        metrics.bytesOut = 7
        metrics.connectionsAccepted = 8
        metrics.connectionsRefused = 9
        metrics.protocolErrors = 10
        metrics.lateCompletions = 11
        metrics.unansweredAtClose = 12
        snapshot.metrics = metrics
        return snapshot
    }
}
