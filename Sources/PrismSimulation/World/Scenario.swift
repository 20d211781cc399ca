import PrismCore

/// What one seed stands for: limits, backends, clients, and how the ending comes.
struct Scenario {
    static let start: UInt64 = 1_000_000_000_000

    /// Half of the runs draw everything freely; the others lean towards what free draws seldom meet.
    enum Theme: CaseIterable {
        case free
        /// Many transactions on backends that mostly work.
        case transactions
        /// COMMIT takes long, and clients cancel and leave meanwhile.
        case slowCommits
        /// Clients come and go while the sidecar ends.
        case ending
        /// Cancels everywhere, on few connections that are always busy.
        case cancels
        /// Short reads of many clients, which travel together on PostgreSQL.
        case sharing
    }

    var settings = MultiplexerSettings()
    var drain = DrainMachine.Settings()
    var backends: [BackendPlan] = []
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
        for index in scenario.settings.backends.indices where random.chance(500) {
            scenario.settings.backends[index].beginAsPostgreSQL()
        }
        scenario.settings.access = AccessPolicy(rules: [
            AccessPolicy.Rule(uid: 1_001, isReadOnly: true, label: "reader"), AccessPolicy.Rule(label: "all"),
        ])
        scenario.drawLimits(&random)
        for backend in scenario.settings.backends {
            scenario.backends.append(BackendPlan.draw(backend.kind, scenario.settings, &random))
        }
        for _ in 0..<(1 + random.below(8)) { scenario.clients.append(ClientProfile.draw(&random)) }
        scenario.drawEnding(&random)
        scenario.lean(
            random.pick([.free, .free, .free, .free, .transactions, .slowCommits, .ending, .ending, .cancels, .sharing]
            ), &random
        )
        scenario.stallNanosecondsMax = random.pick([0, 100_000, 1_000_000])
        return scenario
    }

    private mutating func drawLimits(_ random: inout SeededGenerator) {
        settings.wire.frameBytesMax = random.pick([2_000, 65_536, 4 << 20])
        settings.inFlightPerConnectionMax = random.pick([1, 2, 8, 1_024, 1_024])
        settings.inFlightMax = random.pick([3, 20, 65_536, 65_536])
        settings.bufferedBytesPerConnectionMax = random.pick([200, 2_000, 8 << 20])
        settings.bufferedBytesMax = random.pick([1_000, 20_000, 256 << 20, 256 << 20])
        if settings.bufferedBytesMax <= 20_000 {
            // Frames of some hundred bytes are large here.
            settings.unreservedFrameBytes = 100
            settings.frameTimeoutNanoseconds = 500_000_000
        }
        settings.transactionsMax = random.pick([1, 2, 1_024, 1_024])
        settings.streamWindowBytes = random.pick([100, 1_000, 256 << 10])
        settings.streamStallNanoseconds = random.pick([1_000_000, 50_000_000, 1_000_000_000])
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

    /// Classic, all through lame duck without a signal: the first one comes while requests are drained, or while the last answers
    /// wait for a client that does not read.
    private mutating func endImpatiently(_ first: UInt64, _ random: inout SeededGenerator) {
        drain.mode = .classic
        drain.totalNanoseconds = 2_000_000_000
        let cancelling = first + drain.totalNanoseconds - DrainMachine.drainingReserveNanoseconds
        let draining = first + drain.totalNanoseconds - drain.afterSigtermNanoseconds
        let isDraining = random.chance(600)
        let time =
            isDraining
            ? random.between(draining, draining + (cancelling - draining) / 2)
            : cancelling + random.between(0, DrainMachine.cancellingNanosecondsMax)
        signals = [
            (first, .drainRequested), (time, isDraining ? .interrupt : random.pick([.interrupt, .terminate])),
            (cancelling + DrainMachine.cancellingNanosecondsMax * 2, .terminate),
        ]
        clients[0].neverReads = true
        clients[0].startNanoseconds = first
    }

    private mutating func lean(_ theme: Theme, _ random: inout SeededGenerator) {
        switch theme {
        case .free: return
        case .transactions:
            settings.inFlightMax = 65_536
            settings.bufferedBytesMax = 256 << 20
            settings.transactionsMax = 1_024
            for index in backends.indices { backends[index].calm() }
            for index in clients.indices {
                clients[index].requests = 80
                clients[index].transactionChance = random.pick([800, 950])
                clients[index].shortDeadlineChance = random.pick([0, 0, 60])
                clients[index].cancelChance = random.pick([0, 0, 100])
                clients[index].thinkHigh = clients[index].thinkLow + random.spread(1_000, 20_000_000)
                clients[index].neverReads = false
            }
        case .slowCommits:
            for index in backends.indices { backends[index].slowCommits(random.between(20, 2_000)) }
            for index in clients.indices {
                clients[index].cancelChance = random.pick([0, 400])
                clients[index].shortDeadlineChance = random.pick([0, 300])
                if random.chance(400) { clients[index].ending = .vanish }
                clients[index].neverReads = false
            }
        case .cancels:
            for index in backends.indices { backends[index].crowd(&random) }
            settings.inFlightPerConnectionMax = 1_024
            for index in clients.indices {
                clients[index].requests = 80
                clients[index].inFlightMax = random.pick([8, 40])
                clients[index].cancelChance = random.pick([100, 300])
                clients[index].shortDeadlineChance = random.pick([0, 300])
                clients[index].transactionChance = random.pick([0, 200])
                clients[index].thinkHigh = clients[index].thinkLow + random.spread(1_000, 10_000_000)
                clients[index].neverReads = false
            }
        case .sharing:
            settings.inFlightPerConnectionMax = 1_024
            settings.inFlightMax = 65_536
            settings.bufferedBytesMax = 256 << 20
            settings.connectionsMax = 16_384
            settings.wire.frameBytesMax = 65_536
            for index in backends.indices { backends[index].share(&random) }
            while clients.count < 4 { clients.append(ClientProfile.draw(&random)) }
            for index in clients.indices {
                clients[index].requests = 150
                clients[index].inFlightMax = random.pick([8, 40])
                clients[index].readChance = random.pick([800, 950])
                clients[index].transactionChance = 0
                clients[index].cancelChance = random.pick([0, 50, 200])
                clients[index].shortDeadlineChance = random.pick([0, 0, 200])
                clients[index].thinkLow = random.spread(1_000, 50_000)
                clients[index].thinkHigh = clients[index].thinkLow + random.spread(1_000, 200_000)
                clients[index].startNanoseconds = random.spread(1_000, 1_000_000)
                clients[index].endsAfter = .max
                clients[index].fault = nil
                clients[index].writeBytesMax = 65_536
                clients[index].readBytesMax = 65_536
                clients[index].socketBytes = 65_536
                clients[index].neverReads = false
            }
            // So that there is something to share before the end comes.
            for index in signals.indices { signals[index].time += 500_000_000 }
        case .ending:
            let first = signals[0].time
            for index in 1..<signals.count {
                signals[index].time = signals[index - 1].time + random.spread(1_000_000, 500_000_000)
            }
            for index in clients.indices {
                let spread = random.between(0, 800_000_000)
                clients[index].startNanoseconds = random.chance(500) ? first + spread : first - min(first, spread)
                clients[index].requests = max(clients[index].requests, 20)
            }
            if random.chance(400) { endImpatiently(first, &random) }
        }
    }
}

extension BackendDescription {
    fileprivate mutating func beginAsPostgreSQL() {
        kind = .postgreSQL
        writeTransactionIdleNanoseconds = 10_000_000_000
        writeTransactionTotalNanoseconds = 60_000_000_000
    }
}
