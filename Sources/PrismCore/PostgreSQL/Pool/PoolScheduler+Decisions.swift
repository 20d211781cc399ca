/// What follows from an event.
extension PoolScheduler {
    /// After anything that may have taken a connection away or ended a connect.
    mutating func settle(_ now: UInt64) {
        if isDown { refuseAll(downRefusal(now)) }
        serveIdle(now)
        openConnections(now)
    }

    /// A lease that has ended may allow for another one of the same flow.
    mutating func serveIdle(_ now: UInt64) {
        while idleFirst >= 0, let waiter = nextWaiter(now) { lease(takeIdle(idleFirst), to: waiter, now) }
    }

    /// Connects that the pool would begin if no backoff kept it: for those who wait beyond the connects under way, to
    /// fill the minimum, to probe. One at a time until a connect has succeeded again.
    @inline(__always)
    var connectsWanted: Int {
        guard !isStopping else { return 0 }
        let used = idle + leased + connecting
        var wanted = max(waiters.count - connecting - idle, connectionsMin - used)
        // Also with a minimum of 0: while the backend is down nobody waits, so nobody else would find out that it is back.
        if isDown, connecting == 0 { wanted = max(wanted, 1) }
        return max(0, min(wanted, connectionsMax - used, (failures > 0 ? 1 : connectsAtOnceMax) - connecting))
    }

    mutating func openConnections(_ now: UInt64) {
        guard now >= retryAt else { return }
        var wanted = connectsWanted
        while wanted > 0, let index = freePlaces.popLast() {
            wanted -= 1
            places[index].state = .connecting
            places[index].failuresBefore = failuresEver
            connecting += 1
            actions.append(.connect(reference(index)))
        }
    }

    /// Gives a connection that is in no list to the request whose turn it is, or puts it at the front of the idle ones.
    mutating func makeAvailable(_ index: Int, _ now: UInt64) {
        if let waiter = nextWaiter(now) { return lease(index, to: waiter, now) }
        waiters.backendIsIdle()
        places[index].state = .idle
        places[index].idleSince = now
        places[index].previous = -1
        places[index].next = idleFirst
        if idleFirst >= 0 { places[idleFirst].previous = index } else { idleLast = index }
        idleFirst = index
        idle += 1
    }

    /// Takes the one whose turn it is; refuses those that would be late.
    private mutating func nextWaiter(_ now: UInt64) -> Waiter? {
        guard !waiters.isEmpty else { return nil }
        let (held, leased) = (held, leased)
        while let waiter = waiters.pop(now: now, of: { held.mayLease($0, leased: leased) }) {
            if !isTooSlow(waiter, now) || waiter.isTrial || isTrialDue(waiter, now) { return waiter }
            lateAtTheirTurn += 1
            refuse(waiter.reference, .late)
        }
        return nil
    }

    mutating func lease(_ index: Int, to waiter: Waiter, _ now: UInt64) {
        places[index].state = .leased
        places[index].flow = waiter.flow
        places[index].leasedAt = now
        places[index].isTransaction = waiter.isTransaction
        places[index].isHeld = waiter.isTransaction
        if waiter.isTransaction { held.hold(for: waiter.flow) }
        leased += 1
        actions.append(.lease(waiter.reference, reference(index)))
    }

    mutating func endLease(_ index: Int) {
        leased -= 1
        if places[index].isHeld { held.letGo(for: places[index].flow) }
        if places[index].isGivingWay { givingWay -= 1 }
        places[index].isHeld = false
        places[index].isGivingWay = false
    }

    /// What the server takes for it at the least; 0: unknown.
    func leastService(_ waiter: Waiter, _ now: UInt64) -> UInt64 {
        waiter.isTransaction ? 0 : service.leastNanoseconds(of: waiter.flow, now: now)
    }

    func isTooSlow(_ waiter: Waiter, _ now: UInt64) -> Bool {
        saturatingSum(now, leastService(waiter, now)) > waiter.deadline
    }

