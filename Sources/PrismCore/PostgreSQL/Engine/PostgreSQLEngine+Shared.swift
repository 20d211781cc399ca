import PrismWire

/// The shared pipelines: a queue of short reads, and runners that take a connection from the pool for one batch at a time.
struct SharedPipelines {
    struct Waiter: Sendable {
        let reference: RequestReference
    }

    enum Runner: Equatable {
        case idle
        /// It waits in the pool.
        case acquiring
        /// - requests: in its batch.
        case running(requests: Int, sinceNanoseconds: UInt64)
    }

    /// What waits for a batch under way to end, so that more may go together, waits no longer than this, and not after that batch has
    /// taken as long.
    static let holdNanoseconds: UInt64 = 1_000_000

    private let batchMin: Int
    /// Of those that have come since the queue was empty: nobody who waits has less time.
    private var earliestDeadline = UInt64.max
    var queue: FairQueue<RequestReference, Waiter>
    var runners: [Runner]
    var guardTime: GuardTime
    var totals = StatusSnapshot.SharedTotals()
    /// Runners that wait in the pool.
    var acquiring: Int { runners.reduce(0) { $0 + ($1 == .acquiring ? 1 : 0) } }

    init(_ settings: EngineSettings) {
        batchMin = settings.sharedBatchMin
        queue = FairQueue(
            requestsMax: settings.pool.waitersMax, acquireTimeoutNanoseconds: settings.pool.acquireTimeoutNanoseconds)
        guardTime = GuardTime(leastNanoseconds: settings.sharedGuardNanoseconds)
        runners = Array(repeating: .idle, count: min(settings.sharedConnectionsMax, settings.pool.connectionsMax))
    }

    /// Until when what waits is kept back. While a full batch is under way a smaller one does not set out: soon that one ends, its
    /// clients ask again, and all of it goes together, which costs both sides less. Nil: something may set out now.
    func heldUntil(now: UInt64) -> UInt64? {
        guard queue.count < batchMin else { return nil }
        var end: UInt64 = 0
        for case .running(let requests, let since) in runners where requests >= batchMin {
            end = max(end, since)
        }
        end = saturatingSum(min(end, queue.oldestNanoseconds ?? .max), Self.holdNanoseconds)
        // Nobody's time runs out meanwhile, or soon after.
        let soonest = min(earliestDeadline, queue.nextExpiryNanoseconds ?? .max)
        return end > now && soonest > saturatingSum(end, Self.holdNanoseconds) ? end : nil
    }

    mutating func came(deadline: UInt64) { earliestDeadline = min(earliestDeadline, deadline) }

    mutating func setOut(_ runner: Int, requests: Int, now: UInt64) {
        runners[runner] = .running(requests: requests, sinceNanoseconds: now)
        if queue.isEmpty { earliestDeadline = .max }
    }

    /// Stands for a runner among those that wait for a connection; no request has it.
    static func reference(_ runner: Int) -> RequestReference { RequestReference(rawValue: .max - 1 - UInt64(runner)) }

    /// Nil: the reference of something else.
    func runner(_ reference: RequestReference) -> Int? {
        let distance = UInt64.max - 1 &- reference.rawValue
        return reference != Sweeper.reference && distance < UInt64(runners.count) ? Int(distance) : nil
    }
}

/// How long a batch may take before its members are no longer held back by each other: what was configured, and more where all
/// batches take long, as on a machine that has too much to do: there nothing would be won by running all of it again.
struct GuardTime {
    private let leastNanoseconds: UInt64
    /// A mean that rises slowly, whatever a single batch takes, and falls as slowly.
    private var mean: UInt64 = 0

    init(leastNanoseconds: UInt64) { self.leastNanoseconds = leastNanoseconds }

    mutating func ran(in nanoseconds: UInt64) {
        let bounded = min(nanoseconds, mean * 2 + 1_000_000)
        mean = mean - mean / 16 + bounded / 16
    }

    var nanoseconds: UInt64 { max(leastNanoseconds, mean * 8) }
}

extension PostgreSQLEngine {
    /// Whether a request may share a pipeline with others, as far as its kind tells.
    func mayShare(_ job: Job) -> Bool {
        guard !shared.runners.isEmpty, job.item.transaction == .none else { return false }
        switch job.item.kind {
        case .get, .getMany, .count: return context.ownStanding(job.item.kind)?.isTrusted == true
        // Its statement is looked at when it is its turn.
        case .query: return job.item.isReadOnly && !context.settings.isPooled
        default: return false
        }
    }

