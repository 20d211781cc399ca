import Synchronization
import Testing

@testable import PrismReactor

@Suite struct WakeUpTests {
    @Test func onlyTheFirstRaiseOfASleepingLoopWrites() {
        let flag = WakeUpFlag()
        let slept = flag.prepareToSleep()
        let writes = [flag.raise(), flag.raise(), flag.raise()]
        let wokenUp = [flag.consume(), flag.consume()]
        #expect(slept)
        #expect(writes == [true, false, false])
        #expect(wokenUp == [true, false])
    }

    @Test func aRaiseWhileAwakeNeedsNoWriteAndForbidsSleep() {
        let flag = WakeUpFlag()
        let written = flag.raise()
        let slept = flag.prepareToSleep()
        let wokenUp = flag.consume()
        let sleptLater = flag.prepareToSleep()
        #expect([written, slept, wokenUp, sleptLater] == [false, false, true, true])
    }

    @Test(arguments: [WaitMethod.nanosecondTimeout, .timerDescriptor])
    func aWakeUpBeforeRunIsDelivered(waitMethod: WaitMethod) throws {
        let reactor = try Reactor(waitMethod: waitMethod)
        let handler = ScriptedHandler(reactor)
        reactor.wakeUp()
        handler.onWokenUp = { reactor.stop() }
        reactor.run(handler)
        #expect(!handler.timedOut)
    }

    @Test(arguments: [WaitMethod.nanosecondTimeout, .timerDescriptor])
    func noWakeUpIsLostUnderManyProducers(waitMethod: WaitMethod) throws {
        let producers = 4
        let messages = 40_000
        let reactor = try Reactor(waitMethod: waitMethod)
        let handler = ScriptedHandler(reactor)
        let mailbox = ByteMailbox(maximumBytes: 64 << 20)
        let refused = Atomic<Int>(0)
        let threads = try (0..<producers).map { producer in
            try WorkerThread(name: "producer") {
                for number in 0..<messages {
                    switch mailbox.append({ $0.write(producer * messages + number) }) {
                    case .becameNonEmpty: reactor.wakeUp()
                    case .alreadyNonEmpty: break
                    case .full: refused.add(1, ordering: .relaxed)
                    }
                }
            }
        }
        var received = 0
        handler.onWokenUp = {
            received += mailbox.drain { _ in }
            if received == producers * messages { reactor.stop() }
        }
        reactor.run(handler)
        for thread in threads { thread.join() }
        #expect(received == producers * messages)
        #expect(refused.load(ordering: .relaxed) == 0)
        #expect(!handler.timedOut)
    }

    /// Each side sleeps until the other wakes it, so that one lost wake-up stops both.
    @Test func twoLoopsWakeEachOtherWithoutLoss() throws {
        let rounds = 10_000
        let here = try Reactor()
        let there = try Reactor()
        let thread = try WorkerThread(name: "there") {
            let handler = ScriptedHandler(there)
            handler.onWokenUp = { here.wakeUp() }
            there.run(handler)
        }
        let handler = ScriptedHandler(here)
        var round = 0
        handler.onWokenUp = {
            round += 1
            if round == rounds { here.stop() } else { there.wakeUp() }
        }
        there.wakeUp()
        here.run(handler)
        there.stop()
        thread.join()
        #expect(round == rounds)
        #expect(!handler.timedOut)
    }

    @Test func stopFromAnotherThreadEndsASleepingLoop() throws {
        let reactor = try Reactor()
        let handler = ScriptedHandler(reactor)
        let thread = try WorkerThread(name: "stopper") { reactor.stop() }
        reactor.run(handler)
        thread.join()
        #expect(!handler.timedOut)
    }

    @Test func wokenUpComesBeforeReadyAndDeadlines() throws {
        let (near, far) = try UnixSocket.makePair()
        defer { UnixSocket.close(near) }
        let reactor = try Reactor()
        let handler = ScriptedHandler(reactor)
        try reactor.add(near, interest: .readable, token: 1)
        UnixSocket.close(far)
        reactor.wakeUp()
        var calls: [String] = []
        handler.onWokenUp = { if calls.isEmpty { calls.append("wokenUp") } }
        handler.onReady = { _, _ in calls.append("ready") }
        handler.onEndOfTick = { _ in
            calls.append("endOfTick")
            reactor.stop()
            return .max
        }
        reactor.run(handler)
        #expect(calls == ["wokenUp", "ready", "endOfTick"])
    }
}
