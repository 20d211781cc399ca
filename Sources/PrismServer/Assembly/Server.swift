internal import Glibc
public import PrismConfiguration
internal import PrismCore
internal import PrismReactor
internal import PrismWire

/// Puts the parts together, runs them, and takes them down in order.
public enum Server {
    /// Exit codes of `prism serve` (CONTRACT 6).
    public enum ExitCode {
        public static let orderly: Int32 = 0
        public static let failed: Int32 = 1
        public static let configuration: Int32 = 2
        public static let cut: Int32 = 3
        public static let servedByAnother: Int32 = 4
    }

    /// What the server cannot build itself: the admin listener, which lives above it.
    public struct Extras {
        public var version: String
        /// Starts the admin listener on a bound, listening Unix socket; the answer stops it.
        public var startAdmin: (_ unixDescriptor: CInt, _ control: ServerControl) throws -> () -> Void

        public init(
            version: String,
            startAdmin: @escaping (_ unixDescriptor: CInt, _ control: ServerControl) throws -> () -> Void
        ) {
            self.version = version
            self.startAdmin = startAdmin
        }
    }

    /// Serves until the end of the process was asked for and carried out. Blocks; call it on the main thread, first thing.
    ///
    /// - Parameters:
    ///   - socketPath: the data socket; its directory exists.
    ///   - adminSocketPath: likewise.
    ///   - sqlitePathDefault: for a backend without a path.
    /// - Returns: the exit code.
    public static func run(
        configuration: Configuration, socketPath: String, adminSocketPath: String, sqlitePathDefault: String,
        extras: Extras, onServing: () -> Void = {}
    ) -> Int32 {
        let log = Log(
            format: configuration.log.format == .json || (configuration.log.format == .automatic && isatty(2) == 0)
                ? .json : .text, level: level(configuration.log.level))
        defer { log.flush(nanosecondsMax: Log.flushNanosecondsMax) }
        for warning in configuration.warnings { log.warning("configuration", [("message", .string(warning))]) }
        SignalSource.ignoreBrokenPipes()
        do {
            let signals = try SignalSource([SIGTERM, SIGINT])
            let limit = try raiseDescriptorLimit()
            try checkUsable(limit, reactors: reactorCount(configuration))
            let connections = allowedConnections(limit, configuration, log)
            try ServingSocket.checkNotServed(socketPath)
            return try serve(
                configuration, Paths(data: socketPath, admin: adminSocketPath, sqlite: sqlitePathDefault), connections,
                signals, log, extras, onServing)
        } catch ServingSocketError.servedByAnother(let path) {
            log.error(
                "socket_served",
                [
                    ("path", .string(path)),
                    ("message", .string("another process serves it; end it, or name another --socket")),
                ])
            return ExitCode.servedByAnother
        } catch ServingSocketError.unusable(let path, let reason) {
            log.error("socket_unusable", [("path", .string(path)), ("message", .string(reason))])
            return ExitCode.failed
        } catch let error as StartError {
            log.error("start_failed", [("message", .string(error.message))])
            return error.exitCode
        } catch {
            log.error("start_failed", [("message", .string("\(error)"))])
            return ExitCode.failed
        }
    }

    /// Sockets, logs, the admin listener and libraries; and each SQLite connection has its file, the log and the index of it.
    private static let descriptorsReserved = 128
    private static let descriptorsPerSQLiteConnection = 3
    /// Cancel requests and the files that are read while connecting, beside the connections.
    private static let descriptorsPerPostgreSQLBackend = 16

    /// What it takes to start and to answer a probe, with some to spare: libraries end the process where they get none.
    private static let descriptorsMin = 32
    private static let descriptorsPerReactor = 4

    private static func checkUsable(_ limit: DescriptorLimit, reactors: Int) throws(StartError) {
        let needed = descriptorsMin + reactors * descriptorsPerReactor
        guard limit.after < needed else { return }
        throw StartError(
            message:
                "the hard limit of open files is \(limit.after), and it takes \(needed) to start; raise it (ulimit -Hn, "
                + "LimitNOFILE)", exitCode: ExitCode.failed)
    }

