internal import CPostgreSQL
internal import Glibc
internal import PrismCore
public import PrismReactor
internal import Synchronization

/// Makes connections to one server for all reactors. Name lookup, files, TLS and SCRAM block or compute, so threads of its own
/// do it; the finished connection goes to its reactor.
public final class Connector: Sendable {
    public static let threadsDefault = 2

    private struct Job: Sendable {
        let ticket: HelperTicket
        let inbox: HelperInbox
    }

    private let threads: HelperThreads<Job>

    /// - Parameters:
    ///   - schema: nil: Prism's own tables are not looked for.
    ///   - hasControl: connections are to be cancelled on a control connection.
    /// - Throws: EAGAIN at a limit of threads or memory.
    public init(
        _ settings: ConnectSettings, schema: SchemaInstaller?, hasControl: Bool = false,
        threads: Int = Connector.threadsDefault
    ) throws(SystemCallError) {
        let maker = ConnectionMaker(settings, schema: schema, readsTargets: hasControl)
        let probe = Probe()
        self.threads = try HelperThreads(name: "pg-connect", count: threads) { job in
            probe.perform { Self.connect(job, maker) }
        }
    }

    /// - Returns: whether the server can be reached; nil: nobody wanted to know any more.
    private static func connect(_ job: Job, _ maker: ConnectionMaker) -> Bool? {
        guard !job.ticket.isAbandoned else { return nil }
        do throws(ConnectFailure) {
            let (handle, facts) = try maker.make()
            // Closed here rather than on the reactor.
            if !job.ticket.isAbandoned { job.inbox.report(.connected(job.ticket, handle, facts)) }
            return true
        } catch {
            job.inbox.report(.connectFailed(job.ticket, message: error.message))
            return false
        }
    }

    func connect(_ ticket: HelperTicket, reportingTo inbox: HelperInbox) {
        threads.submit(Job(ticket: ticket, inbox: inbox))
    }

    /// Drops what has not begun. A thread that hangs in libpq is left behind after the deadline (CLOCK_MONOTONIC nanoseconds).
    public func stop(deadlineNanoseconds: UInt64) { threads.stop(deadlineNanoseconds: deadlineNanoseconds) }
}

/// While a server cannot be reached, one connect at a time asks whether it is back, whichever reactor it is for.
private final class Probe: Sendable {
    private let isAway = Atomic<Bool>(false)
    private let turn = Mutex(())

    /// - Parameter connect: blocks; answers whether it has reached the server, nil if it has not tried.
    func perform(_ connect: () -> Bool?) {
        let isReached = isAway.load(ordering: .acquiring) ? turn.withLock { _ in connect() } : connect()
        if let isReached { isAway.store(!isReached, ordering: .releasing) }
    }
}

struct ConnectFailure: Error {
    let message: String
}

/// Connects, and gets a connection ready to be handed over. Any thread; blocks.
final class ConnectionMaker: Sendable {
    private let settings: ConnectSettings
    private let schema: SchemaInstaller?
    private let readsTargets: Bool
    /// Until a server has refused it.
    private let mayCheckConnections = Atomic<Bool>(true)

    init(_ settings: ConnectSettings, schema: SchemaInstaller?, readsTargets: Bool = false) {
        self.settings = settings
        self.schema = schema
        self.readsTargets = readsTargets
    }

    /// Ready for a reactor: pipeline mode, never blocking.
    func make() throws(ConnectFailure) -> (ConnectionHandle, ServerFacts) {
        let pointer = try open()
        var problem: SchemaInstaller.Problem?
        var target: CancelTarget?
        do throws(BlockingQuery.Lost) {
            if readsTargets { target = try CancelTarget(query(pointer), processID: PQbackendPID(pointer)) }
            if let schema { problem = try schema.ensure(query(pointer)) }
        } catch {
            PQfinish(pointer)
            throw ConnectFailure(message: error.message)
        }
        guard PQstatus(pointer) == CONNECTION_OK, PQsetnonblocking(pointer, 1) == 0,
            PQenterPipelineMode(pointer) == 1
        else {
            defer { PQfinish(pointer) }
            throw ConnectFailure(message: Self.message(pointer))
        }
        let facts = ServerFacts(
            version: Int(PQserverVersion(pointer)), processID: PQbackendPID(pointer),
            schemaProblem: problem?.message, isSchemaOfOtherVersion: problem?.isOtherVersion == true)
        guard let handle = ConnectionHandle(pointer, target: target) else {
            throw ConnectFailure(message: "out of memory")
        }
        return (handle, facts)
    }

