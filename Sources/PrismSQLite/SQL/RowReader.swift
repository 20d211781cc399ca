internal import CSQLite
internal import PrismWire

/// Steps a client's statement and writes results of its rows.
struct RowReader {
    let statement: PreparedStatement
    /// Of all rows so far, on the wire.
    private(set) var bytesRead = 0
    private let executor: Executor
    private var columns = 0
    private var isDescribed = false
    /// The statement stands on a row that had no room in the last part.
    private var isOnRow = false

    init(_ executor: Executor, _ statement: PreparedStatement) {
        self.executor = executor
        self.statement = statement
    }

    /// Appends one result: the rows, and the columns with the first of them.
    ///
    /// - Parameters:
    ///   - bytesMax: of the rows of one result. One row is never divided.
    ///   - mayBeCut: false: more is RESOURCE_EXHAUSTED.
    /// - Returns: whether the statement has come to its end.
    mutating func read(
        as place: ResultWriter.Place, bytesMax: Int, mayBeCut: Bool, into output: inout ByteQueue
    ) throws(Failure) -> Bool {
        executor.rows.removeAll()
        executor.columns.removeAll(keepingUpTo: 0)
        while true {
            let stepped = isOnRow ? SQLITE_ROW : executor.connection.step(statement)
            isOnRow = false
            guard stepped == SQLITE_ROW || stepped == SQLITE_DONE else {
                throw ClientStatement.failure(stepped, on: executor.connection)
            }
            // Not before the first step, at which SQLite compiles the statement again when the schema has changed.
            if !isDescribed { describe() }
            if stepped == SQLITE_DONE { break }
            let before = executor.rows.byteCount
            guard try appendRow(in: place, mayWait: mayBeCut && before > 0) else {
                isOnRow = true
                try executor.writeRows(as: place, tag: .none, rowsAffected: 0, into: &output)
                return false
            }
            bytesRead += executor.rows.byteCount - before
            guard executor.rows.byteCount >= bytesMax else { continue }
            guard mayBeCut else {
                throw Failure(
                    .resourceExhausted, at: .execute,
                    "the rows that the request returns are above limits.result_bytes (\(executor.settings.resultBytesMax)); return fewer"
                )
            }
            try executor.writeRows(as: place, tag: .none, rowsAffected: 0, into: &output)
            return false
        }
        if statement.shapesTable { try Schema.checkOwnTables(on: executor.connection) }
        let rowsAffected = statement.tag.countsRows ? UInt64(sqlite3_changes64(executor.connection.handle)) : 0
        try executor.writeRows(as: place, tag: statement.tag, rowsAffected: rowsAffected, into: &output)
        return true
    }

    private mutating func describe() {
        isDescribed = true
        columns = Int(sqlite3_column_count(statement.handle))
        for index in 0..<Int32(columns) {
            ResultWriter.appendColumn(
                name: text(sqlite3_column_name(statement.handle, index)),
                type: text(sqlite3_column_decltype(statement.handle, index)), to: &executor.columns)
        }
    }

    private func text(_ pointer: UnsafePointer<CChar>?) -> UnsafeRawBufferPointer {
        guard let pointer else { return UnsafeRawBufferPointer(start: nil, count: 0) }
        var count = 0
        while pointer[count] != 0 { count += 1 }
        return UnsafeRawBufferPointer(start: pointer, count: count)
    }

    /// - Parameter mayWait: for the next part, if there is no room beside the rows so far.
    /// - Returns: false: it has to.
    private func appendRow(in place: ResultWriter.Place, mayWait: Bool) throws(Failure) -> Bool {
        executor.rows.beginRow()
        do throws(Failure) { try appendValues() } catch {
            guard mayWait, error.code == .resourceExhausted else { throw error }
            executor.rows.dropRow()
            return false
        }
        executor.rows.endRow()
        guard mayWait else { return true }
        let size = executor.rows.writtenBytes(in: place, columns: executor.columns.count, tag: 0, rowsAffected: 0)
        guard size > executor.answerBytesMax else { return true }
        executor.rows.dropRow()
        return false
    }

    private func appendValues() throws(Failure) {
        for column in 0..<Int32(columns) {
            switch sqlite3_column_type(statement.handle, column) {
            case SQLITE_INTEGER: executor.rows.append(integer: statement.integer(column))
            case SQLITE_FLOAT: executor.rows.append(double: sqlite3_column_double(statement.handle, column))
            // SQLite keeps whatever it was given as text.
            case SQLITE_TEXT: executor.rows.append(text: try text(column))
            case SQLITE_BLOB: executor.rows.append(bytes: try bounded(statement.blob(column).bytes))
            default: executor.rows.appendNull()
            }
        }
    }

    private func text(_ column: Int32) throws(Failure) -> UnsafeRawBufferPointer {
        guard let text = statement.text(column) else {
            throw ClientStatement.failure(SQLITE_NOMEM, on: executor.connection)
        }
        return try bounded(text)
    }

    private func bounded(_ bytes: UnsafeRawBufferPointer) throws(Failure) -> UnsafeRawBufferPointer {
        let size = executor.rows.byteCount + bytes.count
        guard size <= executor.answerBytesMax else {
            throw .answerTooLarge(bytes: size, above: executor.answerBytesMax)
        }
        return bytes
    }
}
