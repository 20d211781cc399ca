import PrismCore

/// How a model of a PostgreSQL server serves and how it fails, and the engine's settings; drawn once for a run. Chances are
/// per mille.
struct ServerBehaviour {
    var settings = EngineSettings()

    // Times, nanoseconds.
    var connectLow: UInt64 = 100_000
    var connectHigh: UInt64 = 5_000_000
    /// For one statement.
    var stepLow: UInt64 = 10_000
    var stepHigh: UInt64 = 1_000_000
    /// A commit takes so many times as long.
    var commitFactor: UInt64 = 1
    /// After a crash nobody is let in for so long.
    var recoveryNanoseconds: UInt64 = 500_000_000
    /// When the server crashes, after the start.
    var crashes: [UInt64] = []

    // Connecting.
    var connectFailsChance = 0
    /// Fails at the end of the connect timeout.
    var connectHangsChance = 0

    // Statements.
    var stallChance = 0
    /// A step never ends by itself: a lock that is not given up.
    var hangChance = 0
    var failChance = 0
    var prepareFailsChance = 0
    /// The types that the values declare are refused for statements whose length it divides; 0: for none.
    var typesRefusedDivisor = 0
    var staleChance = 0
    /// A deferred constraint, or a serialization failure, at the commit.
    var commitRefusedChance = 0
    /// A commit waits for a standby; a cancel ends only the waiting.
    var standbyChance = 0

    /// Answers that fit into the server's buffer: so many, and they go on their way before the Sync.
    var heldRepliesMax = 64

    // Connections.
    /// At a step: ended by an administrator, killed, or cut off while the server goes on.
    var loseChance = 0
    /// At a step: it falls silent, and is found lost much later.
    var freezeChance = 0

    // Cancels.
    var cancelLostChance = 0
    /// It reaches the process only after its call has returned.
    var cancelLateChance = 0
    /// Its call takes seconds to return.
    var cancelSlowChance = 0

    static func draw(_ random: inout SeededGenerator) -> ServerBehaviour {
        var behaviour = ServerBehaviour()
        behaviour.drawSettings(&random)
        behaviour.connectLow = random.spread(10_000, 1_000_000)
        behaviour.connectHigh = behaviour.connectLow + random.spread(10_000, 200_000_000)
        behaviour.stepLow = random.spread(1_000, 1_000_000)
        behaviour.stepHigh = behaviour.stepLow + random.spread(1_000, 50_000_000)
        behaviour.heldRepliesMax = random.pick([1, 8, 64, 64])
        // A third of the servers is healthy: with trouble everywhere the ordinary way would never be walked.
        guard !random.chance(333) else { return behaviour }
        behaviour.drawTrouble(&random)
        return behaviour
    }

    private mutating func drawTrouble(_ random: inout SeededGenerator) {
        func some(_ random: inout SeededGenerator, _ most: Int) -> Int { random.chance(400) ? random.below(most) : 0 }
        connectFailsChance = some(&random, 700)
        connectHangsChance = some(&random, 200)
        stallChance = some(&random, 100)
        hangChance = some(&random, 60)
        failChance = some(&random, 400)
        prepareFailsChance = some(&random, 200)
        typesRefusedDivisor = random.pick([0, 0, 1, 2])
        staleChance = some(&random, 300)
        commitRefusedChance = some(&random, 300)
        standbyChance = some(&random, 200)
        loseChance = some(&random, 150)
        freezeChance = some(&random, 20)
        cancelLostChance = some(&random, 500)
        cancelLateChance = some(&random, 1_000)
        cancelSlowChance = some(&random, 300)
        recoveryNanoseconds = random.spread(1_000_000, 5_000_000_000)
        if random.chance(300) {
            for _ in 0...random.below(4) { crashes.append(random.between(0, 5_000_000_000)) }
        }
    }

    private mutating func drawSettings(_ random: inout SeededGenerator) {
        settings.pool.connectionsMax = random.pick([1, 1, 2, 5, 20])
        settings.pool.connectionsMin = random.below(settings.pool.connectionsMax + 1)
        settings.pool.connectsAtOnceMax = random.pick([1, 4])
        if random.chance(200) { settings.pool.waitersMax = random.pick([1, 2, 8]) }
        if random.chance(200) { settings.pool.acquireTimeoutNanoseconds = random.spread(1_000_000, 5_000_000_000) }
        if random.chance(300) { settings.pool.idleTimeoutNanoseconds = random.spread(1_000_000, 10_000_000_000) }
        if random.chance(300) { settings.pool.lifetimeNanoseconds = random.spread(50_000_000, 10_000_000_000) }
        settings.statementCacheMax = random.pick([0, 1, 2, 256])
        settings.knownStatementsMax = random.pick([1, 2, 1_024])
        settings.streamPartBytes = random.pick([1, 100, 900])
        settings.resultBytesMax = random.pick([200, 1 << 20, 1 << 20])
        settings.executionsPerRoundMax = random.pick([1, 2, 128])
        settings.sweepIntervalNanoseconds = random.pick([0, 300_000_000, 5_000_000_000])
        settings.sweepRows = 10
        settings.sharedConnectionsMax = random.pick([0, 1, 2, 2])
        settings.sharedBatchMax = random.pick([1, 2, 32])
        settings.sharedBatchMin = random.pick([1, 2, 16])
        settings.sharedResultBytesMax = random.pick([100, 64 << 10])
        settings.sharedGuardNanoseconds = random.spread(100_000, 1_000_000_000)
        settings.seed = random.next()
    }

    /// How long a statement takes; nil: it hangs.
    func step(_ random: inout SeededGenerator, isCommit: Bool = false) -> UInt64? {
        if random.chance(hangChance) { return nil }
        if random.chance(stallChance) { return random.spread(50_000_000, 60_000_000_000) }
        return random.between(stepLow, stepHigh) * (isCommit ? commitFactor : 1)
    }
}