    /// It should be too slow, and is the one to show whether it is.
    mutating func isTrialDue(_ waiter: Waiter, _ now: UInt64) -> Bool {
        isTooSlow(waiter, now) && waiter.deadline > now && service.mayTry(waiter.flow, now: now)
    }

    mutating func refuse(_ waiter: RequestReference, _ refusal: Refusal) { actions.append(.refuse(waiter, refusal)) }

    mutating func refuseAll(_ refusal: Refusal) {
        while let waiter = waiters.popOldest() { refuse(waiter.reference, refusal) }
    }

    func downRefusal(_ now: UInt64) -> Refusal {
        .backendDown(retryAfterNanoseconds: retryAt > now ? retryAt - now : backoff)
    }

    // MARK: Places

    func reference(_ index: Int) -> ServerConnectionReference {
        ServerConnectionReference(slot: index, generation: places[index].generation)
    }

    /// Nil: it names a use that is over.
    func place(of connection: ServerConnectionReference) -> Int? {
        guard places.indices.contains(connection.slot), places[connection.slot].state != .free,
            places[connection.slot].generation == connection.generation
        else { return nil }
        return connection.slot
    }

    /// Takes a connection out of the idle list; it is the caller's to lease.
    mutating func takeIdle(_ index: Int) -> Int {
        let (previous, next) = (places[index].previous, places[index].next)
        if previous >= 0 { places[previous].next = next } else { idleFirst = next }
        if next >= 0 { places[next].previous = previous } else { idleLast = previous }
        idle -= 1
        return index
    }

    mutating func close(_ index: Int) {
        actions.append(.close(reference(index)))
        vacate(index)
    }

    /// The place is free; what names its last use is no longer valid.
    mutating func vacate(_ index: Int) {
        switch places[index].state {
        case .free: return
        case .connecting: connecting -= 1
        case .idle: _ = takeIdle(index)
        case .leased: endLease(index)
        }
        places[index].state = .free
        places[index].generation = places[index].generation == .max ? 1 : places[index].generation + 1
        freePlaces.append(index)
    }

    // MARK: Ages

    func idleEnd(_ index: Int) -> UInt64 { saturatingSum(places[index].idleSince, limits.idleTimeoutNanoseconds) }

    mutating func closeExpired(_ now: UInt64) {
        var index = idleLast
        while index >= 0 {
            let previous = places[index].previous
            if places[index].expiresAt <= now { close(index) }
            index = previous
        }
        while idleLast >= 0, idle + leased > connectionsMin, idleEnd(idleLast) <= now { close(idleLast) }
    }

    mutating func drawLifetime() -> UInt64 {
        let tenth = limits.lifetimeNanoseconds / 10
        return saturatingSum(limits.lifetimeNanoseconds - tenth, draw(through: tenth * 2))
    }

    // MARK: Backoff

    /// Connects that were under way together and fail together are one failure: only what was begun after the last one counts.
    mutating func countFailure(begunAfter failuresBefore: UInt64, _ now: UInt64) {
        guard failures == 0 || failuresBefore == failuresEver else { return }
        failuresEver += 1
        var whole = limits.backoffFirstNanoseconds
        for _ in 0..<min(failures, 64) where whole < limits.backoffMaxNanoseconds {
            whole = saturatingSum(whole, whole)
        }
        whole = min(whole, limits.backoffMaxNanoseconds)
        failures += 1
        backoff = whole - draw(through: whole / 2)
        retryAt = saturatingSum(now, backoff)
    }

    /// Uniform from 0 to `bound`; SplitMix64.
    private mutating func draw(through bound: UInt64) -> UInt64 {
        randomState &+= 0x9E37_79B9_7F4A_7C15
        var mixed = (randomState ^ randomState >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        mixed ^= mixed >> 31
        return bound == .max ? mixed : mixed.multipliedFullWidth(by: bound + 1).high
    }
}
