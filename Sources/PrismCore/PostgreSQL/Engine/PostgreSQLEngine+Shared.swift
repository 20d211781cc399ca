import PrismWire

/// The shared pipelines: a queue of short reads, and runners that take a connection from the pool for one batch at a time.
struct SharedPipelines {
    struct Waiter: Sendable {
        let reference: RequestReference
    }

    enum Runner {
        case idle
        /// It waits in the pool.
        case acquiring
        case running
    }

    var queue: FairQueue<RequestReference, Waiter>
    var runners: [Runner]
    /// Batches, and requests in them, ever.
    var batches: UInt64 = 0
    var members: UInt64 = 0
    /// Requests that had to run again.
    var reruns: UInt64 = 0

    init(_ settings: EngineSettings) {
        queue = FairQueue(
            requestsMax: settings.pool.waitersMax, acquireTimeoutNanoseconds: settings.pool.acquireTimeoutNanoseconds)
        runners = Array(repeating: .idle, count: min(settings.sharedConnectionsMax, settings.pool.connectionsMax))
    }

    /// Stands for a runner among those that wait for a connection; no request has it.
    static func reference(_ runner: Int) -> RequestReference { RequestReference(rawValue: .max - 1 - UInt64(runner)) }

    /// Nil: the reference of something else.
    func runner(_ reference: RequestReference) -> Int? {
        let distance = UInt64.max - 1 &- reference.rawValue
        return reference != Sweeper.reference && distance < UInt64(runners.count) ? Int(distance) : nil
    }
}

extension PostgreSQLEngine {
    /// Whether a request may share a pipeline with others.
    func mayShare(_ job: Job) -> Bool {
        guard !shared.runners.isEmpty, job.item.transaction == .none else { return false }
        switch job.item.kind {
        case .get, .getMany, .count: return context.ownStanding(job.item.kind)?.isTrusted == true
        case .query where job.item.isReadOnly:
            context.decoding.reset()
            guard let frame = job.frame, let request = RequestMessage(frame.bytes, in: context.decoding),
                let client = try? ClientStatement(0, of: request)
            else { return false }
            return context.sharedStatement(client) != nil
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
        case .queued: break
        case .full: refuse(job.reference, .queueFull)
        case .late: refuse(job.reference, .late)
        }
    }

    /// Once a tick: what has come in meanwhile goes out together.
    /// - Returns: when it must be called again at the latest.
    func advanceShared() -> UInt64 {
        while let waiter = shared.queue.popExpired(now: context.now) { refuse(waiter.reference, .acquireTimeout) }
        for runner in shared.runners.indices where shared.runners[runner] == .idle && !shared.queue.isEmpty {
            shared.runners[runner] = .acquiring
            pool.acquire(SharedPipelines.reference(runner), now: context.now)
            perform()
        }
        return shared.queue.nextExpiryNanoseconds ?? .max
    }

    /// A runner has a connection.
    func run(_ runner: Int, on session: ServerSession<Port>) {
        let settings = context.settings
        shared.runners[runner] = .running
        var jobs: [Job] = []
        var bytes = 0
        let idle = shared.runners.reduce(1) { $0 + ($1 == .idle ? 1 : 0) }
        let most = min(settings.sharedBatchMax, max(settings.sharedBatchMin, (shared.queue.count + idle - 1) / idle))
        while jobs.count < most, bytes < settings.bytesPerRoundMax, let waiter = shared.queue.pop(now: context.now) {
            guard let job = job(waiter.reference), !job.isDetached else { continue }
            bytes += job.frame?.bytes.count ?? 0
            jobs.append(job)
        }
        shared.batches += jobs.isEmpty ? 0 : 1
        shared.members += UInt64(jobs.count)
        session.startBatch(jobs, runner: runner)
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
            for flow in ended.flows { shared.queue.served(flow, in: ended.nanoseconds / UInt64(ended.flows.count)) }
        }
        for rerun in session.takeReruns() where !rerun.job.isDetached {
            shared.reruns += 1
            if rerun.isAlone { lease(for: rerun.job) } else { share(rerun.job) }
        }
    }
}
