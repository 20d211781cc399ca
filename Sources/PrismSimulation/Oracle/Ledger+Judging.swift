import PrismCore
import PrismWire

/// What a final answer may say, judged at the moment it leaves the multiplexer.
extension Ledger {
    /// What the judge must know of the moment.
    struct Context {
        var now: UInt64
        var settings: MultiplexerSettings
        /// How much later than its deadline an answer may be, nanoseconds: timers are looked at once a tick.
        var latenessMax: UInt64
        var phase: DrainState
    }

    func judge(_ answer: Answer, _ serial: Int, _ context: Context) {
        let request = requests[serial - 1]
        let now = context.now
        if connections[request.client].isMutated { return }
        judgeTime(answer, request, context)
        judgeCode(answer, request, context)
        if answer.code == .ok {
            if answer.serial != 0, answer.serial != request.effect {
                violation(now, "\(describe(serial)) got the result of serial \(answer.serial)")
            }
            if request.isOnPostgreSQL {
                if request.kind == .query, request.isReadOnly, request.rows != request.streamParts {
                    violation(now, "\(describe(serial)): \(request.rows) rows of \(request.streamParts)")
                }
            } else if answer.partNumber != request.parts {
                violation(
                    now, "\(describe(serial)): \(request.parts) parts, and the end speaks of \(answer.partNumber)")
            }
            if request.kind == .begin, answer.transaction == 0 {
                violation(now, "\(describe(serial)): OK without a handle")
            }
            if request.transaction == 0, request.mayWrite, !isDurable(request) {
                violation(now, "\(describe(serial)): OK, and it is not durable")
            }
            if request.kind == .commit { judgeCommit(request, now) }
            return
        }
        switch answer.outcome {
        case .unspecified: violation(now, "\(describe(serial)): \(answer.code.name) without an outcome")
        case .notExecuted: break  // A promise that holds for ever: judged at the end of the run.
        case .executed:
            if !isDurable(request) { violation(now, "\(describe(serial)): EXECUTED, and it is not durable") }
        case .unknown:
            coverage.saw(.outcomeUnknown)
            // Only a deadline and the end do not wait for a completion that is on its way, and a stream that its client does not
            // take is cut at once, whatever becomes of its statement.
            let isOver = answer.code == .deadlineExceeded || context.phase == .stopped
            let isCut = answer.code == .resourceExhausted && answer.stage == .stream
            if request.hasFailed, !request.mayCommitInParts, !isOver, !isCut {
                violation(now, "\(describe(serial)): UNKNOWN, although the server had said that it failed")
            }
            let isOnItsWay = request.wasAnsweredByBackend && isOver
            if !(request.wasSealed || requests[request.effect - 1].wasSealed || isOnItsWay || isCut)
                || !request.mayWrite
            {
                violation(now, "\(describe(serial)): UNKNOWN, although it was known that nothing was done")
            }
        }
        if answer.stage == .unspecified { violation(now, "\(describe(serial)): \(answer.code.name) without a stage") }
    }

    /// Whose error it is, as the model server writes it into its messages; nil: it names nobody.
    private static func serial(in message: String) -> Int? {
        guard let start = message.firstRange(of: "[serial ")?.upperBound else { return nil }
        return Int(message[start...].prefix { $0.isNumber })
    }

    private func judgeTime(_ answer: Answer, _ request: RequestRecord, _ context: Context) {
        guard let deadline = request.deadline(context.settings) else {
            return violation(context.now, "\(describe(request.serial)) was answered before it had been read")
        }
        // Refused by estimate: early is what it is for, and then it says when to come again.
        let isEstimate = answer.stage == .queue && answer.outcome == .notExecuted && answer.retryAfterMicroseconds > 0
        if answer.code == .deadlineExceeded, isEstimate { coverage.saw(.refusedAsLate) }
        if answer.code == .deadlineExceeded, context.now < deadline, !isEstimate {
            let early = formattedMilliseconds(deadline - context.now)
            violation(context.now, "\(describe(request.serial)): DEADLINE_EXCEEDED \(early) ms before the deadline")
        }
        // What is refused at once may have waited in the buffer of a client that is not being read.
        guard answer.stage != .admission, answer.stage != .decode, !request.kind.isControl else { return }
        if context.now > deadline, context.now - deadline > context.latenessMax {
            let late = formattedMilliseconds(context.now - deadline)
            violation(context.now, "\(describe(request.serial)): answered \(late) ms after its deadline")
        }
    }

