internal import PrismReactor
internal import PrismWire

/// One connection of the load generator and its requests in flight. Belongs to the generator's thread.
final class LoadConnection {
    let descriptor: CInt
    var incoming = ByteQueue()
    var outgoing = ByteQueue()
    var isOpen = true
    var wantsWritable = false
    /// By slot: when the request was sent, CLOCK_MONOTONIC nanoseconds; 0: the slot is free.
    private var sentAt: [UInt64]
    /// By slot: the id in flight or used last. Slot and round make the id, so that no id comes twice.
    private var identifiers: [UInt64]
    private(set) var inFlight = 0
    /// Of a peer, which answers in the order of the requests.
    var answers = PeerAnswerReader()
    /// The slots of a peer's answers to come, as a ring that holds each slot once at most.
    private var expected: [Int32] = []
    private var expectedHead = 0
    private var expectedCount = 0

    init(descriptor: CInt, slots: Int) {
        self.descriptor = descriptor
        sentAt = Array(repeating: 0, count: slots)
        identifiers = (0..<slots).map { UInt64($0) + 1 }
    }

    /// Marks a free slot as in flight; the id to send.
    func begin(slot: Int, now: UInt64) -> UInt64 {
        identifiers[slot] += UInt64(sentAt.count)
        sentAt[slot] = now
        inFlight += 1
        return identifiers[slot]
    }

    /// Frees the slot of a final answer: the slot, and when its request was sent. Nil: nothing with that id is in flight.
    func end(id: UInt64) -> (slot: Int, sentAt: UInt64)? {
        guard let slot = slot(of: id) else { return nil }
        let time = sentAt[slot]
        sentAt[slot] = 0
        inFlight -= 1
        return (slot, time)
    }

    /// A request to a peer is on its way: its answer comes behind those expected so far.
    func expectAnswer(slot: Int) {
        if expected.isEmpty { expected = Array(repeating: 0, count: sentAt.count) }
        precondition(expectedCount < expected.count, "more answers expected than there are slots")
        let end = expectedHead + expectedCount
        expected[end < expected.count ? end : end - expected.count] = Int32(slot)
        expectedCount += 1
    }

    /// Frees the slot of a peer's next answer. Nil: none is expected.
    func endFirst() -> (slot: Int, sentAt: UInt64)? {
        guard expectedCount > 0 else { return nil }
        let slot = Int(expected[expectedHead])
        expectedHead = expectedHead + 1 == expected.count ? 0 : expectedHead + 1
        expectedCount -= 1
        let time = sentAt[slot]
        sentAt[slot] = 0
        inFlight -= 1
        return (slot, time)
    }

    func isInFlight(id: UInt64) -> Bool { slot(of: id) != nil }

    private func slot(of id: UInt64) -> Int? {
        guard id > 0 else { return nil }
        let slot = Int((id - 1) % UInt64(sentAt.count))
        return identifiers[slot] == id && sentAt[slot] != 0 ? slot : nil
    }
}
