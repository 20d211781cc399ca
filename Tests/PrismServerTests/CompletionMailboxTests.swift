import Foundation
import PrismCore
import PrismReactor
import Testing

@testable import PrismServer

@Suite struct CompletionMailboxTests {
    /// Delivers from inside its own loop, more than the mailbox holds, then counts what comes out.
    final class OwnThread: ReactorHandler {
        let reactor: Reactor
        let mailbox: CompletionMailbox
        let deliveries: Int
        var slots: [Int] = []
        private var hasDelivered = false

        init(deliveries: Int) throws {
            reactor = try Reactor()
            mailbox = CompletionMailbox(reactor: reactor, bytesMax: 1_024)
            self.deliveries = deliveries
        }

        func wokenUp() {
            if !hasDelivered {
                hasDelivered = true
                for slot in 0..<deliveries { CompletionMailboxTests.deliver(slot, bytes: 200, to: mailbox) }
            }
            mailbox.drain { completion, body in
                if let completion, body.count == 200 { slots.append(completion.reference.slot) }
            }
            if slots.count == deliveries { reactor.stop() }
        }

        func ready(token: UInt64, events: Readiness) {}
        func endOfTick(now: UInt64) -> UInt64 { .max }
    }

    static func deliver(_ slot: Int, bytes: Int, to mailbox: CompletionMailbox) {
        let reference = RequestReference(reactor: 0, slot: slot, generation: 1)
        Array(repeating: UInt8(7), count: bytes).withUnsafeBytes {
            mailbox.deliver(Completion(reference: reference, kind: .final), body: $0)
        }
    }

    @Test("the reactor's own thread is not held back by a full mailbox: it would wait for itself")
    func ownThread() async throws {
        let handler = try OwnThread(deliveries: 50)
        handler.reactor.wakeUp()
        handler.reactor.run(handler)
        #expect(handler.slots == Array(0..<50))
    }

    /// The reactor of another thread, whose loop waits until the test lets it go on.
    final class Stalled: ReactorHandler, @unchecked Sendable {
        let reactor: Reactor
        let mailbox: CompletionMailbox
        let isStalled = DispatchSemaphore(value: 0)
        let mayGoOn = DispatchSemaphore(value: 0)
        var slots: [Int] = []
        var bytes = 0
        let expected: Int

        init(bytesMax: Int, expected: Int) throws {
            reactor = try Reactor()
            mailbox = CompletionMailbox(reactor: reactor, bytesMax: bytesMax)
            self.expected = expected
        }

        private var hasStalled = false

        func wokenUp() {
            if !hasStalled {
                hasStalled = true
                isStalled.signal()
                mayGoOn.wait()
            }
            mailbox.drain { completion, body in
                if let completion { slots.append(completion.reference.slot) }
                bytes = max(bytes, body.count)
            }
            if slots.count == expected { reactor.stop() }
        }

        func ready(token: UInt64, events: Readiness) {}
        func endOfTick(now: UInt64) -> UInt64 { .max }
    }

    /// Runs the reactor on a thread of its own while `body` runs on another; both block, which the pool of the tests must not.
    static func run(_ handler: Stalled, _ body: @escaping @Sendable () -> Void) async {
        await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in
            handler.reactor.wakeUp()
            Thread.detachNewThread {
                handler.isStalled.wait()
                body()
            }
            Thread.detachNewThread {
                handler.reactor.run(handler)
                done.resume()
            }
        }
    }

    @Test("another thread is held back by a full mailbox, and nothing is dropped")
    func anotherThread() async throws {
        let handler = try Stalled(bytesMax: 1_024, expected: 50)
        await Self.run(handler) {
            // Four fit; the fifth waits for the loop, which goes on only now.
            for slot in 0..<4 { Self.deliver(slot, bytes: 200, to: handler.mailbox) }
            handler.mayGoOn.signal()
            for slot in 4..<50 { Self.deliver(slot, bytes: 200, to: handler.mailbox) }
        }
        #expect(handler.slots == Array(0..<50))
    }

    @Test("a body larger than the mailbox is delivered instead of waiting for ever")
    func tooLargeForAny() async throws {
        let handler = try Stalled(bytesMax: 1_024, expected: 2)
        await Self.run(handler) {
            handler.mayGoOn.signal()
            Self.deliver(0, bytes: 1_024, to: handler.mailbox)
            Self.deliver(1, bytes: 200, to: handler.mailbox)
        }
        #expect(handler.slots == [0, 1] && handler.bytes == 1_024)
    }
}
