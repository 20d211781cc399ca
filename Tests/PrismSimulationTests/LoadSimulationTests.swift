import PrismSimulation
import Testing

@Suite("Load on virtual time") struct LoadSimulationTests {
    private static func run(_ backend: Load.Backend, _ change: (inout Load) -> Void) -> Load.Result {
        var load = Load(backend)
        change(&load)
        let result = Simulation.run(load, seed: 1)
        #expect(result.violations.isEmpty, "\(backend): \(result.violations)")
        return result
    }

    @Test(
        "one client floods with 1,000 requests: of ten polite ones the p99 at most doubles",
        arguments: Load.Backend.allCases)
    func flood(backend: Load.Backend) {
        let calm = Self.run(backend) {
            $0.politeClients = 10
            $0.milliseconds = 2_000
        }
        let flooded = Self.run(backend) {
            $0.politeClients = 10
            $0.floodInFlight = 1_000
            $0.milliseconds = 2_000
        }
        #expect(calm.polite > 100 && flooded.polite > calm.polite * 8 / 10 && flooded.flood > 200)
        #expect(
            flooded.politeP99Nanoseconds <= 2 * calm.politeP99Nanoseconds,
            "\(flooded.politeP99Nanoseconds) ns beside the flood, \(calm.politeP99Nanoseconds) ns without it")
        // What was begun before it, and what is done beside it.
        let atOnce = backend == .postgreSQL ? 20 : 4
        #expect(
            flooded.floodAheadMax <= 3 * atOnce, "a polite request saw \(flooded.floodAheadMax) of the flood answered")
    }

    @Test(
        "ten times the capacity, each within 100 ms: nine tenths of it are answered in time",
        arguments: Load.Backend.allCases)
    func overload(backend: Load.Backend) {
        // Long enough that the first tenth of a second, in which nothing is known yet, does not decide.
        let milliseconds: UInt64 = backend == .postgreSQL ? 3_000 : 1_000
        let capacity = Self.run(backend) {
            $0.floodInFlight = 200
            $0.milliseconds = milliseconds
        }.flood
        let result = Self.run(backend) {
            $0.offeredPerMillisecond = (capacity / Int(milliseconds) + 1) * 10
            $0.milliseconds = milliseconds
        }
        #expect(result.offeredTotal > 8 * capacity)
        #expect(result.offered >= capacity * 9 / 10, "\(result.offered) in time of a capacity of \(capacity)")
        #expect(result.tooLate <= capacity / 50, "\(result.tooLate) answered OK after their deadline")
    }
}
