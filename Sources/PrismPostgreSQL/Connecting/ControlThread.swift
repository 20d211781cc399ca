internal import Glibc
internal import PrismCore
internal import PrismReactor

/// Owns a backend's control connection, on a thread of its own: opens it when cancels are asked for, and carries out with one
/// statement what was asked for while the last one ran. What it cannot carry out goes another way.
final class ControlThread: Sendable {
    private struct State {
        /// Waiting for the next statement; only while there is a connection. As long as the connections are many at most.
        var jobs: [CancelJob] = []
        /// Where the connection leads to; nil: there is none.
        var server: String?
        /// A cancel that it could have carried out, had it been there, or had it led there.
        var isAsked = false
        var leadsElsewhere = false
        var isStopping = false
        /// It looks at nothing but its descriptors until `wakeUps` is raised.
        var isSleeping = false
    }

    private let settings: ControlSettings
    private let maker: ConnectionMaker
    private let otherWay: @Sendable (CancelJob) -> Void
    private let state = Locked(State())
    private let wakeUps: WakeUpEvent
    private let thread = ThreadGroup()

    /// - Parameter otherWay: takes over a cancel; must not block.
    /// - Throws: EAGAIN at a limit of threads or memory; EMFILE at one of descriptors.
    init(_ settings: ControlSettings, otherWay: @escaping @Sendable (CancelJob) -> Void) throws(SystemCallError) {
        self.settings = settings
        self.otherWay = otherWay
        maker = ConnectionMaker(settings.connect, schema: nil)
        wakeUps = try WakeUpEvent()
        try thread.start("pg-control") { [self] in run() }
    }

    /// Any thread.
    /// - Returns: whether it has taken it over; if not, it has to go another way.
    func submit(_ job: CancelJob) -> Bool {
        guard let target = job.handle.target else { return false }
        let (isTaken, mustWake) = state.withLock { state in
            guard !state.isStopping else { return (true, false) }
            let isTaken = state.server == target.server
            if isTaken {
                state.jobs.append(job)
            } else {
                state.isAsked = true
                if state.server != nil { state.leadsElsewhere = true }
            }
            let mustWake = state.isSleeping
            state.isSleeping = false
            return (isTaken, mustWake)
        }
        if mustWake { wakeUps.raise() }
        return isTaken
    }

    /// Any thread.
    var isOpen: Bool { state.withLock { $0.server != nil } }

    /// Drops what has not begun. If it hangs in libpq it is left behind after the deadline (CLOCK_MONOTONIC nanoseconds).
    func stop(deadlineNanoseconds: UInt64) {
        state.withLock {
            $0.isStopping = true
            $0.jobs = []
        }
        wakeUps.raise()
        thread.join(deadlineNanoseconds: deadlineNanoseconds)
    }

    // MARK: The thread

    private func run() {
        var schedule = ControlSchedule(idleTimeoutNanoseconds: settings.idleTimeoutNanoseconds)
        var connection: ControlConnection?
        while let work = take() {
            let now = MonotonicClock.now()
            if work.isAsked || !work.jobs.isEmpty { schedule.asked(elsewhere: work.leadsElsewhere, now: now) }
            if let open = connection, !work.jobs.isEmpty {
                if serve(work.jobs, open) {
                    schedule.served()
                } else {
                    close(&connection, leaving: work.jobs)
                    schedule.failed(now: MonotonicClock.now())
                }
                continue
            }
            switch schedule.step(now: now) {
            case .connect:
                connection = open()
                if connection != nil {
                    schedule.opened(now: MonotonicClock.now())
                } else {
                    schedule.failed(now: MonotonicClock.now())
                }
            case .close: close(&connection)
            case .nothing:
                guard sleep(connection, untilNanoseconds: schedule.nextDeadline) else {
                    close(&connection)
                    schedule.failed(now: MonotonicClock.now())
                    continue
                }
            }
        }
        close(&connection)
    }

    /// Nil: it is to end.
    private func take() -> (jobs: [CancelJob], isAsked: Bool, leadsElsewhere: Bool)? {
        state.withLock { state in
            guard !state.isStopping else { return nil }
            let count = min(state.jobs.count, ControlConnection.targetsMax)
            let work = (Array(state.jobs.prefix(count)), state.isAsked, state.leadsElsewhere)
            state.jobs.removeFirst(count)
            state.isAsked = false
            state.leadsElsewhere = false
            return work
        }
    }

    /// - Returns: false: none of them may have been carried out, and the connection is of no more use.
    private func serve(_ jobs: [CancelJob], _ connection: ControlConnection) -> Bool {
        let targets = jobs.compactMap { $0.ticket.isAbandoned ? nil : $0.handle.target }
        guard !targets.isEmpty else { return true }
        let deadline = MonotonicClock.now() + settings.answerTimeoutNanoseconds
        guard connection.cancel(targets, deadlineNanoseconds: deadline) else { return false }
        for job in jobs { job.report() }
        return true
    }

    private func open() -> ControlConnection? {
        // Why not is seen by the connections as well, and reported by them.
        guard let connection = try? maker.makeControl() else { return nil }
        state.withLock { $0.server = connection.server }
        return connection
    }

    private func close(_ connection: inout ControlConnection?, leaving jobs: [CancelJob] = []) {
        let waiting = state.withLock { state in
            defer { state.jobs = [] }
            state.server = nil
            return state.isStopping ? [] : jobs + state.jobs
        }
        for job in waiting { otherWay(job) }
        connection = nil
    }

    /// Until there is something to do.
    /// - Returns: false: the connection is lost.
    private func sleep(_ connection: ControlConnection?, untilNanoseconds deadline: UInt64) -> Bool {
        let mustSleep = state.withLock { state in
            state.isSleeping = state.jobs.isEmpty && !state.isAsked && !state.isStopping
            return state.isSleeping
        }
        guard mustSleep else { return true }
        defer { state.withLock { $0.isSleeping = false } }
        return wakeUps.wait(beside: connection?.socket ?? -1, untilNanoseconds: deadline)
            ? connection?.takeInput() ?? true : true
    }
}
