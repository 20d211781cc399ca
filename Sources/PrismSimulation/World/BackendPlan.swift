import PrismCore

/// What kind of backend one is, and how it behaves; drawn once for a run.
enum BackendPlan {
    case sqlite(BackendBehaviour)
    case postgreSQL(ServerBehaviour)

    static func draw(
        _ kind: BackendDescription.Kind, _ settings: MultiplexerSettings, _ random: inout SeededGenerator
    ) -> BackendPlan {
        switch kind {
        case .sqlite: return .sqlite(BackendBehaviour.draw(&random))
        case .postgreSQL:
            var behaviour = ServerBehaviour.draw(&random)
            behaviour.settings.limits = settings.wire
            behaviour.settings.streamWindowBytes = settings.streamWindowBytes
            return .postgreSQL(behaviour)
        }
    }

    /// Mostly works.
    mutating func calm() {
        switch self {
        case .sqlite(var behaviour):
            behaviour.hangChance = 0
            behaviour.refuseChance = 0
            behaviour.stallChance /= 8
            behaviour.failChance /= 4
            behaviour.stepHigh = min(behaviour.stepHigh, 2_000_000)
            behaviour.stepLow = min(behaviour.stepLow, behaviour.stepHigh)
            self = .sqlite(behaviour)
        case .postgreSQL(var behaviour):
            behaviour.hangChance = 0
            behaviour.stallChance /= 8
            behaviour.failChance /= 4
            behaviour.stepHigh = min(behaviour.stepHigh, 2_000_000)
            behaviour.stepLow = min(behaviour.stepLow, behaviour.stepHigh)
            self = .postgreSQL(behaviour)
        }
    }

    /// One or two connections, and statements that take their time.
    mutating func crowd(_ random: inout SeededGenerator) {
        switch self {
        case .sqlite(var behaviour):
            behaviour.readerConnections = random.pick([1, 2])
            self = .sqlite(behaviour)
        case .postgreSQL(var behaviour):
            behaviour.settings.pool.connectionsMax = random.pick([1, 2])
            behaviour.settings.pool.connectionsMin = 1
            behaviour.settings.pool.waitersMax = 1_024
            behaviour.stepHigh = behaviour.stepLow + random.spread(1_000_000, 20_000_000)
            behaviour.cancelLateChance = random.pick([0, 500, 1_000])
            self = .postgreSQL(behaviour)
        }
    }

    /// What is short is shared, and mostly works.
    mutating func share(_ random: inout SeededGenerator) {
        calm()
        guard case .postgreSQL(var behaviour) = self else { return }
        behaviour.settings.pool.connectionsMax = random.pick([2, 3, 5])
        behaviour.settings.pool.waitersMax = 1_024
        behaviour.settings.knownStatementsMax = 1_024
        // While one batch is under way, the next one gathers.
        behaviour.settings.sharedConnectionsMax = random.pick([1, 1, 2])
        behaviour.settings.sharedBatchMax = random.pick([3, 32])
        behaviour.settings.sharedBatchMin = random.pick([2, 8])
        behaviour.settings.sharedResultBytesMax = random.pick([1_000, 64 << 10])
        behaviour.settings.sharedGuardNanoseconds = random.spread(1_000_000, 100_000_000)
        behaviour.stepLow = random.spread(20_000, 200_000)
        behaviour.stepHigh = behaviour.stepLow + random.spread(1_000, 500_000)
        self = .postgreSQL(behaviour)
    }

    mutating func slowCommits(_ factor: UInt64) {
        switch self {
        case .sqlite(var behaviour):
            behaviour.commitFactor = factor
            self = .sqlite(behaviour)
        case .postgreSQL(var behaviour):
            behaviour.commitFactor = factor
            self = .postgreSQL(behaviour)
        }
    }
}
