internal import ArgumentParser
internal import Glibc
internal import PrismFuzzing

/// Mutated input into the decoder and the multiplexer, one run a seed, until the time is over.
@main struct Fuzz: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "prism-fuzz",
        abstract: "Feed mutated frames to the decoder and the core, in process, under seeds.",
        discussion: """
            Each seed is one run and always runs the same. `make fuzz` calls this, and does the same through a real socket.

            Exit codes: 0 everything held; 1 something did not, or crashed, or hung: its seed is printed; 64 wrong arguments.
            """)

    /// A run takes milliseconds; one that takes longer hangs.
    static let runSecondsMax: UInt32 = 20

    @Option(help: "How long to go on.")
    var seconds: Double = 10

    @Option(help: "The first seed; with --runs 1 the only one.")
    var seed: UInt64 = 1

    @Option(help: "At most so many runs; 0: as many as the time allows.")
    var runs: UInt64 = 0

    @Option(help: "The directory with the vectors to start from.")
    var corpus = "Tests/Vectors"

    func run() throws {
        let streams = Corpus.read(corpus)
        guard !streams.isEmpty else {
            throw ValidationError(
                "there is no *.bin under \(corpus); run it from the top of a checkout, or name --corpus")
        }
        LastWords.install()
        let began = Self.now()
        var done: UInt64 = 0
        while (runs == 0 || done < runs) && Self.now() - began < seconds {
            let current = seed &+ done
            LastWords.prepare(seed: current)
            alarm(Self.runSecondsMax)
            var run = FuzzRun(seed: current, corpus: streams)
            let problems = run.run()
            guard problems.isEmpty else {
                print("seed \(current):")
                for problem in problems.prefix(5) { print("  \(problem)") }
                print("reproduce with: make fuzz SEED=\(current)")
                throw ExitCode(1)
            }
            done += 1
        }
        alarm(0)
        print("in process: \(done) runs from seed \(seed), \(streams.count) vectors to start from, nothing broke")
    }

    private static func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}
