import PrismWire

/// What is being asked of the server about one client statement.
struct Learning {
    var unit = 0
    var name = PreparedName(number: 0)
    /// The types that the client's values declare.
    var signature: [TypeOID] = []
    /// What PREPARE was given.
    var types: [TypeOID] = []
    var parameters: [TypeOID] = []
    var columns: [ServerColumn] = []
    var kind = StatementKind.writing
    /// By its text it may share a pipeline with others.
    var mayShare = false
    /// A savepoint guards the transaction against a PREPARE that fails.
    var hasSavepoint = false
    /// The name of a type whose number is being asked for.
    var wantedName: String?
}

/// Client SQL: prepared, described once, executed by name.
extension ServerSession {
    private static var savepoint: String { "prism_prepare" }

    /// The types that the values declare; nil: one must be asked for first, and has been if that may be.
    private func signature(_ client: ClientStatement, _ job: Job, mayAsk: Bool) throws(Failure) -> [TypeOID]? {
        var types: [TypeOID] = []
        guard let name = try client.signature({ context.types.oid(named: $0) }, into: &types) else { return types }
        if mayAsk { askTypeNumber(name, job) }
        return nil
    }

    /// Sends one execution. False: something must be learned first, and has been asked for.
    func sendClientUnit(_ unit: Int, _ job: Job, _ request: RequestMessage) throws(Failure) -> Bool {
        let client = try ClientStatement(unit, of: request)
        let mayAsk = unit == job.unitsDone && job.unitsSent == job.unitsDone
        guard let signature = try signature(client, job, mayAsk: mayAsk) else { return false }
        guard let known = context.knowledge.find(sql: client.sql, signature: signature), !known.areTypesInDoubt else {
            if mayAsk { try learn(unit, client, signature, job, step: .declared) }
            return false
        }
        if mayAsk, needsCertificate(known, job) {
            certify(client, known, job)
            return false
        }
        try client.encode(for: known, into: &parameters)
        job.kind = known.kind
        job.known = known
        beginIfNeeded(job)
        let name = prepared(client.sql, known)
        if job.usesTransaction, job.item.isReadOnly { readOnlyExecutions += 1 } else { clientExecutions += 1 }
        if !job.usesTransaction, !isInTransaction { job.hasSentWrite = true }
        expected.append(.unit(unit))
        port.sendExecute(connection, name: name, parameters: parameters, results: known.format, rows: .oneByOne)
        return true
    }

    /// The statement's name on this connection, prepared in the same round if need be.
    func prepared(_ sql: UnsafeRawBufferPointer, _ known: KnownStatement) -> PreparedName {
        if !settings.isPooled, let name = cache.find(known, sql: sql) { return name }
        let name = insert(sql, known.parameters)
        expected.append(.prepare(name))
        port.sendPrepare(connection, name: name, sql: sql, types: known.types)
        return name
    }

    private func insert(_ sql: UnsafeRawBufferPointer, _ types: [TypeOID]) -> PreparedName {
        guard !settings.isPooled else { return .unnamed }
        let (name, evicted) = cache.insert(sql: sql, types: types)
        if let evicted { sendStatement("DEALLOCATE \(evicted.text)", .deallocate(evicted)) }
        while let condemned = cache.takeCondemned() {
            sendStatement("DEALLOCATE \(condemned.text)", .deallocate(condemned))
        }
        return name
    }

    // MARK: learning

