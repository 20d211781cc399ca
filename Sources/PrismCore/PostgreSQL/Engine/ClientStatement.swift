import PrismWire

/// One statement of a client's request with its values; borrowed from the request.
struct ClientStatement {
    var sql: UnsafeRawBufferPointer
    var values: UnsafeMutablePointer<UnsafeMutablePointer<Prism__V1__Value>?>?
    var count: Int
    var hasNames: Bool

    /// - Parameter unit: which execution of a Batch; 0 for a Query.
    init(_ unit: Int, of request: RequestMessage) throws(Failure) {
        if let query = request.query {
            self.init(query, values: query.parameters, count: query.n_parameters, hasNames: query.n_names > 0)
            return
        }
        guard let batch = request.batch, let statements = batch.statements else { throw AnswerBuilder.outOfMemory }
        guard let query = statements[batch.n_parameter_sets > 0 ? 0 : unit]?.pointee else {
            throw AnswerBuilder.outOfMemory
        }
        guard batch.n_parameter_sets > 0 else {
            self.init(query, values: query.parameters, count: query.n_parameters, hasNames: query.n_names > 0)
            return
        }
        guard let set = batch.parameter_sets?[unit]?.pointee else { throw AnswerBuilder.outOfMemory }
        self.init(query, values: set.parameters, count: set.n_parameters, hasNames: false)
    }

    /// A Query.
    init(_ query: UnsafePointer<Prism__V1__Query>) {
        sql = query.pointee.sql.bytes
        values = query.pointee.parameters
        count = query.pointee.n_parameters
        hasNames = query.pointee.n_names > 0
    }

    private init(
        _ query: Prism__V1__Query, values: UnsafeMutablePointer<UnsafeMutablePointer<Prism__V1__Value>?>?, count: Int,
        hasNames: Bool
    ) {
        sql = query.sql.bytes
        self.values = values
        self.count = count
        self.hasNames = hasNames
    }

    /// The types that the values declare.
    ///
    /// - Parameters:
    ///   - number: of a type that is not built in; nil: not known.
    ///   - types: gets them; used again, so that no memory is asked for.
    /// - Returns: a name of a type whose number is to be asked for first; nil: all are known.
    func signature(_ number: (String) -> TypeOID?, into types: inout [TypeOID]) throws(Failure) -> String? {
        if types.count > count { types.removeLast(types.count - count) }
        while types.count < count { types.append(0) }
        for (index, value) in elements(values, count).enumerated() {
            guard let value else { throw AnswerBuilder.outOfMemory }
            switch ParameterEncoder.declaredType(of: value.pointee) {
            case .known(let type): types[index] = type
            case .named(let name):
                guard let type = number(name) else { return name }
                types[index] = type
            }
        }
        return nil
    }

    /// The values as the statement takes them.
    func encode(for statement: KnownStatement, into parameters: inout ParameterList) throws(Failure) {
        guard count == statement.parameters.count else {
            throw .invalidSQL(
                "the statement takes \(statement.parameters.count) parameters, the request has \(count)")
        }
        parameters.removeAll()
        for (index, value) in elements(values, count).enumerated() {
            guard let value else { throw AnswerBuilder.outOfMemory }
            try ParameterEncoder.append(value, declared: statement.declared(index), to: &parameters)
        }
    }
}
