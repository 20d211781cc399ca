import PrismCore
import Testing

@Suite("PostgreSQL cancel fence") struct CancelFenceTests {
    private static let first = CancelFence.repeatFirstNanoseconds

    // MARK: One by one

    @Test("call returned, then Sync: the fence is sent, and when it has passed the way is clear")
    func returnedFirst() {
        var fence = CancelFence()
        #expect(fence.isClear)
        #expect(fence.cancel(now: 5) == .callCancel)
        #expect(!fence.isClear)
        #expect(fence.cancelReturned() == .nothing)
        #expect(fence.synchronized() == .sendFence)
        #expect(!fence.isClear)
        #expect(fence.synchronized() == .nothing)
        #expect(!fence.isClear)
        fence.fenceSynchronized()
        #expect(fence.isClear)
        #expect(fence.cancel(now: 6) == .callCancel)
    }

    @Test("Sync, then call returned: no fence before the call has returned")
    func synchronizedFirst() {
        var fence = CancelFence()
        _ = fence.cancel(now: 5)
        #expect(fence.synchronized() == .nothing)
        #expect(fence.state == .synchronized)
        #expect(fence.nextDeadline == .max)
        #expect(fence.advance(to: .max) == .nothing)
        #expect(fence.cancelReturned() == .sendFence)
        fence.fenceSynchronized()
        #expect(fence.isClear)
    }

    @Test("a cancel is asked for once, whatever the state")
    func onceOnly() {
        var fence = CancelFence()
        _ = fence.cancel(now: 0)
        #expect(fence.cancel(now: 1) == .nothing)
        _ = fence.cancelReturned()
        #expect(fence.cancel(now: 2) == .nothing)
        _ = fence.synchronized()
        #expect(fence.cancel(now: 3) == .nothing)
        #expect(fence.state == .fencing)
    }

    @Test("without a cancel nothing is fenced")
    func untouched() {
        var fence = CancelFence()
        #expect(fence.synchronized() == .nothing)
        #expect(fence.cancelReturned() == .nothing)
        fence.fenceSynchronized()
        #expect(fence.advance(to: .max) == .nothing)
        #expect(fence == CancelFence())
    }

    @Test(
        "a cancel is repeated while the batch runs on, after 100 ms, then twice as long each time, never beside a call")
    func repeats() {
        var fence = CancelFence()
        var now: UInt64 = 1_000
        var delay = Self.first
        #expect(fence.cancel(now: now) == .callCancel)
        for _ in 0..<10 {
            #expect(fence.nextDeadline == .max)
            #expect(fence.advance(to: now + delay) == .nothing)
            #expect(fence.cancelReturned() == .nothing)
            #expect(fence.nextDeadline == now + delay)
            #expect(fence.advance(to: now + delay - 1) == .nothing)
            now += delay
            #expect(fence.advance(to: now) == .callCancel)
            delay = min(delay * 2, CancelFence.repeatMaxNanoseconds)
        }
        #expect(delay == CancelFence.repeatMaxNanoseconds)
        #expect(fence.synchronized() == .nothing)
        #expect(fence.cancelReturned() == .sendFence)
        fence.fenceSynchronized()
        // The next cancel starts anew.
        _ = fence.cancel(now: now)
        _ = fence.cancelReturned()
        #expect(fence.nextDeadline == now + Self.first)
    }

    // MARK: All interleavings

    /// A server connection on which a batch, fences and then somebody else's batch run, and cancels on their way to it.
    private struct World {
        enum Running { case nothing, batch, fence, innocent }

        var fence = CancelFence()
        var now: UInt64 = 0
        var running = Running.batch
        /// A call of cancel is under way.
        var isCalling = false
        /// A cancel has been sent to the server's process. It takes effect on what runs there then or next, at any time until
        /// the process has ended something that it began after the call returned.
        var isSignalled = false
        var wantsCancel = true
        var wasFenced = false
        var problem: String?

        enum Event: CaseIterable {
            case cancel, signal, hit, lose, returned, ended, deadline, innocent
        }

        func isPossible(_ event: Event) -> Bool {
            switch event {
            case .cancel: running == .batch && wantsCancel
            case .signal: isCalling && !isSignalled
            case .hit, .lose: isSignalled && running != .nothing
            case .returned: isCalling
            case .ended: running == .batch || running == .fence
            case .deadline: fence.nextDeadline != .max
            case .innocent: (running == .nothing || running == .fence) && fence.isClear
            }
        }

