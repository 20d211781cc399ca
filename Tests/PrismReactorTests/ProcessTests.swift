import Glibc
import Synchronization
import Testing

@testable import PrismReactor

@Suite struct ProcessTests {
    @Test func systemCallErrorsSpeakTheKernelsText() {
        let error = SystemCallError(call: "bind", code: EACCES)
        #expect(error.description == "bind: Permission denied (errno \(EACCES))")
        #expect(!SystemCallError(call: "x", code: 99_999).reason.isEmpty)
    }

    @Test func theMonotonicClockDoesNotGoBack() {
        var last = MonotonicClock.now()
        for _ in 0..<10_000 {
            let now = MonotonicClock.now()
            #expect(now >= last)
            last = now
        }
        #expect(MonotonicClock.wallClockMilliseconds() > 1_700_000_000_000)
    }

    @Test func theDescriptorLimitIsRaisedToTheHardOne() throws {
        let limit = try raiseDescriptorLimit()
        #expect(limit.after == limit.hard)
        #expect(limit.before <= limit.after)
        #expect(try raiseDescriptorLimit().before == limit.hard)
    }

    @Test func signalsOfTheSourceAreReadAndNotDelivered() throws {
        let received = Mutex<[CInt]>([])
        let failure = Mutex<SystemCallError?>(nil)
        // Signals sent to one thread, so that the rest of the test process never sees them.
        let thread = try WorkerThread(name: "signals") {
            do throws(SystemCallError) {
                let source = try SignalSource([SIGUSR1, SIGTERM])
                let reactor = try Reactor()
                let handler = ScriptedHandler(reactor)
                try reactor.add(source.descriptor, interest: .readable, token: 1)
                handler.onReady = { _, _ in
                    let signals = source.read()
                    received.withLock { $0 += signals }
                    if received.withLock({ $0.count }) == 2 { reactor.stop() }
                }
                pthread_kill(pthread_self(), SIGTERM)
                pthread_kill(pthread_self(), SIGUSR1)
                reactor.run(handler)
                let rest = source.read()
                received.withLock { $0 += rest }
            } catch {
                failure.withLock { $0 = error }
            }
        }
        thread.join()
        #expect(failure.withLock { $0 } == nil)
        #expect(received.withLock { $0.sorted() } == [SIGUSR1, SIGTERM].sorted())
    }

    @Test func aWorkerHasItsNameAndNoSignals() throws {
        let name = Mutex("")
        let blocked = Mutex<[CInt]>([])
        let thread = try WorkerThread(name: "sqlite-reader-number-7", stackBytes: 300_000) {
            name.withLock { $0 = ProcessTests.ownThreadName() }
            var mask = sigset_t()
            pthread_sigmask(SIG_BLOCK, nil, &mask)
            let present = [SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGUSR1, SIGSEGV].filter { sigismember(&mask, $0) == 1 }
            blocked.withLock { $0 = present }
        }
        thread.join()
        thread.join()
        #expect(name.withLock { $0 } == "sqlite-reader-n")
        #expect(blocked.withLock { $0 } == [SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGUSR1])
    }

    private static func ownThreadName() -> String {
        let descriptor = open("/proc/thread-self/comm", O_RDONLY)
        defer { close(descriptor) }
        var buffer = [UInt8](repeating: 0, count: 32)
        let count = read(descriptor, &buffer, buffer.count)
        return String(decoding: buffer[..<max(0, count - 1)], as: UTF8.self)
    }
}
