import PrismSimulation
import Testing

/// The oracle can fail: each deliberate fault is found, and called by its name.
@Suite struct OracleTests {
    @Test("a fault in the backend, the transport or the clock is reported", arguments: Sabotage.allCases)
    func findsSabotage(sabotage: Sabotage) {
        let expected = Self.words(sabotage)
        var other: [String] = []
        for seed: UInt64 in 1...200 {
            let messages = Simulation.run(seed: seed, sabotage: sabotage).violations.map(\.message)
            if messages.contains(where: { $0.contains(expected) }) { return }
            other += messages
        }
        Issue.record("200 runs with \(sabotage) never said \"\(expected)\", but: \(other.prefix(3))")
    }

    /// What the oracle says of it.
    static func words(_ sabotage: Sabotage) -> String {
        switch sabotage {
        case .dropAnswer: "read and never answered"
        case .answerTwice: "is not in flight"
        case .denyExecuted, .claimStopped, .denyLostCommit: "NOT_EXECUTED, and it is durable"
        case .answerBeforeCommit, .answerBeforeSync: "OK, and it is not durable"
        case .unknownWithoutCause: "UNKNOWN, although it was known"
        case .crossAnswers, .crossInBatch: "got the result of serial"
        case .executeTwice, .repeatWrite, .forgetKey, .rerunCommitted: "was executed twice"
        case .earlyDeadline: "before the deadline"
        case .lateDeadline: "after its deadline"
        case .leakConnection: "left after the end: "
        case .leakTransaction: "left after the end: backend"
        case .corruptOutput: "other bytes than were sent"
        case .stuckDrain: "outlasted its budget"
        case .harmNeighbour: "did nothing wrong, and its connection was closed"
        case .ignoreCredit: "ahead of its client"
        case .repeatCancel, .cancelNeighbour: "was cancelled in another's place"
        case .crossErrors: "got the error of serial"
        case .openBatch: "shares a transaction that may write"
        case .keepSettings, .trustPlan: "in a session that"
        case .mixTransactions: "its transaction was never committed"
        case .tearRequest: "a part of it is durable"
        }
    }
}
