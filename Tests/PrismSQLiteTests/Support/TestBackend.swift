import Foundation
import PrismCore
import PrismReactor
import PrismSQLite
import PrismWire
import Testing

/// A backend driven as a session drives it: submit, cancel, credit, abandon; answers through a sink. The only place in these
/// tests that constructs one.
final class TestBackend: @unchecked Sendable {
    struct Setup: Sendable {
        var readers = 1
        var readerConnections = 8
        var queueRequestsMax = 65_536
        var groupRequestsMax = 128
        var streamWindowBytes = 256 << 10
        /// The sweeper stays out of the way unless a test wants it.
        var sweepIntervalNanoseconds: UInt64 = 3_600_000_000_000
        var settings: @Sendable (inout SQLiteSettings) -> Void = { _ in }
    }

    static let waitSecondsMax: TimeInterval = 30

    let directory: TemporaryDirectory
    let vfs: FaultVFS?
    let backend: SQLiteBackend
    private let inbox: Inbox
    private let lock = NSLock()
    private var nextSlot = 0
    private var nextTransaction: UInt32 = 1
    private var isStopped = false

    init(_ directory: TemporaryDirectory, vfs: FaultVFS? = nil, _ setup: Setup = Setup()) throws {
        self.directory = directory
        self.vfs = vfs
        var options = SQLiteBackend.Options()
        options.readers = setup.readers
        options.readerConnections = setup.readerConnections
        options.queueRequestsMax = setup.queueRequestsMax
        options.groupRequestsMax = setup.groupRequestsMax
        options.streamWindowBytes = setup.streamWindowBytes
        options.sweepIntervalNanoseconds = setup.sweepIntervalNanoseconds
        var settings = SQLiteSettings(path: directory.database)
        settings.vfsName = vfs?.name
        settings.busyTimeoutMilliseconds = 1_000
        setup.settings(&settings)
        let inbox = Inbox(vfs: vfs)
        self.inbox = inbox
        let isOpen = Monitor(false)
        backend = try SQLiteBackend(
            options: options, settings: settings,
            sinks: [{ completion, body in inbox.take(completion, Array(body)) }],
            opened: {
                isOpen.withLock { $0 = true }
                isOpen.notifyAll()
            })
        isOpen.wait { $0 ? .done(()) : .wait(untilNanoseconds: .max) }
    }

    convenience init(vfs: FaultVFS? = nil, _ setup: Setup = Setup()) throws {
        try self.init(try TemporaryDirectory(), vfs: vfs, setup)
    }

    deinit { stop() }

    /// Closes the file; a second time does nothing.
    func stop() {
        let isFirst = lock.withLock {
            defer { isStopped = true }
            return !isStopped
        }
        guard isFirst else { return }
        vfs?.clear()
        let deadline = MonotonicClock.now() + UInt64(Self.waitSecondsMax) * 1_000_000_000
        backend.stop(deadlineNanoseconds: deadline)
        guard MonotonicClock.now() >= deadline else { return }
        Issue.record("the backend did not stop")
        // A thread is left behind that may still use it.
        if let vfs { _ = Unmanaged.passRetained(vfs) }
    }

    // MARK: sending

    struct Pending: Sendable {
        let reference: RequestReference
        let transaction: TransactionReference
    }

    /// The safety net's time passed without an answer.
    struct Hang: Error {}

    func submit(
        _ request: Request, in transaction: TransactionReference = .none, uid: UInt32 = 1_000,
        deadline: UInt64 = .max, isReadOnlyTransaction: Bool = false
    ) -> Pending {
        let slot = lock.withLock {
            nextSlot += 1
            return nextSlot
        }
        let reference = RequestReference(reactor: 0, slot: slot, generation: 1)
        let bytes = request.bytes
        let frame = bytes.withUnsafeBytes { FrameBox($0) }
        let arena = Arena(limitBytes: 64 << 20)
        let beginsLikeRead = bytes.withUnsafeBytes { RequestMessage($0, in: arena)?.beginsLikeRead ?? false }
        backend.submit(
            WorkItem(
                reference: reference, kind: request.kind, isReadOnly: request.isReadOnly || isReadOnlyTransaction,
                beginsLikeRead: beginsLikeRead, transaction: transaction, uid: uid,
                flow: Flow(client: ClientIdentity(uid: uid)), deadlineNanoseconds: deadline,
                submittedNanoseconds: MonotonicClock.now(), frame: frame))
        return Pending(reference: reference, transaction: transaction)
    }

    /// Waits for the final answer, and takes the parts before it.
    func answer(_ pending: Pending) throws -> Answer {
        var taken = 0
        while true {
            guard let box = inbox.wait(for: pending.reference, after: taken, seconds: Self.waitSecondsMax) else {
                throw Hang()
            }
            if box.finals > 0 { return box.answer }
            backend.credit(pending.reference, bytes: box.bytesOfParts - taken)
            taken = box.bytesOfParts
        }
    }

