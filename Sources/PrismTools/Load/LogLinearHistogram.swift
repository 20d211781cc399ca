/// Durations with at most 0.8 % error from 1 ns to the largest 64-bit number: 128 buckets for each power of two.
///
/// There is no upper end: a histogram that stops at some bound reports that bound as its percentile, whatever the truth is.
public struct LogLinearHistogram: Sendable {
    private static let bitsInBucket: UInt64 = 7
    private static let bucketsPerPower = 128

    private var counts = [UInt64](repeating: 0, count: 58 * bucketsPerPower)
    public private(set) var count: UInt64 = 0
    /// Exact; 0 without values.
    public private(set) var maximumNanoseconds: UInt64 = 0

    public init() {}

    public mutating func record(nanoseconds: UInt64) {
        counts[Self.index(nanoseconds)] += 1
        count += 1
        if nanoseconds > maximumNanoseconds { maximumNanoseconds = nanoseconds }
    }

    /// The value that `share` (0…1) of all values do not exceed, never below the truth and at most 0.8 % above it. Nil
    /// without values.
    public func quantileNanoseconds(_ share: Double) -> UInt64? {
        guard count > 0 else { return nil }
        let rank = max(1, min(count, UInt64((Double(count) * share).rounded(.up))))
        var seen: UInt64 = 0
        for (index, bucket) in counts.enumerated() where bucket > 0 {
            seen += bucket
            if seen >= rank { return min(Self.upperBound(index), maximumNanoseconds) }
        }
        return maximumNanoseconds
    }

    static func index(_ value: UInt64) -> Int {
        guard value >= UInt64(bucketsPerPower) else { return Int(value) }
        let shift = 63 - UInt64(value.leadingZeroBitCount) - bitsInBucket
        return Int(shift) * bucketsPerPower + Int(value >> shift)
    }

    /// The largest value that falls into a bucket.
    static func upperBound(_ index: Int) -> UInt64 {
        guard index >= 2 * bucketsPerPower else { return UInt64(index) }
        let shift = UInt64(index / bucketsPerPower - 1)
        let leading = UInt64(index % bucketsPerPower + bucketsPerPower)
        return ((leading + 1) << shift) &- 1
    }
}
