/// When to remove what has expired. Pure.
struct Sweeper {
    /// Stands for the sweeper among those that wait for a connection; no request has it.
    static let reference = RequestReference(rawValue: .max)

    private let intervalNanoseconds: UInt64
    private(set) var nextDeadline: UInt64
    private var isRunning = false

    /// - Parameter intervalNanoseconds: 0: never.
    init(intervalNanoseconds: UInt64) {
        self.intervalNanoseconds = intervalNanoseconds
        nextDeadline = intervalNanoseconds == 0 ? .max : 0
    }

    /// The waiter to enter into the pool; nil: it is not the time.
    mutating func due(now: UInt64, isWorkable: Bool) -> RequestReference? {
        guard !isRunning, now >= nextDeadline else { return nil }
        guard isWorkable, nextDeadline > 0 else {
            nextDeadline = now + intervalNanoseconds
            return nil
        }
        isRunning = true
        nextDeadline = .max
        return Self.reference
    }

    /// - Parameter isMore: the round was full: the next follows soon.
    mutating func finished(now: UInt64, isMore: Bool) {
        isRunning = false
        nextDeadline = now + (isMore ? intervalNanoseconds / 10 : intervalNanoseconds)
    }
}

/// What a connection is doing for the sweeper.
enum Sweep {
    case none
    case running
    /// As many rows were removed as one round may: there may be more.
    case full
}

extension ServerSession {
    /// Removes what has expired, a few rows at a time. What others are removing is skipped.
    func startSweep() {
        sweep = .running
        // What a crash brings back is swept again: no commit of this need wait for a disk or a standby.
        sendStatement("BEGIN ISOLATION LEVEL READ COMMITTED", .control)
        sendStatement("SET LOCAL synchronous_commit TO off", .control)
        parameters.removeAll()
        parameters.append(Int64(settings.sweepRows))
        sendOwn(.sweepEntries, .sweep)
        parameters.removeAll()
        parameters.append(Int64(clamping: settings.idempotencyRetentionMilliseconds))
        parameters.append(Int64(settings.sweepRows))
        sendOwn(.sweepKeys, .sweep)
        sendStatement("COMMIT", .control)
        sendSync(.jobSync)
        sweepEndsAt = saturatingSum(context.now, settings.sweepTimeoutNanoseconds)
    }

    func swept(_ tag: String) {
        guard let last = tag.split(separator: " ").last.flatMap({ Int($0) }) else { return }
        if last >= settings.sweepRows { sweep = .full }
    }
}
