/// When the requests of a fixed rate are meant to be sent: evenly, whatever becomes of those before. Pure; times are
/// CLOCK_MONOTONIC nanoseconds.
struct LoadPacer {
    private let ratePerSecond: UInt64
    private let start: UInt64
    /// Requests taken so far.
    private(set) var taken: UInt64 = 0

    /// - Parameter ratePerSecond: 1 to `LoadPlan.rateMax`.
    init(ratePerSecond: UInt64, start: UInt64) {
        self.ratePerSecond = ratePerSecond
        self.start = start
    }

    /// When the next one is meant to be sent. Never drifts: each is counted from the start.
    var next: UInt64 { time(of: taken) }

    /// Takes the next one if it is due: when it was meant to be sent.
    mutating func take(now: UInt64) -> UInt64? {
        let intended = next
        guard intended <= now else { return nil }
        taken += 1
        return intended
    }

    /// How many of those not taken were meant to be sent before `end`.
    func due(before end: UInt64) -> UInt64 {
        guard end > start else { return 0 }
        let (seconds, rest) = (end - start - 1).quotientAndRemainder(dividingBy: 1_000_000_000)
        let count = seconds * ratePerSecond + rest * ratePerSecond / 1_000_000_000 + 1
        return count - min(count, taken)
    }

    /// Leaves out those that were meant to be sent before `end`: how many.
    mutating func skip(before end: UInt64) -> UInt64 {
        let count = due(before: end)
        taken += count
        return count
    }

    private func time(of number: UInt64) -> UInt64 {
        let (seconds, rest) = number.quotientAndRemainder(dividingBy: ratePerSecond)
        // Rounded up: never early.
        return start + seconds * 1_000_000_000 + (rest * 1_000_000_000 + ratePerSecond - 1) / ratePerSecond
    }
}

/// The places in flight that are free, used in turn, so that connections are loaded alike.
struct LoadPlaces {
    private var ring: [(connection: Int32, slot: Int32)]
    private var head = 0
    private(set) var count: Int

    init(connections: Int, slots: Int) {
        ring = []
        ring.reserveCapacity(connections * slots)
        for slot in 0..<slots {
            for connection in 0..<connections { ring.append((Int32(connection), Int32(slot))) }
        }
        count = ring.count
    }

    mutating func pop() -> (connection: Int, slot: Int)? {
        guard count > 0 else { return nil }
        let place = ring[head]
        head = head + 1 == ring.count ? 0 : head + 1
        count -= 1
        return (Int(place.connection), Int(place.slot))
    }

    mutating func push(connection: Int, slot: Int) {
        precondition(count < ring.count, "a place was freed twice")
        let end = head + count
        ring[end < ring.count ? end : end - ring.count] = (Int32(connection), Int32(slot))
        count += 1
    }
}
