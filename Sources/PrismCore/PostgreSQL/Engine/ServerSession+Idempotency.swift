import PrismWire

/// A repeated write happens once: its key stands in the same transaction as its effect (CONTRACT 2).
extension ServerSession {
    private func fingerprint(_ job: Job) -> [UInt8] {
        // The key of a Commit has none.
        guard job.item.kind != .commit, let frame = job.frame, let made = RequestFingerprint(frame.bytes) else {
            return []
        }
        return withUnsafeBytes(of: (made.high.bigEndian, made.low.bigEndian)) { Array($0) }
    }

    /// Takes the key, or waits for who has it: the server blocks until that transaction has ended.
    func claimKey(_ job: Job, _ request: RequestMessage) throws(Failure) {
        try checkOwnTables()
        job.stage = .claimingKey
        beginIfNeeded(job)
        parameters.removeAll()
        parameters.append(Int64(job.item.uid))
        parameters.append(text: request.idempotencyKey)
        fingerprint(job).withUnsafeBytes { parameters.append(binary: $0) }
        parameters.append(Int64(clamping: settings.idempotencyRetentionMilliseconds))
        sendOwn(.claimKey, .claimKey)
        sendSync(.jobSync)
    }

    /// An earlier request has the key: this one does nothing and gets that one's answer.
    func fetchEarlierAnswer(_ job: Job, _ request: RequestMessage) {
        job.stage = .replaying
        job.hasBegun = false
        sendStatement("ROLLBACK", .control)
        parameters.removeAll()
        parameters.append(Int64(job.item.uid))
        parameters.append(text: request.idempotencyKey)
        sendOwn(.findKey, .findKey)
        sendSync(.jobSync)
    }

    func receivedEarlierAnswer(_ row: ServerRow, _ job: Job) {
        guard row.values.count == 2 else { return }
        job.replayMismatch = Array(row.values[0]) != fingerprint(job)
        // Field 6 of Response, replayed = true; concatenation merges.
        job.replay = Array(row.values[1]) + [0x30, 0x01]
    }

    func replay(_ job: Job) throws(Failure) {
        // The client's transaction has been rolled back for it.
        if job.item.kind == .commit { transactionEnded() }
        guard let answer = job.replay else {
            throw Failure(
                .aborted, at: .execute,
                "the idempotency key was removed while it was looked up; send the request again",
                isRetryable: true)
        }
        guard !job.replayMismatch else {
            throw .invalidSQL("the idempotency key was used for another request; use a new key for each")
        }
        answer.withUnsafeBytes {
            context.finish(job, $0, effect: job.item.kind == .commit ? .ended : .unchanged)
        }
    }

    /// In front of COMMIT.
    func storeAnswer(_ job: Job, _ request: RequestMessage) throws(Failure) {
        try packUnits(job)
        store(output.count <= settings.idempotencyAnswerBytesMax ? output.bytes : nil, job, request)
    }

    func storeEmptyAnswer(_ job: Job, _ request: RequestMessage) {
        store(UnsafeRawBufferPointer(start: nil, count: 0), job, request)
    }

    private func store(_ bytes: UnsafeRawBufferPointer?, _ job: Job, _ request: RequestMessage) {
        parameters.removeAll()
        parameters.append(Int64(job.item.uid))
        parameters.append(text: request.idempotencyKey)
        if let bytes { parameters.append(binary: bytes) } else { parameters.appendNull() }
        sendOwn(.storeAnswer, .storeAnswer)
    }
}
