internal import Glibc
internal import PrismCore
internal import PrismReactor
internal import PrismWire

/// New clients: accepted by the first shard, placed on the one with the fewest.
extension Shard {
    func acceptClients(max: Int, _ now: UInt64) {
        for _ in 0..<max { guard acceptOne(now) else { return } }
    }

    func acceptOne(_ now: UInt64) -> Bool {
        switch UnixSocket.accept(listener) {
        case .accepted(let descriptor):
            if isAcceptExhausted {
                isAcceptExhausted = false
                log.info("accept_resumed")
            }
            place(descriptor, now)
            return true
        case .wouldBlock: return false
        case .exhausted(let error):
            if !isAcceptExhausted {
                isAcceptExhausted = true
                log.warning(
                    "accept_paused",
                    [
                        ("reason", .string("\(error)")), ("clients", .integer(multiplexer.clients)),
                        (
                            "message",
                            .string(
                                "new clients wait in the backlog; raise the hard limit of open files (ulimit -Hn, "
                                    + "LimitNOFILE), or lower limits.connections")
                        ),
                    ])
            }
            stopListening()
            acceptPausedUntil = now + Self.acceptPauseNanoseconds
            return false
        case .failed(let error):
            log.error("accept_failed", [("reason", .string("\(error)"))])
            stopListening()
            acceptPausedUntil = now + Self.acceptPauseNanoseconds
            return false
        }
    }

    /// Gives a client to the reactor with the fewest.
    func place(_ descriptor: CInt, _ now: UInt64) {
        guard let chosen = connectionBudget.take() else {
            multiplexer.countRefusedConnection()
            return refuse(descriptor)
        }
        if chosen != number, !isCancelling, everyone[chosen].adopt(descriptor) { return }
        if chosen != number { connectionBudget.move(from: chosen, to: number) }
        admit(descriptor, now)
    }

    func admit(_ descriptor: CInt, _ now: UInt64) {
        guard let peer = try? UnixSocket.peerCredentials(descriptor),
            let reference = multiplexer.connectionOpened(
                peer: PrismCore.PeerCredentials(
                    pid: peer.processIdentifier, uid: peer.userIdentifier, gid: peer.groupIdentifier), now: now)
        else {
            connectionBudget.giveBack(number)
            return refuse(descriptor)
        }
        let index = Int(reference.index)
        while channels.count <= index { channels.append(Channel()) }
        channels[index] = Channel(descriptor: descriptor, generation: reference.generation)
        do {
            try reactor.add(descriptor, interest: [.readable, .peerHalfClose], token: token(reference))
        } catch {
            log.error("watch_failed", [("reason", .string("\(error)"))])
            return lost(reference, now)
        }
        perform(now)
    }

    /// The table of connections is full: say so, as far as a fresh socket's buffer takes it.
    func refuse(_ descriptor: CInt) {
        var body = ByteQueue()
        var frame = ByteQueue()
        let failure = Failure(
            .resourceExhausted, at: .admission,
            "\(connectionBudget.maximum) clients are connected, and no more are allowed; reuse connections, or raise "
                + "limits.connections and the hard limit of open files",
            isRetryable: true, retryAfterMicroseconds: 1_000_000)
        ResponseBody.append(failure, to: &body)
        ResponseFrame.appendFinal(id: 0, body: body.bytes, cost: Cost(), to: &frame)
        _ = UnixSocket.write(descriptor, from: frame.bytes)
        UnixSocket.close(descriptor)
    }

    func stopListening() {
        guard isListening else { return }
        isListening = false
        reactor.remove(listener)
    }

    func resumeAccepting() {
        acceptPausedUntil = nil
        guard multiplexer.phase < .cancelling else { return }
        do { try startListening() } catch { acceptPausedUntil = reactor.now + Self.acceptPauseNanoseconds }
    }
}
