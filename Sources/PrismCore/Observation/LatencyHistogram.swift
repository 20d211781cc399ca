/// Durations in buckets of a 1-2-5 series from 10 µs to 100 s, and one above. Mergeable; fixed memory.
public struct LatencyHistogram: Sendable, Equatable {
    /// Upper bounds in nanoseconds, inclusive.
    public static let boundsNanoseconds: [UInt64] = {
        var bounds: [UInt64] = []
        var decade: UInt64 = 10_000
        while decade < 100_000_000_000 {
            bounds += [decade, decade * 2, decade * 5]
            decade *= 10
        }
        return bounds + [100_000_000_000]
    }()

    private var buckets = InlineArray<23, UInt64>(repeating: 0)
    public private(set) var sumNanoseconds: UInt64 = 0

    public init() {}

    /// One count a bound, and a last one for what lies above all of them. Not cumulative.
    public var counts: [UInt64] { buckets.indices.map { buckets[$0] } }

    public var count: UInt64 { counts.reduce(0, +) }

    public static func == (first: LatencyHistogram, second: LatencyHistogram) -> Bool {
        first.counts == second.counts && first.sumNanoseconds == second.sumNanoseconds
    }

    public mutating func record(nanoseconds: UInt64) {
        buckets[Self.bucket(nanoseconds)] += 1
        sumNanoseconds = sumNanoseconds.addingReportingOverflow(nanoseconds).partialValue
    }

    /// The first whose bound is not below.
    private static func bucket(_ nanoseconds: UInt64) -> Int {
        var decade: UInt64 = 10_000
        var bucket = 0
        while bucket < 21 {
            if nanoseconds <= decade * 5 {
                return nanoseconds <= decade ? bucket : nanoseconds <= decade * 2 ? bucket + 1 : bucket + 2
            }
            decade *= 10
            bucket += 3
        }
        return nanoseconds <= decade ? bucket : bucket + 1
    }

    public mutating func merge(_ other: LatencyHistogram) {
        for index in buckets.indices { buckets[index] += other.buckets[index] }
        sumNanoseconds &+= other.sumNanoseconds
    }

    /// The bound below which a share of the values lies, nanoseconds; nil without values. Values above the last bound
    /// answer `UInt64.max`: unknown, not 100 s.
    public func quantileBoundNanoseconds(_ share: Double) -> UInt64? {
        let total = count
        guard total > 0 else { return nil }
        let rank = UInt64((Double(total) * share).rounded(.up))
        var seen: UInt64 = 0
        for (index, bound) in Self.boundsNanoseconds.enumerated() {
            seen += buckets[index]
            if seen >= rank { return bound }
        }
        return .max
    }
}
