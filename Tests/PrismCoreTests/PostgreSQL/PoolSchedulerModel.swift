import PrismCore

/// Watches a pool from outside: carries out its actions on a plain model and says what was not allowed.
struct PoolSchedulerModel {
    struct Connection {
        enum State: Equatable {
            case connecting
            case idle(since: UInt64)
            case leased(RequestReference)
        }

        let reference: ServerConnectionReference
        var state = State.connecting
        var connectedAt: UInt64 = 0
    }

    /// What an action may be a consequence of.
    enum Event: Equatable {
        case acquire(RequestReference)
        case connected(ServerConnectionReference)
        case released(ServerConnectionReference, isReusable: Bool)
        case lost(ServerConnectionReference)
        case connectFailed, advance, stop
        /// Nothing may follow.
        case stale
    }

    /// Apart, so that a message may look at the model.
    private final class Verdict {
        var failure: String?
    }

    let limits: PoolScheduler.Limits
    /// In the order in which they became idle, and the others anywhere.
    private(set) var connections: [Connection] = []
    private(set) var waiting: [(waiter: RequestReference, end: UInt64)] = []
    private(set) var isFailing = false
    private(set) var isStopping = false
    private let verdict = Verdict()
    private(set) var leases = 0
    private(set) var refusals: [String: Int] = [:]
    /// Of each place, the last generation seen.
    private var generations: [Int: UInt32] = [:]
    private var answered: Set<RequestReference> = []

    init(limits: PoolScheduler.Limits) { self.limits = limits }

    var idle: Int { connections.filter { if case .idle = $0.state { true } else { false } }.count }
    var leased: Int { connections.filter { if case .leased = $0.state { true } else { false } }.count }
    var connecting: Int { connections.filter { $0.state == .connecting }.count }
    var live: Int { connections.count - connecting }
    var isDown: Bool { isFailing && live == 0 }

    /// The first thing that was not allowed.
    var failure: String? { verdict.failure }

    func check(_ holds: Bool, _ message: @autoclosure () -> String) {
        if !holds, verdict.failure == nil { verdict.failure = message() }
    }

    mutating func withdrawn(_ waiter: RequestReference, _ answer: Bool) {
        let index = waiting.firstIndex { $0.waiter == waiter }
        check(answer == (index != nil), "withdraw of \(waiter.rawValue) said \(answer)")
        if let index { waiting.remove(at: index) }
    }

    /// Takes an event and what the pool made of it.
    mutating func take(_ event: Event, _ actions: [PoolScheduler.Action], _ pool: PoolScheduler, now: UInt64) {
        switch event {
        case .acquire(let waiter):
            waiting.append((waiter, now + limits.acquireTimeoutNanoseconds))
        case .connected(let reference):
            isFailing = false
            guard let index = index(reference) else { break }
            connections[index].connectedAt = now
            becomeIdle(index, now)
        case .released(let reference, isReusable: true):
            if let index = index(reference), now < connections[index].connectedAt + limits.lifetimeNanoseconds / 10 * 11
            {
                becomeIdle(index, now)
            }
        case .stop: isStopping = true
        case .stale: check(actions.isEmpty, "a stale call led to \(actions)")
        case .connectFailed: isFailing = true
        case .released, .lost, .advance: break
        }
        let wasDown = isDown
        for action in actions { take(action, event, wasDown: wasDown, pool, now) }
        if case .lost(let reference) = event { check(index(reference) == nil, "a lost connection was kept") }
        if case .released(let reference, isReusable: false) = event {
            check(index(reference) == nil, "a connection that is not reusable was kept")
        }
        checkState(event, pool, now)
    }

    /// The connect of a place has failed: it is gone without being closed.
    mutating func forget(_ reference: ServerConnectionReference) {
        if let index = index(reference) { connections.remove(at: index) }
    }

