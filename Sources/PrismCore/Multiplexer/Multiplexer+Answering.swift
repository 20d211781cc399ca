import PrismWire

extension Multiplexer {
    /// A backend has something to say. A late word on a request that has its answer already is counted and dropped.
    public func completed(_ completion: Completion, body: UnsafeRawBufferPointer, now: UInt64) {
        let slot = completion.reference.slot
        guard requests.isLive(slot, generation: completion.reference.generation) else {
            metrics.lateCompletions += 1
            return
        }
        if completion.kind == .part { return streamed(slot, body, now) }
        let request = requests.place(slot)
        let transaction = Int(request.pointee.transaction)
        let kind = request.pointee.kind
        let answered: StatusCode
        if completion.code == .ok, kind == .begin || kind.needsTransaction {
            // Results that are the session's own to say, or empty: made here, once for every backend. The body may say more, such as
            // that a Commit is replayed; protobuf merges what is concatenated.
            scratch.removeAll(keepingUpTo: 1 << 16)
            scratch.append(body)
            if kind == .begin { appendBeginResult(transaction) } else { appendEmptyResult(kind) }
            answered = finish(slot, completion, body: scratch.bytes, now)
        } else if completion.code == .cancelled, request.pointee.cancelReason == .drain {
            appendCutBody(body)
            request.pointee.isCut = true
            var completion = completion
            completion.code = .unavailable
            answered = finish(slot, completion, body: scratch.bytes, now)
        } else {
            answered = finish(slot, completion, body: body, now)
        }
        if transaction >= 0 { transactionAdvanced(transaction, kind, answered, completion.transactionEffect, now) }
    }

    private func streamed(_ slot: Int, _ body: UnsafeRawBufferPointer, _ now: UInt64) {
        let index = Int(requests[slot].connection)
        guard body.count <= settings.wire.frameBytesMax - ResponseFrame.overheadBytesMax else {
            return violatedByPart(slot, bytes: body.count, now)
        }
        guard mayWait(body.count, on: index) else {
            return cut(
                slot,
                Failure(
                    .resourceExhausted, at: .stream, outcome: mayRemain(slot) ? .unknown : .notExecuted,
                    Self.bufferIsFull, isRetryable: !requests[slot].mayWrite,
                    retryAfterMicroseconds: MultiplexerSettings.limitRetryMicroseconds), now)
        }
        let before = connections[index].output.count
        ResponseFrame.appendPart(id: requests[slot].id, body: body, to: &connections[index].output)
        hold(connections[index].output.count - before, for: index)
        requests[slot].hasStreamed = true
        requests[slot].streamDebt += Int32(clamping: body.count)
        noteStreamDebt(slot, of: index, now)
        requestFlush(index)
    }

    /// A part that no client could read.
    private func violatedByPart(_ slot: Int, bytes: Int, _ now: UInt64) {
        violated("a part of \(bytes) bytes, above limits.frame_bytes")
        cut(
            slot,
            Failure(
                .internal, at: .stream, outcome: mayRemain(slot) ? .unknown : .notExecuted,
                "a part of the answer has \(bytes) bytes, above limits.frame_bytes (\(settings.wire.frameBytesMax))"),
            now)
    }

    /// Ends a stream. The backend is asked to stop; what it still says of the request is dropped.
    private func cut(_ slot: Int, _ failure: Failure, _ now: UInt64) {
        let (transaction, kind) = (Int(requests[slot].transaction), requests[slot].kind)
        actions.append(.cancel(backend: Int(requests[slot].backend), requestReference(slot)))
        finish(slot, failure, now)
        if transaction >= 0 { transactionAdvanced(transaction, kind, failure.code, .unchanged, now) }
    }

    /// Whether so many bytes of an answer may join those that the client has not read.
    private func mayWait(_ bytes: Int, on index: Int) -> Bool {
        let room = settings.bufferedBytesPerConnectionMax * MultiplexerSettings.outputOverrunFactor
        return bytes <= Self.smallBytes
            || (connections[index].output.count + bytes <= room && !isAboveShare(index, adding: bytes))
    }

    private static let bufferIsFull =
        "the buffers are full of answers that the client has not read; read them, or ask for less at a time"

