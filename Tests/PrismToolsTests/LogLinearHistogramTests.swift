import Testing

@testable import PrismTools

@Suite struct LogLinearHistogramTests {
    @Test func everyValueLiesInItsBucketWithinOnePercent() {
        var value: UInt64 = 0
        while value < UInt64.max / 3 * 2 {
            let bound = LogLinearHistogram.upperBound(LogLinearHistogram.index(value))
            #expect(bound >= value)
            #expect(Double(bound - value) <= Double(value) * 0.01)
            value = value + value / 1_000 + 1
        }
        #expect(LogLinearHistogram.upperBound(LogLinearHistogram.index(.max)) == .max)
    }

    @Test func bucketsAreInOrder() {
        for shift in 0..<63 {
            let value = UInt64(1) << UInt64(shift)
            #expect(LogLinearHistogram.index(value) > LogLinearHistogram.index(value - 1) || value <= 1)
        }
    }

    @Test func percentilesAreThoseOfTheSortedValues() throws {
        var histogram = LogLinearHistogram()
        for microseconds in 1...10_000 as ClosedRange<UInt64> { histogram.record(nanoseconds: microseconds * 1_000) }
        for (share, truth) in [(0.5, 5_000_000.0), (0.9, 9_000_000), (0.99, 9_900_000), (0.999, 9_990_000)] {
            let value = Double(try #require(histogram.quantileNanoseconds(share)))
            #expect(value >= truth && value <= truth * 1.01)
        }
        #expect(histogram.quantileNanoseconds(1) == 10_000_000)
        #expect(histogram.maximumNanoseconds == 10_000_000)
    }

    /// A histogram that ended at 100 ms once reported "p99 100 ms" for a system whose mean was 2.4 s.
    @Test func longLatenciesAreNotCutOff() throws {
        var histogram = LogLinearHistogram()
        for _ in 1...99 { histogram.record(nanoseconds: 90_000_000_000) }
        histogram.record(nanoseconds: 3_600_000_000_000)
        let median = Double(try #require(histogram.quantileNanoseconds(0.5)))
        #expect(median >= 90e9 && median <= 90.9e9)
        #expect(histogram.quantileNanoseconds(0.999) == 3_600_000_000_000)
    }

    @Test func withoutValuesThereAreNoPercentiles() {
        #expect(LogLinearHistogram().quantileNanoseconds(0.5) == nil)
    }
}
