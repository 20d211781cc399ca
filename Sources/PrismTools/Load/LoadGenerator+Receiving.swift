internal import PrismReactor
internal import PrismWire

extension LoadGenerator {
    func receive(_ index: Int, _ connection: LoadConnection) {
        let count: Int
        switch UnixSocket.read(connection.descriptor, into: scratch) {
        case .bytes(let bytes): count = bytes
        case .wouldBlock: return
        case .closed, .failed: return close(connection, error: connection.answers.error ?? "CONNECTION_LOST")
        }
        let now = MonotonicClock.now()
        let received = UnsafeRawBufferPointer(rebasing: scratch[..<count])
        if connection.incoming.isEmpty {
            guard let used = take(received, index, connection, now: now) else { return }
            if used < count { connection.incoming.append(UnsafeRawBufferPointer(rebasing: received[used...])) }
        } else {
            connection.incoming.append(received)
            guard let used = take(connection.incoming.bytes, index, connection, now: now) else { return }
            connection.incoming.consume(used)
        }
        if !output.isEmpty { flush(index, connection) }
    }

    /// Handles all complete frames and sends what follows them. Answers the bytes used; nil: the connection is gone.
    private func take(
        _ bytes: UnsafeRawBufferPointer, _ index: Int, _ connection: LoadConnection, now: UInt64
    ) -> Int? {
        if plan.peer != nil { return takeAnswers(bytes, index, connection, now: now) }
        var offset = 0
        while true {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[offset...])
            switch Frame.scan(rest, bytesMax: Frame.bytesMaxCeiling) {
            case .incomplete: return offset
            case .invalid:
                close(connection, error: "BAD_FRAME")
                return nil
            case .frame(let length):
                let message = UnsafeRawBufferPointer(rebasing: rest[Frame.headerBytes..<(Frame.headerBytes + length)])
                guard take(frame: message, index, connection, now: now) else { return nil }
                offset += Frame.headerBytes + length
            }
        }
    }

    /// False: the connection is gone.
    private func take(
        frame: UnsafeRawBufferPointer, _ index: Int, _ connection: LoadConnection, now: UInt64
    ) -> Bool {
        guard let answer = LoadAnswer(frame) else {
            close(connection, error: "BAD_FRAME")
            return false
        }
        if answer.id == 0 {
            if answer.status == 0 { return true }  // A Notice.
            close(connection, error: Self.name(answer.status))
            return false
        }
        if answer.hasMore {
            if !connection.isInFlight(id: answer.id) { report.countError("UNEXPECTED_ANSWER") }
            return true
        }
        guard let (slot, sentAt) = connection.end(id: answer.id) else {
            report.countError("UNEXPECTED_ANSWER")
            return true
        }
        let error = answer.status == 0 ? nil : Self.name(answer.status)
        ended(slot, index, connection, sentAt: sentAt, error: error, isMissing: answer.isMissing, now: now)
        return true
    }

    /// The same for a peer's messages.
    private func takeAnswers(
        _ bytes: UnsafeRawBufferPointer, _ index: Int, _ connection: LoadConnection, now: UInt64
    ) -> Int? {
        var offset = 0
        while true {
            switch connection.answers.read(UnsafeRawBufferPointer(rebasing: bytes[offset...])) {
            case .incomplete(let used): return offset + used
            case .malformed:
                close(connection, error: "BAD_FRAME")
                return nil
            case .answer(let error, let rows, let used):
                offset += used
                guard let (slot, sentAt) = connection.endFirst() else {
                    report.countError("UNEXPECTED_ANSWER")
                    continue
                }
                let isMissing = rows == 0 && plan.statement == nil
                ended(slot, index, connection, sentAt: sentAt, error: error, isMissing: isMissing, now: now)
            }
        }
    }

    /// Counts a final answer, and gives its place to the next request.
    private func ended(
        _ slot: Int, _ index: Int, _ connection: LoadConnection, sentAt: UInt64, error: String?, isMissing: Bool,
        now: UInt64
    ) {
        inFlight -= 1
        count(error: error, isMissing: isMissing, sentAt: sentAt, now: now)
        if pacer != nil {
            places.push(connection: index, slot: slot)
        } else if phase == .warmUp || phase == .measuring {
            send(slot, connection, now: now)
        }
    }

    private func count(error: String?, isMissing: Bool, sentAt: UInt64, now: UInt64) {
        // At a fixed rate a request belongs to the time for which it was meant.
        guard phase != .warmUp, pacer == nil || sentAt >= measuringFrom else {
            if error != nil { report.warmUpErrors += 1 }
            return
        }
        if let error { return report.countError(error) }
        if isMissing { return report.countError("KEY_NOT_THERE") }
        let latencyNanoseconds = now > sentAt ? now - sentAt : 0
        report.latency.record(nanoseconds: latencyNanoseconds)
        if phase == .measuring { report.requests += 1 }
        if latencyNanoseconds <= plan.timeoutMicroseconds * 1_000 { report.good += 1 }
    }

    func close(_ connection: LoadConnection, error: String) {
        output.removeAll(keepingUpTo: Self.retainedBytes)
        reactor.remove(connection.descriptor)
        letGo(connection.descriptor)
        connection.isOpen = false
        connection.incoming.removeAll()
        connection.outgoing.removeAll()
        openConnections -= 1
        inFlight -= connection.inFlight
        report.connectionsLost += 1
        report.countError(error, UInt64(max(connection.inFlight, 1)))
    }

    private static func name(_ status: UInt8) -> String {
        StatusCode(rawValue: status)?.name ?? "CODE_\(status)"
    }
}
