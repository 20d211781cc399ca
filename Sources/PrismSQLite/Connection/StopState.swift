internal import CSQLite
internal import Glibc

/// What SQLite polls while a statement runs or waits for a lock, so that a deadline, a cancel or a drain ends it.
struct StopState {
    /// Virtual machine operations between two polls: some 10 µs.
    static let operationsBetweenPolls: Int32 = 1_000
    private static let longestNapMilliseconds = 10

    /// The request that runs; when it is cancelled, it is stopped.
    var request: RequestState?
    var busyTimeoutMilliseconds = 0
    private var waitedMilliseconds = 0

    init(busyTimeoutMilliseconds: Int) { self.busyTimeoutMilliseconds = busyTimeoutMilliseconds }

    static func install(on handle: OpaquePointer, state: UnsafeMutablePointer<StopState>) {
        sqlite3_progress_handler(
            handle, operationsBetweenPolls,
            { data in
                data?.assumingMemoryBound(to: StopState.self).pointee.request?.isCancelled == true ? 1 : 0
            }, state)
        sqlite3_busy_handler(
            handle,
            { data, attempt in
                guard let data else { return 0 }
                return data.assumingMemoryBound(to: StopState.self).pointee.nap(attempt) ? 1 : 0
            }, state)
    }

    /// Polls also at every allocation of a call; the statement then ends with SQLITE_NOMEM.
    static func polled(_ state: UnsafeMutablePointer<StopState>, _ call: () -> Int32) -> Int32 {
        prism_sqlite3_stop_when(
            { data in
                data?.assumingMemoryBound(to: StopState.self).pointee.request?.isCancelled == true ? 1 : 0
            }, state)
        defer { prism_sqlite3_stop_when(nil, nil) }
        return call()
    }

    /// SQLite's own busy timeout would sleep through a deadline.
    private mutating func nap(_ attempt: Int32) -> Bool {
        if attempt == 0 { waitedMilliseconds = 0 }
        guard waitedMilliseconds < busyTimeoutMilliseconds else { return false }
        if request?.isCancelled == true { return false }
        let milliseconds = min(Int(attempt) + 1, Self.longestNapMilliseconds)
        usleep(UInt32(milliseconds) * 1_000)
        waitedMilliseconds += milliseconds
        return true
    }
}