    /// How many clients leave enough descriptors for everything else: a database that cannot open a file would harm all.
    private static func allowedConnections(
        _ limit: DescriptorLimit, _ configuration: Configuration, _ log: Log
    ) -> Int {
        let reserved = configuration.backends.reduce(descriptorsReserved) { sum, backend in
            switch backend.engine {
            case .sqlite(let sqlite): sum + (sqlite.readerConnections + 1) * descriptorsPerSQLiteConnection
            case .postgresql(let postgresql): sum + postgresql.connectionsMax + descriptorsPerPostgreSQLBackend
            }
        }
        let wanted = configuration.limits.connections
        let allowed = max(1, min(wanted, Int(clamping: limit.after) - reserved))
        if allowed < wanted {
            log.warning(
                "descriptors",
                [
                    ("hard_limit", .integer(Int(clamping: limit.after))), ("connections", .integer(allowed)),
                    (
                        "message",
                        .string(
                            "limits.connections is \(wanted), but the hard limit of open files leaves \(allowed); raise "
                                + "it (ulimit -Hn, LimitNOFILE), or lower limits.connections")
                    ),
                ])
        }
        return allowed
    }

    private struct Paths {
        var data: String
        var admin: String
        var sqlite: String
    }

    private static func serve(
        _ configuration: Configuration, _ paths: Paths, _ connections: Int, _ signals: SignalSource, _ log: Log,
        _ extras: Extras, _ onServing: () -> Void
    ) throws -> Int32 {
        let descriptions = configuration.backends.map { description(of: $0, configuration) }
        let count = reactorCount(configuration)
        let settings = MultiplexerSettings(
            configuration, backends: descriptions, reactors: count, version: extras.version)
        let budget = ConnectionBudget(maximum: connections, reactors: count)
        let shards = try (0..<count).map {
            try Shard(number: $0, settings: settings, connectionBudget: budget, log: log)
        }
        let backstop = EndingBackstop { code in
            if code == nil {
                log.error(
                    "exit_forced", [("message", .string("the budget of the ending is used up, and something hangs"))])
                log.flush(nanosecondsMax: Log.lastFlushNanosecondsMax)
            }
            _exit(code ?? ExitCode.failed)
        }
        let start = try StartWatch(
            machine: DrainMachine(settings: DrainMachine.Settings(configuration.drain)), signals: signals,
            backstop: backstop, log: log)
        let backends = try configuration.backends.enumerated().map { number, backend in
            try BackendFactory.make(
                backend, number: number, configuration, sqlitePathDefault: paths.sqlite, shards: shards,
                opened: start.lookAgain, log: log)
        }
        guard start.wait(until: { backends.allSatisfy(\.hasStarted) }) else { return start.end(backends) }
        for backend in backends {
            guard let problem = backend.startProblem else { continue }
            throw StartError(message: "backend \(problem)", exitCode: ExitCode.failed)
        }
        // Only now: whoever can connect is served.
        let socket = try ServingSocket(
            path: paths.data, mode: configuration.socket.mode, group: try groupID(configuration.socket.group),
            backlog: configuration.socket.backlog)
        defer { socket.removeFile() }
        let adminSocket = try ServingSocket(
            path: paths.admin, mode: configuration.admin.mode, group: try groupID(configuration.admin.group),
            backlog: 64)
        defer { adminSocket.removeFile() }
        for shard in shards { shard.backends = backends }
        shards[0].listener = socket.descriptor
        shards[0].everyone = shards
        let machine = start.machine
        var base = StatusSnapshot(version: extras.version, backends: [])
        base.metrics = Metrics(backends: backends.count)
        base.processID = getpid()
        base.reactors = count
        base.dataSocket = socket.path
        let control = ServerControl(
            shards: shards, backends: backends, base: base, machine: machine,
            readinessBackends: configuration.readiness.backends)
        let first = shards[0]
        first.coordinator = DrainCoordinator(
            machine: machine, signals: signals, own: first, shards: shards, log: log, backstop: backstop,
            changed: { control.drainChanged($0) })
        try first.reactor.add(signals.descriptor, interest: .readable, token: Shard.signalToken)
        for shard in shards.dropFirst() {
            let reactor = first.reactor
            shard.activityChanged = { reactor.wakeUp() }
        }
        let stopAdmin = try extras.startAdmin(adminSocket.descriptor, control)
        try first.startListening()
        first.coordinator?.begin(now: MonotonicClock.now())
        control.markStarted()
        log.info(
            "serving",
            [
                ("version", .string(extras.version)), ("socket", .string(socket.path)),
                ("admin_socket", .string(adminSocket.path)), ("reactors", .integer(count)),
                ("backends", .string(descriptions.map(\.name).joined(separator: ","))),
            ])
        log.flush(nanosecondsMax: Log.flushNanosecondsMax)
        onServing()
        let others = try shards.dropFirst().map { shard in
            try WorkerThread(name: "reactor-\(shard.number)", stackBytes: 8 << 20) { shard.reactor.run(shard) }
        }
        first.reactor.run(first)
        for thread in others { thread.join() }
        return end(control, shards, backends, socket, adminSocket, stopAdmin, machine.settings, backstop, log)
    }

