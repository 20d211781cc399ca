import Testing

@testable import PrismCore

@Suite struct MovingQueueTests {
    private final class Counted {
        let number: Int
        let alive: UnsafeMutablePointer<Int>

        init(_ number: Int, _ alive: UnsafeMutablePointer<Int>) {
            self.number = number
            self.alive = alive
            alive.pointee += 1
        }

        deinit { alive.pointee -= 1 }
    }

    @Test("what comes out is what went in, in order, and nothing is kept", arguments: 0..<20 as Range<UInt64>)
    func isAQueue(seed: UInt64) {
        var random = SplitMix(seed)
        let alive = UnsafeMutablePointer<Int>.allocate(capacity: 1)
        alive.initialize(to: 0)
        defer { alive.deallocate() }
        do {
            var queue = MovingQueue<Counted>(capacity: 1 + random.below(9))
            var (next, expected) = (0, 0)
            for _ in 0..<2_000 {
                if random.below(100) < (next % 200 < 100 ? 60 : 40) {
                    queue.append(Counted(next, alive))
                    next += 1
                } else if let first = queue.popFirst() {
                    #expect(first.number == expected)
                    expected += 1
                } else {
                    #expect(expected == next)
                }
                #expect(queue.count == next - expected && queue.isEmpty == (next == expected))
                #expect(alive.pointee == queue.count)
            }
        }
        #expect(alive.pointee == 0)
    }
}
