import PrismCore

/// What one seed stands for: limits, backends, clients, and how the ending comes.
struct Scenario {
    static let start: UInt64 = 1_000_000_000_000

    var settings = MultiplexerSettings()
    var drain = DrainMachine.Settings()
    var backends: [BackendBehaviour] = []
    var clients: [ClientProfile] = []
    /// By time after the start.
    var signals: [(time: UInt64, event: DrainMachine.Event)] = []
    /// The longest that the server's loop may be held up between two ticks, nanoseconds.
    var stallNanosecondsMax: UInt64 = 1_000_000

    static func draw(_ random: inout SeededGenerator) -> Scenario {
        var scenario = Scenario()
        scenario.settings.serverVersion = "simulated"
        scenario.settings.slowRequestNanoseconds = 0
        scenario.settings.backends = RequestFactory.backends.enumerated().map { index, name in
            BackendDescription(name: name, kind: .sqlite, isDefault: index == 0)
        }
        scenario.settings.access = AccessPolicy(rules: [
            AccessPolicy.Rule(uid: 1_001, isReadOnly: true, label: "reader"), AccessPolicy.Rule(label: "all"),
        ])
        scenario.drawLimits(&random)
        scenario.backends = [BackendBehaviour.draw(&random), BackendBehaviour.draw(&random)]
        for _ in 0..<(1 + random.below(8)) { scenario.clients.append(ClientProfile.draw(&random)) }
        scenario.drawEnding(&random)
        scenario.stallNanosecondsMax = random.pick([0, 100_000, 1_000_000])
        return scenario
    }

    private mutating func drawLimits(_ random: inout SeededGenerator) {
        settings.wire.frameBytesMax = random.pick([2_000, 65_536, 4 << 20])
        settings.inFlightPerConnectionMax = random.pick([1, 2, 8, 1_024, 1_024])
        settings.inFlightMax = random.pick([3, 20, 65_536, 65_536])
        settings.bufferedBytesPerConnectionMax = random.pick([200, 2_000, 8 << 20])
        settings.bufferedBytesMax = random.pick([1_000, 20_000, 256 << 20, 256 << 20])
        settings.transactionsMax = random.pick([1, 2, 1_024, 1_024])
        settings.streamWindowBytes = random.pick([100, 1_000, 256 << 10])
        settings.connectionsMax = random.pick([2, 16_384, 16_384, 16_384])
        for index in settings.backends.indices where random.chance(300) {
            settings.backends[index].writeTransactionIdleNanoseconds = random.spread(1_000_000, 1_000_000_000)
            settings.backends[index].writeTransactionTotalNanoseconds = random.spread(5_000_000, 5_000_000_000)
            settings.backends[index].readTransactionIdleNanoseconds = random.spread(1_000_000, 1_000_000_000)
        }
    }

    private mutating func drawEnding(_ random: inout SeededGenerator) {
        drain.mode = random.chance(500) ? .native : .classic
        if drain.mode == .classic {
            drain.totalNanoseconds = random.pick([2_000_000_000, 25_000_000_000])
            drain.quietNanoseconds = random.pick([1_000_000, 1_000_000_000])
        }
        drain.afterSigtermNanoseconds = random.pick([700_000_000, 1_500_000_000])
        let first =
            random.chance(300) ? random.spread(40_000_000_000, 90_000_000_000) : random.between(0, 4_000_000_000)
        signals.append((first, random.pick([.drainRequested, .terminate, .interrupt])))
        var time = first
        for _ in 0..<random.below(3) {
            time += random.spread(1_000_000, 4_000_000_000)
            signals.append((time, random.pick([.drainRequested, .terminate, .interrupt])))
        }
        // Without a last SIGTERM, lame duck in native mode would have no end.
        signals.append((time + random.spread(1_000_000, 30_000_000_000), .terminate))
    }
}
