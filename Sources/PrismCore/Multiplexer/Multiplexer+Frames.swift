import PrismWire

/// Room for frames that come in parts. One that does not fit into `unreservedFrameBytes` is read on only with its whole length
/// reserved in `bufferedBytes`; without, its connection is not read and waits for its turn. So what is held stays below its
/// limit however many connections send large frames at once: beyond it there can be one frame, and of each connection what
/// needs no reservation.
extension Multiplexer {
    /// The length of the frame at the front of the input, with its header; nil: not known yet.
    func frontFrameBytes(_ index: Int) -> Int? {
        let input = connections[index].input.bytes
        guard input.count >= Frame.headerBytes else { return nil }
        return Frame.headerBytes + Int(UInt32(bigEndian: input.loadUnaligned(as: UInt32.self)))
    }

    private func isFrontPartial(_ index: Int) -> Bool {
        let held = connections[index].input.count
        return held > 0 && held < frontFrameBytes(index) ?? .max
    }

    /// The front of a frame is in the input: reserves what is still to come, or stops reading.
    func reserveRoom(_ index: Int, _ now: UInt64) {
        guard !connections[index].input.isEmpty, connections[index].state == .open, connections[index].room == .none,
            !connections[index].isReadingPaused, let length = frontFrameBytes(index),
            length > settings.unreservedFrameBytes,
            length > connections[index].input.count
        else { return }
        // With room it would have to be taken when it is whole.
        guard mayTake(index) else { return pauseAtOwnLimit(index) }
        let client = connections[index].client
        let missing = length - connections[index].input.count
        let limit = frames.isWaiting(in: client) ? .bufferedBytes : limitOfBytes(index, adding: missing)
        guard let limit else { return grantRoom(index, length, beyondLimits: false, now) }
        if !frames.isAnyoneWaiting, frames.mayGoBeyondLimits(in: client) {
            return grantRoom(index, length, beyondLimits: true, now)
        }
        metrics.limitsReached[limit, default: 0] += 1
        connections[index].room = .awaited
        frames.wait(Int32(index), in: client)
        connections[index].isReadingPaused = true
        actions.append(.pauseReading(reference(index)))
    }

    private func grantRoom(_ index: Int, _ length: Int, beyondLimits: Bool, _ now: UInt64) {
        let missing = max(0, length - connections[index].input.count)
        connections[index].room = beyondLimits ? .lent : .reserved
        connections[index].reservedBytes = missing
        hold(missing, for: index)
        // What is read last may be the front of the next one.
        connections[index].input.makeRoom(for: missing + settings.unreservedFrameBytes)
        frames.begin(Int32(index), in: connections[index].client, beyondLimits: beyondLimits, now: now)
    }

    /// A connection neither has nor awaits room any more: its frame is taken, or will not come.
    func releaseRoom(_ index: Int) {
        let room = connections[index].room
        guard room != .none else { return }
        connections[index].room = .none
        if room == .awaited {
            frames.withdraw(Int32(index), in: connections[index].client)
        } else {
            frames.end(Int32(index), in: connections[index].client)
        }
        hold(-connections[index].reservedBytes, for: index)
        connections[index].reservedBytes = 0
        isRoomFreed = true
    }

    /// The rest of a frame will not come. A whole one may still wait to be taken.
    func dropPartialFrame(_ index: Int) {
        guard connections[index].room != .none, isFrontPartial(index) else { return }
        releaseRoom(index)
        hold(-connections[index].input.count, for: index)
        connections[index].input.removeAll()
    }

    /// Gives room that has become free to those that wait, in turns.
    /// - Returns: whether anyone got some.
    func grantFreedRoom(_ now: UInt64) -> Bool {
        guard isRoomFreed, frames.isAnyoneWaiting else { return false }
        isRoomFreed = false
        var (granted, misses) = (false, 0)
        while misses < frames.waitingClasses, let (place, connection) = frames.next {
            let index = Int(connection)
            let length = frontFrameBytes(index) ?? 0
            if !mayTake(index) {
                // Its answers are to be read first; then it comes again.
                releaseRoom(index)
                continue
            }
            let isFree = limitOfBytes(index, adding: max(0, length - connections[index].input.count)) == nil
            frames.turn()
            guard isFree || frames.mayGoBeyondLimits(in: place) else {
                misses += 1
                continue
            }
            frames.withdraw(connection, in: place)
            grantRoom(index, length, beyondLimits: !isFree, now)
            goOnReading(index, now)
            (granted, misses) = (true, 0)
        }
        return granted
    }

    // MARK: those that take too long

    /// While others wait for room, whoever has some must use it; nobody waiting, there is no hurry and no timer.
    func watchOldestFrame() {
        if frames.isAnyoneWaiting, let oldest = frames.oldest {
            guard frameTimer < 0 else { return }
            frameTimer = timers.add(
                deadline: saturatingSum(oldest.since, settings.frameTimeoutNanoseconds), kind: .frame, index: 0)
        } else if frameTimer >= 0 {
            timers.cancel(frameTimer)
            frameTimer = -1
        }
    }

    /// Ends connections that have held room for too long. The timer is set for what was the oldest frame; that may be gone.
    func endSlowFrames(_ now: UInt64) {
        while frames.isAnyoneWaiting, let (connection, since) = frames.oldest,
            saturatingSum(since, settings.frameTimeoutNanoseconds) <= now
        {
            let index = Int(connection)
            let failure = Failure(
                .resourceExhausted, at: .decode,
                "a frame has been coming in for longer than \(Metrics.LimitName.frameTimeout.text) while others wait for room "
                    + "in limits.buffered_bytes; send a frame without pauses, and read answers meanwhile",
                isRetryable: true, retryAfterMicroseconds: MultiplexerSettings.limitRetryMicroseconds)
            metrics.limitsReached[.frameTimeout, default: 0] += 1
            actions.append(.log(.frameTimedOut(peer: connections[index].peer, message: failure.message)))
            endWithError(index, failure, now)
        }
    }
}
