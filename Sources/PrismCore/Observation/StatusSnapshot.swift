/// Everything that `/status`, `/metrics` and `prism status` show, at one moment. Copied; safe to use anywhere.
public struct StatusSnapshot: Sendable {
    public struct Client: Sendable {
        public var uid: UInt32
        public var pid: Int32
        /// From `Hello`; empty without one.
        public var name: String
        public var inFlight: Int
        public var bufferedBytes: Int
        public var requestsTotal: UInt64

        public init(
            uid: UInt32, pid: Int32, name: String, inFlight: Int, bufferedBytes: Int, requestsTotal: UInt64
        ) {
            self.uid = uid
            self.pid = pid
            self.name = name
            self.inFlight = inFlight
            self.bufferedBytes = bufferedBytes
            self.requestsTotal = requestsTotal
        }
    }

    public struct Backend: Sendable {
        public var name: String
        public var kind: BackendDescription.Kind
        public var isDefault: Bool
        public var isHealthy: Bool
        /// Why it is not; empty while it is.
        public var problem: String
        public var queueDepth: Int
        /// Of some client the newest requests are served first: see `FairQueue`.
        public var isOverloaded = false
        /// Requests refused because by estimate they would have been answered too late.
        public var lateTotal: UInt64 = 0
        /// Of SQLite nothing.
        public var shared = SharedTotals()
        /// Connections by state. SQLite: `reader`, `leased`, `writer`; PostgreSQL: `idle`, `leased`, `connecting`,
        /// `control`.
        public var connections: [String: Int]
        /// Counted with those of the sessions.
        public var invariantViolations: UInt64 = 0

        public init(
            name: String, kind: BackendDescription.Kind, isDefault: Bool, isHealthy: Bool = true, problem: String = "",
            queueDepth: Int = 0, connections: [String: Int] = [:]
        ) {
            self.name = name
            self.kind = kind
            self.isDefault = isDefault
            self.isHealthy = isHealthy
            self.problem = problem
            self.queueDepth = queueDepth
            self.connections = connections
        }
    }

    /// What shared pipelines have carried, ever.
    public struct SharedTotals: Sendable, Equatable {
        public var batches: UInt64 = 0
        /// Requests in them.
        public var requests: UInt64 = 0
        /// Of these, how many were not answered from there and ran again: a neighbour or they themselves failed, were too slow or too
        /// large, or the connection was lost.
        public var reruns: UInt64 = 0

        public init() {}

        public static func + (first: SharedTotals, second: SharedTotals) -> SharedTotals {
            var sum = SharedTotals()
            sum.batches = first.batches + second.batches
            sum.requests = first.requests + second.requests
            sum.reruns = first.reruns + second.reruns
            return sum
        }
    }

    /// Most clients listed; the busiest come first.
    public static let clientsListedMax = 100

    public var version: String
    public var processID: Int32
    public var uptimeNanoseconds: UInt64
    public var reactors: Int
    public var dataSocket: String
    public var drainState: DrainState
    public var drainReason: String
    public var clients: Int
    public var clientList: [Client]
    public var backends: [Backend]
    public var inFlight: Int
    public var transactions: Int
    public var bufferedBytes: Int
    public var metrics: Metrics
    public var drainReport: DrainReport?

    public init(version: String, backends: [Backend]) {
        self.version = version
        self.backends = backends
        processID = 0
        uptimeNanoseconds = 0
        reactors = 1
        dataSocket = ""
        drainState = .serving
        drainReason = ""
        clients = 0
        clientList = []
        inFlight = 0
        transactions = 0
        bufferedBytes = 0
        metrics = Metrics(backends: backends.count)
    }
}
