import Testing

@testable import PrismCore

@Suite struct ShortnessTests {
    private func answer(_ shortness: inout Shortness, _ bytes: Int, times: UInt16 = 1) {
        for _ in 0..<times { shortness.answered(bytes: bytes) }
    }

    @Test("a statement is short after a row of short answers, and no longer after one that is not")
    func learns() {
        var shortness = Shortness()
        #expect(!shortness.isShort)
        answer(&shortness, Shortness.bytesMax, times: Shortness.runsRequiredMin - 1)
        #expect(!shortness.isShort)
        answer(&shortness, 0)
        #expect(shortness.isShort)
        answer(&shortness, Shortness.bytesMax + 1)
        #expect(!shortness.isShort)
        answer(&shortness, 100, times: Shortness.runsRequiredMin)
        #expect(shortness.isShort)
    }

    @Test("each doubt takes twice as many, up to a bound")
    func doubts() {
        var shortness = Shortness()
        var required = Shortness.runsRequiredMin
        while required < Shortness.runsRequiredMax {
            answer(&shortness, 1, times: required)
            #expect(shortness.isShort)
            shortness.isInDoubt()
            // Of one that is not short, nothing is to be doubted.
            shortness.isInDoubt()
            #expect(!shortness.isShort)
            answer(&shortness, 1, times: required)
            #expect(!shortness.isShort)
            required *= 2
            answer(&shortness, Shortness.bytesMax + 1)
        }
        for _ in 0..<3 {
            answer(&shortness, 1, times: Shortness.runsRequiredMax)
            #expect(shortness.isShort)
            shortness.isInDoubt()
        }
    }
}