    private mutating func take(
        _ action: PoolScheduler.Action, _ event: Event, wasDown: Bool, _ pool: PoolScheduler, _ now: UInt64
    ) {
        switch action {
        case .connect(let reference):
            check(reference.generation > generations[reference.slot, default: 0], "\(reference) was used before")
            generations[reference.slot] = reference.generation
            check(connections.count < limits.connectionsMax, "above the maximum")
            check(!connections.contains { $0.reference.slot == reference.slot }, "\(reference) is taken")
            check(connecting < (isFailing ? 1 : limits.connectsAtOnceMax), "too many connects at once")
            check(!isStopping, "a connect while stopping")
            check(!isFailing || now >= pool.retryNanoseconds ?? .max, "a connect within the backoff")
            connections.append(Connection(reference: reference))
        case .close(let reference):
            guard let index = index(reference) else { return check(false, "\(reference) is not open and was closed") }
            check(mayClose(connections[index], event, now), "\(connections[index]) was closed on \(event) at \(now)")
            connections.remove(at: index)
        case .lease(let waiter, let reference):
            check(waiting.first?.waiter == waiter, "\(waiter.rawValue) was not the first that waits")
            check(lastIdle == reference, "\(reference) is not the idle connection used last")
            answer(waiter)
            leases += 1
            if let index = index(reference) { connections[index].state = .leased(waiter) }
        case .refuse(let waiter, let refusal):
            guard let index = waiting.firstIndex(where: { $0.waiter == waiter }) else {
                return check(false, "\(waiter.rawValue) does not wait and was refused")
            }
            refusals["\(refusal)".prefix { $0 != "(" }.description, default: 0] += 1
            switch refusal {
            case .queueFull:
                check(event == .acquire(waiter) && waiting.count > limits.waitersMax, "the queue was not full")
            case .acquireTimeout:
                check(event == .advance && waiting[index].end <= now, "refused before its time")
                check(index == 0, "not the first was refused")
            case .backendDown(let retryAfter):
                check(isDown || wasDown, "the backend is not down")
                check(retryAfter > 0 && retryAfter <= limits.backoffMaxNanoseconds, "retry after \(retryAfter)")
                check(index == 0, "not the first was refused")
            case .late: check(false, "without a deadline one was refused as late")
            case .stopping: check(isStopping, "not stopping")
            }
            answer(waiter)
        }
    }

    private mutating func answer(_ waiter: RequestReference) {
        check(answered.insert(waiter).inserted, "\(waiter.rawValue) was answered twice")
        waiting.removeAll { $0.waiter == waiter }
    }

    private func mayClose(_ connection: Connection, _ event: Event, _ now: UInt64) -> Bool {
        if isStopping {
            guard case .leased = connection.state else { return true }
        }
        switch event {
        case .lost(connection.reference), .released(connection.reference, isReusable: false): return true
        case .released(connection.reference, isReusable: true): return isOld(connection, now)
        case .advance:
            guard case .idle(let since) = connection.state else { return false }
            return isOld(connection, now)
                || now >= since + limits.idleTimeoutNanoseconds && live > limits.connectionsMin
        default: return false
        }
    }

    /// May have reached its lifetime, with the shortest jitter.
    private func isOld(_ connection: Connection, _ now: UInt64) -> Bool {
        now >= connection.connectedAt + limits.lifetimeNanoseconds / 10 * 9
    }

    private func checkState(_ event: Event, _ pool: PoolScheduler, _ now: UInt64) {
        let usage = pool.usage
        check(
            usage == (idle, leased, connecting, waiting.count),
            "\(usage) should be \((idle, leased, connecting, waiting.count))")
        check(pool.isDown == isDown, "isDown is \(pool.isDown)")
        check((pool.retryNanoseconds != nil) == isFailing, "retry is \(String(describing: pool.retryNanoseconds))")
        check(waiting.isEmpty || idle == 0, "one waits beside an idle connection")
        check(!isDown || waiting.isEmpty, "one waits for a backend that is down")
        check(waiting.count <= limits.waitersMax, "too many wait")
        guard event != .stale else { return }
        // Nobody waits for a connect that could be under way, and the minimum is not forgotten.
        let wants = waiting.count > connecting || connections.count < limits.connectionsMin || isDown && connecting == 0
        let mayConnect =
            !isStopping && connections.count < limits.connectionsMax && now >= pool.retryNanoseconds ?? 0
            && connecting < (isFailing ? 1 : limits.connectsAtOnceMax)
        // A lease that begins or ends well takes no connection away: only time can have made a connect due.
        let mayWait =
            switch event {
            case .released(_, isReusable: true): true
            case .acquire: waiting.isEmpty && !isDown
            default: false
            }
        check(mayWait || !(wants && mayConnect), "a connect is missing after \(event)")
        guard event == .advance else { return }
        check(pool.nextDeadline > now, "the next deadline \(pool.nextDeadline) is not after \(now)")
        check(waiting.allSatisfy { $0.end > now }, "one has waited too long")
        for connection in connections {
            guard case .idle(let since) = connection.state else { continue }
            check(now < connection.connectedAt + limits.lifetimeNanoseconds / 10 * 11, "\(connection) is too old")
            check(
                live <= limits.connectionsMin || now < since + limits.idleTimeoutNanoseconds,
                "\(connection) has been idle for too long")
        }
    }

    private var lastIdle: ServerConnectionReference? {
        connections.last { if case .idle = $0.state { true } else { false } }?.reference
    }

    private func index(_ reference: ServerConnectionReference) -> Int? {
        connections.firstIndex { $0.reference == reference }
    }

    private mutating func becomeIdle(_ index: Int, _ now: UInt64) {
        var connection = connections.remove(at: index)
        connection.state = .idle(since: now)
        connections.append(connection)
    }
}
