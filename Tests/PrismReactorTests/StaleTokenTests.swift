import PrismReactor
import Testing

/// How a handler keeps its descriptors: a slot and the slot's generation, packed into the token.
@Suite struct StaleTokenTests {
    private struct Slot {
        var descriptor: CInt = -1
        var generation: UInt32 = 0
        var handled = 0
    }

    private static func token(slot: Int, generation: UInt32) -> UInt64 {
        UInt64(generation) << 32 | UInt64(slot)
    }

    @Test func anEventOfADescriptorClosedInTheSameBatchIsRecognised() throws {
        let reactor = try Reactor()
        let handler = ScriptedHandler(reactor)
        let pairs = [try UnixSocket.makePair(), try UnixSocket.makePair()]
        var slots = pairs.map { Slot(descriptor: $0.0) }
        for (index, slot) in slots.enumerated() {
            try reactor.add(slot.descriptor, interest: .readable, token: Self.token(slot: index, generation: 0))
            UnixSocket.shutdown(pairs[index].1, .write)
        }

        var stale: [UInt64] = []
        var newcomer: (CInt, CInt) = (-1, -1)
        handler.onReady = { token, _ in
            let index = Int(UInt32(truncatingIfNeeded: token))
            guard slots[index].generation == UInt32(token >> 32) else {
                stale.append(token)
                return
            }
            slots[index].handled += 1
            // The first event closes the other's descriptor and gives its slot, and most likely its number, to a newcomer.
            let other = 1 - index
            do {
                reactor.remove(slots[index].descriptor)
                reactor.remove(slots[other].descriptor)
                UnixSocket.close(slots[other].descriptor)
                newcomer = try UnixSocket.makePair()
                slots[other] = Slot(descriptor: newcomer.0, generation: slots[other].generation + 1)
                try reactor.add(
                    newcomer.0, interest: .readable, token: Self.token(slot: other, generation: slots[other].generation)
                )
            } catch { Issue.record(error) }
        }
        handler.onEndOfTick = { _ in
            reactor.stop()
            return .max
        }
        reactor.run(handler)

        #expect(stale.count == 1)
        #expect(slots.map(\.handled).sorted() == [0, 1])
        #expect(slots.map(\.generation).sorted() == [0, 1])
        for slot in slots { UnixSocket.close(slot.descriptor) }
        for descriptor in [pairs[0].1, pairs[1].1, newcomer.1] { UnixSocket.close(descriptor) }
    }
}
