import PrismWire

/// A shared batch on this connection.
///
///     idle ──startBatch──> running ──Sync──> [rollback] ──> idle (given back to the pool)
///       running ──guard, or nobody waits──> cancelled until the cancel is delivered, the Sync has come and a fence has passed
extension ServerSession {
    /// Begins a batch of requests that may share one. The connection is clear.
    func startBatch(_ jobs: [Job], runner: Int, guardNanoseconds: UInt64) {
        var batch = SharedBatch(
            runner: runner, startedNanoseconds: context.now, guardNanoseconds: guardNanoseconds,
            guardAt: saturatingSum(context.now, guardNanoseconds))
        batch.isWrapped = jobs.contains { $0.item.kind == .query }
        batch.members.reserveCapacity(jobs.count)
        self.batch = batch
        output.removeAll(keepingUpTo: 1 << 18)
        for job in jobs where !job.isDetached { enter(job) }
        guard let entered = self.batch, !entered.members.isEmpty || entered.hasBegun else {
            self.batch = nil
            endBatch(batch)
            return settle()
        }
        if entered.hasBegun {
            // A shared statement names nothing that locks. What it may do all the same is undone before long.
            if context.now >= unlockAt, !settings.isPooled {
                unlockAt = saturatingSum(context.now, BatchFrame.unlockNanoseconds)
                sendReset(statement: SessionReset.unlocking)
            }
            executeWithoutParameters(own: BatchFrame.endNumber, { BatchFrame.end }, .control)
        }
        sendSync(.batchSync)
    }

    private func enter(_ job: Job) {
        guard let frame = job.frame, let index = batch?.members.count else { return goAlone(job) }
        job.startedNanoseconds = context.now
        do throws(Failure) {
            var name: PreparedName?
            if job.item.kind == .query {
                // What is not known (any more), or has a bad name, runs alone.
                guard let client = try statement(frame) else { return goAlone(job) }
                guard let known = context.sharedStatement(client, job) else { return goAlone(job) }
                try client.encode(for: known, into: &parameters)
                begin()
                job.kind = known.kind
                let prepared = prepared(client.sql, known)
                name = prepared
                expected.append(.member(index))
                port.sendExecute(
                    connection, name: prepared, parameters: parameters, results: known.format, rows: known.sharedRows)
                job.known = known
            } else {
                try checkOwnTables()
                begin()
                parameters.removeAll()
                decoding.reset()
                guard let request = frame.operation(job.item.kind, in: decoding),
                    let statement = KeyValueRead.shared(request, into: &parameters)
                else { return goAlone(job) }
                job.keyCount = request.getMany?.n_keys ?? 0
                sendOwn(statement, .member(index))
            }
            job.batchSlot = connection.slot
            batch?.members.append(SharedBatch.Member(job: job, name: name))
        } catch {
            context.fail(job, error)
        }
    }

    /// Of a query; borrowed from its frame. Nil: it cannot be decoded again.
    private func statement(_ frame: FrameBox) throws(Failure) -> ClientStatement? {
        if let query = frame.query { return ClientStatement(query) }
        decoding.reset()
        guard let request = frame.operation(.query, in: decoding) else { return nil }
        return try ClientStatement(0, of: request)
    }

    /// It has not entered the batch: it goes on alone.
    private func goAlone(_ job: Job) {
        job.startedNanoseconds = 0
        hasNews = true
        reruns.append(Rerun(job: job, isAlone: true))
    }

    private func begin() {
        // In front of all: the transaction's mode cannot be set behind a query.
        guard let batch, batch.isWrapped, !batch.hasBegun else { return }
        self.batch?.hasBegun = true
        executeWithoutParameters(own: BatchFrame.beginNumber, { BatchFrame.begin }, .control)
    }

    private func rerun(_ job: Job, isAlone: Bool) {
        guard !job.isDetached else { return }
        job.leaveBatch()
        hasNews = true
        reruns.append(Rerun(job: job, isAlone: isAlone))
    }

    // MARK: receiving

    /// The member that is being answered; nil: its answer is not wanted, or cannot be given from here.
    private func openMember(_ index: Int) -> Job? {
        guard let job = batch?.wantedJob(index) else { return nil }
        if batch?.current != index {
            batch?.current = index
            answer.reset()
            if job.item.kind == .query {
                if results.columns != nil { results.columns = nil }
            } else {
                results = UnitResults()
                guard job.item.kind != .getMany || makeRoom(for: job) else {
                    refuseMember(index)
                    return nil
                }
            }
        }
        return job
    }

