internal import CSQLite
internal import Glibc
internal import PrismWire

/// One open SQLite connection: its pragmas, statements, transaction control and the ways to stop it.
///
/// Belongs to one thread at a time: opened on one, handed over with `bindToCurrentThread()`. A call from a wrong thread is
/// answered INTERNAL.
final class Connection: @unchecked Sendable {
    enum Role: Sendable {
        /// READONLY and query_only.
        case reader
        case writer
    }

    let role: Role
    let settings: SQLiteSettings
    let handle: OpaquePointer
    let authorizer: UnsafeMutablePointer<Authorizer>
    let stop: UnsafeMutablePointer<StopState>
    /// What client statements take of memory; nil: there was none to count it.
    private let account: OpaquePointer?
    private var thread = pthread_self()
    private var own: [PreparedStatement?]
    private var cache: StatementCache
    private var isOpen = true

    /// - Throws: UNAVAILABLE, PERMISSION_DENIED, DATA_LOSS (no database), stage connect.
    init(role: Role, settings: SQLiteSettings) throws(Failure) {
        guard prism_sqlite3_configured() == SQLITE_OK else {
            throw Failure(.internal, at: .connect, "SQLite was initialised without Prism's limits of memory and stack")
        }
        let flags =
            SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE
            | (role == .reader
                ? SQLITE_OPEN_READONLY
                : SQLITE_OPEN_READWRITE | (settings.createIfMissing ? SQLITE_OPEN_CREATE : 0))
        var opened: OpaquePointer?
        let result = sqlite3_open_v2(settings.path, &opened, flags, settings.vfsName)
        guard result == SQLITE_OK, let handle = opened else {
            let reason = opened.map { String(cString: sqlite3_errmsg($0)) } ?? "out of memory"
            sqlite3_close_v2(opened)
            throw StatusMapping.failure(
                result == SQLITE_OK ? SQLITE_NOMEM : result, message: "opening \(settings.path): \(reason)",
                at: .connect)
        }
        self.role = role
        self.settings = settings
        self.handle = handle
        authorizer = .allocate(capacity: 1)
        authorizer.initialize(to: Authorizer())
        stop = .allocate(capacity: 1)
        stop.initialize(to: StopState(busyTimeoutMilliseconds: settings.busyTimeoutMilliseconds))
        own = Array(repeating: nil, count: OwnStatement.allCases.count)
        cache = StatementCache(capacity: settings.statementCacheMax)
        StopState.install(on: handle, state: stop)
        // The cache's pages are allocated by whoever reads them first.
        account = prism_sqlite3_account_create(Int64(clamping: settings.cacheSizeBytes + settings.statementMemoryBytes))
        do throws(Failure) {
            try configure()
            guard Authorizer.install(on: handle, state: authorizer) == SQLITE_OK else {
                throw failure(SQLITE_ERROR, doing: "installing the authorizer")
            }
        } catch {
            var error = error
            error.stage = .connect
            throw error
        }
    }

    deinit {
        close()
        authorizer.deinitialize(count: 1)
        authorizer.deallocate()
        stop.deinitialize(count: 1)
        stop.deallocate()
        prism_sqlite3_account_release(account)
    }

    /// Finalises all statements and closes the file; the last writer to close checkpoints the log. Idempotent.
    func close() {
        guard isOpen else { return }
        isOpen = false
        for index in own.indices { own[index] = nil }
        cache.removeAll()
        // A parked stream's statement may still live: SQLite then closes with the last one (close_v2).
        sqlite3_progress_handler(handle, 0, nil, nil)
        sqlite3_busy_handler(handle, nil, nil)
        sqlite3_set_authorizer(handle, nil, nil)
        sqlite3_close_v2(handle)
    }

    // MARK: Threads and stopping

    /// Hands the connection to the calling thread; the caller has synchronised with the former one.
    func bindToCurrentThread() { thread = pthread_self() }

    func checkThread() throws(Failure) {
        guard isOpen, pthread_equal(thread, pthread_self()) != 0 else {
            throw Failure(
                .internal, at: .execute,
                isOpen
                    ? "an SQLite connection was used on a thread that does not own it"
                    : "an SQLite connection was used after its end",
                sqliteCode: SQLITE_MISUSE)
        }
    }