    func call(_ request: Request, in transaction: TransactionReference = .none, uid: UInt32 = 1_000) throws -> Answer {
        try answer(submit(request, in: transaction, uid: uid))
    }

    /// The answer of something that must work.
    @discardableResult
    func expect(
        _ request: Request, in transaction: TransactionReference = .none, uid: UInt32 = 1_000,
        _ location: SourceLocation = #_sourceLocation
    ) throws -> Answer {
        let answer = try call(request, in: transaction, uid: uid)
        #expect(answer.isOK, "\(answer.message)", sourceLocation: location)
        return answer
    }

    /// Tries again, as a client does, as long as the answer says that it may; the last answer.
    func callUntilOK(_ request: Request) throws -> Answer {
        let end = Date(timeIntervalSinceNow: Self.waitSecondsMax)
        while true {
            let answer = try call(request)
            if answer.isOK || Date() > end { return answer }
            // The answer says how long to wait; a test needs not wait a whole second.
            usleep(UInt32(min(20_000, max(1_000, answer.failure?.retryAfterMicroseconds ?? 0))))
        }
    }

    func expectSoon(_ request: Request, _ location: SourceLocation = #_sourceLocation) throws {
        let answer = try callUntilOK(request)
        #expect(answer.isOK, "\(answer.message)", sourceLocation: location)
    }

    /// A handle for a Begin that is submitted with it.
    func newTransaction() -> TransactionReference {
        lock.withLock {
            nextTransaction += 1
            return TransactionReference(reactor: 0, slot: Int(nextTransaction), generation: nextTransaction)
        }
    }

    func begin(readOnly: Bool = false, _ location: SourceLocation = #_sourceLocation) throws -> TransactionReference {
        let transaction = newTransaction()
        try expect(readOnly ? .begin.readOnly() : .begin, in: transaction, location)
        return transaction
    }

    func cancel(_ pending: Pending) -> CancelOutcome { backend.cancel(pending.reference) }

    /// Waits for the first part (or the end) of a stream.
    func waitForPart(_ pending: Pending) throws {
        try #require(inbox.waitForPart(of: pending.reference, seconds: Self.waitSecondsMax), "no part came")
    }

    func bytesOfParts(_ pending: Pending) -> Int { inbox.bytesOfParts(pending.reference) }

    /// Final answers that came so far: one a request, unless it was cancelled.
    func finals(_ pending: Pending) -> Int { inbox.finals(pending.reference) }

    /// Requests that were answered more than once; a promise broken.
    var answeredTwice: Int { inbox.answeredTwice }
}

/// Completions by request.
private final class Inbox: @unchecked Sendable {
    struct Box {
        var answer = Answer()
        var finals = 0
        var bytesOfParts = 0
    }

    private let condition = NSCondition()
    private var boxes: [RequestReference: Box] = [:]
    private let vfs: FaultVFS?

    init(vfs: FaultVFS?) { self.vfs = vfs }

    func take(_ completion: Completion, _ body: [UInt8]) {
        condition.withLock {
            var box = boxes[completion.reference] ?? Box()
            if !box.answer.take(body) { Issue.record("a body that is no Response") }
            switch completion.kind {
            case .part:
                box.answer.parts += 1
                box.bytesOfParts += body.count
            case .final:
                box.finals += 1
                box.answer.code = completion.code
                box.answer.effect = completion.transactionEffect
                box.answer.position = vfs?.position ?? 0
            }
            boxes[completion.reference] = box
            condition.broadcast()
        }
    }

    /// Waits for the end, or for more than so many bytes of parts.
    func wait(for reference: RequestReference, after taken: Int, seconds: TimeInterval) -> Box? {
        wait(seconds) { self.boxes[reference].flatMap { $0.finals > 0 || $0.bytesOfParts > taken ? $0 : nil } }
    }

    func waitForPart(of reference: RequestReference, seconds: TimeInterval) -> Bool {
        wait(seconds) { self.boxes[reference].flatMap { $0.answer.parts + $0.finals > 0 ? true : nil } } ?? false
    }

    func bytesOfParts(_ reference: RequestReference) -> Int {
        condition.withLock { boxes[reference]?.bytesOfParts ?? 0 }
    }
    func finals(_ reference: RequestReference) -> Int { condition.withLock { boxes[reference]?.finals ?? 0 } }
    var answeredTwice: Int { condition.withLock { boxes.values.count { $0.finals > 1 } } }

    private func wait<T>(_ seconds: TimeInterval, _ look: () -> T?) -> T? {
        let end = Date(timeIntervalSinceNow: seconds)
        return condition.withLock {
            while true {
                if let found = look() { return found }
                if !condition.wait(until: end) { return look() }
            }
        }
    }
}
