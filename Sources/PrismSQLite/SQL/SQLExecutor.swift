internal import CSQLite
internal import PrismWire

/// Client SQL on one connection.
struct SQLExecutor {
    let executor: Executor
    let isReader: Bool
    let isReadOnly: Bool
    let parts: (any PartSink)?

    private var connection: Connection { executor.connection }

    func query(
        _ query: Prism__V1__Query, _ response: UnsafeMutablePointer<Prism__V1__Response>, into output: inout ByteQueue
    ) throws(Failure) -> Executor.Result {
        let statement = try connection.lease(client: query.sql.bytes)
        defer { connection.release(statement) }
        guard try mayRun(statement) else { return .needsWriter }
        try bind(statement, query.parameters, query.n_parameters, query.names, query.n_names)
        var sink = ByteQueue()
        let result = try run(statement) { part throws(Failure) in
            guard let parts, statement.isReadOnly else { return false }
            response.pointee.payload_case = PRISM__V1__RESPONSE__PAYLOAD_QUERY
            response.pointee.query = part
            ResponseBody.append(response, to: &sink)
            try parts.emit(sink.bytes)
            sink.removeAll(keepingUpTo: 1 << 16)
            return true
        }
        response.pointee.payload_case = PRISM__V1__RESPONSE__PAYLOAD_QUERY
        response.pointee.query = result
        ResponseBody.append(response, to: &output)
        return .answered
    }

    /// False: it needs the writer.
    func batch(_ batch: Prism__V1__Batch, _ response: UnsafeMutablePointer<Prism__V1__Response>) throws(Failure) -> Bool
    {
        let sets = batch.n_parameter_sets
        let count = sets > 0 ? sets : batch.n_statements
        guard
            let results = executor.arena.allocate(UnsafeMutablePointer<Prism__V1__QueryResult>?.self, count: count)
        else { throw executor.outOfMemory }
        for index in 0..<count {
            do throws(Failure) {
                guard let query = batch.statements[sets > 0 ? 0 : index]?.pointee else { throw executor.outOfMemory }
                let statement = try connection.lease(client: query.sql.bytes)
                defer { connection.release(statement) }
                guard try mayRun(statement) else { return false }
                if sets > 0, let set = batch.parameter_sets[index]?.pointee {
                    try bind(statement, set.parameters, set.n_parameters, nil, 0)
                } else {
                    try bind(statement, query.parameters, query.n_parameters, query.names, query.n_names)
                }
                results[index] = try run(statement) { _ in false }
                guard executor.arena.usedBytes < executor.settings.resultBytesMax * 4 + (4 << 20) else {
                    throw executor.outOfMemory
                }
            } catch {
                var failure = error
                failure.item = UInt32(index + 1)
                throw failure
            }
        }
        let result = try executor.make(Prism__V1__BatchResult.self) { prism__v1__batch_result__init($0) }
        result.pointee.results = results
        result.pointee.n_results = count
        response.pointee.payload_case = PRISM__V1__RESPONSE__PAYLOAD_BATCH
        response.pointee.batch = result
        return true
    }

    private func mayRun(_ statement: PreparedStatement) throws(Failure) -> Bool {
        if statement.isReadOnly { return true }
        if isReadOnly {
            throw ClientStatement.invalid(
                "the request is read-only, and the statement writes; send it without read_only")
        }
        return !isReader
    }

    private func bind(
        _ statement: PreparedStatement, _ values: UnsafeMutablePointer<UnsafeMutablePointer<Prism__V1__Value>?>?,
        _ count: Int, _ names: UnsafeMutablePointer<ProtobufCBinaryData>?, _ namesCount: Int
    ) throws(Failure) {
        let values = elements(values, count)
        func expect(_ wanted: Int) throws(Failure) {
            guard count == wanted else {
                throw ClientStatement.invalid("the statement takes \(wanted) parameters, the request has \(count)")
            }
        }
        switch statement.parameters {
        case .none, .mixed: try expect(0)
        case .identity(let wanted):
            try expect(wanted)
            for index in 0..<count { try bind(statement, Int32(index + 1), values[index]) }
        case .numbered(let sources, let wanted):
            try expect(wanted)
            for (index, source) in sources.enumerated() { try bind(statement, Int32(index + 1), values[source - 1]) }
        case .named(let wanted):
            try expect(wanted.count)
            guard namesCount == count else {
                throw ClientStatement.invalid(
                    "the statement names its parameters (\(wanted.joined(separator: ", "))); send names")
            }
            let given = elements(names, namesCount).map(\.string)
            for (index, name) in wanted.enumerated() {
                guard let source = given.firstIndex(of: name) else {
                    throw ClientStatement.invalid("no parameter is named \(name)")
                }
                try bind(statement, Int32(index + 1), values[source])
            }
        }
    }

