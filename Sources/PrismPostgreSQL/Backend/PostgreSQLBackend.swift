public import PrismCore
public import PrismReactor

/// A PostgreSQL database: on each reactor an engine with its share of the connections, and helper threads for all of them.
///
/// Nothing crosses threads on a request's way. Each call belongs to the reactor that its reference names, but `snapshot` and
/// `stop`.
public final class PostgreSQLBackend: BackendPort, @unchecked Sendable {
    public struct Options: Sendable {
        public var name = "main"
        public var isDefault = true
        /// Of the whole backend; divided among the reactors.
        public var engine = EngineSettings()
        public var connect = ConnectSettings()
        /// Makes Prism's own tables when they are missing.
        public var createSchema = true
        /// Called when it can no longer be reached and when it can again; on the thread of any of the reactors.
        public var healthChanged: @Sendable (BackendHealth.Change) -> Void = { _ in }

        public init() {}
    }

    /// Connects under way at once, over all reactors; each takes one of the connector's threads.
    public static let connectsAtOnceMax = Connector.threadsDefault

    /// How long helper threads are waited for at the end: what hangs in libpq holds nothing that would be lost.
    private static let helpersEndNanosecondsMax: UInt64 = 20_000_000

    private final class Part {
        let reactor: Reactor
        let port: LibpqPort
        let engine: PostgreSQLEngine<LibpqPort>

        init(_ reactor: Reactor, _ port: LibpqPort, _ engine: PostgreSQLEngine<LibpqPort>) {
            self.reactor = reactor
            self.port = port
            self.engine = engine
        }
    }

    private let name: String
    private let isDefault: Bool
    private let parts: [Part]
    private let connector: Connector
    private let canceller: Canceller
    private let hasControl: Bool
    private let healthChanged: @Sendable (BackendHealth.Change) -> Void
    private let observed: Locked<Observed>

    private struct Observed {
        /// As of the last tick of each reactor.
        var snapshots: [EngineSnapshot]
        var health = BackendHealth()
    }

    /// - Parameters:
    ///   - number: of the backend, in the tokens of its connections; below `BackendToken.backendsMax`.
    ///   - reactors: not more than `options.engine.pool.connectionsMax`; their loops do not run yet.
    ///   - sinks: one a reactor; called on its thread.
    /// - Throws: EAGAIN at a limit of threads or memory.
    public init(
        _ options: Options, number: Int, reactors: [Reactor],
        sinks: [(Completion, UnsafeRawBufferPointer) -> Void]
    ) throws(SystemCallError) {
        name = options.name
        isDefault = options.isDefault
        healthChanged = options.healthChanged
        var engine = options.engine
        // One connection of the budget, unless the reactors need them all; behind a pooler it could not name what it cancels.
        hasControl = !options.connect.isPooled && engine.pool.connectionsMax > reactors.count
        if hasControl {
            engine.pool.connectionsMax -= 1
            engine.pool.connectionsMin = min(engine.pool.connectionsMin, engine.pool.connectionsMax)
        }
        let connector = try Connector(
            options.connect, schema: SchemaInstaller(.prism, mayCreate: options.createSchema), hasControl: hasControl)
        let canceller: Canceller
        do throws(SystemCallError) {
            canceller = try Canceller(
                control: hasControl
                    ? ControlSettings(options.connect, idleTimeoutNanoseconds: engine.pool.idleTimeoutNanoseconds)
                    : nil)
        } catch {
            connector.stop(deadlineNanoseconds: MonotonicClock.now())
            throw error
        }
        self.connector = connector
        self.canceller = canceller
        parts = reactors.enumerated().map { index, reactor in
            let port = LibpqPort(backend: number, reactor: reactor, connector: connector, canceller: canceller)
            let settings = engine.share(of: index, among: reactors.count)
            return Part(reactor, port, PostgreSQLEngine(settings: settings, port: port, sink: sinks[index]))
        }
        observed = Locked(Observed(snapshots: parts.map(\.engine.snapshot)))
    }

    // MARK: BackendPort

    public func submit(_ item: consuming WorkItem) {
        let reactor = item.reference.reactor
        part(reactor)?.engine.submit(item)
    }

    public func cancel(_ reference: RequestReference) -> CancelOutcome {
        guard let part = part(reference.reactor) else { return .tooLate }
        return part.engine.cancel(reference, now: part.reactor.now)
    }

    public func credit(_ reference: RequestReference, bytes: Int) {
        part(reference.reactor)?.engine.credit(reference, bytes: bytes)
    }

