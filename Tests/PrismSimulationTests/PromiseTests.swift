import PrismSimulation
import Testing

/// The promises of the contract, held against runs that are a pure function of their seeds.
@Suite struct PromiseTests {
    static let seeds: ClosedRange<UInt64> = 1...600

    @Test("no run breaks a promise, and together the runs meet every situation that the simulator is there for")
    func promisesHold() {
        var coverage = Coverage()
        for seed in Self.seeds {
            let result = Simulation.run(seed: seed)
            #expect(
                result.violations.isEmpty,
                "seed \(seed), reproduce with prism-simulate --seed \(seed) --trace: \(result.violations)")
            coverage.merge(result.coverage)
        }
        #expect(coverage.missing.isEmpty, "no run saw \(coverage.missing)")
        #expect(coverage.missingTransitions.isEmpty, "no run took \(coverage.missingTransitions)")
    }

    @Test("a seed always gives the same run, traced or not")
    func reproducible() {
        for seed: UInt64 in [1, 7, 42, .max] {
            let first = Simulation.run(seed: seed)
            var events = 0
            let second = Simulation.run(seed: seed, trace: { _, _ in events += 1 })
            #expect(first.digest == second.digest)
            #expect(first.requests == second.requests && first.answers == second.answers)
            #expect(first.virtualNanoseconds == second.virtualNanoseconds)
            #expect(events > 0)
        }
        #expect(Simulation.run(seed: 1).digest != Simulation.run(seed: 2).digest)
    }
}
