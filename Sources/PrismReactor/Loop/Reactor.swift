public import CLinux
internal import Glibc
internal import Synchronization

/// An epoll loop that owns sockets: level-triggered, on one thread, without allocation per event.
///
/// Level-triggered because libpq's `PQconsumeInput` does not promise to drain its socket. The reactor watches descriptors and
/// does not own them: remove a descriptor before closing it.
///
/// Thread affinity: `wakeUp` and `stop` may be called by any thread at any time. Everything else belongs to the thread that is
/// in `run`; before `run`, to one thread at a time. This is checked.
public final class Reactor: @unchecked Sendable {
    /// Events taken from the kernel in one tick at most; the rest comes in the next tick.
    public static let eventsPerTickMaximum = 256

    /// Tokens from this one up are the reactor's own.
    public static let reservedTokensStart = UInt64.max - 1

    private static let wakeUpToken = UInt64.max
    private static let timerToken = UInt64.max - 1

    /// A single wait is no longer than this; keeps the timeout's arithmetic far from overflow.
    private static let waitNanosecondsMaximum: UInt64 = 3_600_000_000_000

    /// CLOCK_MONOTONIC nanoseconds: read after each wait, and before each event, because a timeout counts from the read that the
    /// event is for, and the events before it may have taken long. Loop thread only.
    public private(set) var now: UInt64

    @usableFromInline let events: UnsafeMutablePointer<epoll_event>

    private let epoll: CInt
    private let eventDescriptor: CInt
    private let timerDescriptor: CInt?
    private var timerArmedFor = UInt64.max
    private let wakeUpFlag = WakeUpFlag()
    private let stopRequested = Atomic<Bool>(false)
    /// `pthread_self()` of the thread in `run`; 0 outside.
    private let owner = Atomic<UInt>(0)

    /// - Throws: when the process is out of descriptors or memory.
    public convenience init() throws(SystemCallError) {
        try self.init(waitMethod: nil)
    }

    /// - Parameter waitMethod: nil for what the kernel supports.
    init(waitMethod: WaitMethod?) throws(SystemCallError) {
        var opened: [CInt] = []
        do throws(SystemCallError) {
            let epoll = try Self.opening("epoll_create1", epoll_create1(CInt(EPOLL_CLOEXEC)), &opened)
            let eventFlags = CInt(EFD_CLOEXEC) | CInt(EFD_NONBLOCK)
            let event = try Self.opening("eventfd", eventfd(0, eventFlags), &opened)
            var timer: CInt?
            if (waitMethod ?? WaitMethod.supported(by: epoll)) == .timerDescriptor {
                let timerFlags = CInt(TFD_CLOEXEC) | CInt(TFD_NONBLOCK)
                timer = try Self.opening("timerfd_create", timerfd_create(CLOCK_MONOTONIC, timerFlags), &opened)
            }
            // Edge-triggered, both of them: each write, each expiry is reported once and nothing has to be read back.
            let edge = EPOLLIN.rawValue | EPOLLET.rawValue
            try Self.control(epoll, EPOLL_CTL_ADD, event, edge, Self.wakeUpToken)
            if let timer { try Self.control(epoll, EPOLL_CTL_ADD, timer, edge, Self.timerToken) }
            self.epoll = epoll
            self.eventDescriptor = event
            self.timerDescriptor = timer
        } catch {
            for descriptor in opened { _ = Glibc.close(descriptor) }
            throw error
        }
        events = .allocate(capacity: Self.eventsPerTickMaximum)
        events.initialize(repeating: epoll_event(), count: Self.eventsPerTickMaximum)
        now = MonotonicClock.now()
    }

    deinit {
        if let timerDescriptor { _ = Glibc.close(timerDescriptor) }
        _ = Glibc.close(eventDescriptor)
        _ = Glibc.close(epoll)
        events.deallocate()
    }

    // MARK: Descriptors

