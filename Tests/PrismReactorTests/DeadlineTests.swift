import Glibc
import Testing

@testable import PrismReactor

@Suite struct DeadlineTests {
    @Test(arguments: [WaitMethod.nanosecondTimeout, .timerDescriptor])
    func aTickWithoutEventsIsNeverEarly(waitMethod: WaitMethod) throws {
        let reactor = try Reactor(waitMethod: waitMethod)
        let handler = ScriptedHandler(reactor)
        var generator = SystemRandomNumberGenerator()
        var deadline: UInt64 = 0
        var ticks = 0
        handler.onEndOfTick = { now in
            #expect(now >= deadline)
            #expect(now == reactor.now)
            ticks += 1
            if ticks == 300 { reactor.stop() }
            deadline = now + UInt64.random(in: 0...1_500_000, using: &generator)
            return deadline
        }
        reactor.run(handler)
        #expect(ticks == 300)
        #expect(!handler.timedOut)
    }

    @Test func theTimeOfAnEventIsReadBehindTheEventsBeforeIt() throws {
        let reactor = try Reactor()
        let handler = ScriptedHandler(reactor)
        let (first, second) = try UnixSocket.makePair()
        // Either end is ready to write.
        try reactor.add(first, interest: .writable, token: 1)
        try reactor.add(second, interest: .writable, token: 2)
        defer {
            UnixSocket.close(first)
            UnixSocket.close(second)
        }
        var ended: UInt64?
        handler.onReady = { _, _ in
            guard let before = ended else {
                let began = MonotonicClock.now()
                while MonotonicClock.now() < began + 2_000_000 {}
                ended = MonotonicClock.now()
                return
            }
            #expect(reactor.now >= before)
            reactor.stop()
        }
        reactor.run(handler)
        #expect(ended != nil)
        #expect(!handler.timedOut)
    }

    @Test(arguments: [WaitMethod.nanosecondTimeout, .timerDescriptor])
    func aDeadlineThatMovesAwayOrNearerIsKept(waitMethod: WaitMethod) throws {
        let reactor = try Reactor(waitMethod: waitMethod)
        let handler = ScriptedHandler(reactor)
        // A tick comes for a wake-up, with another deadline than the one the timer was armed for.
        let offsets: [UInt64] = [5_000_000, 1_000_000, 4_000_000, 500_000, 2_000_000]
        var deadline: UInt64 = 0
        var wakeUps = 0
        var finished = 0
        handler.onWokenUp = {
            wakeUps += 1
            deadline = 0
        }
        handler.onEndOfTick = { now in
            #expect(now >= deadline)
            if deadline != 0 { finished += 1 }
            guard wakeUps + finished < 40 else {
                reactor.stop()
                return .max
            }
            if finished % 2 == 0 && wakeUps <= finished { reactor.wakeUp() }
            deadline = now + offsets[(wakeUps + finished) % offsets.count]
            return deadline
        }
        reactor.run(handler)
        #expect(finished > 0 && wakeUps > 0)
        #expect(!handler.timedOut)
    }

    @Test(arguments: [WaitMethod.nanosecondTimeout, .timerDescriptor])
    func aPassedDeadlineMakesTheNextTickComeAtOnce(waitMethod: WaitMethod) throws {
        let reactor = try Reactor(waitMethod: waitMethod)
        let handler = ScriptedHandler(reactor)
        var ticks = 0
        handler.onEndOfTick = { now in
            ticks += 1
            if ticks == 100 { reactor.stop() }
            return ticks % 2 == 0 ? 0 : now
        }
        reactor.run(handler)
        #expect(ticks == 100)
    }

    @Test(arguments: [WaitMethod.nanosecondTimeout, .timerDescriptor])
    func interruptionsBySignalsNeitherEndNorShortenAWait(waitMethod: WaitMethod) throws {
        signal(SIGUSR2) { _ in }
        let reactor = try Reactor(waitMethod: waitMethod)
        let handler = ScriptedHandler(reactor)
        var loopSignals = sigset_t()
        sigemptyset(&loopSignals)
        sigaddset(&loopSignals, SIGUSR2)
        pthread_sigmask(SIG_UNBLOCK, &loopSignals, nil)
        let loop = pthread_self()
        let thread = try WorkerThread(name: "interrupter") {
            for _ in 0..<500 {
                pthread_kill(loop, SIGUSR2)
                sched_yield()
            }
            reactor.stop()
        }
        var deadline: UInt64 = 0
        var stopped = false  // stop() wakes the loop: the one tick that may come before its deadline.
        handler.onWokenUp = { stopped = true }
        handler.onEndOfTick = { now in
            #expect(now >= deadline || stopped)
            deadline = now + 300_000
            return deadline
        }
        reactor.run(handler)
        thread.join()
        #expect(!handler.timedOut)
    }

    @Test func theFallbackIsChosenExactlyWhenTheKernelRefuses() {
        #expect(WaitMethod.chosen(probeResult: -ENOSYS) == .timerDescriptor)
        #expect(WaitMethod.chosen(probeResult: -EPERM) == .timerDescriptor)
        #expect(WaitMethod.chosen(probeResult: 0) == .nanosecondTimeout)
    }
}
