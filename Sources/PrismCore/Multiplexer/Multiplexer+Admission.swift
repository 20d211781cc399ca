import PrismWire

extension Multiplexer {
    /// Judges one decoded request and sends it on its way, or refuses it.
    func admit(_ index: Int, _ request: RequestMessage, _ frame: UnsafeRawBufferPointer, _ now: UInt64) {
        let transaction = request.transaction == 0 ? nil : openTransaction(request.transaction, of: index)
        do throws(Failure) {
            try validation.check(request)
            guard let kind = request.kind else { return }  // check has refused that
            if kind.isControl {
                guard phase < .cancelling else { throw refusedByDrain }
                // An answer may be as long as its request.
                if !hasFrameRoom, frame.count > Self.smallBytes, let reached = limitOfBytes(index, adding: frame.count)
                {
                    throw limit(reached)
                }
                return control(index, request, kind, now)
            }
            let named = try settings.statements.resolve(request)
            let bytes = named == nil ? frame.count : request.packedBytes
            // Its room was for the names, not for the texts.
            if bytes > frame.count { hasFrameRoom = false }
            let slot = try accepted(index, request, kind, transaction, named, bytes, now)
            let message =
                named == nil ? FrameBox(frame, request, keepsQuery: mayShare(slot)) : FrameBox(packing: request)
            if let transaction = slot.transaction < 0 ? nil : Int(slot.transaction) {
                start(slot, of: index, in: transaction, message, now)
            } else {
                start(slot, of: index, request, message, now)
            }
        } catch {
            refuse(index, request, transaction, error, frame, now)
        }
    }

    /// Whether its backend may put it into a batch with others.
    private func mayShare(_ slot: borrowing RequestSlot) -> Bool {
        slot.isReadOnly && slot.transaction < 0 && settings.backends[Int(slot.backend)].kind == .postgreSQL
    }

    /// Every rule that needs more than the request itself.
    /// - Parameter bytes: what goes to the backend, and is held until the answer.
    private func accepted(
        _ index: Int, _ request: RequestMessage, _ kind: OperationKind, _ transaction: Int?,
        _ named: NamedStatements.Use?, _ bytes: Int, _ now: UInt64
    ) throws(Failure) -> RequestSlot {
        if phase >= .cancelling || (phase >= .draining && transaction == nil) { throw refusedByDrain }
        if request.transaction != 0, transaction == nil {
            throw Failure(
                .notFound, at: .admission,
                "transaction \(request.transaction) is not open on this connection; handles belong to the connection that began them"
            )
        }
        let backend = try chosenBackend(request, transaction, named?.backend)
        let isReadOnly =
            request.isReadOnly || kind.isKeyValueRead || named?.isReadOnly ?? false
            || transaction.map { transactions[$0].isReadOnly } ?? false
        if isReadOnly, kind.isKeyValueWrite {
            throw Failure(.invalidArgument, at: .admission, "\(kind.name) writes, and the transaction is read-only")
        }
        let connection = connections.place(index)
        if connection.pointee.isRestricted,
            let refusal = AccessPolicy.refusal(
                connection.pointee.rule, request, kind: kind, isReadOnly: isReadOnly,
                hasOwnSQL: named?.hasOwnSQL ?? true,
                backend: settings.backends[backend].name)
        {
            throw refusal
        }
        let arrived = connection.pointee.lastReadNanoseconds
        let deadline = deadline(of: request, arrived: arrived)
        guard deadline > now else {
            throw Failure(
                .deadlineExceeded, at: .admission, "the deadline had passed when the request arrived", isRetryable: true
            )
        }
        let reached = limitReached(
            index, kind, addingBytes: connection.pointee.isTakingInput && named == nil ? 0 : bytes)
        let mayPass = transaction.map { mayPassLimits($0, kind, bytes: bytes) } ?? false
        if let reached, !mayPass { throw limit(reached) }
        var slot = RequestSlot(
            id: request.id, kind: kind, backend: Int16(backend), isReadOnly: isReadOnly, connection: Int32(index),
            arrived: arrived, deadline: deadline, frameBytes: Int32(clamping: bytes), state: .submitted)
        slot.transaction = Int32(transaction ?? -1)
        slot.isAboveLimit = reached != nil
        slot.trace = TraceIdentifier(traceparent: request.traceparent)
        return slot
    }

    /// - Parameter statementBackend: of the named statements that the request is made of; nil: there are none.
    private func chosenBackend(
        _ request: RequestMessage, _ transaction: Int?, _ statementBackend: String?
    ) throws(Failure) -> Int {
        let chosen = try chosenBackend(request, transaction)
        guard let statementBackend, settings.backends[chosen].name != statementBackend else { return chosen }
        if request.backend.isEmpty, transaction == nil,
            let own = settings.backends.firstIndex(where: { $0.name == statementBackend })
        {
            return own
        }
        throw Failure(
            .invalidArgument, at: .admission,
            "the named statement is for backend \(statementBackend); leave the backend out or name that one")
    }

    private func chosenBackend(_ request: RequestMessage, _ transaction: Int?) throws(Failure) -> Int {
        var named: Int?
        if request.backend.isEmpty {
            named = defaultBackend
        } else {
            for index in settings.backends.indices
            where request.backend.elementsEqual(settings.backends[index].name.utf8) {
                named = index
            }
        }
        if let transaction {
            let own = Int(transactions[transaction].backend)
            guard request.backend.isEmpty || named == own else {
                throw Failure(
                    .invalidArgument, at: .admission,
                    "the transaction is on backend \(settings.backends[own].name); leave the backend out or name that one"
                )
            }
            return own
        }
        guard let named, named >= 0 else {
            let names = settings.backends.map(\.name).joined(separator: ", ")
            throw Failure(
                .notFound, at: .admission,
                "there is no backend \(String(decoding: request.backend, as: UTF8.self)); configured: \(names)")
        }
        return named
    }

