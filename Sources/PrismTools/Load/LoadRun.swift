internal import Glibc
internal import PrismReactor
internal import PrismWire

/// A whole run: descriptors, preparation, connections, load, removal, report.
public enum LoadRun {
    /// Descriptors that the process needs beside its connections.
    private static let spareDescriptors = 32

    /// Blocks the calling thread for the whole run. SIGINT and SIGTERM, which stay blocked in this process from now on, end
    /// the load early; what the run has put in place is removed all the same. A second signal ends the removal as well.
    ///
    /// With a peer in the plan the same against that; no sidecar is needed then.
    ///
    /// - Throws: the sidecar or the peer cannot be reached, refuses the preparation, or the process has too few descriptors. Then nothing
    ///   is left behind either, as far as the sidecar could be reached.
    public static func run(_ plan: LoadPlan) throws(ToolError) -> LoadReport {
        try raiseDescriptors(for: plan)
        let signals: SignalSource
        do throws(SystemCallError) {
            signals = try SignalSource([SIGINT, SIGTERM])
        } catch {
            throw failure(error.description)
        }
        if let peer = plan.peer {
            return try PeerRun(plan: plan, peer: peer, isInterrupted: { !signals.read().isEmpty })
                .run { descriptors throws(ToolError) in try generate(plan, descriptors, signals, seed: newSeed()) }
        }
        let client = try connect(plan)
        var preparation = LoadPreparation(plan: plan, client: client, isInterrupted: { !signals.read().isEmpty })
        var report: LoadReport
        do throws(ToolError) {
            report = try load(plan, &preparation, signals)
        } catch {
            if preparation.mayHaveWritten, let left = remove(plan) { throw error.adding(left) }
            throw error
        }
        report.leftBehind = remove(plan)
        return report

        func remove(_ plan: LoadPlan) -> String? {
            let what = plan.workload == .sql ? "table \(plan.table)" : "namespace \(plan.namespace)"
            do throws(ToolError) {
                // On a connection of its own: the first one may be where the failure happened.
                let removal = LoadPreparation(
                    plan: plan, client: try connect(plan), isInterrupted: { !signals.read().isEmpty })
                return try removal.remove(below: preparation.sentEnd) ? nil : "\(what) was not removed: interrupted"
            } catch {
                return "\(what) was not removed: \(error.summary)"
            }
        }
    }

    private static func load(
        _ plan: LoadPlan, _ preparation: inout LoadPreparation, _ signals: SignalSource
    ) throws(ToolError) -> LoadReport {
        let seed = newSeed()
        var writer = LoadRequestWriter(plan: plan, seed: seed)
        guard try preparation.prepare(writer: &writer) else {
            var report = LoadReport(plan: plan)
            report.isInterrupted = true
            return report
        }
        return try generate(plan, try openConnections(plan), signals, seed: seed &+ 0x51_7C_C1_B7)
    }

    private static func newSeed() -> UInt64 { MonotonicClock.now() &* 0x9E37_79B9_7F4A_7C15 }

    private static func generate(
        _ plan: LoadPlan, _ descriptors: [CInt], _ signals: SignalSource, seed: UInt64
    ) throws(ToolError) -> LoadReport {
        do throws(SystemCallError) {
            let reactor = try Reactor()
            let generator = LoadGenerator(
                plan: plan, reactor: reactor, descriptors: descriptors, signals: signals, seed: seed)
            try generator.run()
            return generator.report
        } catch {
            throw failure(error.description)
        }
    }

    private static func connect(_ plan: LoadPlan) throws(ToolError) -> Client {
        try Client(
            path: plan.socketPath,
            timeoutMilliseconds: max(plan.timeoutMicroseconds, LoadPreparation.timeoutMicrosecondsMin) / 1_000 + 1)
    }

    private static func raiseDescriptors(for plan: LoadPlan) throws(ToolError) {
        let limit: DescriptorLimit
        do throws(SystemCallError) {
            limit = try raiseDescriptorLimit()
        } catch {
            throw failure(error.description)
        }
        guard limit.after < UInt64(plan.clients + spareDescriptors) else { return }
        throw .usage(
            "\(plan.clients) clients need more open files than the \(limit.after) that this process may have",
            remedy: "raise the hard limit (ulimit -Hn), or use fewer clients with more in flight")
    }

    private static func openConnections(_ plan: LoadPlan) throws(ToolError) -> [CInt] {
        var descriptors: [CInt] = []
        descriptors.reserveCapacity(plan.clients)
        let deadline = deadline(
            inMilliseconds: max(plan.timeoutMicroseconds, LoadPreparation.timeoutMicrosecondsMin) / 1_000)
        while descriptors.count < plan.clients {
            do throws(TransportError) {
                let descriptor = try UnixStream.connect(plan.socketPath, deadline: deadline)
                _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
                descriptors.append(descriptor)
            } catch {
                for descriptor in descriptors { UnixSocket.close(descriptor) }
                throw failure("after \(descriptors.count) connections: \(error.message)", hint: error.remedy)
            }
        }
        return descriptors
    }

    private static func failure(_ message: String, hint: String = "") -> ToolError {
        .failed(Failure(.unavailable, at: .connect, outcome: .notExecuted, message, hint: hint))
    }
}

extension ToolError {
    func adding(_ text: String) -> ToolError {
        switch self {
        case .usage(let message, let remedy): return .usage("\(message); \(text)", remedy: remedy)
        case .failed(var failure):
            failure.message += "; \(text)"
            return .failed(failure)
        }
    }

    var summary: String {
        switch self {
        case .usage(let message, _): message
        case .failed(let failure): "\(failure.code.name): \(failure.message)"
        }
    }
}
