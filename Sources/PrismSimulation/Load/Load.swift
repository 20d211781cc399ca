internal import PrismCore
import PrismWire

/// What is asked of one healthy backend, evenly, while it is measured; nothing is drawn but the order of events.
public struct Load: Sendable {
    public enum Backend: String, Sendable, CaseIterable {
        /// The writer of SQLite: groups of at most 4, of which the commit takes 1 ms.
        case sqliteWriter
        /// SQLite's readers: 4 threads, 10 ms a read.
        case sqliteReaders
        /// 20 connections, 10 ms a request.
        case postgreSQL
    }

    public var backend: Backend
    /// One client that has so many requests in flight at any time, and all its time for each; 0: none.
    public var floodInFlight = 0
    /// Clients that ask for one thing at a time, 20 times a second at most, each with a uid of its own.
    public var politeClients = 0
    /// Requests that come each millisecond, whatever becomes of those before them, each within 100 ms; 0: none.
    public var offeredPerMillisecond = 0
    public var milliseconds: UInt64 = 1_000

    public init(_ backend: Backend) { self.backend = backend }

    static let timeoutMicroseconds: UInt64 = 100_000
    static let floodUID: UInt32 = 5_000
    private static let offeringClients = 10

    /// What was made of it.
    public struct Result: Sendable {
        public let violations: [Violation]
        /// Answered OK while it was asked for, of each kind of client.
        public internal(set) var flood = 0
        public internal(set) var polite = 0
        public internal(set) var offered = 0
        /// Of those offered: answered OK, but after their deadline.
        public internal(set) var tooLate = 0
        /// Of those offered: sent.
        public internal(set) var offeredTotal = 0
        /// Most requests of the flood that were answered between one polite request's arrival and its answer.
        public internal(set) var floodAheadMax = 0
        /// What polite requests took, the longest of a hundred left out; nanoseconds.
        public internal(set) var politeP99Nanoseconds: UInt64 = 0
    }

    var scenario: Scenario {
        var scenario = Scenario()
        scenario.settings.serverVersion = "simulated"
        scenario.settings.slowRequestNanoseconds = 0
        scenario.stallNanosecondsMax = 0
        scenario.settings.backends = [
            BackendDescription(
                name: RequestFactory.backends[0], kind: backend == .postgreSQL ? .postgreSQL : .sqlite,
                isDefault: true)
        ]
        scenario.backends = [plan]
        let (kind, time) = (backend == .sqliteWriter ? OperationKind.put : .get, milliseconds * 1_000_000)
        if floodInFlight > 0 {
            var flood = ClientProfile()
            flood.uid = Self.floodUID
            flood.inFlightMax = floodInFlight
            flood.thinkHigh = flood.thinkLow
            flood.steady = ClientProfile.Steady(kind: kind, perStep: floodInFlight, untilNanoseconds: time)
            scenario.clients.append(flood)
        }
        for number in 0..<politeClients {
            var polite = ClientProfile()
            polite.uid = Self.floodUID + 1 + UInt32(number)
            polite.inFlightMax = 1
            polite.startNanoseconds = 200_000_000 + UInt64(number) * 3_100_000
            polite.thinkLow = 10_000_000
            polite.thinkHigh = 50_000_000
            polite.steady = ClientProfile.Steady(kind: kind, perStep: 1, untilNanoseconds: time)
            scenario.clients.append(polite)
        }
        for _ in 0..<(offeredPerMillisecond > 0 ? Self.offeringClients : 0) {
            var offering = ClientProfile()
            offering.inFlightMax = .max
            offering.thinkLow = 1_000_000
            offering.thinkHigh = 1_000_000
            offering.steady = ClientProfile.Steady(
                kind: kind, perStep: offeredPerMillisecond / Self.offeringClients,
                timeoutMicroseconds: Self.timeoutMicroseconds, untilNanoseconds: time)
            scenario.clients.append(offering)
        }
        scenario.signals = [(time + 500_000_000, .terminate), (time + 600_000_000, .terminate)]
        return scenario
    }

    private var plan: BackendPlan {
        switch backend {
        case .postgreSQL:
            var behaviour = ServerBehaviour()
            (behaviour.stepLow, behaviour.stepHigh) = (10_000_000, 10_000_000)
            behaviour.settings.pool.connectionsMin = behaviour.settings.pool.connectionsMax
            behaviour.settings.pool.connectsAtOnceMax = behaviour.settings.pool.connectionsMax
            return .postgreSQL(behaviour)
        case .sqliteReaders:
            var behaviour = BackendBehaviour()
            (behaviour.stepLow, behaviour.stepHigh) = (10_000_000, 10_000_000)
            behaviour.queueRequestsMax = 65_536
            behaviour.groupMembersMax = 1
            return .sqlite(behaviour)
        case .sqliteWriter:
            var behaviour = BackendBehaviour()
            (behaviour.stepLow, behaviour.stepHigh) = (50_000, 50_000)
            behaviour.commitFactor = 20
            behaviour.queueRequestsMax = 65_536
            behaviour.groupMembersMax = 4
            return .sqlite(behaviour)
        }
    }
}

extension Load.Result {
    init(_ ledger: Ledger, _ scenario: Scenario, milliseconds: UInt64) {
        self.init(violations: ledger.violations)
        var floodAnswers: [UInt64] = []
        var latencies: [UInt64] = []
        for request in ledger.requests {
            let profile = scenario.clients[request.client]
            if profile.steady?.timeoutMicroseconds ?? 0 > 0 { offeredTotal += 1 }
            guard request.code == .ok, request.finalAnswers == 1, let arrived = request.arrived,
                request.answeredAt <= Scenario.start + milliseconds * 1_000_000
            else { continue }
            if profile.uid == Load.floodUID {
                flood += 1
                floodAnswers.append(request.answeredAt)
            } else if request.timeoutMicroseconds > 0 {
                if request.answeredAt <= arrived + request.timeoutMicroseconds * 1_000 {
                    offered += 1
                } else {
                    tooLate += 1
                }
            } else {
                polite += 1
                latencies.append(request.answeredAt - arrived)
            }
        }
        latencies.sort()
        if !latencies.isEmpty { politeP99Nanoseconds = latencies[latencies.count * 99 / 100] }
        for request in ledger.requests where scenario.clients[request.client].uid > Load.floodUID {
            guard let arrived = request.arrived, request.finalAnswers == 1 else { continue }
            floodAheadMax = max(
                floodAheadMax, floodAnswers.count { $0 > arrived && $0 < request.answeredAt })
        }
    }
}
