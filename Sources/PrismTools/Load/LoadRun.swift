internal import Glibc
internal import PrismReactor
internal import PrismWire

/// A whole run: descriptors, preparation, connections, load, report.
public enum LoadRun {
    /// Descriptors that the process needs beside its connections.
    private static let spareDescriptors = 32

    /// Blocks the calling thread for the whole run.
    ///
    /// - Throws: the sidecar cannot be reached, refuses the preparation, or the process has too few descriptors.
    public static func run(_ plan: LoadPlan) throws(ToolError) -> LoadReport {
        try raiseDescriptors(for: plan)
        let seed = MonotonicClock.now() &* 0x9E37_79B9_7F4A_7C15
        var writer = LoadRequestWriter(plan: plan, seed: seed)
        let client = try Client(path: plan.socketPath, timeoutMilliseconds: plan.timeoutMicroseconds / 1_000 + 1)
        try LoadPreparation(plan: plan, client: client).run(writer: &writer)

        let descriptors = try connect(plan)
        do throws(SystemCallError) {
            let reactor = try Reactor()
            let generator = LoadGenerator(
                plan: plan, reactor: reactor, descriptors: descriptors, seed: seed &+ 0x51_7C_C1_B7)
            try generator.run()
            return generator.report
        } catch {
            throw failure(error.description)
        }
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

    private static func connect(_ plan: LoadPlan) throws(ToolError) -> [CInt] {
        var descriptors: [CInt] = []
        descriptors.reserveCapacity(plan.clients)
        let deadline = deadline(inMilliseconds: plan.timeoutMicroseconds / 1_000 + 1)
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