    private func learn(
        _ unit: Int, _ client: ClientStatement, _ signature: [TypeOID], _ job: Job, step: Job.LearningStep
    ) throws(Failure) {
        if step == .declared {
            let verdict = SQLGuard.judge(client.sql)
            let isInside = isInTransaction || job.item.kind == .batch
            if let refusal = verdict.refusal(inTransaction: isInside, readOnly: job.item.isReadOnly) { throw refusal }
            if client.hasNames {
                throw .invalidSQL("parameters by name are SQLite's; number them as $1, $2 and leave names out")
            }
            let largest = ParameterNumbers.largest(in: client.sql)
            guard client.count <= largest else {
                throw .invalidSQL("the statement takes \(largest) parameters, the request has \(client.count)")
            }
            learning = Learning()
            learning.unit = unit
            learning.signature = signature
            learning.kind = verdict.kind
            learning.mayShare = verdict.sharesPipeline
            job.kind = verdict.kind
        }
        learning.types = step == .declared && signature.contains { $0 != 0 } ? signature : []
        learning.parameters = []
        learning.columns = []
        job.stage = .learning(step)
        // A PREPARE that fails ends the transaction, and this one may be tried twice.
        if status != .idle, step == .declared, !learning.types.isEmpty {
            learning.hasSavepoint = true
            sendStatement("SAVEPOINT \(Self.savepoint)", .control)
        }
        // A domain's check runs when a literal of its type is read: it may change nothing.
        let isBare = status == .idle && !isInTransaction && !job.hasBegun
        if isBare { sendStatement(BatchFrame.begin, .control) }
        learning.name = insert(client.sql, learning.types)
        expected.append(.prepare(learning.name))
        port.sendPrepare(connection, name: learning.name, sql: client.sql, types: learning.types)
        expected.append(.describe)
        port.sendDescribe(connection, name: learning.name)
        if learning.hasSavepoint { sendStatement("RELEASE SAVEPOINT \(Self.savepoint)", .control) }
        if isBare {
            readOnlyExecutions += 1
            sendStatement(BatchFrame.end, .control)
        }
        sendSync(.jobSync)
    }

    /// Whether the error says that the server does not accept the types that the values declare.
    func mayInferInstead(_ job: Job, _ error: ServerError) -> Bool {
        guard case .learning(.declared) = job.stage, !learning.types.isEmpty else { return false }
        return ["42883", "42804", "42725", "42P18", "42846"].contains(error.sqlState)
    }

    /// The server does not accept the types that the values declare: all of them left to it. True: it was asked.
    func inferInstead(_ job: Job, _ request: RequestMessage, _ error: ServerError) throws(Failure) -> Bool {
        cache.remove(learning.name)
        guard mayInferInstead(job, error) else { return false }
        if learning.hasSavepoint {
            sendStatement("ROLLBACK TO SAVEPOINT \(Self.savepoint)", .control)
        } else if !isInTransaction, !job.hasBegun {
            rollBackFailed()
        }
        try learn(
            learning.unit, try ClientStatement(learning.unit, of: request), learning.signature, job, step: .inferred)
        return true
    }

    func learned(_ job: Job, _ request: RequestMessage) throws(Failure) {
        let client = try ClientStatement(learning.unit, of: request)
        let format: ValueFormat = ValueDecoder.supportsBinary(learning.columns) ? .binary : .text
        let known = KnownStatement(
            types: learning.types, parameters: learning.parameters, columns: learning.columns, format: format,
            kind: learning.kind, mayShare: learning.mayShare)
        if let before = context.knowledge.find(sql: client.sql, signature: learning.signature), before == known {
            // How it has run goes on to count.
            before.confirmTypes(now: context.now)
        } else {
            context.knowledge.insert(sql: client.sql, signature: learning.signature, known)
        }
        if let replaced = cache.described(
            learning.name, sql: client.sql, as: learning.types, parameters: learning.parameters)
        {
            cache.condemn(replaced)
        }
        let unnamed = context.types.unknown(among: learning.columns)
        guard unnamed.isEmpty else {
            job.stage = .namingTypes
            let numbers = unnamed.prefix(1_000).map { String($0) }.joined(separator: ",")
            sendStatement(
                "SELECT oid::int8, pg_catalog.format_type(oid, NULL) FROM pg_catalog.pg_type WHERE oid IN (\(numbers))",
                .typeNames)
            return sendSync(.jobSync)
        }
        try proceed(job, request)
    }

