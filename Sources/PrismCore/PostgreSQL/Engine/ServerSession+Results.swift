import PrismWire

/// Rows and their way to the client.
extension ServerSession {
    func received(_ row: ServerRow, of unit: Int, _ job: Job) {
        do throws(Failure) {
            switch job.item.kind {
            case .query, .batch: if job.failure == nil { try receivedClientRow(row, unit, job) }
            default: if job.failure == nil || job.item.kind == .write { try receivedKeyValueRow(row, unit, job) }
            }
        } catch {
            refuse(job, unit, error)
        }
    }

    func unitCompleted(_ unit: Int, _ columns: ServerColumns?, _ tag: CommandTag) {
        guard let job, !job.isDetached else { return }
        job.unitsDone += 1
        guard job.failure == nil || job.item.kind == .write else { return }
        do throws(Failure) {
            switch job.item.kind {
            case .query, .batch:
                let columns = results.columns ?? context.describe(columns)
                guard job.item.kind == .batch else {
                    results.columns = columns
                    results.tag = tag
                    return
                }
                try answer.addToBatch(columns, tag)
                results.columns = nil
            default: try keyValueCompleted(unit, job)
            }
        } catch {
            refuse(job, unit, error)
        }
    }

    /// The answer cannot be given. What was executed stands only if nothing undoes it.
    private func refuse(_ job: Job, _ unit: Int, _ failure: Failure) {
        // A change that the statement itself did not make.
        if !results.keyValue.writes.isEmpty { return note(failure, unit, job) }
        var failure = failure
        failure.item = itemNumber(unit, job)
        switch position(of: job) {
        case .readOnly, .inTransaction, .notBegun: failure.outcome = .notExecuted
        case .running, .complete, .commitSent: failure.outcome = .executed
        }
        job.failure = failure
        // The rest of the rows would be read for nothing.
        if job.item.isReadOnly || job.isStreaming, !expected.isEmpty { stopRunning() }
    }

    private func receivedClientRow(_ row: ServerRow, _ unit: Int, _ job: Job) throws(Failure) {
        guard !job.hasOtherColumns else { return }
        if results.columns == nil {
            guard ValueDecoder.isReadable(row.columns) else { return try forgetColumns(unit, job) }
        }
        let columns = results.columns ?? context.describe(row.columns)
        results.columns = columns
        if job.item.kind == .query, job.kind == .reading || job.item.isReadOnly {
            if try !answer.append(row, columns, isFirstPart: !results.hasSentColumns) {
                try sendClientPart(job)
                _ = try answer.append(row, columns, isFirstPart: false)
            }
            if answer.rows.byteCount >= settings.streamPartBytes { try sendClientPart(job) }
            return
        }
        try answer.rows.append(row, columns, bytesMax: answer.bytesMax)
        if answer.batchBytes > settings.resultBytesMax {
            throw Failure(
                .resourceExhausted, at: .execute,
                "the rows that the request returns are above limits.result_bytes (\(settings.resultBytesMax)); return fewer"
            )
        }
    }

    /// The statement was prepared anew on this connection, and meanwhile its table has been changed.
    private func forgetColumns(_ unit: Int, _ job: Job) throws(Failure) {
        if let request { forget(unit, job, request, isPrepared: true) }
        guard job.item.isReadOnly, !isInTransaction, job.mayRestart else { throw .columnsChanged }
        job.hasOtherColumns = true
    }

    private func sendClientPart(_ job: Job) throws(Failure) {
        guard !job.isCancelled else { throw Failure(.cancelled, at: .stream, "cancelled between its rows") }
        output.removeAll(keepingUpTo: 1 << 16)
        try answer.packRows(results.hasSentColumns ? nil : results.columns, nil, into: &output)
        sendOutput(job)
        results.hasSentColumns = true
    }

    /// Sends what the response holds as a part, and holds the server back when the client has too much unread.
    func sendPart(_ job: Job) throws(Failure) {
        output.removeAll(keepingUpTo: 1 << 16)
        try answer.pack(into: &output)
        sendOutput(job)
    }

    private func sendOutput(_ job: Job) {
        job.isStreaming = true
        job.streamDebtBytes += output.count
        context.part(job, output.bytes)
        output.removeAll(keepingUpTo: 1 << 16)
        answer.reset()
        if job.streamDebtBytes >= settings.streamWindowBytes { setReading(false) }
    }

    func mayGiveWay(_ job: Job) -> Bool {
        job.isStreaming && !job.isDetached && !job.isCancelled && job.failure == nil && job.item.transaction == .none
    }

    /// Ends a stream that its client does not read.
    func giveWay(_ job: Job) {
        refuse(job, 0, .streamStalled)
        setReading(true)
        settle()
    }

    /// The client has taken bytes of the stream.
    func credited(_ job: Job, bytes: Int) {
        job.streamDebtBytes = max(0, job.streamDebtBytes - bytes)
        if job.streamDebtBytes < settings.streamWindowBytes { setReading(true) }
    }

    /// The final answer, into `output`.
    func packUnits(_ job: Job) throws(Failure) {
        output.removeAll(keepingUpTo: 1 << 16)
        switch job.item.kind {
        case .query:
            guard let columns = results.columns else { throw AnswerBuilder.outOfMemory }
            try answer.packRows(results.hasSentColumns ? nil : columns, results.tag, into: &output)
        case .batch: try answer.packBatch(into: &output)
        default:
            try setKeyValue(job)
            try answer.pack(into: &output)
        }
    }
}
