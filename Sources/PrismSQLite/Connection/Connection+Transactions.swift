internal import CSQLite
internal import PrismWire

/// Transaction control, for whoever schedules: an executor never begins or ends anything itself.
extension Connection {
    /// False while a transaction is open. To be asked after every request inside a group: an interrupt, a full disk or
    /// ON CONFLICT ROLLBACK ends the whole transaction, and the next statement would commit alone.
    var isAutocommit: Bool { sqlite3_get_autocommit(handle) != 0 }

    /// Rows that statements of this connection have changed so far; to see whether something had an effect.
    var totalChanges: Int64 { sqlite3_total_changes64(handle) }

    /// - Parameter immediate: takes the write lock now; else a read transaction begins with its first statement.
    func begin(immediate: Bool) throws(Failure) {
        try checkThread()
        let statement = try statement(immediate ? .beginImmediate : .beginDeferred)
        let wasAutocommit = isAutocommit
        do throws(Failure) {
            try run(statement)
        } catch {
            // SQLite polls once more after BEGIN has worked: it can be "interrupted" with its transaction open.
            if wasAutocommit { try? rollback() }
            throw error
        }
    }

    /// - Throws: outcome NOT_EXECUTED when the transaction is surely still open (busy, a deferred constraint, a file that is not at its path any more): roll it back
    ///   or try again. UNKNOWN for everything else: the log may hold the commit all the same; reopen the connection.
    func commit() throws(Failure) {
        try checkThread()
        if role == .writer, isMoved { throw Self.moved(settings.path) }
        let statement = try statement(.commit)
        let result = step(statement)
        guard result != SQLITE_DONE else { return statement.reset() }
        var failure = failure(result, doing: "COMMIT")
        statement.reset()
        let isStillOpen: Bool  // or surely rolled back
        switch result & 0xFF {
        case SQLITE_BUSY, SQLITE_LOCKED, SQLITE_CONSTRAINT, SQLITE_INTERRUPT: isStillOpen = !isAutocommit
        // Not even the frame that commits was written whole, and frames carry checksums: SQLite has rolled back.
        case SQLITE_FULL, SQLITE_READONLY, SQLITE_CANTOPEN, SQLITE_PERM: isStillOpen = true
        default: isStillOpen = false
        }
        if !isStillOpen {
            failure.outcome = .unknown
            failure.isRetryable = false
            failure.retryAfterMicroseconds = 0
        }
        throw failure
    }

    /// Whether the file has been deleted, renamed or replaced: what is written to it would be gone with the process.
    var isMoved: Bool {
        var moved: Int32 = 0
        return sqlite3_file_control(handle, "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK && moved != 0
    }

    private static func moved(_ path: String) -> Failure {
        Failure(
            .unavailable, at: .execute,
            "\(path) has been deleted or replaced while it was served; nothing is written to the old file",
            isRetryable: true, retryAfterMicroseconds: 1_000_000, sqliteCode: StatusMapping.readOnlyMoved)
    }

    /// Does nothing when SQLite has ended the transaction already.
    func rollback() throws(Failure) {
        try checkThread()
        guard !isAutocommit else { return }
        let statement = try statement(.rollback)
        let result = step(statement)
        let failure = result == SQLITE_DONE ? nil : failure(result, doing: "ROLLBACK")
        statement.reset()
        if let failure, !isAutocommit { throw failure }
    }

    // The savepoint around one request of a group.

    func savepoint() throws(Failure) { try run(try statement(.savepoint)) }
    func release() throws(Failure) { try run(try statement(.release)) }

    /// Undoes the request and takes its savepoint away.
    func rollbackToSavepoint() throws(Failure) {
        try run(try statement(.rollbackTo))
        try run(try statement(.release))
    }

    // A client's savepoints. The names are validated (letters, digits, _).

    func savepoint(named name: UnsafeRawBufferPointer) throws(Failure) {
        try checkThread()
        try run(sql: "SAVEPOINT \(savepointIdentifier(name))")
    }

    /// SQLite compares names without case, and a client's are told apart by it: capitals are marked.
    private func savepointIdentifier(_ name: UnsafeRawBufferPointer) -> String {
        var marked: [UInt8] = []
        for byte in name {
            if (0x41...0x5A).contains(byte) { marked.append(UInt8(ascii: "^")) }
            marked.append(byte)
        }
        return "\"client_\(String(decoding: marked, as: UTF8.self))\""
    }

    /// - Throws: NOT_FOUND when there is no such savepoint.
    func rollbackTo(named name: UnsafeRawBufferPointer) throws(Failure) {
        try checkThread()
        do throws(Failure) {
            try run(sql: "ROLLBACK TO \(savepointIdentifier(name))")
        } catch {
            guard error.code == .invalidArgument else { throw error }
            let name = String(decoding: name, as: UTF8.self)
            throw Failure(
                .notFound, at: .execute, "this transaction has no savepoint \"\(name)\"; set it with Savepoint first",
                sqliteCode: error.sqliteCode)
        }
    }
}
