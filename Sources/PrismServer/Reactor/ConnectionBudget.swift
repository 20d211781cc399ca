internal import Synchronization

/// How many clients may be connected, over all reactors, and which reactor gets the next one.
///
/// A limit for each reactor would refuse clients before the limit of all is reached. Any thread, but `take` on one only.
final class ConnectionBudget: Sendable {
    private final class Counter: Sendable {
        let value = Atomic<Int>(0)
    }

    let maximum: Int
    private let counters: [Counter]

    init(maximum: Int, reactors: Int) {
        self.maximum = maximum
        counters = (0..<reactors).map { _ in Counter() }
    }

    /// The reactor with the fewest clients, which has one more now. Nil: the limit is reached.
    func take() -> Int? {
        var total = 0
        var fewest = Int.max
        var chosen = 0
        for (index, counter) in counters.enumerated() {
            let count = counter.value.load(ordering: .relaxed)
            total += count
            if count < fewest { (fewest, chosen) = (count, index) }
        }
        guard total < maximum else { return nil }
        counters[chosen].value.add(1, ordering: .relaxed)
        return chosen
    }

    /// A client that was to be at `reactor` has gone.
    func giveBack(_ reactor: Int) { counters[reactor].value.subtract(1, ordering: .relaxed) }

    /// A client that was to be at `reactor` is at `other` instead.
    func move(from reactor: Int, to other: Int) {
        giveBack(reactor)
        counters[other].value.add(1, ordering: .relaxed)
    }
}
