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
    /// By earlier attempts of the call that is made again.
    private var waitedBeforeMilliseconds = 0

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

    /// Makes the call again while a lock is in its way. SQLite asks no busy handler where a lock that is held already would have
    /// to grow, lest two wait for each other: the call has given up what it held, and all attempts share one busy timeout.
    static func retried(_ state: UnsafeMutablePointer<StopState>, _ call: () -> Int32) -> Int32 {
        state.pointee.waitedMilliseconds = 0
        defer { state.pointee.waitedBeforeMilliseconds = 0 }
        var attempt: Int32 = 0
        while true {
            let result = call()
            attempt += 1
            guard result & 0xff == SQLITE_BUSY, state.pointee.nap(attempt) else { return result }
            state.pointee.waitedBeforeMilliseconds = state.pointee.waitedMilliseconds
        }
    }

    /// SQLite's own busy timeout would sleep through a deadline.
    private mutating func nap(_ attempt: Int32) -> Bool {
        if attempt == 0 { waitedMilliseconds = waitedBeforeMilliseconds }
        guard waitedMilliseconds < busyTimeoutMilliseconds else { return false }
        if request?.isCancelled == true { return false }
        let milliseconds = min(Int(attempt) + 1, Self.longestNapMilliseconds)
        usleep(UInt32(milliseconds) * 1_000)
        waitedMilliseconds += milliseconds
        return true
    }
}