    private func makeRoom(for job: Job) -> Bool {
        do throws(Failure) {
            results.keyValue.found = try answer.makeGetResults(count: job.keyCount)
            return true
        } catch { return false }
    }

    /// Its answer cannot be given from here: alone it can, or fails with the right words.
    private func refuseMember(_ index: Int) {
        guard let job = batch?.members[index].job else { return }
        batch?.members[index].isRefused = true
        context.wasLarge(job)
        results = UnitResults()
        answer.reset()
    }

    func received(_ row: ServerRow, ofMember index: Int) {
        guard let job = openMember(index) else { return }
        do throws(Failure) {
            if job.item.kind == .query {
                try answer.rows.append(row.values, describe(row.columns), bytesMax: settings.sharedResultBytesMax)
            } else {
                try receivedKeyValueRow(row, 0, job)
            }
        } catch { refuseMember(index) }
    }

    func memberCompleted(_ index: Int, _ columns: ServerColumns?, _ tag: CommandTag) {
        batch?.completed = index + 1
        guard let job = openMember(index) else { return }
        do throws(Failure) {
            if job.item.kind == .query {
                try pack(index, describe(columns), tag)
            } else {
                try packKeyValue(index, job)
            }
        } catch { refuseMember(index) }
    }

    /// All of its answer at once.
    func memberAnswered(
        _ index: Int, _ values: UnsafeBufferPointer<UnsafeRawBufferPointer>?, _ columns: ServerColumns,
        _ tag: CommandTag
    ) {
        batch?.completed = index + 1
        guard let job = openMember(index) else { return }
        do throws(Failure) {
            if job.item.kind == .query {
                let described = describe(columns)
                if let values { try answer.rows.append(values, described, bytesMax: settings.sharedResultBytesMax) }
                try pack(index, described, tag)
            } else {
                if let values { try receivedKeyValueRow(ServerRow(columns: columns, values: values), 0, job) }
                try packKeyValue(index, job)
            }
        } catch { refuseMember(index) }
    }

    @inline(__always)
    private func pack(_ index: Int, _ columns: ResultColumns, _ tag: CommandTag) throws(Failure) {
        let start = output.count
        try answer.packRows(columns, tag, into: &output, bytesMax: settings.sharedResultBytesMax)
        batch?.members[index].answer = start..<output.count
    }

    private func packKeyValue(_ index: Int, _ job: Job) throws(Failure) {
        let start = output.count
        try keyValueCompleted(0, job)
        try setKeyValue(job)
        try answer.pack(into: &output, bytesMax: settings.sharedResultBytesMax)
        batch?.members[index].answer = start..<output.count
    }

    /// Of the present member's rows. What does not stay as it is, is kept until its end only.
    @inline(__always)
    private func describe(_ columns: ServerColumns?) -> ResultColumns {
        if let described = columns?.described { return described }
        let described = results.columns ?? context.describe(columns)
        results.columns = described
        return described
    }

    // MARK: the end

    /// The batch's Sync has come.
    func batchEnded(_ failure: (purpose: Purpose, error: ServerError)?) {
        guard let batch else { return retire("a batch ended that was not begun") }
        self.batch = nil
        // A transaction that is open although nothing failed is none of ours.
        if failure == nil, status != .idle { retire("a shared batch left a transaction behind") }
        var isTrusted = !isRetired
        if case .control? = failure?.purpose { isTrusted = false }
        // Also of a batch that was cancelled: the one that ran has held up the others.
        let culprit = failure == nil ? nil : batch.completed
        if let failure, case .member(let index) = failure.purpose { forgetStale(batch.members[index], failure.error) }
        if let culprit, batch.members.indices.contains(culprit), isToBlame(batch.members[culprit], batch) {
            let job = batch.members[culprit].job
            if batch.isCancelled { context.mustProve(job) } else { context.failedShared(job) }
        }
        let bytes = output.bytes
        for (index, member) in batch.members.enumerated() where member.isAttached {
            if isTrusted, let answer = member.answer {
                context.ranShared(member.job, bytes: answer.count)
                context.finish(member.job, UnsafeRawBufferPointer(rebasing: bytes[answer]))
                continue
            }
            let isAlone = !isTrusted || member.isRefused || index == culprit
            rerun(member.job, isAlone: isAlone || member.job.batches > 0)
        }
        endBatch(batch)
    }

    /// Whether the one that did not come to its end is why others have to run again: not if it was stopped soon, only because nobody
    /// waited any more.
    private func isToBlame(_ member: SharedBatch.Member, _ batch: SharedBatch) -> Bool {
        !batch.isCancelled || member.isAttached
            || context.now - min(context.now, batch.startedNanoseconds) >= batch.guardNanoseconds / 4
    }