    /// Enters a request into the queue of the shared pipelines.
    func share(_ job: Job) {
        if pool.isDown { return refuse(job.reference, pool.downRefusal(context.now)) }
        let admission = shared.queue.push(
            SharedPipelines.Waiter(reference: job.reference), id: job.reference, flow: job.item.flow,
            deadline: job.item.deadlineNanoseconds, now: context.now)
        switch admission {
        case .queued: shared.came(deadline: job.item.deadlineNanoseconds)
        case .full: refuse(job.reference, .queueFull)
        case .late: refuse(job.reference, .late)
        }
    }

    /// Once a tick: what has come in meanwhile goes out together.
    /// - Returns: when it must be called again at the latest.
    func advanceShared() -> UInt64 {
        while let waiter = shared.queue.popExpired(now: context.now) { refuse(waiter.reference, .acquireTimeout) }
        // What one runner takes may all go alone: then it looks again.
        while !shared.queue.isEmpty, let runner = shared.runners.firstIndex(of: .idle) {
            if let end = shared.heldUntil(now: context.now) { return end }
            let waiting = shared.queue.count
            shared.runners[runner] = .acquiring
            pool.acquire(SharedPipelines.reference(runner), now: context.now)
            perform()
            if shared.runners[runner] == .idle, shared.queue.count >= waiting { break }
        }
        return shared.queue.nextExpiryNanoseconds ?? .max
    }

    /// A runner has a connection.
    func run(_ runner: Int, on session: ServerSession<Port>) {
        let settings = context.settings
        var jobs: [Job] = []
        var bytes = 0
        let idle = shared.runners.reduce(1) { $0 + ($1 == .idle ? 1 : 0) }
        let most = min(settings.sharedBatchMax, max(settings.sharedBatchMin, (shared.queue.count + idle - 1) / idle))
        jobs.reserveCapacity(min(most, shared.queue.count))
        while jobs.count < most, bytes < settings.bytesPerRoundMax, let waiter = shared.queue.pop(now: context.now) {
            guard let job = job(waiter.reference), !job.isDetached else { continue }
            bytes += job.frame?.bytes.count ?? 0
            jobs.append(job)
        }
        session.startBatch(jobs, runner: runner, guardNanoseconds: shared.guardTime.nanoseconds)
        let requests = session.batch?.members.count ?? 0
        shared.setOut(runner, requests: requests, now: context.now)
        shared.totals.batches += session.batch == nil ? 0 : 1
        shared.totals.requests += UInt64(requests)
    }

    /// A runner gets no connection.
    func refuse(runner: Int, _ refusal: PoolScheduler.Refusal) {
        shared.runners[runner] = .idle
        switch refusal {
        case .backendDown, .stopping:
            while let waiter = shared.queue.popOldest() { refuse(waiter.reference, refusal) }
        // The requests have their own times, and another attempt comes with the next tick.
        case .queueFull, .acquireTimeout, .late: break
        }
    }

    /// What a batch has left behind.
    func takeEnded(_ session: ServerSession<Port>) {
        if let ended = session.takeEndedBatch() {
            if let runner = ended.runner { shared.runners[runner] = .idle }
            if !ended.flows.isEmpty { shared.guardTime.ran(in: ended.nanoseconds) }
            var last: Flow?
            for flow in ended.flows where flow != last {
                shared.queue.served(flow, in: ended.nanoseconds / UInt64(ended.flows.count))
                last = flow
            }
        }
        if shared.queue.isEmpty { shared.queue.backendIsIdle() }
    }

    /// How those go on that a batch has not answered.
    func runAgain(_ reruns: [Rerun]) {
        for rerun in reruns where !rerun.job.isDetached {
            if rerun.job.batches > 0 { shared.totals.reruns += 1 }
            // Who has been let in once is not refused because of somebody else's error.
            if rerun.isAlone || !enter(rerun.job) { lease(for: rerun.job) }
        }
    }

    private func enter(_ job: Job) -> Bool {
        let admission = shared.queue.push(
            SharedPipelines.Waiter(reference: job.reference), id: job.reference, flow: job.item.flow,
            deadline: .max, now: context.now)
        guard admission == .queued else { return false }
        shared.came(deadline: job.item.deadlineNanoseconds)
        return true
    }
}
