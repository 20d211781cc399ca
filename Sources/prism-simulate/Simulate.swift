public import ArgumentParser
internal import Glibc
public import PrismSimulation

/// Runs the core on virtual time, one run a seed; a broken promise prints its seed and ends with exit code 1.
@main struct Simulate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "prism-simulate",
        abstract: "Run the core on virtual time under seeds, and check every promise.",
        discussion: """
            Each seed is one run: limits, clients, backends and the ending are drawn from it, and it always runs the same. \
            See docs/simulator.md.

            Exit codes: 0 no promise was broken; 1 one was, and its seeds are printed; 64 wrong arguments.
            """)

    @Option(help: "How many seeds (N: 1 to N), or which ones (A..B).")
    var seeds: SeedRange?

    @Option(help: "One seed.")
    var seed: UInt64?

    @Flag(help: "Print every event with its virtual time; needs --seed.")
    var trace = false

    @Option(
        help:
            "A deliberate fault, to see the oracle find it: \(Sabotage.allCases.map(\.rawValue).joined(separator: ", "))."
    )
    var sabotage: Sabotage?

    @Flag(help: "Print no coverage.")
    var quiet = false

    func validate() throws {
        if trace, seed == nil { throw ValidationError("--trace needs --seed: a trace is of one run") }
        if seed != nil, seeds != nil { throw ValidationError("--seed and --seeds exclude each other") }
    }

    func run() throws {
        let range = seed.map { SeedRange(first: $0, last: $0) } ?? seeds ?? SeedRange(first: 1, last: 1_000)
        let printer: ((UInt64, String) -> Void)? =
            trace ? { print("\(formattedMilliseconds($0)) ms  \($1)") } : nil
        var coverage = Coverage()
        var failed: [UInt64] = []
        var requests = 0
        for seed in range.first...range.last {
            let result = Simulation.run(seed: seed, sabotage: sabotage, trace: printer)
            coverage.merge(result.coverage)
            requests += result.requests
            if trace { print("digest \(result.digest)") }
            guard !result.violations.isEmpty else { continue }
            failed.append(seed)
            print("seed \(seed):")
            for violation in result.violations { print("  \(violation)") }
        }
        if !quiet { printCoverage(coverage) }
        print("\(range.last - range.first + 1) runs, \(requests) requests, \(failed.count) runs broke a promise")
        guard !failed.isEmpty else { return }
        let list = failed.prefix(20).map(String.init).joined(separator: " ")
        print("reproduce with: prism-simulate --seed S --trace, S one of: \(list)\(failed.count > 20 ? " …" : "")")
        throw ExitCode(1)
    }

    private func printCoverage(_ coverage: Coverage) {
        print("runs that saw:")
        for point in CoveragePoint.allCases {
            print("  \(point) \(coverage[point])")
        }
        print("runs that took:")
        for (transition, count) in coverage.transitionCounts { print("  \(transition) \(count)") }
    }
}

/// `N`, or `A..B`, both included.
struct SeedRange: ExpressibleByArgument {
    let first: UInt64
    let last: UInt64

    init(first: UInt64, last: UInt64) {
        self.first = first
        self.last = last
    }

    init?(argument: String) {
        let bounds = argument.split(separator: ".", omittingEmptySubsequences: true)
        if bounds.count == 1, let count = UInt64(argument), count > 0 {
            self.init(first: 1, last: count)
        } else if bounds.count == 2, argument.contains(".."), let first = UInt64(bounds[0]),
            let last = UInt64(bounds[1]), first <= last
        {
            self.init(first: first, last: last)
        } else {
            return nil
        }
    }
}

extension Sabotage: ExpressibleByArgument {}