    private func judgeCode(_ answer: Answer, _ request: RequestRecord, _ context: Context) {
        let now = context.now
        let isDraining = request.phaseAtArrival >= .draining
        if request.phaseAtArrival == .lameDuck, request.expectation == .valid, answer.code == .ok {
            coverage.saw(.lameDuckAdmitted)
        }
        if isDraining, answer.code == .unavailable, answer.stage == .admission {
            coverage.saw(request.phaseAtArrival >= .cancelling ? .refusedByCancelling : .refusedByDraining)
        }
        if case .refused(let codes) = request.expectation {
            let allowed =
                codes.contains(answer.code) || (context.phase >= .draining && answer.code == .unavailable)
                || [.resourceExhausted, .deadlineExceeded, .cancelled].contains(answer.code)
                || (request.transaction != 0 && answer.code == .aborted)
            if !allowed {
                let wanted = codes.map(\.name).joined(separator: " or ")
                violation(now, "\(describe(request.serial)): \(answer.code.name) instead of \(wanted)")
            }
            if answer.outcome != .notExecuted {
                violation(
                    now, "\(describe(request.serial)) was to be refused, and its outcome is \(answer.outcome.name)")
            }
            return
        }
        // DRAINING admits open transactions and control; CANCELLING nothing.
        let isRefused =
            request.phaseAtArrival >= .cancelling
            || (isDraining && request.transaction == 0 && !request.kind.isControl)
        if isRefused, answer.code != .unavailable || answer.outcome != .notExecuted || !answer.isRetryable {
            violation(
                now,
                "\(describe(request.serial)) came in \(request.phaseAtArrival.name) and was answered \(answer.code.name)"
            )
        }
        if answer.sqlState == "57014", !request.wasCancelled {
            violation(now, "\(describe(request.serial)) was cancelled in another's place")
        }
        if let other = Self.serial(in: answer.message), other != request.serial, other != request.effect {
            violation(now, "\(describe(request.serial)) got the error of serial \(other)")
        }
        let mustSayWhen = answer.code == .resourceExhausted && answer.stage == .admission
        if mustSayWhen, answer.retryAfterMicroseconds == 0 || !answer.isRetryable {
            violation(now, "\(describe(request.serial)): a limit without when to come back")
        }
        if answer.code == .internal || answer.code == .unknown || answer.code == .invalidArgument {
            violation(now, "\(describe(request.serial)): \(answer.code.name): \(answer.message)")
        }
    }

    /// A `Commit` that is OK makes durable just what its transaction had been answered OK and had not undone.
    private func judgeCommit(_ commit: RequestRecord, _ now: UInt64) {
        let before = (connections[commit.client].transactions[commit.transaction] ?? []).prefix { $0 != commit.serial }
        var expected: [Int] = []
        var savepoints: [(name: String, count: Int)] = []
        var isPoisoned = false
        for serial in before {
            let request = requests[serial - 1]
            guard request.finalAnswers > 0, request.code == .ok else {
                isPoisoned = true
                continue
            }
            switch request.kind {
            case .savepoint: savepoints.append((request.savepoint, expected.count))
            case .rollbackTo:
                isPoisoned = false
                if let position = savepoints.lastIndex(where: { $0.name == request.savepoint }) {
                    expected.removeLast(expected.count - savepoints[position].count)
                    savepoints.removeLast(savepoints.count - position - 1)
                    coverage.saw(.transactionRevived)
                }
            default: if request.mayWrite { expected.append(serial) }
            }
        }
        coverage.saw(.transactionCommitted)
        if isPoisoned {
            violation(now, "\(describe(commit.serial)): OK on a handle that a failed request had poisoned")
        }
        let durable = before.filter { requests[$0 - 1].isCommitted }
        if durable.sorted() != expected.sorted() {
            violation(
                now,
                "\(describe(commit.serial)): OK, durable are serials \(Array(durable)), answered OK were \(expected)")
        }
    }

    // MARK: after the run

    /// What can only be said when nothing more will happen.
    func judgeEnd(_ now: UInt64) {
        for request in requests where request.arrived != nil {
            let connection = connections[request.client]
            guard !connection.isMutated else { continue }
            let isExcused = connection.hasFailed || connection.isLost
            if request.finalAnswers > 1 {
                violation(now, "\(describe(request.serial)) got \(request.finalAnswers) final answers")
            } else if request.finalAnswers == 0, !isExcused {
                violation(now, "\(describe(request.serial)) was read and never answered")
            }
            guard request.finalAnswers > 0, request.code != .ok, request.outcome == .notExecuted else { continue }
            // Of requests with one key any may have made the change.
            if isDurable(request), request.key.isEmpty || allDenied(request.effect) {
                violation(
                    now, "\(describe(request.serial)) was answered \(request.code.name) NOT_EXECUTED, and it is durable"
                )
            }
        }
        for connection in connections { judgeTransactions(connection, now) }
    }

    /// All requests with one key have been answered that nothing of them remains.
    private func allDenied(_ effect: Int) -> Bool {
        requests.allSatisfy { request in
            request.effect != effect || request.arrived == nil
                || (request.finalAnswers > 0 && request.code != .ok && request.outcome == .notExecuted)
        }
    }

    /// Of a transaction nothing is durable without a commit that worked, or may have.
    private func judgeTransactions(_ connection: ConnectionRecord, _ now: UInt64) {
        guard !connection.isMutated else { return }
        for handle in connection.handles {
            let serials = connection.transactions[handle] ?? []
            guard let durable = serials.first(where: { requests[$0 - 1].isCommitted }) else { continue }
            let mayHaveCommitted = serials.contains { serial in
                let request = requests[serial - 1]
                guard request.kind == .commit, request.wasSealed else { return false }
                return request.finalAnswers == 0 || request.code == .ok || request.outcome == .unknown
            }
            if !mayHaveCommitted {
                violation(now, "\(describe(durable)) is durable, and its transaction was never committed")
            }
        }
    }
}