    private func bind(
        _ statement: PreparedStatement, _ index: Int32, _ value: UnsafeMutablePointer<Prism__V1__Value>?
    ) throws(Failure) {
        guard let value = value?.pointee else { return }
        let result: Int32
        switch value.kind_case {
        case PRISM__V1__VALUE__KIND_NULL: result = sqlite3_bind_null(statement.handle, index)
        case PRISM__V1__VALUE__KIND_BOOLEAN:
            result = sqlite3_bind_int(statement.handle, index, value.boolean != 0 ? 1 : 0)
        case PRISM__V1__VALUE__KIND_INTEGER: result = sqlite3_bind_int64(statement.handle, index, value.integer)
        case PRISM__V1__VALUE__KIND_DOUBLE: result = sqlite3_bind_double(statement.handle, index, value.double_)
        case PRISM__V1__VALUE__KIND_TEXT: result = statement.bind(index, text: value.text.bytes)
        case PRISM__V1__VALUE__KIND_BYTES: result = statement.bind(index, blob: value.bytes.bytes)
        case PRISM__V1__VALUE__KIND_TYPED: result = statement.bind(index, text: value.typed.pointee.text.bytes)
        default: result = SQLITE_MISUSE
        }
        guard result == SQLITE_OK else { throw connection.failure(result, doing: "parameter \(index)") }
    }

    /// Steps to the end. `emit` gets full parts; false: it does not take any, the rows stay.
    private func run(
        _ statement: PreparedStatement,
        emit: (UnsafeMutablePointer<Prism__V1__QueryResult>) throws(Failure) -> Bool
    ) throws(Failure) -> UnsafeMutablePointer<Prism__V1__QueryResult> {
        var result = try newResult()
        let columns = Int(sqlite3_column_count(statement.handle))
        if columns > 0 { try describe(statement, columns, result) }
        var rows: [UnsafeMutablePointer<Prism__V1__Row>] = []
        var bytes = 0
        var total = 0
        while true {
            let stepped = connection.step(statement)
            if stepped == SQLITE_DONE { break }
            guard stepped == SQLITE_ROW else { throw ClientStatement.failure(stepped, on: connection) }
            let size = try append(statement, columns, to: &rows)
            bytes += size
            total += size
            if bytes >= executor.settings.streamPartBytes {
                try set(rows, in: result)
                if try emit(result) {
                    rows.removeAll(keepingCapacity: true)
                    bytes = 0
                    executor.arena.reset()
                    result = try newResult()
                    total = 0
                } else if total > executor.settings.resultBytesMax {
                    throw Failure(
                        .resourceExhausted, at: .execute,
                        "the rows that the statement returns are above limits.result_bytes (\(executor.settings.resultBytesMax)); return fewer"
                    )
                }
            }
        }
        try set(rows, in: result)
        result.pointee.tag = statement.tag.bytes
        if statement.tag.countsRows { result.pointee.rows_affected = UInt64(sqlite3_changes64(connection.handle)) }
        return result
    }

    private func newResult() throws(Failure) -> UnsafeMutablePointer<Prism__V1__QueryResult> {
        try executor.make(Prism__V1__QueryResult.self) { prism__v1__query_result__init($0) }
    }

    private func set(
        _ rows: [UnsafeMutablePointer<Prism__V1__Row>], in result: UnsafeMutablePointer<Prism__V1__QueryResult>
    ) throws(Failure) {
        guard
            let target = executor.arena.allocate(UnsafeMutablePointer<Prism__V1__Row>?.self, count: max(1, rows.count))
        else { throw executor.outOfMemory }
        for (index, row) in rows.enumerated() { target[index] = row }
        result.pointee.rows = target
        result.pointee.n_rows = rows.count
    }

    private func describe(
        _ statement: PreparedStatement, _ count: Int, _ result: UnsafeMutablePointer<Prism__V1__QueryResult>
    ) throws(Failure) {
        guard let columns = executor.arena.allocate(UnsafeMutablePointer<Prism__V1__Column>?.self, count: count) else {
            throw executor.outOfMemory
        }
        for index in 0..<count {
            let column = try executor.make(Prism__V1__Column.self) { prism__v1__column__init($0) }
            column.pointee.name = try text(sqlite3_column_name(statement.handle, Int32(index)))
            column.pointee.type = try text(sqlite3_column_decltype(statement.handle, Int32(index)))
            columns[index] = column
        }
        result.pointee.columns = columns
        result.pointee.n_columns = count
    }

    private func text(_ pointer: UnsafePointer<CChar>?) throws(Failure) -> ProtobufCBinaryData {
        guard let pointer else { return ProtobufCBinaryData() }
        var count = 0
        while pointer[count] != 0 { count += 1 }
        return try executor.copy(UnsafeRawBufferPointer(start: pointer, count: count))
    }

    /// One row, copied into the arena. Returns about how many bytes it has on the wire.
    private func append(
        _ statement: PreparedStatement, _ count: Int, to rows: inout [UnsafeMutablePointer<Prism__V1__Row>]
    ) throws(Failure) -> Int {
        let arena = executor.arena
        guard let values = arena.allocate(Prism__V1__Value.self, count: count),
            let pointers = arena.allocate(UnsafeMutablePointer<Prism__V1__Value>?.self, count: count)
        else { throw executor.outOfMemory }
        var bytes = 4
        for index in 0..<count {
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
        row.pointee.n_values = count
        rows.append(row)
        return bytes
    }
}