    /// The final answer of a request in flight; frees its slot. Returns the code that the client is told.
    @discardableResult
    func finish(
        _ slot: Int, _ completion: Completion, body: UnsafeRawBufferPointer, _ now: UInt64
    ) -> StatusCode {
        let request = requests.place(slot)
        let index = Int(request.pointee.connection)
        // A failure's body has a limit of its own, and says what a replacement could not: whether it executed.
        if completion.code == .ok, let failure = obstacle(toAnswer: slot, bodyBytes: body.count) {
            finish(slot, failure, now)
            return failure.code
        }
        let queue = completion.startedNanoseconds - min(completion.startedNanoseconds, request.pointee.arrived)
        let total = now - min(now, request.pointee.arrived)
        let connection = connections.place(index)
        let before = connection.pointee.output.count
        ResponseFrame.appendFinal(
            id: request.pointee.id, body: body,
            cost: Cost(
                queueMicroseconds: queue / 1_000, backendMicroseconds: completion.backendNanoseconds / 1_000,
                // A backend's thread may have ended behind the moment at which this tick began.
                totalMicroseconds: max(total, queue + completion.backendNanoseconds) / 1_000),
            to: &connection.pointee.output)
        hold(connection.pointee.output.count - before, for: connection)
        requestFlush(index)
        let backend = Int(request.pointee.backend)
        metrics.requestDuration[backend].record(nanoseconds: total)
        if completion.startedNanoseconds > 0 {
            metrics.queueDuration[backend].record(nanoseconds: queue)
            metrics.backendDuration[backend].record(nanoseconds: completion.backendNanoseconds)
        }
        let kind = request.pointee.kind
        count(backend: backend, kind: kind, completion.code, of: index)
        if request.pointee.isStalled, completion.code == .resourceExhausted, completion.stage == .stream {
            metrics.limitsReached[.streamStall, default: 0] += 1
        }
        if completion.code == .deadlineExceeded { metrics.deadlineExceeded[completion.stage, default: 0] += 1 }
        countForReport(slot)
        if settings.slowRequestNanoseconds > 0, total >= settings.slowRequestNanoseconds {
            actions.append(
                .log(
                    .slowRequest(
                        connection: reference(index), client: clientName(index),
                        backend: settings.backends[backend].name,
                        operation: kind.name, code: completion.code.name, trace: request.pointee.trace,
                        totalNanoseconds: total, queueNanoseconds: queue)))
        }
        free(slot)
        return completion.code
    }

    /// Whether a failure that is made here leaves what the request has done: in a transaction it poisons the handle, so that
    /// nothing of the request can be committed.
    private func mayRemain(_ slot: Int) -> Bool {
        requests[slot].mayWrite && (requests[slot].transaction < 0 || requests[slot].kind == .commit)
    }

    /// Why a result of this size cannot be sent; nil: it can.
    private func obstacle(toAnswer slot: Int, bodyBytes: Int) -> Failure? {
        let fitsFrame = bodyBytes <= settings.wire.frameBytesMax - ResponseFrame.overheadBytesMax
        if fitsFrame, mayWait(bodyBytes, on: Int(requests[slot].connection)) { return nil }
        let holds = mayRemain(slot)
        let outcome: Outcome = holds ? .executed : .notExecuted
        guard fitsFrame else {
            return Failure(
                .resourceExhausted, at: .stream, outcome: outcome,
                "the answer has \(bodyBytes) bytes, above limits.frame_bytes (\(settings.wire.frameBytesMax)); ask for less at a time"
            )
        }
        return Failure(
            .resourceExhausted, at: .stream, outcome: outcome, Self.bufferIsFull,
            isRetryable: !holds, retryAfterMicroseconds: MultiplexerSettings.limitRetryMicroseconds)
    }

    private func clientName(_ index: Int) -> String {
        connections[index].clientName.isEmpty
            ? metrics.clientLabels[Int(connections[index].clientLabel)] : connections[index].clientName
    }

    /// The final answer of a request in flight that failed here, not in the backend.
    func finish(_ slot: Int, _ failure: Failure, _ now: UInt64) {
        var failure = failure
        if requests[slot].hasStreamed { failure.stage = .stream }
        scratch.removeAll(keepingUpTo: 1 << 16)
        ResponseBody.append(failure, to: &scratch)
        let completion = Completion(
            reference: requestReference(slot), kind: .final, code: failure.code, stage: failure.stage)
        finish(slot, completion, body: scratch.bytes, now)
    }

    /// Takes a request out of every table. The id is free again.
    func free(_ slot: Int) {
        let request = requests.place(slot)
        let index = Int(request.pointee.connection)
        let connection = connections.place(index)
        let next = Int(request.pointee.nextInConnection)
        let previous = Int(request.pointee.previousInConnection)
        if previous >= 0 {
            requests[previous].nextInConnection = Int32(next)
        } else {
            connection.pointee.firstRequest = Int32(next)
        }
        if next >= 0 { requests[next].previousInConnection = Int32(previous) }
        connection.pointee.inFlight -= 1
        clientClasses[connection.pointee.client].inFlight -= 1
        if request.pointee.timer >= 0 { timers.cancel(request.pointee.timer) }
        requestIndex.remove(connection: index, id: request.pointee.id)
        if request.pointee.isAboveLimit { transactions[Int(request.pointee.transaction)].aboveLimits -= 1 }
        let frameBytes = Int(request.pointee.frameBytes)
        hold(-frameBytes, for: connection)
        connection.pointee.frameBytes -= frameBytes
        requests.remove(slot)
        if connection.pointee.isReadingPaused || connection.pointee.state != .open { requestSettling(index) }
    }

    /// Answers a request that never got a slot.
    func write(_ failure: Failure, id: UInt64, to index: Int) {
        scratch.removeAll(keepingUpTo: 1 << 16)
        ResponseBody.append(failure, to: &scratch)
        writeScratch(id: id, to: index)
    }

    /// Frames what is in `scratch` as a final answer.
    func writeScratch(id: UInt64, to index: Int) {
        let before = connections[index].output.count
        ResponseFrame.appendFinal(id: id, body: scratch.bytes, cost: Cost(), to: &connections[index].output)
        hold(connections[index].output.count - before, for: index)
        requestFlush(index)
    }

    func count(backend: Int, kind: OperationKind?, _ code: StatusCode, of index: Int) {
        let key = Metrics.RequestKey(
            backend: Int16(backend), operation: kind?.rawValue ?? 0, code: code, client: connections[index].clientLabel)
        metrics.count(key)
    }
}