    /// Begins to watch a descriptor.
    ///
    /// - Parameters:
    ///   - descriptor: open, non-blocking, not watched by this reactor yet.
    ///   - token: comes back with every event; below `reservedTokensStart`. Must carry a generation: see `ReactorHandler`.
    /// - Throws: ENOSPC at the user's limit of watches (`fs.epoll.max_user_watches`), ENOMEM, EEXIST, EBADF, EPERM (a regular
    ///   file), EINVAL (a reserved token).
    public func add(_ descriptor: CInt, interest: Interest, token: UInt64) throws(SystemCallError) {
        try change(EPOLL_CTL_ADD, descriptor, interest, token)
    }

    /// Replaces interest and token of a watched descriptor.
    ///
    /// - Throws: ENOENT if it is not watched; ENOMEM, EBADF, EINVAL (a reserved token).
    public func modify(_ descriptor: CInt, interest: Interest, token: UInt64) throws(SystemCallError) {
        try change(EPOLL_CTL_MOD, descriptor, interest, token)
    }

    /// Ends watching a descriptor. Call it before closing: the kernel forgets a closed descriptor by itself only when no
    /// duplicate of it (a forked child's, libpq's) is open. Events of the present batch can still come.
    ///
    /// - Returns: whether it was watched.
    @discardableResult
    public func remove(_ descriptor: CInt) -> Bool {
        checkThread()
        return epoll_ctl(epoll, EPOLL_CTL_DEL, descriptor, nil) == 0
    }

    // MARK: Running

    /// Handles events on the calling thread until `stop()`. The tick in which `stop` was called is finished.
    ///
    /// Generic so that the handler's methods are called directly in an optimised build.
    @inlinable
    public func run<Handler: ReactorHandler>(_ handler: Handler) {
        enter()
        defer { leave() }
        var deadline: UInt64 = 0  // The first tick only asks what is ready, and the handler for its deadline.
        repeat {
            let count = wait(until: deadline)
            if consumeWakeUp() { handler.wokenUp() }
            var index = 0
            while index < count {
                let event = events[index]
                if event.data.u64 < Self.reservedTokensStart {
                    readClock()
                    handler.ready(token: event.data.u64, events: Readiness(rawValue: event.events))
                }
                index += 1
            }
            deadline = handler.endOfTick(now: now)
        } while !consumeStop()
    }

    /// Makes `run` return after the present tick. Any thread. Called before `run`, it makes `run` return after one tick.
    public func stop() {
        stopRequested.store(true, ordering: .releasing)
        wakeUp()
    }

    /// Makes the loop call `wokenUp` soon. Any thread; costs a system call only when the loop sleeps and nobody else has woken
    /// it yet. What the loop is to find must be in its mailbox before this call.
    public func wakeUp() {
        guard wakeUpFlag.raise() else { return }
        var one: UInt64 = 1
        while write(eventDescriptor, &one, 8) < 0 && errno == EINTR {}
    }

    /// Whether the caller is on the loop's thread, or the loop does not run.
    public var isOnLoopThread: Bool {
        let owner = owner.load(ordering: .relaxed)
        return owner == 0 || owner == pthread_self()
    }

    // MARK: The pieces of a tick

    @usableFromInline func enter() {
        let (entered, _) = owner.compareExchange(
            expected: 0, desired: pthread_self(), ordering: .acquiringAndReleasing)
        precondition(entered, "Reactor.run is not reentrant and belongs to one thread")
    }

    @usableFromInline func leave() {
        owner.store(0, ordering: .releasing)
    }

    @usableFromInline func consumeWakeUp() -> Bool {
        wakeUpFlag.consume()
    }

    @usableFromInline func consumeStop() -> Bool {
        stopRequested.load(ordering: .relaxed) && stopRequested.exchange(false, ordering: .acquiringAndReleasing)
    }

    @usableFromInline func readClock() { now = MonotonicClock.now() }

