/// What the engine asks of its server connections. Carried out by libpq (`PrismPostgreSQL`) or by a model of a server
/// (`PrismSimulation`). Every call is made on one thread and never blocks; answers come as calls of the engine:
/// `connected`, `connectFailed`, `received`, `lost`, `cancelReturned`, never from inside of a call of the port.
///
/// A connection is always in pipeline mode. Commands are answered in the order in which they were sent, each by results and
/// then `.end` (see `ServerResult`).
public protocol PostgreSQLPort: AnyObject {
    /// Opens a connection in the background.
    func connect(_ connection: ServerConnectionReference)

    /// Gives a connection up, whatever it is doing. Nothing is heard of it any more.
    func close(_ connection: ServerConnectionReference)

    /// Parses a statement under a name. Zero types: the server infers all of them; a zero among them: that one.
    func sendPrepare(
        _ connection: ServerConnectionReference, name: PreparedName, sql: UnsafeRawBufferPointer, types: [TypeOID])

    /// Asks for a prepared statement's parameters and columns: answered by one `.described`.
    func sendDescribe(_ connection: ServerConnectionReference, name: PreparedName)

    /// Runs a prepared statement.
    func sendExecute(
        _ connection: ServerConnectionReference, name: PreparedName, parameters: borrowing ParameterList,
        results: ValueFormat, rows: RowDelivery)

    /// Runs a statement of ours without parameters (BEGIN, COMMIT, DEALLOCATE …), parsed and forgotten.
    func sendStatement(_ connection: ServerConnectionReference, sql: String)

    /// Ends a batch: answered by one `.synchronized`, behind everything that was sent before it.
    func sendSync(_ connection: ServerConnectionReference)

    /// Asks the server to cancel what the connection is running. `cancelReturned` says that the request has been delivered.
    func cancel(_ connection: ServerConnectionReference)

    /// Whether to go on reading from the connection: false holds the server back while a client does not read.
    func setReading(_ connection: ServerConnectionReference, _ isReading: Bool)

    /// Whether so large a message has come that the memory for it, which lives as long as the connection does, is to be given back.
    func keepsLargeMessage(_ connection: ServerConnectionReference) -> Bool
}

extension PostgreSQLPort {
    public func keepsLargeMessage(_ connection: ServerConnectionReference) -> Bool { false }
}

/// Names one server connection: a place in the pool, and which use of that place.
public struct ServerConnectionReference: Hashable, Sendable {
    public let slot: Int
    public let generation: UInt32

    public init(slot: Int, generation: UInt32) {
        self.slot = slot
        self.generation = generation
    }
}

/// The number of a prepared statement on one connection; its name there is `prism_N`. 0 is the unnamed one, which lasts until
/// the next is prepared.
public struct PreparedName: Hashable, Sendable {
    public static let prefix = "prism_"

    public let number: UInt32

    public init(number: UInt32) { self.number = number }

    public static let unnamed = PreparedName(number: 0)

    public func _rawHashValue(seed: Int) -> Int { mixedHash(UInt64(number), seed) }

    public var text: String { number == 0 ? "" : Self.prefix + "\(number)" }

    /// The text with a zero byte behind it, without memory of its own.
    public func withCString<Result>(_ body: (UnsafePointer<CChar>) -> Result) -> Result {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 20) { buffer in
            // From its end: digits, then the prefix.
            var start = buffer.count - 1
            buffer[start] = 0
            if number > 0 {
                var rest = number
                repeat {
                    start -= 1
                    buffer[start] = CChar(truncatingIfNeeded: 0x30 + rest % 10)
                    rest /= 10
                } while rest > 0
                for byte in Self.prefix.utf8.reversed() {
                    start -= 1
                    buffer[start] = CChar(bitPattern: byte)
                }
            }
            guard let base = buffer.baseAddress else { preconditionFailure("a buffer of 20 bytes has an address") }
            return body(base + start)
        }
    }
}

/// When the rows of an execution are told.
public enum RowDelivery: Equatable, Sendable {
    /// Each as it comes.
    case oneByOne
    /// All when the last has come, which costs less where there are few.
    ///
    /// - Parameter readsMax: from the connection, until then: a bound on what is gathered. If it takes more, the connection is lost.
    case together(readsMax: UInt16)

    /// For what is at most one row, however large.
    public static let single = RowDelivery.together(readsMax: .max)
}

/// A type's number in `pg_type`; 0 is unknown.
public typealias TypeOID = UInt32

/// How a value is written.
public enum ValueFormat: UInt8, Sendable {
    case text = 0
    case binary = 1
}