    /// Creates what is missing of Prism's own tables, on a connection of its own.
    /// - Returns: why they cannot be used; nil: they can.
    func createSchema(_ installer: SchemaInstaller) throws(ConnectFailure) -> String? {
        let pointer = try open()
        defer { PQfinish(pointer) }
        do throws(BlockingQuery.Lost) {
            return try installer.create(query(pointer))?.message
        } catch {
            throw ConnectFailure(message: error.message)
        }
    }

    /// For cancelling the others.
    func makeControl() throws(ConnectFailure) -> ControlConnection {
        let pointer = try open()
        do throws(BlockingQuery.Lost) {
            return try ControlConnection.make(pointer, query(pointer))
        } catch {
            throw ConnectFailure(message: error.message)
        }
    }

    private func query(_ pointer: OpaquePointer) -> BlockingQuery {
        BlockingQuery(
            connection: pointer, deadlineNanoseconds: MonotonicClock.now() + settings.schemaTimeoutNanoseconds)
    }

    /// As libpq makes it: blocking, not in pipeline mode. The caller finishes it.
    private func open() throws(ConnectFailure) -> OpaquePointer {
        let password: String?
        do throws(PasswordFile.Problem) {
            password = try settings.passwordFile.map { path throws(PasswordFile.Problem) in try PasswordFile.read(path)
            }
        } catch {
            throw ConnectFailure(message: error.message)
        }
        let userOptions = try userOptions()
        let checking = mayCheckConnections.load(ordering: .relaxed)
        do throws(ConnectFailure) {
            return try open(userOptions, password, withConnectionCheck: checking)
        } catch {
            guard checking, error.message.contains(ConnectSettings.connectionCheckName) else { throw error }
            mayCheckConnections.store(false, ordering: .relaxed)
            return try open(userOptions, password, withConnectionCheck: false)
        }
    }

    private func open(
        _ userOptions: String, _ password: String?, withConnectionCheck: Bool
    ) throws(ConnectFailure) -> OpaquePointer {
        let parameters = settings.parameters(
            userOptions: userOptions, password: password, withConnectionCheck: withConnectionCheck)
        guard let pointer = Self.connect(parameters) else { throw ConnectFailure(message: "out of memory") }
        guard PQstatus(pointer) == CONNECTION_OK else {
            defer { PQfinish(pointer) }
            throw ConnectFailure(message: Self.message(pointer))
        }
        // Nothing of libpq's may reach standard error.
        PQsetNoticeReceiver(pointer, { _, _ in }, nil)
        return pointer
    }

    /// `options` of the conninfo, or of the environment. Those of a service file are not looked for: ours take their place.
    private func userOptions() throws(ConnectFailure) -> String {
        let environment = getenv("PGOPTIONS").map { String(cString: $0) } ?? ""
        // A plain database name, as libpq sees it, is neither a string nor a URL.
        guard settings.conninfo.contains("=") || settings.conninfo.contains("://") else { return environment }
        var text: UnsafeMutablePointer<CChar>?
        guard let options = PQconninfoParse(settings.conninfo, &text) else {
            defer { PQfreemem(text) }
            throw ConnectFailure(
                message: LibpqConnection.oneLine(text.map { String(cString: $0) } ?? "out of memory"))
        }
        defer { PQconninfoFree(options) }
        var option = options
        while let keyword = option.pointee.keyword {
            if strcmp(keyword, "options") == 0, let value = option.pointee.val { return String(cString: value) }
            option += 1
        }
        return environment
    }

    /// Never nil but for want of memory.
    private static func connect(_ parameters: [(String, String)]) -> OpaquePointer? {
        let keywords = parameters.map { strdup($0.0) }
        let values = parameters.map { strdup($0.1) }
        defer { for text in keywords + values { free(text) } }
        let expandsName: Int32 = 1
        return PQconnectdbParams(
            keywords.map { UnsafePointer($0) } + [nil], values.map { UnsafePointer($0) } + [nil], expandsName)
    }

    private static func message(_ pointer: OpaquePointer) -> String {
        let text = LibpqConnection.oneLine(PQerrorMessage(pointer).map { String(cString: $0) } ?? "")
        return text.isEmpty ? "the connection failed" : text
    }
}