    /// Waits for events, a wake-up or the deadline, and sets `now`.
    ///
    /// - Returns: the number of valid entries in `events`, the reactor's own included.
    @usableFromInline func wait(until deadline: UInt64) -> Int {
        var time = MonotonicClock.now()
        var mayBlock = deadline > time && wakeUpFlag.prepareToSleep()
        while true {
            let result = waitOnce(mayBlock: mayBlock, time: time, deadline: deadline)
            time = MonotonicClock.now()
            switch result {
            case 1 where events[0].data.u64 == Self.timerToken && time < deadline:
                continue  // Armed for a deadline that no longer holds.
            case 0 where mayBlock && time < deadline:
                continue  // A wait shorter than the deadline: see waitNanosecondsMaximum.
            case 0...:
                now = time
                return Int(result)
            case -EINTR:
                mayBlock = mayBlock && time < deadline
            default:
                // EBADF, EFAULT, EINVAL: somebody closed or overwrote what is the reactor's own.
                preconditionFailure("epoll_wait: errno \(-result)")
            }
        }
    }

    private func waitOnce(mayBlock: Bool, time: UInt64, deadline: UInt64) -> CInt {
        let capacity = CInt(Self.eventsPerTickMaximum)
        guard timerDescriptor == nil else {
            if mayBlock { armTimer(for: deadline, time: time) }
            return prism_epoll_wait(epoll, events, capacity, mayBlock ? 1 : 0)
        }
        var timeoutNanoseconds: Int64 = 0
        if mayBlock {
            timeoutNanoseconds =
                deadline == .max
                ? -1 : Int64(deadline > time ? min(deadline - time, Self.waitNanosecondsMaximum) : 0)
        }
        return prism_epoll_wait_nanoseconds(epoll, events, capacity, timeoutNanoseconds)
    }

    /// Arms the timer only if it would fire too late: deadlines mostly move away, and one early tick is cheaper than a system
    /// call for each.
    private func armTimer(for deadline: UInt64, time: UInt64) {
        guard let timerDescriptor else { return }
        if timerArmedFor <= time { timerArmedFor = .max }  // It has fired.
        guard deadline < timerArmedFor else { return }
        // A relative setting would start from the moment of the call; an absolute 0 would disarm.
        let clamped = min(deadline, UInt64(Int64.max))
        var setting = itimerspec()
        setting.it_value.tv_sec = Int(clamped / 1_000_000_000)
        setting.it_value.tv_nsec = Int(clamped % 1_000_000_000)
        timerfd_settime(timerDescriptor, CInt(TFD_TIMER_ABSTIME), &setting, nil)
        timerArmedFor = deadline
    }

    // MARK: Helpers

    private func change(
        _ operation: CInt, _ descriptor: CInt, _ interest: Interest, _ token: UInt64
    ) throws(SystemCallError) {
        checkThread()
        guard token < Self.reservedTokensStart else { throw SystemCallError(call: "epoll_ctl", code: EINVAL) }
        try Self.control(epoll, operation, descriptor, interest.rawValue, token)
    }

    /// A trap, not an error: two threads in one loop would corrupt memory.
    private func checkThread() {
        precondition(isOnLoopThread, "only the loop's thread may change what a running Reactor watches")
    }

    private static func control(
        _ epoll: CInt, _ operation: CInt, _ descriptor: CInt, _ events: UInt32, _ token: UInt64
    ) throws(SystemCallError) {
        var event = epoll_event(events: events, data: epoll_data_t(u64: token))
        guard epoll_ctl(epoll, operation, descriptor, &event) == 0 else {
            throw SystemCallError(call: "epoll_ctl", code: errno)
        }
    }

    private static func opening(
        _ call: String, _ descriptor: CInt, _ opened: inout [CInt]
    ) throws(SystemCallError) -> CInt {
        guard descriptor >= 0 else { throw SystemCallError(call: call, code: errno) }
        opened.append(descriptor)
        return descriptor
    }
}