    /// Both columns come as text.
    func learnTypeName(_ row: ServerRow) {
        guard row.values.count == 2, let type = TypeOID(String(decoding: row.values[0], as: UTF8.self)) else { return }
        context.types.learn(type, name: String(decoding: row.values[1], as: UTF8.self))
    }

    private func askTypeNumber(_ name: String, _ job: Job) {
        job.stage = .namingTypes
        learning.wantedName = name
        let quoted = name.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''")
        sendStatement("SELECT pg_catalog.to_regtype('\(quoted)')::oid::int8", .typeNumber)
        sendSync(.jobSync)
    }

    func learnTypeNumber(_ row: ServerRow) {
        guard let name = learning.wantedName, row.values.count == 1,
            let type = TypeOID(String(decoding: row.values[0], as: UTF8.self)), type != 0
        else { return }
        context.types.learn(alias: name, type)
        learning.wantedName = nil
    }

    func namedTypes(_ job: Job, _ request: RequestMessage) throws(Failure) {
        if let unknown = unknownType(nil) { throw unknown }
        try proceed(job, request)
    }

    /// The type that was asked for is not there, or (an error of its syntax) is no name at all.
    func unknownType(_ error: ServerError?) -> Failure? {
        guard error.map({ $0.sqlState.hasPrefix("42") || $0.sqlState.hasPrefix("22") }) ?? true,
            let name = learning.wantedName
        else { return nil }
        learning.wantedName = nil
        return .invalidSQL("there is no type named \(name); name it as PostgreSQL's format_type does")
    }

    /// Whether a parameter names a type whose number had to be asked for, so that it may have been dropped since.
    func namesTypes(_ request: RequestMessage) -> Bool {
        let lists =
            request.query.map { [(values: $0.parameters, count: $0.n_parameters)] }
            ?? request.batch.map { batch in
                elements(batch.statements, batch.n_statements).compactMap { statement in
                    statement.map { (values: $0.pointee.parameters, count: $0.pointee.n_parameters) }
                }
                    + elements(batch.parameter_sets, batch.n_parameter_sets).compactMap { set in
                        set.map { (values: $0.pointee.parameters, count: $0.pointee.n_parameters) }
                    }
            } ?? []
        return lists.contains { list in
            elements(list.values, list.count).contains { value in
                guard let value, case .named = ParameterEncoder.declaredType(of: value.pointee) else { return false }
                return true
            }
        }
    }

    /// A statement's types may not be what they were.
    /// - Parameter onlyInferred: only if some were left to the server.
    func doubtTypes(_ unit: Int, _ job: Job, _ request: RequestMessage, onlyInferred: Bool) {
        guard job.item.kind == .query || job.item.kind == .batch,
            let client = try? ClientStatement(unit, of: request),
            let signature = try? signature(client, job, mayAsk: false),
            let known = context.knowledge.find(sql: client.sql, signature: signature),
            // Not what others have learned meanwhile.
            job.item.kind == .batch || known === job.known, known.hasInferred || !onlyInferred,
            known.doubtTypes(now: context.now)
        else { return }
        if let name = cache.find(sql: client.sql, types: known.parameters) { cache.condemn(name) }
    }

    /// What is known of a statement has proved stale.
    func forget(_ unit: Int, _ job: Job, _ request: RequestMessage, isPrepared: Bool) {
        guard job.item.kind == .query || job.item.kind == .batch else { return cache.removeAllOwn() }
        guard let client = try? ClientStatement(unit, of: request) else { return }
        guard let types = try? signature(client, job, mayAsk: false) else { return }
        if let known = context.knowledge.find(sql: client.sql, signature: types) {
            if let name = cache.find(sql: client.sql, types: known.parameters) {
                if isPrepared { cache.condemn(name) } else { cache.remove(name) }
            }
            context.knowledge.forget(sql: client.sql, signature: types)
        }
    }
}