    /// Looked at every thousand operations of a running statement, and while waiting for a lock: when it is cancelled, the
    /// statement is stopped. Set between statements, on the connection's thread.
    var request: RequestState? {
        get { stop.pointee.request }
        set { stop.pointee.request = newValue }
    }

    // MARK: Statements

    /// One of Prism's own statements, compiled at its first use.
    func statement(_ which: OwnStatement) throws(Failure) -> PreparedStatement {
        if let found = own[which.rawValue] { return found }
        let made = try prepareTrusted(which.sql)
        own[which.rawValue] = made
        return made
    }

    /// Steps once, under the authorizer's mode for this statement.
    @inline(__always)
    func step(_ statement: PreparedStatement) -> Int32 {
        authorizer.pointee.mode = statement.mode
        guard statement.mode == .client else { return sqlite3_step(statement.handle) }
        return bounded { sqlite3_step(statement.handle) }
    }

    /// Runs a call of SQLite for a client: what it allocates is bounded by `statementMemoryBytes`, and a cancel stops it also
    /// where the progress handler is not asked: while compiling, and between a few costly functions.
    func bounded(_ call: () -> Int32) -> Int32 {
        StopState.polled(stop) {
            prism_sqlite3_charge(account)
            defer { prism_sqlite3_charge(nil) }
            return call()
        }
    }

    /// Bytes that client statements hold, with the pages that they have read.
    var chargedBytes: Int { Int(prism_sqlite3_account_bytes(account)) }

    /// Gives back what is only kept to be faster, so that the next statement finds room.
    func releaseMemory() {
        cache.removeAll()
        sqlite3_db_release_memory(handle)
    }

    /// Runs one of Prism's own statements that answers no row, and resets it.
    func run(_ statement: PreparedStatement) throws(Failure) {
        let result = step(statement)
        if result != SQLITE_DONE {
            let failure = failure(result == SQLITE_ROW ? SQLITE_INTERNAL : result, doing: "SQLite")
            statement.reset()
            throw failure
        }
        statement.reset()
    }

    /// Compiles and runs trusted statements without answers.
    func run(sql: String) throws(Failure) {
        authorizer.pointee.mode = .trusted
        let result = sqlite3_exec(handle, sql, nil, nil, nil)
        guard result == SQLITE_OK else { throw failure(result, doing: "SQLite") }
    }

    func prepareTrusted(_ sql: String) throws(Failure) -> PreparedStatement {
        authorizer.pointee.mode = .trusted
        var prepared: OpaquePointer?
        let result = sqlite3_prepare_v3(handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &prepared, nil)
        guard result == SQLITE_OK, let prepared else {
            throw failure(result == SQLITE_OK ? SQLITE_INTERNAL : result, doing: "preparing Prism's own statement")
        }
        return PreparedStatement(handle: prepared, mode: .trusted)
    }

    /// A client's statement, leased: give it back with `release`.
    /// - Throws: INVALID_ARGUMENT with the position, or the authorizer's refusal.
    func lease(client text: UnsafeRawBufferPointer) throws(Failure) -> PreparedStatement {
        if let found = cache.find(text), !found.isInUse {
            found.isInUse = true
            return found
        }
        let made = try ClientStatement.prepare(text, on: self)
        made.isInUse = true
        if made.tag.isCacheable { cache.insert(made, for: text) }
        return made
    }

    func release(_ statement: PreparedStatement) {
        sqlite3_reset(statement.handle)
        sqlite3_clear_bindings(statement.handle)
        statement.isInUse = false
    }

    /// Client statements kept at the moment.
    var cachedStatements: Int { cache.count }

    // MARK: Failures

    /// What SQLite says of the last call. Call it before resetting the statement.
    func failure(
        _ result: Int32, doing what: String, at stage: Stage = .execute, outcome: Outcome = .notExecuted
    ) -> Failure {
        let text = String(cString: sqlite3_errmsg(handle))
        return StatusMapping.failure(
            result, message: what.isEmpty ? text : "\(what): \(text)", at: stage, outcome: outcome)
    }
}