    private static func end(
        _ control: ServerControl, _ shards: [Shard], _ backends: [Backend], _ socket: ServingSocket,
        _ adminSocket: ServingSocket, _ stopAdmin: () -> Void, _ drain: DrainMachine.Settings,
        _ backstop: EndingBackstop, _ log: Log
    ) -> Int32 {
        socket.removeFile()
        UnixSocket.close(socket.descriptor)
        adminSocket.removeFile()
        let deadline = MonotonicClock.now() + DrainMachine.stoppedNanosecondsMax
        for backend in backends { backend.stop(deadlineNanoseconds: deadline) }
        let report = control.assemble(shards.map { $0.snapshot() }).drainReport ?? DrainReport()
        log.report(report)
        let code = drain.strictExit && report.cutAnything ? ExitCode.cut : ExitCode.orderly
        backstop.reported(exitCode: code)
        stopAdmin()
        return code
    }

    // MARK: what the configuration means

    private static func description(
        of backend: Configuration.Backend, _ configuration: Configuration
    ) -> BackendDescription {
        let limits = configuration.transactions
        let isSQLite = backend.kind == .sqlite
        return BackendDescription(
            name: backend.name, kind: isSQLite ? .sqlite : .postgreSQL, isDefault: backend.isDefault,
            writeTransactionIdleNanoseconds: isSQLite ? limits.sqliteWriteIdleNanoseconds : limits.idleNanoseconds,
            writeTransactionTotalNanoseconds: isSQLite ? limits.sqliteWriteTotalNanoseconds : limits.totalNanoseconds,
            readTransactionIdleNanoseconds: limits.idleNanoseconds,
            readTransactionTotalNanoseconds: limits.totalNanoseconds)
    }

    /// Automatic: one reactor for every four processors that the process may use, so that a small sidecar has one; each needs
    /// a connection to every PostgreSQL backend.
    private static func reactorCount(_ configuration: Configuration) -> Int {
        guard configuration.runtime.reactors == 0 else { return configuration.runtime.reactors }
        return configuration.backends.reduce(max(1, availableCPUs() / 4)) { count, backend in
            guard case .postgresql(let postgresql) = backend.engine else { return count }
            return min(count, postgresql.connectionsMax)
        }
    }

    private static func groupID(_ group: Configuration.Group?) throws(StartError) -> gid_t? {
        switch group {
        case nil: return nil
        case .id(let id): return id
        case .name(let name):
            guard let entry = getgrnam(name) else {
                throw StartError(message: "there is no group \(name)", exitCode: ExitCode.configuration)
            }
            return entry.pointee.gr_gid
        }
    }

    private static func level(_ level: Configuration.Log.Level) -> Log.Level {
        switch level {
        case .debug: .debug
        case .info: .info
        case .warning: .warning
        case .error: .error
        }
    }
}

/// Why the server did not start.
public struct StartError: Error, Sendable {
    public let message: String
    public let exitCode: Int32

    public init(message: String, exitCode: Int32) {
        self.message = message
        self.exitCode = exitCode
    }
}
