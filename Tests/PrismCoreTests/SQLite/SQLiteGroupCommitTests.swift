import PrismCore
import Testing

/// Drives the machine with a script of what each member and each COMMIT does, and keeps what a real file would keep.
private struct Driver {
    enum Behaviour {
        case applies(bytes: Int = 1)
        case refuses
        case isCancelled
        /// Ends the whole transaction, as a full disk or OR ROLLBACK does.
        case killsGroup
    }

    var group: GroupCommit<Int>
    var behaviours: [Int: [Behaviour]] = [:]
    var commits: [GroupCommit<Int>.CommitEnd] = []
    var supplies: [[Int]] = []
    var beginSucceeds = true

    var file: Set<Int> = []
    var verdicts: [Int: GroupCommit<Int>.Verdict] = [:]
    var groups: [[Int]] = []
    var mustReopen = false

    init(_ limits: GroupCommit<Int>.Limits = .init()) { group = GroupCommit(limits: limits) }

    mutating func run(_ members: [Int]) {
        var fresh = members
        while let first = group.start(fresh) {
            fresh = []
            runGroup(first)
        }
    }

    private mutating func runGroup(_ first: GroupCommit<Int>.Action) {
        var action = first
        var open: Set<Int> = []
        while true {
            switch action {
            case .begin:
                if beginSucceeds { groups.append([]) }
                action = group.began(beginSucceeds)
            case .run(let member):
                groups[groups.count - 1].append(member)
                let behaviour = behaviours[member].flatMap { $0.first } ?? .applies()
                if let rest = behaviours[member], rest.count > 1 { behaviours[member] = Array(rest.dropFirst()) }
                switch behaviour {
                case .applies(let bytes):
                    open.insert(member)
                    action = group.ran(.applied(answerBytes: bytes), isTransactionOpen: true)
                case .refuses: action = group.ran(.refused(answerBytes: 1), isTransactionOpen: true)
                case .isCancelled: action = group.ran(.cancelled, isTransactionOpen: true)
                case .killsGroup:
                    open = []
                    action = group.ran(.refused(answerBytes: 1), isTransactionOpen: false)
                }
            case .supply(let max):
                let more = supplies.isEmpty ? [] : supplies.removeFirst()
                action = group.supply(Array(more.prefix(max)))
            case .commit:
                let end = commits.isEmpty ? .committed : commits.removeFirst()
                if end == .committed { file.formUnion(open) }
                action = group.committed(end)
            case .rollBack:
                open = []
                action = group.rolledBack(true)
            case .settle(let settlements, let reopen):
                mustReopen = mustReopen || reopen
                for settlement in settlements {
                    #expect(verdicts[settlement.member] == nil, "answered twice")
                    verdicts[settlement.member] = settlement.verdict
                }
                return
            }
        }
    }
}

@Suite("Group commit") struct SQLiteGroupCommitTests {
    @Test("writes that wait together share one transaction and are answered after its COMMIT")
    func sharesOneTransaction() {
        var driver = Driver()
        driver.run([1, 2, 3])
        #expect(driver.groups == [[1, 2, 3]])
        #expect(driver.verdicts == [1: .held, 2: .held, 3: .held])
    }

    @Test("what comes up while the group runs joins it, up to the maximum")
    func joins() {
        var limits = GroupCommit<Int>.Limits()
        limits.membersMax = 4
        var driver = Driver(limits)
        driver.supplies = [[3], [4, 5]]
        driver.run([1, 2])
        #expect(driver.groups == [[1, 2, 3, 4]])
    }

    @Test("a refused member leaves its neighbours alone")
    func refusal() {
        var driver = Driver()
        driver.behaviours = [2: [.refuses]]
        driver.run([1, 2, 3])
        #expect(driver.file == [1, 3])
        #expect(driver.verdicts == [1: .held, 2: .held, 3: .held])
    }

