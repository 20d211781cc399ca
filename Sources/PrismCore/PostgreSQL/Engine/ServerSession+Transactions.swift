import PrismWire

/// Interactive transactions: the connection is theirs until they end.
extension ServerSession {
    func begin(_ job: Job, _ request: RequestMessage) {
        let isolation =
            switch request.begin?.isolation {
            case PRISM__V1__ISOLATION__ISOLATION_REPEATABLE_READ: "REPEATABLE READ"
            case PRISM__V1__ISOLATION__ISOLATION_SERIALIZABLE: "SERIALIZABLE"
            default: "READ COMMITTED"
            }
        control(job, "BEGIN ISOLATION LEVEL \(isolation), READ \(job.item.isReadOnly ? "ONLY" : "WRITE")")
    }

    /// One statement that changes the transaction's state; answered without payload at its Sync.
    func control(_ job: Job, _ sql: String) {
        job.stage = .control
        sendStatement(sql, .control)
        sendSync(.jobSync)
    }

    func controlEnded(_ job: Job) {
        let hasEnded = job.item.kind == .rollback
        if hasEnded { transactionEnded() }
        context.finish(job, effect: hasEnded ? .ended : .unchanged)
    }

    func commit(_ job: Job, _ request: RequestMessage) {
        if status != .failed, hasKey(job, request), !job.isKeyOurs {
            do throws(Failure) { try claimKey(job, request) } catch { stop(job, error) }
            return
        }
        // The server answers COMMIT with ROLLBACK, and OK, where a statement has failed.
        if status == .failed {
            return stop(
                job,
                Failure(.aborted, at: .execute, "an earlier statement failed; the transaction can only be rolled back"))
        }
        if hasKey(job, request) { storeEmptyAnswer(job, request) }
        job.hasSentCommit = true
        job.stage = .committing
        sendStatement("COMMIT", .commit)
        sendSync(.jobSync)
    }

    func commitEnded(_ job: Job) {
        transactionEnded()
        if job.isReplicationDoubtful {
            context.fail(job, .replicationDoubt(job), effect: .ended)
        } else {
            context.finish(job, effect: .ended)
        }
    }

    /// From now on the connection belongs to no transaction; `settle` cleans it up and gives it back.
    func transactionEnded() {
        guard isInTransaction else { return }
        note(ended: transaction)
        transaction = .none
        isAbandoned = false
        if let next = nextJob {
            nextJob = nil
            if next.item.kind == .rollback {
                context.finish(next, effect: .ended)
            } else {
                context.fail(next, .transactionEnded, effect: .ended)
            }
        }
    }

    func savepointName(_ request: RequestMessage) -> String {
        // Letters, digits and underscores: the session has seen to that. Quoted, so that no word is reserved.
        let name = request.savepoint?.name ?? request.rollbackTo?.name
        return "\"\(SavepointIdentifier.of(name?.string ?? ""))\""
    }
}