    /// The earlier of timeout and deadline, the default without both, capped by the maximum. Saturates.
    private func deadline(of request: RequestMessage, arrived: UInt64) -> UInt64 {
        var deadline = UInt64.max
        if request.timeoutMicroseconds > 0 {
            let (nanoseconds, overflow) = request.timeoutMicroseconds.multipliedReportingOverflow(by: 1_000)
            deadline = overflow ? .max : saturatingSum(arrived, nanoseconds)
        }
        if request.deadlineNanoseconds > 0 { deadline = min(deadline, request.deadlineNanoseconds) }
        if request.timeoutMicroseconds == 0, request.deadlineNanoseconds == 0 {
            deadline = saturatingSum(arrived, settings.defaultTimeoutNanoseconds)
        }
        return min(deadline, saturatingSum(arrived, settings.maximumTimeoutNanoseconds))
    }

    var refusedByDrain: Failure {
        Failure(
            .unavailable, at: .admission, "the sidecar is ending (\(phase.name)); send it to its successor",
            isRetryable: true, retryAfterMicroseconds: MultiplexerSettings.drainRetryMicroseconds)
    }

    // MARK: starting

    /// A request of its own: straight to the backend.
    private func start(
        _ slot: consuming RequestSlot, of index: Int, _ request: RequestMessage, _ message: consuming FrameBox,
        _ now: UInt64
    ) {
        let (kind, isReadOnly, deadline, backend) = (slot.kind, slot.isReadOnly, slot.deadline, Int(slot.backend))
        let position = enter(slot, of: index)
        let connection = connections.place(index)
        var transaction = TransactionReference.none
        if kind == .begin {
            transaction = transactionReference(
                openTransaction(for: position, of: index, isReadOnly: request.isReadOnly))
        }
        let work = WorkItem(
            reference: requestReference(position), kind: kind, isReadOnly: isReadOnly,
            beginsLikeRead: !isReadOnly && request.beginsLikeRead, transaction: transaction,
            uid: connection.pointee.peer.uid,
            flow: clientClasses[connection.pointee.client].flow, deadlineNanoseconds: deadline,
            submittedNanoseconds: now, frame: message)
        actions.append(.submit(backend: backend, consume work))
    }

    /// A request of a transaction: behind those sent before it.
    private func start(
        _ slot: RequestSlot, of index: Int, in transaction: Int, _ message: FrameBox, _ now: UInt64
    ) {
        var slot = slot
        slot.state = .waiting
        let position = enter(slot, of: index)
        requests[position].work = WorkItem(
            reference: requestReference(position), kind: slot.kind, isReadOnly: slot.isReadOnly,
            transaction: transactionReference(transaction), uid: connections[index].peer.uid,
            flow: clientClasses[connections[index].client].flow, deadlineNanoseconds: slot.deadline,
            submittedNanoseconds: now, frame: message)
        enqueue(position, in: transaction, now)
    }

    /// Puts a request into the tables; it is in flight from now on.
    private func enter(_ slot: consuming RequestSlot, of index: Int) -> Int {
        let frameBytes = Int(slot.frameBytes)
        let connection = connections.place(index)
        hold(frameBytes, for: connection)
        connection.pointee.frameBytes += frameBytes
        if slot.isAboveLimit { transactions[Int(slot.transaction)].aboveLimits += 1 }
        let (id, deadline) = (slot.id, slot.deadline)
        guard let position = requests.insert(slot) else { preconditionFailure("admission checks the table first") }
        requestIndex.insert(connection: index, id: id, slot: position)
        let request = requests.place(position)
        request.pointee.timer = timers.add(deadline: deadline, kind: .request, index: position)
        let first = connection.pointee.firstRequest
        request.pointee.nextInConnection = first
        if first >= 0 { requests[Int(first)].previousInConnection = Int32(position) }
        connection.pointee.firstRequest = Int32(position)
        connection.pointee.inFlight += 1
        clientClasses[connection.pointee.client].inFlight += 1
        return position
    }

    /// Answers a request that is not carried out. On a transaction with requests before it, it waits for its turn, at most
    /// until its deadline: it fails in the order sent.
    private func refuse(
        _ index: Int, _ request: RequestMessage, _ transaction: Int?, _ failure: Failure,
        _ frame: UnsafeRawBufferPointer, _ now: UInt64
    ) {
        let kind = request.kind
        let arrived = connections[index].lastReadNanoseconds
        let deadline = deadline(of: request, arrived: arrived)
        if let transaction, requests.count < settings.inFlightMax, deadline > now,
            transactions[transaction].executing >= 0 || transactions[transaction].firstWaiting >= 0
        {
            var slot = RequestSlot(
                id: request.id, kind: kind ?? .query, backend: transactions[transaction].backend, isReadOnly: true,
                connection: Int32(index), arrived: arrived, deadline: deadline, frameBytes: 0, state: .waiting)
            slot.transaction = Int32(transaction)
            let position = enter(slot, of: index)
            requests[position].refusal = failure
            return enqueue(position, in: transaction, now)
        }
        if phase >= .draining, failure.code == .unavailable { report.refused += 1 }
        if failure.code == .deadlineExceeded { metrics.deadlineExceeded[failure.stage, default: 0] += 1 }
        count(backend: -1, kind: kind, failure.code, of: index)
        write(failure, id: request.id, to: index)
        if let transaction { poison(transaction, now) }
    }
}
