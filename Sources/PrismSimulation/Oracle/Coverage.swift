public import PrismCore

/// Situations that the simulator exists for. A point counts the runs that saw it: what is 0 has not been tested.
public enum CoveragePoint: Int, Sendable, CaseIterable {
    case cancelInQueue, cancelWhileRunning, cancelDuringCommit
    case deadlineInQueue, deadlineWhileRunning, deadlineDuringCommit, expiredOnArrival
    case disconnectInFlight, disconnectDuringCommit, disconnectInTransaction, halfCloseInFlight
    case frameSplit, duplicateID, garbage, mutatedFrame
    case readingPaused, outputFull, streamWaitedForCredit, streamFinished, streamCut, streamGaveWay
    case groupOfMany, groupDied, commitRefused, commitUnknown, beginFailed, backendRefused, backendHung
    case limitRefused, connectionsFull, frameAwaitedRoom, frameTimeout
    case transactionCommitted, transactionRolledBack, transactionPoisoned, transactionRevived
    case transactionLimit, transactionLost
    case lameDuckAdmitted, drainDuringTransaction, drainDuringCommit, refusedByDraining, refusedByCancelling
    case streamPaused, connectFailed, poolDownRefused, poolExhausted, planStale, typesRefused
    case keyAwaited, keyReplayed, refusedAsLate
    case batchShared, batchSharedSQL, batchRerun, planRefused, rowsGathered, gatheredTooMuch, answeredWhole
    case cancelLost, cancelMissed, cancelHitFence, standbyWaitCancelled
    case lostInCommit, sessionTerminated, connectionFrozen, serverCrashed
    case nativeHung, classicHung, nativeUnread, classicUnread, nativeTransactionCut, classicTransactionCut
    case cutByCancelling, stoppedWithUnflushed, notice, connectedWhileEnding, lateCompletion, outcomeUnknown, toldInTurn
}

/// How many runs saw each point.
public struct Coverage: Sendable, Equatable {
    private var counts = Array(repeating: 0, count: CoveragePoint.allCases.count)
    /// By the place in `DrainMachine.transitions`.
    private var transitions = Array(repeating: 0, count: DrainMachine.transitions.count)

    public init() {}

    public subscript(_ point: CoveragePoint) -> Int { counts[point.rawValue] }

    /// Within one run a point counts once, however often it is seen.
    mutating func saw(_ point: CoveragePoint) { counts[point.rawValue] = 1 }

    /// How many runs took each of them.
    public var transitionCounts: [(transition: DrainMachine.Transition, count: Int)] {
        Array(zip(DrainMachine.transitions, transitions))
    }

    /// False: there is no such transition.
    mutating func took(_ transition: DrainMachine.Transition) -> Bool {
        guard let index = DrainMachine.transitions.firstIndex(of: transition) else { return false }
        transitions[index] = 1
        return true
    }

    /// Adds another run, or other runs.
    public mutating func merge(_ other: Coverage) {
        for index in counts.indices { counts[index] += other.counts[index] }
        for index in transitions.indices { transitions[index] += other.transitions[index] }
    }

    /// Points that no run saw.
    public var missing: [CoveragePoint] { CoveragePoint.allCases.filter { self[$0] == 0 } }
    /// Transitions of the drain machine that no run took.
    public var missingTransitions: [DrainMachine.Transition] {
        transitionCounts.filter { $0.count == 0 }.map(\.transition)
    }
}