    public func giveWay(_ reference: RequestReference) {
        guard let part = part(reference.reactor) else { return }
        part.engine.giveWay(reference, now: part.reactor.now)
    }

    public func abandon(_ transaction: TransactionReference) {
        guard let part = part(transaction.reactor) else { return }
        part.engine.abandon(transaction, now: part.reactor.now)
    }

    /// Also writes what this tick has sent.
    public func advance(to now: UInt64, reactor: UInt8) -> UInt64 {
        guard let part = part(reactor) else { return .max }
        part.port.resume(part.engine)
        let next = part.engine.advance(to: now)
        let mustReturn = part.port.flush()
        let snapshot = part.engine.snapshot
        let change = observed.withLock { observed in
            observed.snapshots[Int(reactor)] = snapshot
            return observed.health.update(observed.snapshots)
        }
        if let change { healthChanged(change) }
        return mustReturn ? now : next
    }

    // MARK: what the reactor brings

    /// One of this backend's connections is ready.
    public func ready(_ token: BackendToken, _ readiness: Readiness, reactor: UInt8) {
        guard let part = part(reactor) else { return }
        part.port.ready(token, readiness, part.engine)
    }

    /// The reactor was woken up, maybe by this backend's helper threads.
    public func takeReports(reactor: UInt8) {
        guard let part = part(reactor) else { return }
        part.port.takeReports(part.engine)
    }

    private func part(_ reactor: UInt8) -> Part? {
        Int(reactor) < parts.count ? parts[Int(reactor)] : nil
    }

    // MARK: state and end

    /// Any thread.
    public func snapshot() -> StatusSnapshot.Backend {
        let snapshots = observed.withLock { $0.snapshots }
        func sum(_ field: KeyPath<EngineSnapshot, Int>) -> Int { snapshots.reduce(0) { $0 + $1[keyPath: field] } }
        var snapshot = StatusSnapshot.Backend(name: name, kind: .postgreSQL, isDefault: isDefault)
        snapshot.isHealthy = !snapshots.contains(where: \.isDown)
        snapshot.problem = snapshots.lazy.map(\.problem).first { !$0.isEmpty } ?? ""
        snapshot.queueDepth = sum(\.waiting)
        snapshot.isOverloaded = snapshots.contains(where: \.isOverloaded)
        snapshot.lateTotal = snapshots.reduce(0) { $0 + $1.late }
        snapshot.shared = snapshots.reduce(StatusSnapshot.SharedTotals()) { $0 + $1.shared }
        snapshot.connections = [
            "idle": sum(\.idle), "leased": sum(\.leased), "connecting": sum(\.connecting),
            "control": canceller.isControlOpen ? 1 : 0,
        ]
        snapshot.invariantViolations = snapshots.reduce(0) { $0 + $1.invariantViolations }
        return snapshot
    }

    /// Closes all connections. Called when the reactors have ended; threads that hang in libpq are left behind, at the latest
    /// after the deadline (CLOCK_MONOTONIC nanoseconds).
    public func stop(deadlineNanoseconds: UInt64) {
        for part in parts {
            part.engine.stop(now: MonotonicClock.now())
            part.port.closeAll()
        }
        let deadline = min(deadlineNanoseconds, MonotonicClock.now() + Self.helpersEndNanosecondsMax)
        connector.stop(deadlineNanoseconds: deadline)
        canceller.stop(deadlineNanoseconds: deadline)
    }
}

extension EngineSettings {
    /// What one of several reactors has of a whole backend: the first ones get what cannot be divided evenly.
    func share(of index: Int, among count: Int) -> EngineSettings {
        func share(_ whole: Int) -> Int { whole / count + (index < whole % count ? 1 : 0) }
        var settings = self
        settings.pool.connectionsMax = max(1, share(pool.connectionsMax))
        settings.pool.connectionsMin = min(share(pool.connectionsMin), settings.pool.connectionsMax)
        settings.pool.waitersMax = max(1, share(pool.waitersMax))
        if sharedConnectionsMax > 0 { settings.sharedConnectionsMax = max(1, share(sharedConnectionsMax)) }
        settings.pool.connectsAtOnceMax = max(1, share(pool.connectsAtOnceMax))
        // One sweeps for all.
        if index > 0 { settings.sweepIntervalNanoseconds = 0 }
        settings.seed = seed &+ UInt64(index) &* 0x9E37_79B9_7F4A_7C15
        return settings
    }
}
