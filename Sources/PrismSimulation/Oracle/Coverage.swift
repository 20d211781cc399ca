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
    case cancelLost, cancelMissed, cancelHitFence, standbyWaitCancelled
    case lostInCommit, sessionTerminated, connectionFrozen, serverCrashed
    case cutByCancelling, stoppedWithUnflushed, notice, connectedWhileEnding, lateCompletion, outcomeUnknown
}

/// How many runs saw each point.
public struct Coverage: Sendable, Equatable {
    private var counts = Array(repeating: 0, count: CoveragePoint.allCases.count)

    public init() {}

    public subscript(_ point: CoveragePoint) -> Int { counts[point.rawValue] }

    /// Within one run a point counts once, however often it is seen.
    mutating func saw(_ point: CoveragePoint) { counts[point.rawValue] = 1 }

    /// Adds another run, or other runs.
    public mutating func merge(_ other: Coverage) {
        for index in counts.indices { counts[index] += other.counts[index] }
    }

    /// Points that no run saw.
    public var missing: [CoveragePoint] { CoveragePoint.allCases.filter { self[$0] == 0 } }
}
