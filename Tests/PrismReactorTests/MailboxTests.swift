import Synchronization
import Testing

@testable import PrismReactor

@Suite struct MailboxTests {
    @Test func recordsKeepTheirBytesOrderAndAlignment() {
        let mailbox = ByteMailbox(maximumBytes: 1 << 20)
        let records = (0..<100).map { length in (0..<length).map { UInt8(truncatingIfNeeded: length &* 7 &+ $0) } }
        for record in records {
            _ = record.withUnsafeBytes { bytes in mailbox.append { $0.write(bytes: bytes) } }
        }
        var received: [[UInt8]] = []
        let count = mailbox.drain { bytes in
            #expect(UInt(bitPattern: bytes.baseAddress) % 8 == 0)
            received.append(Array(bytes))
        }
        #expect(count == 100)
        #expect(received == records)
    }

    @Test func aReaderGetsWhatTheWriterWrote() {
        let mailbox = ByteMailbox(maximumBytes: 1 << 20)
        _ = mailbox.append { writer in
            writer.write(UInt8(3))
            writer.write(UInt64(1) << 40)
            writer.write(count: 5) { $0.copyBytes(from: Array("hello".utf8)) }
        }
        mailbox.drain { bytes in
            var reader = ByteReader(bytes)
            #expect(reader.read(UInt8.self) == 3)
            #expect(reader.read(UInt64.self) == 1 << 40)
            #expect(reader.read(UInt64.self) == nil)
            #expect(reader.read(count: 5).map { String(decoding: $0, as: UTF8.self) } == "hello")
            #expect(reader.remaining.isEmpty)
            #expect(reader.read(UInt8.self) == nil)
        }
    }

    @Test func onlyTheFirstAppendAfterADrainAsksForAWakeUp() {
        let mailbox = ByteMailbox(maximumBytes: 1 << 20)
        #expect(mailbox.append { $0.write(1) } == .becameNonEmpty)
        #expect(mailbox.append { $0.write(2) } == .alreadyNonEmpty)
        mailbox.drain { _ in }
        #expect(mailbox.append { _ in } == .becameNonEmpty)
        var lengths: [Int] = []
        mailbox.drain { lengths.append($0.count) }
        #expect(lengths == [0])
        #expect(mailbox.drain { _ in } == 0)
    }

    @Test func whatTheConsumerAppendsWaitsForTheNextDrain() {
        let mailbox = ByteMailbox(maximumBytes: 1 << 20)
        _ = mailbox.append { $0.write(1) }
        let first = mailbox.drain { _ in #expect(mailbox.append { $0.write(2) } == .becameNonEmpty) }
        #expect(first == 1)
        var second: [Int] = []
        mailbox.drain { second.append($0.load(as: Int.self)) }
        #expect(second == [2])
    }

    @Test func aFullMailboxTakesNothingAndLosesNothing() {
        let mailbox = ByteMailbox(maximumBytes: 64)
        #expect(mailbox.append { $0.write(1) } == .becameNonEmpty)
        #expect(mailbox.append { writer in for value in 0..<100 { writer.write(value) } } == .full)
        #expect(mailbox.append { $0.write(2) } == .alreadyNonEmpty)
        #expect(mailbox.append { $0.write(3) } == .alreadyNonEmpty)
        #expect(mailbox.append { $0.write(4) } == .alreadyNonEmpty)
        #expect(mailbox.append { $0.write(5) } == .full)
        var values: [Int] = []
        mailbox.drain { values.append($0.load(as: Int.self)) }
        #expect(values == [1, 2, 3, 4])
        #expect(mailbox.append { $0.write(6) } == .becameNonEmpty)
    }

    @Test func memoryOfABurstIsGivenBackAndASteadyStateKeepsIts() {
        let mailbox = ByteMailbox(maximumBytes: 16 << 20, retainedBytes: 64 << 10)
        let chunk = [UInt8](repeating: 1, count: 1 << 20)
        for _ in 0..<8 {
            _ = chunk.withUnsafeBytes { bytes in mailbox.append { $0.write(bytes: bytes) } }
        }
        #expect(mailbox.heldBytes >= 8 << 20)
        #expect(mailbox.drain { _ in } == 8)
        #expect(mailbox.heldBytes <= 2 * mailbox.retainedBytes)

        for _ in 0..<2 {
            _ = mailbox.append { $0.write(1) }
            mailbox.drain { _ in }
        }
        let held = mailbox.heldBytes
        #expect(held > 0)
        for _ in 0..<1000 {
            _ = mailbox.append { $0.write(1) }
            mailbox.drain { _ in }
        }
        #expect(mailbox.heldBytes == held)
    }

    @Test func eachProducersRecordsArriveCompletelyAndInOrder() throws {
        let producers = 4
        let messages = 30_000
        let mailbox = ByteMailbox(maximumBytes: 256 << 20)
        let threads = try (0..<producers).map { producer in
            try WorkerThread(name: "producer") {
                for number in 0..<messages {
                    _ = mailbox.append { writer in
                        writer.write(producer)
                        writer.write(number)
                        for extra in 0..<(number % 5) { writer.write(UInt8(extra)) }
                    }
                }
            }
        }
        var expected = [Int](repeating: 0, count: producers)
        var wrong = 0
        while expected.reduce(0, +) < producers * messages {
            mailbox.drain { bytes in
                var reader = ByteReader(bytes)
                guard let producer = reader.read(Int.self), let number = reader.read(Int.self) else {
                    wrong += 1
                    return
                }
                if number != expected[producer] || reader.remaining.count != number % 5 { wrong += 1 }
                expected[producer] += 1
            }
        }
        for thread in threads { thread.join() }
        #expect(wrong == 0)
        #expect(mailbox.drain { _ in } == 0)
    }

    @Test func typedMessagesFollowTheSameRules() {
        let mailbox = Mailbox<String>(maximumMessages: 2)
        #expect(mailbox.append("drain") == .becameNonEmpty)
        #expect(mailbox.append("reload") == .alreadyNonEmpty)
        #expect(mailbox.append("more") == .full)
        var messages: [String] = []
        #expect(mailbox.drain { messages.append($0) } == 2)
        #expect(messages == ["drain", "reload"])
        #expect(mailbox.append("again") == .becameNonEmpty)
    }
}
