import PrismWire

extension Multiplexer {
    /// How long a connection in error may take to read its last answer.
    static var lingerNanoseconds: UInt64 { 1_000_000_000 }

    /// Bytes have arrived on a connection.
    public func received(_ reference: ConnectionReference, _ bytes: UnsafeRawBufferPointer, now: UInt64) {
        guard let index = live(reference) else { return }
        let connection = connections.place(index)
        guard connection.pointee.state == .open else { return }
        metrics.bytesIn += UInt64(bytes.count)
        connection.pointee.lastReadNanoseconds = now
        if connection.pointee.input.isEmpty, !connection.pointee.isReadingPaused {
            let taken = takeFrames(index, bytes, now)
            guard connections.isLive(index), connections[index].state == .open else { return }
            keep(index, UnsafeRawBufferPointer(rebasing: bytes[taken...]))
            reserveRoom(index, now)
        } else {
            keep(index, bytes)
            if !connections[index].isReadingPaused { takeBuffered(index, now) }
        }
    }

    /// What is to be read of a connection in one turn. What one client has sent in a row holds up the others for as long as it takes
    /// to take it up: the less of it, the more often the socket is asked.
    public var turnBytes: Int {
        if clientClasses.count > 1 { return MultiplexerSettings.turnBytesBesideClasses }
        return connections.count > 1 ? MultiplexerSettings.turnBytesBesideConnections : MultiplexerSettings.turnBytes
    }

    /// How much is still to come of a frame whose front has been read; 0: of none.
    public func bytesMissing(_ reference: ConnectionReference) -> Int {
        guard let index = live(reference), let length = frontFrameBytes(index) else { return 0 }
        return max(0, length - connections[index].input.count)
    }

    /// The client has ended its sending side: what is complete is still answered, half a frame is dropped.
    public func inputEnded(_ reference: ConnectionReference, now: UInt64) {
        guard let index = live(reference), connections[index].state == .open else { return }
        connections[index].state = .inputEnded
        dropPartialFrame(index)
        requestSettling(index)
    }

    /// Takes up what waited while reading was paused.
    func resumeReading(_ index: Int, _ now: UInt64) {
        if mayTake(index) { goOnReading(index, now) }
    }

    /// Reading was paused for something that is over.
    func goOnReading(_ index: Int, _ now: UInt64) {
        connections[index].isReadingPaused = false
        takeBuffered(index, now)
        guard connections.isLive(index), !connections[index].isReadingPaused else { return }
        if connections[index].state == .open { actions.append(.resumeReading(reference(index))) }
    }

    private func keep(_ index: Int, _ bytes: UnsafeRawBufferPointer) {
        guard !bytes.isEmpty else { return }
        connections[index].input.append(bytes)
        // What was reserved is counted already.
        let reserved = min(bytes.count, connections[index].reservedBytes)
        connections[index].reservedBytes -= reserved
        if bytes.count > reserved { hold(bytes.count - reserved, for: index) }
    }

    private func takeBuffered(_ index: Int, _ now: UInt64) {
        // The bytes stay where they are meanwhile: nothing that a frame causes touches the input.
        connections[index].isTakingInput = true
        let taken = takeFrames(index, connections[index].input.bytes, now)
        guard connections.isLive(index) else { return }
        connections[index].isTakingInput = false
        guard connections[index].state != .failing else { return }
        if taken > 0 {
            connections[index].input.consume(taken)
            hold(-taken, for: index)
        }
        reserveRoom(index, now)
    }

