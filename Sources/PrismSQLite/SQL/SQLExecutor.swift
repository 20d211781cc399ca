internal import CSQLite
internal import PrismWire

/// Client SQL on one connection.
struct SQLExecutor {
    let executor: Executor
    let isReadOnly: Bool

    private var connection: Connection { executor.connection }

    /// Compiles and binds, runs nothing. Nil: it needs the writer.
    func start(_ query: Prism__V1__Query) throws(Failure) -> QueryStream? {
        let statement = try connection.lease(client: query.sql.bytes)
        do throws(Failure) {
            guard try mayRun(statement) else {
                connection.release(statement)
                return nil
            }
            try bind(statement, query.parameters, query.n_parameters, query.names, query.n_names)
        } catch {
            connection.release(statement)
            throw error
        }
        return QueryStream(statement, on: executor)
    }

    /// Runs all statements and appends their answer. False: it needs the writer.
    func batch(_ batch: Prism__V1__Batch, into output: inout ByteQueue) throws(Failure) -> Bool {
        let sets = batch.n_parameter_sets
        let count = sets > 0 ? sets : batch.n_statements
        var results = ByteQueue()
        var bytesLeft = executor.settings.resultBytesMax
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
                var rows = RowReader(executor, statement)
                _ = try rows.read(as: .batch, bytesMax: bytesLeft, mayBeCut: false, into: &results)
                bytesLeft -= rows.bytesRead
            } catch {
                var failure = error
                failure.item = UInt32(index + 1)
                throw failure
            }
        }
        let size = ResultWriter.batchBytes(results.count)
        guard size <= executor.answerBytesMax else {
            throw .answerTooLarge(bytes: size, above: executor.answerBytesMax)
        }
        ResultWriter.writeBatch(results.bytes, to: &output)
        return true
    }

    private func mayRun(_ statement: PreparedStatement) throws(Failure) -> Bool {
        if statement.isReadOnly { return true }
        if isReadOnly {
            throw ClientStatement.invalid(
                "the request is read-only, and the statement writes; send it without read_only")
        }
        return !executor.isReader
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
}
