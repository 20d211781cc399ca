/// One thing that a server connection has answered, about the oldest command that has not ended yet.
///
/// What a command is answered by: prepare: `.complete`; describe: `.described`; execute and statement: any `.row`, then
/// `.complete`; any of them instead: `.failed`, or `.skipped` behind a failure. Then `.end`. A sync: `.synchronized` alone,
/// without `.end`; before that a commit that failed is `.failed` and `.end`.
///
/// Everything in it is borrowed until the call returns.
public enum ServerResult {
    case described(parameters: [TypeOID], columns: [ServerColumn])
    /// One row; `columns` as on every row of the command.
    case row(ServerRow)
    /// - Parameters:
    ///   - columns: for a command that returns rows, also when there was none; otherwise empty.
    ///   - tag: the command tag, such as `INSERT 0 1`; empty for prepare.
    case complete(columns: ServerColumns?, tag: CommandTag)
    /// All of a command that returns one row at most, where rows are told together: the row, its completion and its end.
    /// - Parameter values: as in `ServerRow`; nil: no row.
    case whole(values: UnsafeBufferPointer<UnsafeRawBufferPointer>?, columns: ServerColumns, tag: CommandTag)
    case failed(ServerError)
    /// Not carried out, because something before it in the batch failed.
    case skipped
    /// The command is over.
    case end
    /// The batch is over; where the connection stands now.
    case synchronized(TransactionStatus)
    /// COPY, or an answer nobody knows: the connection cannot be used any more.
    case unusable(String)
}

/// PQtransactionStatus between two batches.
public enum TransactionStatus: UInt8, Sendable {
    case idle
    case open
    case failed
    /// libpq does not tell while something has been sent behind the Sync.
    case unknown
}

/// One column of a result.
public struct ServerColumn: Sendable, Equatable {
    public var name: String
    /// Of a domain: its base type.
    public var type: TypeOID

    public init(name: String, type: TypeOID) {
        self.name = name
        self.type = type
    }
}

/// The columns of one command's rows; made once for all of them. Belongs to its connection's thread.
public final class ServerColumns {
    public let columns: [ServerColumn]
    public let format: ValueFormat
    /// As results say them; nil where that may change, since other types than built-in ones can be renamed.
    let described: ResultColumns?
    /// The names, a zero byte behind each.
    @usableFromInline let names: [CChar]

    public init(_ columns: [ServerColumn], format: ValueFormat) {
        self.columns = columns
        self.format = format
        let areBuiltIn = columns.allSatisfy { TypeCatalog.name($0.type) != nil }
        described = areBuiltIn ? ResultColumns(columns, format, types: KnownTypes()) : nil
        names = columns.flatMap { $0.name.utf8CString }
    }

    /// Whether these are columns with just these names and types.
    /// - Parameters:
    ///   - name: of a column, followed by a zero byte; nil: it has none.
    ///   - type: likewise.
    @inlinable
    public func isSame(name: (Int) -> UnsafePointer<CChar>?, type: (Int) -> TypeOID) -> Bool {
        names.withUnsafeBufferPointer { names in
            var position = 0
            for index in columns.indices {
                guard type(index) == columns[index].type, let name = name(index) else { return false }
                var offset = 0
                repeat {
                    guard names[position] == name[offset] else { return false }
                    position += 1
                    offset += 1
                } while names[position - 1] != 0
            }
            return true
        }
    }
}

/// One row of a result, borrowed.
public struct ServerRow {
    public let columns: ServerColumns
    /// One a column; a nil base address is NULL (an empty value has one).
    public let values: UnsafeBufferPointer<UnsafeRawBufferPointer>

    public init(columns: ServerColumns, values: UnsafeBufferPointer<UnsafeRawBufferPointer>) {
        self.columns = columns
        self.values = values
    }
}

/// What the server says of a command that failed. Texts are the server's own.
public struct ServerError: Error, Sendable, Equatable {
    public enum Severity: UInt8, Sendable {
        case error
        /// The connection ends with it.
        case fatal
        /// The server ends with it.
        case panic
    }

    public var severity: Severity
    /// Five characters.
    public var sqlState: String
    public var message: String
    public var detail: String
    public var hint: String
    /// In characters of the statement, from 1; 0: none.
    public var position: UInt32
    /// The constraint, column or table that it is about, where the server says so.
    public var constraint: String
    /// The function of the server's source that raised it; unlike the message it is never translated.
    public var routine: String

    /// Said by a pooler or proxy on the way, of a connection that it has lost or cannot make: PostgreSQL names the function that
    /// raised an error in each of its own.
    var isOfPooler: Bool { routine.isEmpty && (severity != .error || sqlState.hasPrefix("08")) }

    public init(
        severity: Severity = .error, sqlState: String, message: String, detail: String = "", hint: String = "",
        position: UInt32 = 0, constraint: String = "", routine: String = ""
    ) {
        self.severity = severity
        self.sqlState = sqlState
        self.message = message
        self.detail = detail
        self.hint = hint
        self.position = position
        self.constraint = constraint
        self.routine = routine
    }
}