    /// Takes whole frames off the front; the answer is how many bytes they had. Stops at a limit of the connection.
    private func takeFrames(_ index: Int, _ bytes: UnsafeRawBufferPointer, _ now: UInt64) -> Int {
        var taken = 0
        while true {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[taken...])
            switch Frame.scan(rest, bytesMax: settings.wire.frameBytesMax) {
            case .incomplete: return taken
            case .invalid(let length):
                let message =
                    length == 0
                    ? "a frame of length 0: every frame holds one Request"
                    : "a frame of \(length) bytes is above limits.frame_bytes (\(settings.wire.frameBytesMax))"
                protocolError(index, message, now)
                return taken
            case .frame(let length):
                guard mayTake(index) else {
                    pauseAtOwnLimit(index)
                    return taken
                }
                hasFrameRoom = connections[index].room == .reserved
                releaseRoom(index)
                take(index, UnsafeRawBufferPointer(rebasing: rest[Frame.headerBytes..<Frame.headerBytes + length]), now)
                guard connections.isLive(index), connections[index].state != .failing else { return taken }
                taken += Frame.headerBytes + length
            }
        }
    }

    /// Not read until its answers have been made, or read.
    func pauseAtOwnLimit(_ index: Int) {
        let isFull = Int(connections[index].inFlight) >= settings.inFlightPerConnectionMax
        metrics.limitsReached[isFull ? .inFlightPerConnection : .bufferedBytesPerConnection, default: 0] += 1
        connections[index].isReadingPaused = true
        actions.append(.pauseReading(reference(index)))
    }

    func mayTake(_ index: Int) -> Bool {
        let connection = connections.place(index)
        return Int(connection.pointee.inFlight) < settings.inFlightPerConnectionMax
            && connection.pointee.output.count < settings.bufferedBytesPerConnectionMax
            // Even a refusal is an answer that takes room. Its reading goes on as its answers are taken.
            && (connection.pointee.output.isEmpty || !isAboveShare(index, adding: 0))
    }

    /// One complete frame: from here on exactly one final answer, or the end of the connection.
    private func take(_ index: Int, _ frame: UnsafeRawBufferPointer, _ now: UInt64) {
        arena.reset()
        guard let request = RequestMessage(borrowing: frame, in: arena) else {
            return protocolError(
                index, "a frame is not a Request, or needs more than limits.decode_bytes (\(arenaLimit)) to decode", now
            )
        }
        guard request.id != 0 else { return protocolError(index, "a request has id 0; ids begin at 1", now) }
        guard requestIndex.find(connection: index, id: request.id) == nil else {
            return protocolError(index, "id \(request.id) is already in flight on this connection", now)
        }
        connections[index].requestsTotal += 1
        admit(index, request, frame, now)
    }

    private var arenaLimit: Int { settings.wire.decodeBytesMax }

    /// Ends a connection that broke the framing: one last answer with id 0, then close (CONTRACT 1).
    private func protocolError(_ index: Int, _ message: String, _ now: UInt64) {
        metrics.protocolErrors += 1
        actions.append(
            .log(.protocolError(connection: reference(index), peer: connections[index].peer, message: message)))
        endWithError(index, Failure(.invalidArgument, at: .decode, message), now)
    }

    /// Drops the connection's requests unanswered, sends one last answer with id 0, and closes when it is flushed.
    func endWithError(_ index: Int, _ failure: Failure, _ now: UInt64) {
        dropRequests(of: index, .disconnect)
        abandonTransactions(of: index)
        connections[index].state = .failing
        releaseRoom(index)
        hold(-connections[index].input.count, for: index)
        connections[index].input.removeAll()
        connections[index].lingerTimer = timers.add(
            deadline: saturatingSum(now, Self.lingerNanoseconds), kind: .linger, index: index)
        scratch.removeAll(keepingUpTo: 1 << 16)
        ResponseBody.append(failure, to: &scratch)
        let before = connections[index].output.count
        ResponseFrame.appendFinal(id: 0, body: scratch.bytes, cost: Cost(), to: &connections[index].output)
        hold(connections[index].output.count - before, for: index)
        if !connections[index].isReadingPaused { actions.append(.pauseReading(reference(index))) }
        connections[index].isReadingPaused = true
        requestFlush(index)
    }
}