    private func forgetStale(_ member: SharedBatch.Member, _ error: ServerError) {
        // What it takes is looked at where it fails alone.
        if SQLStateMapping.isOfTypes(error), let name = member.name { cache.condemn(name) }
        guard SQLStateMapping.isStalePlan(error) else { return }
        // Something was defined anew: what plans show as well, perhaps.
        context.doubtedAt = context.now
        guard let name = member.name else { return cache.removeAllOwn() }
        if error.sqlState == "26000" { cache.remove(name) } else { cache.condemn(name) }
    }

    /// The connection is gone: whoever waits runs again elsewhere. Only reads were under way.
    func batchLost() {
        guard let batch else { return }
        self.batch = nil
        // It may have returned more than was to be gathered.
        if batch.members.indices.contains(batch.completed) { batch.members[batch.completed].job.known?.isInDoubt() }
        for member in batch.members where member.isAttached { rerun(member.job, isAlone: true) }
        endBatch(batch)
    }

    private func endBatch(_ batch: SharedBatch) {
        answer.reset()
        output.removeAll(keepingUpTo: 1 << 18)
        hasNews = true
        ended = EndedBatch(
            runner: batch.runner, nanoseconds: context.now - min(context.now, batch.startedNanoseconds),
            flows: batch.members.map(\.job.item.flow))
    }

    // MARK: cancelling

    /// A member is not waited for any more: it was cancelled, or its time is up.
    func cancelMember(_ job: Job) {
        job.isDetached = true
        job.frame = nil
        guard let batch, batch.attachedCount == 0 else { return }
        stopBatch()
    }

    /// The batch is cancelled in the database, whenever that may be done: another connection takes its place.
    private func stopBatch() {
        batch?.isCancelled = true
        batch?.guardAt = .max
        batch?.leavesAt = saturatingSum(context.now, SharedBatch.stopNanoseconds)
        giveUpRunner()
        stopRunning()
    }

    private func giveUpRunner() {
        guard let runner = batch?.runner else { return }
        batch?.runner = nil
        ended = EndedBatch(runner: runner, nanoseconds: 0, flows: [])
        hasNews = true
    }

    /// The time of the guard: whoever shares the connection with something slow is no longer held back by it.
    /// - Returns: when to call again.
    func guardBatch() -> UInt64 {
        guard let batch, !batch.isCancelled else { return .max }
        guard context.now >= batch.guardAt else { return batch.guardAt }
        self.batch?.guardAt = .max
        // Also if only one is waited for: it may be held up by another.
        if batch.members.count > 1 {
            stopBatch()
            return nextStep
        }
        // It waits for nobody but itself: its connection is as good as leased.
        for member in batch.members { context.mustProve(member.job) }
        giveUpRunner()
        return .max
    }

    /// When something is to be done about a cancel that has been asked for.
    var nextStep: UInt64 { min(fence.nextDeadline, givesUpAt, batch?.leavesAt ?? .max) }

    /// The server has not stopped the batch, or does not say so: whoever waits goes on elsewhere. It only reads, so that it may well
    /// run twice.
    func leaveBatchThatDoesNotStop() {
        guard let batch, context.now >= batch.leavesAt else { return }
        self.batch?.leavesAt = .max
        for (index, member) in batch.members.enumerated() where member.isAttached {
            self.batch?.members[index].hasLeft = true
            rerun(member.job, isAlone: member.job.batches > 0)
        }
    }
}

/// What a runner has finished; the engine takes it.
struct EndedBatch {
    let runner: Int?
    let nanoseconds: UInt64
    /// Of its members.
    let flows: [Flow]
}

/// What stands around client SQL in a batch. The rollback undoes what a statement may have changed in the session.
enum BatchFrame {
    static let begin = "BEGIN ISOLATION LEVEL READ COMMITTED, READ ONLY"
    static let end = "ROLLBACK"
    /// Among Prism's own prepared statements.
    static let beginNumber = SessionReset.firstNumber + SessionReset.statements.count
    static let endNumber = beginNumber + 1
    /// Between two releases of all advisory locks on a connection that batches run on.
    static let unlockNanoseconds: UInt64 = 1_000_000_000
}

extension KeyValueRead {
    /// Nil: not one of those that may share a pipeline.
    static func shared(_ request: RequestMessage, into parameters: inout ParameterList) -> PostgreSQLStatement? {
        if let message = request.get { return get(message, into: &parameters) }
        if let message = request.getMany { return getMany(message, into: &parameters) }
        if let message = request.count { return count(message, into: &parameters) }
        return nil
    }
}
