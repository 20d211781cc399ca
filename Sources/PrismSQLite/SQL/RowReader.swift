internal import CSQLite
internal import PrismWire

/// Steps a client's statement and builds results of its rows in the executor's arena.
struct RowReader {
    let statement: PreparedStatement
    /// Bytes of the rows so far, about as they are on the wire.
    private(set) var bytesRead = 0
    private let executor: Executor
    private var columns = 0
    private var isDescribed = false

    init(_ executor: Executor, _ statement: PreparedStatement) {
        self.executor = executor
        self.statement = statement
    }

    /// - Parameters:
    ///   - bytesMax: of one result. One row is never divided.
    ///   - mayBeCut: false: more is RESOURCE_EXHAUSTED.
    /// - Returns: the rows, the columns with the first of them, and whether the statement has come to its end.
    mutating func read(bytesMax: Int, mayBeCut: Bool) throws(Failure) -> (
        result: UnsafeMutablePointer<Prism__V1__QueryResult>, isLast: Bool
    ) {
        let result = try executor.make(Prism__V1__QueryResult.self) { prism__v1__query_result__init($0) }
        var rows: [UnsafeMutablePointer<Prism__V1__Row>] = []
        var bytes = 0
        while true {
            let stepped = executor.connection.step(statement)
            guard stepped == SQLITE_ROW || stepped == SQLITE_DONE else {
                throw ClientStatement.failure(stepped, on: executor.connection)
            }
            // Not before the first step, at which SQLite compiles the statement again when the schema has changed.
            if !isDescribed { try describe(result) }
            if stepped == SQLITE_DONE { break }
            let size = try append(to: &rows)
            bytes += size
            bytesRead += size
            guard bytes >= bytesMax else { continue }
            guard mayBeCut else {
                throw Failure(
                    .resourceExhausted, at: .execute,
                    "the rows that the request returns are above limits.result_bytes (\(executor.settings.resultBytesMax)); return fewer"
                )
            }
            try set(rows, in: result)
            return (result, false)
        }
        if statement.shapesTable { try Schema.checkOwnTables(on: executor.connection) }
        try set(rows, in: result)
        result.pointee.tag = statement.tag.bytes
        if statement.tag.countsRows {
            result.pointee.rows_affected = UInt64(sqlite3_changes64(executor.connection.handle))
        }
        return (result, true)
    }

    private func set(
        _ rows: [UnsafeMutablePointer<Prism__V1__Row>], in result: UnsafeMutablePointer<Prism__V1__QueryResult>
    ) throws(Failure) {
        result.pointee.rows = try executor.pointers(rows)
        result.pointee.n_rows = rows.count
    }

    private mutating func describe(_ result: UnsafeMutablePointer<Prism__V1__QueryResult>) throws(Failure) {
        isDescribed = true
        columns = Int(sqlite3_column_count(statement.handle))
        guard columns > 0 else { return }
        guard let described = executor.arena.allocate(UnsafeMutablePointer<Prism__V1__Column>?.self, count: columns)
        else { throw executor.outOfMemory }
        for index in 0..<columns {
            let column = try executor.make(Prism__V1__Column.self) { prism__v1__column__init($0) }
            column.pointee.name = try text(sqlite3_column_name(statement.handle, Int32(index)))
            column.pointee.type = try text(sqlite3_column_decltype(statement.handle, Int32(index)))
            described[index] = column
        }
        result.pointee.columns = described
        result.pointee.n_columns = columns
    }

    private func text(_ pointer: UnsafePointer<CChar>?) throws(Failure) -> ProtobufCBinaryData {
        guard let pointer else { return ProtobufCBinaryData() }
        var count = 0
        while pointer[count] != 0 { count += 1 }
        return try executor.copy(UnsafeRawBufferPointer(start: pointer, count: count))
    }

    /// One row, copied into the arena. Returns about how many bytes it has on the wire.
    private func append(to rows: inout [UnsafeMutablePointer<Prism__V1__Row>]) throws(Failure) -> Int {
        let arena = executor.arena
        guard let values = arena.allocate(Prism__V1__Value.self, count: columns),
            let pointers = arena.allocate(UnsafeMutablePointer<Prism__V1__Value>?.self, count: columns)
        else { throw executor.outOfMemory }
        var bytes = 4
        for index in 0..<columns {
            let value = values + index
            prism__v1__value__init(value)
            pointers[index] = value
            let column = Int32(index)
            switch sqlite3_column_type(statement.handle, column) {
            case SQLITE_INTEGER:
                value.pointee.kind_case = PRISM__V1__VALUE__KIND_INTEGER
                value.pointee.integer = statement.integer(column)
            case SQLITE_FLOAT:
                value.pointee.kind_case = PRISM__V1__VALUE__KIND_DOUBLE
                value.pointee.double_ = sqlite3_column_double(statement.handle, column)
            case SQLITE_TEXT:
                let text = try executor.copy(statement.blob(column).bytes)
                // SQLite keeps whatever it was given as text; a string field must be UTF-8.
                if isValidUTF8(text.bytes) {
                    value.pointee.kind_case = PRISM__V1__VALUE__KIND_TEXT
                    value.pointee.text = text
                } else {
                    value.pointee.kind_case = PRISM__V1__VALUE__KIND_BYTES
                    value.pointee.bytes = text
                }
                bytes += text.len
            case SQLITE_BLOB:
                value.pointee.kind_case = PRISM__V1__VALUE__KIND_BYTES
                value.pointee.bytes = try executor.copy(statement.blob(column).bytes)
                bytes += value.pointee.bytes.len
            default:
                value.pointee.kind_case = PRISM__V1__VALUE__KIND_NULL
                value.pointee.null = try executor.make(Prism__V1__Null.self) { prism__v1__null__init($0) }
            }
            bytes += 10
        }
        let row = try executor.make(Prism__V1__Row.self) { prism__v1__row__init($0) }
        row.pointee.values = pointers
        row.pointee.n_values = columns
        rows.append(row)
        return bytes
    }
}
