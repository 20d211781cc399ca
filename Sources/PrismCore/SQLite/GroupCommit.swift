/// Which writes share one transaction, and what may be said of each (ARCHITECTURE, SQLite).
///
/// A fsync costs about as much as twenty writes, so writes that wait together are committed together: BEGIN IMMEDIATE, each
/// member in a savepoint of its own, COMMIT, and only then the answers. The machine decides; whoever drives it carries one
/// action out, reports what happened, and gets the next. It knows neither SQLite nor a clock.
///
/// Rules it keeps:
/// - No answer before COMMIT, refusals included: a refusal may rest on what a neighbour has written.
/// - When the transaction has ended under a member (interrupt, full disk, I/O error, `OR ROLLBACK`) the group is dead: nothing
///   more runs in it, that member alone is answered, all others run again in a new group.
/// - COMMIT refused and rolled back: the members run again one by one, so that only those that cannot be committed fail.
/// - COMMIT failed in between: nobody can know; every member is `unknown`.
public struct GroupCommit<Member: Sendable>: Sendable {
    public struct Limits: Sendable, Equatable {
        /// Members of one group.
        public var membersMax = 128
        /// Answers held back until COMMIT; the group is committed when they have reached it.
        public var answerBytesMax = 4 << 20
        /// Times that a member runs again with others; after that it runs alone, where only its own fault can end it.
        public var sharedReRunsMax = 2

        public init() {}
    }

    public enum Action: Sendable {
        /// BEGIN IMMEDIATE; report with `began`.
        case begin
        /// SAVEPOINT, run, RELEASE or undo; report with `ran`.
        case run(Member)
        /// There is room for so many more; report with `supply`, with none to commit.
        case supply(max: Int)
        /// COMMIT; report with `committed`.
        case commit
        /// ROLLBACK; report with `rolledBack`.
        case rollBack
        /// The group is over: answer these. When `mustReopen`, the connection's state is in doubt: open a new one.
        case settle([Settlement], mustReopen: Bool)
    }

    public struct Settlement: Sendable {
        public let member: Member
        public let verdict: Verdict
    }

    public enum Verdict: Sendable, Equatable {
        /// What it answered holds.
        case held
        /// BEGIN failed: it never ran.
        case notBegun
        /// It ran, COMMIT was refused, and it has been rolled back.
        case commitRefused
        /// Nobody can know whether it is in the file.
        case unknown
    }

    /// How a member's run ended, its savepoint included.
    public enum RunEnd: Sendable, Equatable {
        /// Its effects are in the transaction.
        case applied(answerBytes: Int)
        /// It has an error to answer and left nothing.
        case refused(answerBytes: Int)
        /// It was cancelled and left nothing; nobody waits for an answer.
        case cancelled
    }

    public enum CommitEnd: Sendable, Equatable {
        case committed
        /// Not committed, and that is certain (busy, full disk, a deferred constraint).
        case refused(isTransactionOpen: Bool)
        /// It may have become durable (I/O error, failing fsync).
        case unknown
    }

    private struct Entry: Sendable {
        var member: Member
        var reRuns = 0
        var isAlone = false
        var isRefusal = false
    }

    private enum State: Sendable {
        case idle
        case beginning
        case running(Entry)
        case supplying
        case committing
        case rollingBack
    }

    public let limits: Limits
    private var state = State.idle
    /// In this group, not run yet; the next one last.
    private var planned: [Entry] = []
    /// In this group, run, answers held.
    private var finished: [Entry] = []
    /// For the next groups.
    private var carried: [Entry] = []
    private var heldBytes = 0
    private var membersInGroup = 0
    private var isAlone = false

    /// Members carried to a later group because theirs had died.
    public private(set) var reRunsTotal: UInt64 = 0
    /// Reports that no driver should make; the group was settled as unknown.
    public private(set) var invariantViolations: UInt64 = 0

    public init(limits: Limits = Limits()) { self.limits = limits }

    public var isIdle: Bool { if case .idle = state { true } else { false } }
    /// Members that wait for a new group.
    public var carriedCount: Int { carried.count }
    /// How many new members the next group takes: none while it must be one of a single carried member.
    public var startCapacity: Int {
        carried.first?.isAlone == true ? 0 : max(0, limits.membersMax - carried.count)
    }

    /// Begins a group of the carried members and then `members`. Nil: there is nothing to do, or a group is under way.
    public mutating func start(_ members: [Member]) -> Action? {
        guard isIdle else {
            invariantViolations += 1
            return nil
        }
        carried.append(contentsOf: members.map { Entry(member: $0) })
        guard let first = carried.first else { return nil }
        if first.isAlone {
            isAlone = true
            planned = [carried.removeFirst()]
        } else {
            isAlone = false
            let shared = carried.prefix { !$0.isAlone }.prefix(limits.membersMax)
            planned = shared.reversed()
            carried.removeFirst(shared.count)
        }
        finished.removeAll(keepingCapacity: true)
        heldBytes = 0
        membersInGroup = planned.count
        state = .beginning
        return .begin
    }

