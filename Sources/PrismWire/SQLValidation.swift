extension RequestValidation {
    func checkQuery(_ message: Prism__V1__Query?, isBatch: Bool) throws(Failure) {
        guard let message else { throw missing }
        if message.statement.isEmpty {
            guard !message.sql.isEmpty else { throw invalid("the SQL text is empty") }
            try checkText(message.sql, "sql", bytesMax: limits.sqlBytesMax)
        } else {
            guard message.sql.isEmpty else { throw invalid("sql and statement are both given; send one of them") }
            try checkText(message.statement, "statement", bytesMax: 64)
        }
        try checkParameters(message.parameters, message.n_parameters)
        guard message.n_names == 0 || message.n_names == message.n_parameters else {
            throw invalid("names has \(message.n_names) entries for \(message.n_parameters) parameters")
        }
        for name in elements(message.names, message.n_names) { try checkText(name, "a parameter's name", bytesMax: 64) }
    }

    func checkBatch(_ message: Prism__V1__Batch?) throws(Failure) {
        guard let message else { throw missing }
        let executions = message.n_parameter_sets > 0 ? message.n_parameter_sets : message.n_statements
        guard executions >= 1, executions <= limits.batchStatementsMax, message.n_statements >= 1 else {
            throw invalid("Batch has \(executions) executions; 1–\(limits.batchStatementsMax) are allowed")
        }
        if message.n_parameter_sets > 0 {
            guard message.n_statements == 1, message.statements?[0]?.pointee.n_parameters == 0,
                message.statements?[0]?.pointee.n_names == 0
            else { throw invalid("parameter_sets go with exactly one statement that has no parameters of its own") }
        }
        for (index, statement) in elements(message.statements, message.n_statements).enumerated() {
            do throws(Failure) { try checkQuery(statement?.pointee, isBatch: true) } catch {
                throw numbered(error, index)
            }
        }
        for (index, set) in elements(message.parameter_sets, message.n_parameter_sets).enumerated() {
            guard let set = set?.pointee else { throw missing }
            do throws(Failure) { try checkParameters(set.parameters, set.n_parameters) } catch {
                throw numbered(error, index)
            }
        }
    }

    private func numbered(_ failure: Failure, _ index: Int) -> Failure {
        var failure = failure
        failure.item = UInt32(index + 1)
        return failure
    }

    private func checkParameters(
        _ base: UnsafeMutablePointer<UnsafeMutablePointer<Prism__V1__Value>?>?, _ count: Int
    ) throws(Failure) {
        guard count <= limits.parametersMax else {
            throw invalid("\(count) parameters; at most \(limits.parametersMax) are allowed")
        }
        for (index, value) in elements(base, count).enumerated() {
            guard let value = value?.pointee else { throw missing }
            switch value.kind_case {
            case PRISM__V1__VALUE__KIND_TEXT:
                guard isValidUTF8(value.text.bytes) else {
                    throw invalid("parameter \(index + 1): the text is not valid UTF-8; send it as bytes")
                }
            case PRISM__V1__VALUE__KIND_TYPED:
                guard let typed = value.typed?.pointee else { throw missing }
                try checkText(typed.type, "parameter \(index + 1): the type", bytesMax: 64)
                guard isValidUTF8(typed.text.bytes) else {
                    throw invalid("parameter \(index + 1): the text is not valid UTF-8")
                }
            case PRISM__V1__VALUE__KIND__NOT_SET:
                throw invalid("parameter \(index + 1) has no kind; NULL is written null {}")
            default: break
            }
        }
    }
}