        mutating func take(_ event: Event) {
            switch event {
            case .cancel: perform(fence.cancel(now: now))
            case .signal: isSignalled = true
            case .hit:
                isSignalled = false
                if running == .innocent { problem = "a cancel has hit somebody else" }
                if running == .batch { end() }
            case .lose: isSignalled = false
            case .returned:
                isCalling = false
                perform(fence.cancelReturned())
            case .ended: end()
            case .deadline:
                now = fence.nextDeadline
                perform(fence.advance(to: now))
            case .innocent:
                if running == .fence { problem = "something was sent before the fence had passed" }
                running = .innocent
                if isCalling { problem = "something was sent while a cancel was being called" }
            }
        }

        /// What runs comes to its Sync.
        private mutating func end() {
            let ended = running
            running = .nothing
            if ended == .fence {
                // The call had returned before the fence began: its signal does not outlive the fence.
                isSignalled = false
                wasFenced = true
                fence.fenceSynchronized()
            } else {
                perform(fence.synchronized())
            }
        }

        private mutating func perform(_ step: CancelFence.Step) {
            switch step {
            case .nothing: break
            case .callCancel:
                if isCalling { problem = "a second cancel was called beside the first" }
                if running != .batch { problem = "a cancel was called behind the batch" }
                isCalling = true
                wantsCancel = false
            case .sendFence:
                if isCalling { problem = "the fence was sent before the call returned" }
                if running != .nothing { problem = "the fence was sent behind something that runs" }
                running = .fence
            }
        }

        /// Whatever has happened, the connection can be used again once calls return and what runs comes to its end.
        func becomesClear() -> Bool {
            var world = self
            for _ in 0..<4 {
                if world.isCalling { world.take(.returned) }
                if world.running == .batch || world.running == .fence { world.take(.ended) }
            }
            return world.fence.isClear && world.problem == nil
        }
    }

    /// - Returns: the runs that came to an innocent batch behind a fence, and those that went on.
    private func explore(_ world: World, depth: Int, path: [World.Event], _ counts: inout (fenced: Int, all: Int)) {
        counts.all += 1
        if let problem = world.problem {
            Issue.record("\(problem): \(path)")
            return
        }
        if !world.becomesClear() {
            Issue.record("it does not become clear: \(path)")
            return
        }
        if world.running == .innocent, world.wasFenced { counts.fenced += 1 }
        guard depth > 0 else { return }
        for event in World.Event.allCases where world.isPossible(event) {
            var next = world
            next.take(event)
            explore(next, depth: depth - 1, path: path + [event], &counts)
        }
    }

    @Test("no order of calls, returns, signals, repeats and Syncs lets a cancel hit what was sent later")
    func allInterleavings() {
        var counts = (fenced: 0, all: 0)
        explore(World(), depth: 18, path: [], &counts)
        #expect(counts.fenced > 1_000)
        #expect(counts.all > 10_000)
    }

    @Test("every sequence of seven calls keeps to the order of states")
    func allSequences() {
        for number in 0..<78_125 {
            var fence = CancelFence()
            var rest = number
            for time in 1...7 as ClosedRange<UInt64> {
                let before = fence.state
                let step: CancelFence.Step
                switch rest % 5 {
                case 0: step = fence.cancel(now: time * Self.first)
                case 1: step = fence.cancelReturned()
                case 2: step = fence.synchronized()
                case 3:
                    fence.fenceSynchronized()
                    step = .nothing
                default: step = fence.advance(to: time * Self.first)
                }
                rest /= 5
                let isAllowed =
                    switch (before, fence.state, step) {
                    case (.none, .requested, .callCancel), (.returned, .requested, .callCancel): true
                    case (.requested, .returned, .nothing), (.requested, .synchronized, .nothing): true
                    case (.returned, .fencing, .sendFence), (.synchronized, .fencing, .sendFence): true
                    case (.fencing, .none, .nothing): true
                    case (let old, let new, .nothing): old == new
                    default: false
                    }
                if !isAllowed { Issue.record("\(number): \(before) to \(fence.state) with \(step)") }
            }
        }
    }
}