    public mutating func began(_ succeeded: Bool) -> Action {
        guard case .beginning = state else { return broken() }
        guard succeeded else {
            // Whoever was carried behind these tries again by itself.
            let settled = planned.reversed().map { Settlement(member: $0.member, verdict: .notBegun) }
            return settle(settled, mustReopen: false)
        }
        return advance()
    }

    /// - Parameter isTransactionOpen: what `sqlite3_get_autocommit` says after the member and its savepoint.
    public mutating func ran(_ end: RunEnd, isTransactionOpen: Bool) -> Action {
        guard case .running(var entry) = state else { return broken() }
        guard isTransactionOpen else {
            if case .applied = end {
                // It claims to have worked in a transaction that is gone: it may have been committed behind our back.
                return broken()
            }
            carry(finished + planned.reversed())
            let culprit = end == .cancelled ? [] : [Settlement(member: entry.member, verdict: .held)]
            return settle(culprit, mustReopen: false)
        }
        switch end {
        case .applied(let bytes), .refused(let bytes):
            if case .refused = end { entry.isRefusal = true }
            heldBytes += bytes
            finished.append(entry)
        case .cancelled: break
        }
        return advance()
    }

    /// More members for this group; none: commit what there is.
    public mutating func supply(_ members: [Member]) -> Action {
        guard case .supplying = state else { return broken() }
        guard !members.isEmpty else { return commitOrEnd() }
        membersInGroup += members.count
        planned = members.reversed().map { Entry(member: $0) }
        return advance()
    }

    public mutating func committed(_ end: CommitEnd) -> Action {
        guard case .committing = state else { return broken() }
        switch end {
        case .committed:
            return settle(finished.map { Settlement(member: $0.member, verdict: .held) }, mustReopen: false)
        case .unknown:
            return settleUnknown()
        case .refused(isTransactionOpen: true):
            state = .rollingBack
            return .rollBack
        case .refused(isTransactionOpen: false):
            return isolate()
        }
    }

    /// - Parameter succeeded: false: the transaction cannot be got rid of; the connection must go.
    public mutating func rolledBack(_ succeeded: Bool) -> Action {
        guard case .rollingBack = state else { return broken() }
        guard succeeded else { return settleUnknown() }
        return isolate()
    }

    /// Takes out everything that is carried, for a driver that gives up (the database is away, the backend stops).
    public mutating func dropCarried() -> [Member] {
        defer { carried.removeAll() }
        return carried.map(\.member)
    }

    // MARK: Decisions

    private mutating func advance() -> Action {
        if heldBytes >= limits.answerBytesMax {
            // These have not run: they go first in the next group, and that is no re-run.
            carried.insert(contentsOf: planned.reversed(), at: 0)
            planned.removeAll()
            return commitOrEnd()
        }
        if let next = planned.popLast() {
            state = .running(next)
            return .run(next.member)
        }
        guard !isAlone, membersInGroup < limits.membersMax, carried.isEmpty else { return commitOrEnd() }
        state = .supplying
        return .supply(max: limits.membersMax - membersInGroup)
    }

    private mutating func commitOrEnd() -> Action {
        // With every member cancelled there is nothing to commit, but a transaction to be ended.
        state = .committing
        return .commit
    }

    /// COMMIT was refused: alone, the member is at fault (or the disk really is full); together, each gets its own chance.
    private mutating func isolate() -> Action {
        if finished.count == 1, let only = finished.first {
            let verdict: Verdict = only.isRefusal ? .held : .commitRefused
            return settle([Settlement(member: only.member, verdict: verdict)], mustReopen: false)
        }
        for index in finished.indices { finished[index].isAlone = true }
        carry(finished)
        return settle([], mustReopen: false)
    }

    private mutating func carry(_ entries: [Entry]) {
        var again = entries
        for index in again.indices {
            again[index].reRuns += 1
            again[index].isRefusal = false
            if again[index].reRuns > limits.sharedReRunsMax { again[index].isAlone = true }
        }
        reRunsTotal += UInt64(again.count)
        carried.insert(contentsOf: again, at: 0)
    }

    private mutating func settleUnknown() -> Action {
        // A refusal left nothing in any case, but what it rests on may be gone: its reason does not hold, its outcome does.
        let settled = finished.map {
            Settlement(member: $0.member, verdict: $0.isRefusal ? Verdict.commitRefused : .unknown)
        }
        return settle(settled, mustReopen: true)
    }

    private mutating func settle(_ settlements: [Settlement], mustReopen: Bool) -> Action {
        planned.removeAll(keepingCapacity: true)
        finished.removeAll(keepingCapacity: true)
        state = .idle
        return .settle(settlements, mustReopen: mustReopen)
    }

    /// A report that does not fit the state: nothing can be promised of those that ran; the others run again.
    private mutating func broken() -> Action {
        invariantViolations += 1
        if case .running(let entry) = state { finished.append(entry) }
        carried.insert(contentsOf: planned.reversed(), at: 0)
        return settleUnknown()
    }
}