    @Test("a member that ends the transaction is answered, and all others run again without it")
    func deadGroup() {
        var driver = Driver()
        driver.behaviours = [2: [.killsGroup]]
        driver.run([1, 2, 3])
        #expect(driver.groups == [[1, 2], [1, 3]])
        #expect(driver.file == [1, 3])
        #expect(driver.verdicts[2] == .held)
    }

    @Test("a member that was cancelled gets no answer, and when that ended the transaction the others run again")
    func cancelled() {
        var driver = Driver()
        driver.behaviours = [2: [.isCancelled]]
        driver.run([1, 2, 3])
        #expect(driver.verdicts == [1: .held, 3: .held])

        var group = GroupCommit<Int>()
        _ = group.start([1, 2])
        _ = group.began(true)
        _ = group.ran(.applied(answerBytes: 1), isTransactionOpen: true)
        guard case .settle(let settlements, mustReopen: false) = group.ran(.cancelled, isTransactionOpen: false) else {
            Issue.record("the group goes on although its transaction is gone")
            return
        }
        #expect(settlements.isEmpty)
        #expect(group.carriedCount == 1)
    }

    @Test("many members that kill their groups cannot keep a neighbour waiting for ever")
    func boundedReRuns() {
        var driver = Driver()
        for killer in 2...9 { driver.behaviours[killer] = [.killsGroup] }
        driver.run(Array(1...10))
        #expect(driver.file == [1, 10])
        #expect(driver.verdicts.count == 10)
        let runsOfFirst = driver.groups.filter { $0.contains(1) }.count
        #expect(runsOfFirst <= GroupCommit<Int>.Limits().sharedReRunsMax + 2)
    }

    @Test(
        "COMMIT that failed in fsync is unknown for every member, a refusal's outcome excepted, and the connection must go"
    )
    func unknownCommit() {
        var driver = Driver()
        driver.behaviours = [2: [.refuses]]
        driver.commits = [.unknown]
        driver.run([1, 2])
        #expect(driver.verdicts == [1: .unknown, 2: .commitRefused])
        #expect(driver.mustReopen)
    }

    @Test("COMMIT that is refused gives each member its own chance", arguments: [true, false])
    func refusedCommit(isTransactionOpen: Bool) {
        var driver = Driver()
        let refused = GroupCommit<Int>.CommitEnd.refused(isTransactionOpen: isTransactionOpen)
        driver.commits = [refused, .committed, refused]
        driver.run([1, 2])
        #expect(driver.groups == [[1, 2], [1], [2]])
        #expect(driver.file == [1])
        #expect(driver.verdicts == [1: .held, 2: .commitRefused])
    }

    @Test("BEGIN that fails: nothing has run")
    func notBegun() {
        var driver = Driver()
        driver.beginSucceeds = false
        driver.run([1, 2])
        #expect(driver.verdicts == [1: .notBegun, 2: .notBegun])
        #expect(driver.groups.isEmpty)
    }

    @Test("answers held back are bounded: the group commits, the rest follow in the next")
    func answerBytes() {
        var limits = GroupCommit<Int>.Limits()
        limits.answerBytesMax = 100
        var driver = Driver(limits)
        driver.behaviours = [1: [.applies(bytes: 60)], 2: [.applies(bytes: 60)]]
        driver.run([1, 2, 3])
        #expect(driver.groups == [[1, 2], [3]])
        #expect(driver.file == [1, 2, 3])
    }

    @Test("a member that claims success in a transaction that is gone makes the group unknown, not OK")
    func committedBehindOurBack() {
        var group = GroupCommit<Int>()
        _ = group.start([1, 2])
        _ = group.began(true)
        guard
            case .settle(let settlements, mustReopen: true) = group.ran(
                .applied(answerBytes: 1), isTransactionOpen: false)
        else {
            Issue.record("not settled")
            return
        }
        #expect(settlements.map(\.verdict) == [.unknown])
        #expect(group.invariantViolations == 1)
        #expect(group.carriedCount == 1)
    }
}
