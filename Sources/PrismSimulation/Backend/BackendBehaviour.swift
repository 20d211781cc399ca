import PrismCore

/// How a model backend serves and how it fails; drawn once for a run. Chances are per mille.
struct BackendBehaviour {
    var readers = 4
    var readerConnections = 20
    var idleTimeoutNanoseconds: UInt64 = 60_000_000_000
    var queueRequestsMax = 1_024
    var acquireTimeoutNanoseconds: UInt64 = 5_000_000_000
    var groupMembersMax = 128
    var answerBytesMax = 4 << 20
    /// Nanoseconds for one step: a statement, a BEGIN, a COMMIT.
    var stepLow: UInt64 = 10_000
    var stepHigh: UInt64 = 1_000_000
    /// COMMIT takes so many times as long.
    var commitFactor: UInt64 = 1
    /// A step takes seconds instead.
    var stallChance = 0
    /// A step never ends by itself.
    var hangChance = 0
    /// Refused on submit.
    var refuseChance = 0
    /// Fails in execution and leaves nothing.
    var failChance = 0
    /// Ends the whole transaction with it: full disk, I/O error.
    var dieChance = 0
    /// A stopped statement takes its transaction along, as an interrupt may.
    var stopKillsChance = 300
    var beginFailsChance = 0
    var commitRefusedChance = 0
    var commitUnknownChance = 0

    static func draw(_ random: inout SeededGenerator) -> BackendBehaviour {
        var behaviour = BackendBehaviour()
        behaviour.readers = random.pick([1, 1, 2, 4])
        behaviour.readerConnections = random.pick([1, 2, 3, 20])
        if random.chance(300) { behaviour.idleTimeoutNanoseconds = random.spread(1_000_000, 1_000_000_000) }
        behaviour.groupMembersMax = random.pick([1, 2, 8, 128])
        behaviour.answerBytesMax = random.pick([64, 2_000, 4 << 20])
        if random.chance(200) { behaviour.queueRequestsMax = random.pick([1, 2, 8]) }
        if random.chance(200) { behaviour.acquireTimeoutNanoseconds = random.spread(1_000_000, 5_000_000_000) }
        behaviour.stepLow = random.spread(1_000, 1_000_000)
        behaviour.stepHigh = behaviour.stepLow + random.spread(1_000, 50_000_000)
        // A third of the backends is healthy: with trouble everywhere the ordinary way would never be walked.
        guard !random.chance(333) else { return behaviour }
        func some(_ random: inout SeededGenerator, _ most: Int) -> Int { random.chance(400) ? random.below(most) : 0 }
        behaviour.stallChance = some(&random, 100)
        behaviour.hangChance = some(&random, 30)
        behaviour.refuseChance = some(&random, 200)
        behaviour.failChance = some(&random, 400)
        behaviour.dieChance = some(&random, 200)
        behaviour.stopKillsChance = random.below(1_000)
        behaviour.beginFailsChance = some(&random, 200)
        behaviour.commitRefusedChance = some(&random, 300)
        behaviour.commitUnknownChance = some(&random, 300)
        return behaviour
    }

    /// How long a step takes; nil: it hangs.
    func step(_ random: inout SeededGenerator, isCommit: Bool) -> UInt64? {
        if random.chance(hangChance) { return nil }
        if random.chance(stallChance) { return random.spread(50_000_000, 60_000_000_000) }
        return random.between(stepLow, stepHigh) * (isCommit ? commitFactor : 1)
    }
}
