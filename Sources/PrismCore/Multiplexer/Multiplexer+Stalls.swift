import PrismWire

/// Streams whose client does not read: what they hold is not theirs for as long as they like.
///
/// Outside of transactions a stream ends when its client has read less than half a window in `streamStallNanoseconds`, and another request
/// waits for its connection, which the backend knows. Inside of one, the transaction's idle limit holds: nothing has been read for so long.
extension Multiplexer {
    /// A part has been put into the output.
    func noteStreamDebt(_ slot: Int, of index: Int, _ now: UInt64) {
        if !connections[index].hasStreamDebt {
            connections[index].hasStreamDebt = true
            connections[index].takenNanoseconds = now
            armStallTimer(index, now)
        }
        let transaction = Int(requests[slot].transaction)
        if transaction >= 0 {
            armIdleTimer(transaction, now)
        } else if connections[index].isStalled {
            giveWay(slot)
        }
    }

    private func armStallTimer(_ index: Int, _ now: UInt64) {
        disarmStallTimer(index)
        connections[index].takenBytes = 0
        connections[index].stallTimer = timers.add(
            deadline: saturatingSum(now, settings.streamStallNanoseconds), kind: .stall, index: index)
    }

    /// There is nothing to wait for any more.
    func disarmStallTimer(_ index: Int) {
        connections[index].isStalled = false
        if connections[index].stallTimer >= 0 { timers.cancel(connections[index].stallTimer) }
        connections[index].stallTimer = -1
    }

    /// Asks again each time, for as long as nothing changes: others may have come to wait meanwhile.
    func stallTimerFired(_ index: Int, _ now: UInt64) {
        guard connections[index].hasStreamDebt, connections[index].state != .failing else { return }
        let isStalled = connections[index].takenBytes < settings.streamWindowBytes / 2
        armStallTimer(index, now)
        connections[index].isStalled = isStalled
        guard isStalled else { return }
        var slot = Int(connections[index].firstRequest)
        while slot >= 0 {
            if requests[slot].streamDebt > 0, requests[slot].transaction < 0 { giveWay(slot) }
            slot = Int(requests[slot].nextInConnection)
        }
    }

    private func giveWay(_ slot: Int) {
        requests[slot].isStalled = true
        actions.append(.giveWay(backend: Int(requests[slot].backend), requestReference(slot)))
    }

    /// A transaction has waited for its client as long as it may, unless a stream in it is being read.
    func idleTimerFired(_ transaction: Int, _ now: UInt64) {
        let executing = Int(transactions[transaction].executing)
        guard executing >= 0 else { return abort(transaction, now) }
        let taken = connections[Int(transactions[transaction].connection)].takenNanoseconds
        guard requests[executing].streamDebt > 0 else { return armIdleTimer(transaction, now) }
        guard saturatingSum(taken, limitsNanoseconds(transaction).idle) > now else { return abort(transaction, now) }
        armIdleTimer(transaction, taken)
    }
}
