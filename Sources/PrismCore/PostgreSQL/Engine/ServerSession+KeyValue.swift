import PrismWire

/// What a key-value job has answered so far. Pointers are the answer's arena's.
struct KeyValueResults {
    /// The changes that a job makes, in the order given …
    var writes: [KeyValueWrite] = []
    /// … in which order they run …
    var order = WriteOrder()
    /// … and what became of each, in the order in which they run.
    var outcomes: [KeyValueWrite.Outcome?] = []

    /// Of a GetMany one a key.
    var found: [UnsafeMutablePointer<Prism__V1__GetResult>] = []
    var scan: ScanAnswer?
    /// A Get's or Count's answer is in the response.
    var isSet = false

    /// Whether every change is sure to be made, so that a commit may follow without a look.
    var cannotRefuse: Bool {
        writes.allSatisfy { write in
            if case .increment = write { return false }
            return !write.needsExplanation
        }
    }
}

/// The key-value operations on one connection: Prism's own statements.
extension ServerSession {
    /// Reads what a job is to change.
    func planWrites(_ request: RequestMessage) throws(Failure) {
        if let message = request.write {
            results.keyValue.writes.reserveCapacity(message.n_items)
            for item in elements(message.items, message.n_items) {
                guard let item, let write = KeyValueWrite(item.pointee) else { throw AnswerBuilder.outOfMemory }
                results.keyValue.writes.append(write)
            }
            results.keyValue.order = WriteOrder(results.keyValue.writes)
        } else if let write = KeyValueWrite(request) {
            results.keyValue.writes = [write]
            results.keyValue.order = WriteOrder([write])
        }
        results.keyValue.outcomes = Array(repeating: nil, count: results.keyValue.writes.count)
    }

    // MARK: sending

    /// - Throws: FAILED_PRECONDITION: Prism's tables are another version's.
    func checkOwnTables() throws(Failure) {
        guard let problem = context.ownTablesRefusal else { return }
        throw Failure(.failedPrecondition, at: .execute, problem)
    }

    func sendKeyValueUnit(_ unit: Int, _ job: Job, _ request: RequestMessage) throws(Failure) {
        try checkOwnTables()
        parameters.removeAll()
        if let message = request.get {
            sendOwn(KeyValueRead.get(message, into: &parameters), .unit(unit))
        } else if let message = request.getMany {
            results.keyValue.found = try answer.makeGetResults(count: message.n_keys)
            sendOwn(KeyValueRead.getMany(message, into: &parameters), .unit(unit))
        } else if let message = request.count {
            sendOwn(KeyValueRead.count(message, into: &parameters), .unit(unit))
        } else if let message = request.scan {
            results.keyValue.scan = ScanAnswer(message)
            sendOwn(KeyValueRead.scan(message, into: &parameters), .unit(unit))
        } else {
            sendWrite(unit, job)
        }
    }

    private func sendWrite(_ unit: Int, _ job: Job) {
        let write = write(unit)
        beginIfNeeded(job)
        if !job.usesTransaction, !isInTransaction { job.hasSentWrite = true }
        let mayPutAgain = isInTransaction || results.keyValue.order.isRepeated[unit]
        let statement = write.statement(mayPutAgain: mayPutAgain, into: &parameters)
        sendOwn(statement, .unit(unit))
        guard write.needsExplanation else { return }
        parameters.removeAll()
        write.address(into: &parameters)
        sendOwn(.currentVersion, .explanation(unit))
    }

    /// The change that runs in this place.
    private func write(_ unit: Int) -> KeyValueWrite {
        results.keyValue.writes[results.keyValue.order.indices[unit]]
    }

    // MARK: receiving

    func receivedKeyValueRow(_ row: ServerRow, _ unit: Int, _ job: Job) throws(Failure) {
        switch job.item.kind {
        case .get:
            try answer.set(get: row)
            results.keyValue.isSet = true
        case .count:
            try answer.set(count: row)
            results.keyValue.isSet = true
        case .getMany: try answer.fill(results.keyValue.found, row)
        case .scan: try receivedEntry(row, job)
        default: results.keyValue.outcomes[unit] = try write(unit).outcome(of: row)
        }
    }

    func keyValueCompleted(_ unit: Int, _ job: Job) throws(Failure) {
        switch job.item.kind {
        case .get: if !results.keyValue.isSet { try answer.set(get: nil) }
        case .getMany, .count, .scan: break
        default:
            if results.keyValue.outcomes[unit] == nil {
                results.keyValue.outcomes[unit] = try write(unit).outcome(of: nil)
            }
        }
    }

    /// The statement behind a conditional one says how it really is.
    func explained(_ row: ServerRow, _ unit: Int, _ job: Job) {
        guard results.keyValue.outcomes[unit] == .refused else { return }
        note(write(unit).failure(explainedBy: row), unit, job)
    }

    /// A change is refused: nothing of it was done. Of several, the first in the order given is told.
    func note(_ failure: Failure, _ unit: Int, _ job: Job) {
        var failure = failure
        failure.item = itemNumber(unit, job)
        if let earlier = job.failure, earlier.item <= failure.item { return }
        job.failure = failure
    }

    private func receivedEntry(_ row: ServerRow, _ job: Job) throws(Failure) {
        if try results.keyValue.scan?.hasRoom(for: row, bytesMax: answer.bytesMax) == false { try sendEntries(job) }
        try results.keyValue.scan?.append(row, in: answer)
        guard let bytes = results.keyValue.scan?.bytes, bytes >= settings.streamPartBytes else { return }
        try sendEntries(job)
    }

    private func sendEntries(_ job: Job) throws(Failure) {
        try results.keyValue.scan?.takePart(isLast: false, into: answer)
        try sendPart(job)
    }

    // MARK: answers

    func setKeyValue(_ job: Job) throws(Failure) {
        switch job.item.kind {
        case .get, .count: break
        case .getMany: try answer.set(getMany: results.keyValue.found)
        case .scan: try results.keyValue.scan?.takePart(isLast: true, into: answer)
        case .write:
            var outcomes = Array(repeating: KeyValueWrite.Outcome.refused, count: results.keyValue.writes.count)
            for (unit, index) in results.keyValue.order.indices.enumerated() { outcomes[index] = try outcome(unit) }
            try answer.set(write: outcomes)
        default: try answer.set(try outcome(0))
        }
    }

    private func outcome(_ unit: Int) throws(Failure) -> KeyValueWrite.Outcome {
        guard unit < results.keyValue.outcomes.count, let outcome = results.keyValue.outcomes[unit] else {
            throw .malformedRow
        }
        return outcome
    }
}
