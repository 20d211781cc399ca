internal import CPostgreSQL
internal import Glibc
internal import PrismCore

/// One connection after its hand-over: non-blocking and in pipeline mode. Sends commands, and turns libpq's results into
/// those of `ServerResult`, matched by what was sent. Knows nothing of epoll. The reactor's thread only.
final class LibpqConnection {
    /// What became of an attempt to get a result.
    enum Step {
        /// `nextResult` has delivered one; there may be more.
        case delivered
        /// Nothing more until the socket has something.
        case wouldBlock
        /// Nothing of it can be used any more; all that could be delivered has been.
        case lost(String)
    }

    private enum Health {
        case sound
        /// The socket is gone or a call failed; what libpq has read before can still be delivered.
        case broken
        /// An answer that nobody asked for: nothing after it can be trusted.
        case unusable
    }

    let handle: ConnectionHandle
    private let pointer: OpaquePointer
    private var health = Health.sound
    private var failure: String?
    /// Nothing is delivered any more.
    var isClosed = false

    private var sent = SentCommands()
    /// The oldest command has had its last result: what comes next ends it.
    private var isFirstComplete = false
    /// Since the oldest command became the oldest.
    private var readsForFirst: UInt16 = 0
    /// Of the oldest command.
    private var columns: ServerColumns?
    private var columnCache = ColumnCache()
    /// A connection that has had a larger message is not used again.
    private static let messageBytesKeptMax = 2 << 20
    /// The largest message so far, bytes: libpq's buffer grows to hold one, and does not shrink.
    private var largestMessageBytes = 0

    private let notices = UnsafeMutablePointer<NoticeBuffer>.allocate(capacity: 1)
    private var lastWord: String?

    private var statementText: [UInt8] = []
    /// Of the last commands, which the next ones often have too.
    private var tags: [(tag: CommandTag, bytes: [CChar])] = []
    private var lastTag = 0
    private static let tagsMax = 4

    init(_ handle: ConnectionHandle) {
        self.handle = handle
        pointer = handle.pointer
        notices.initialize(to: NoticeBuffer())
        PQsetNoticeReceiver(
            pointer,
            { argument, result in
                guard let argument, let result else { return }
                argument.assumingMemoryBound(to: NoticeBuffer.self).pointee.add(result)
            }, notices)
    }

    deinit {
        // PQfinish, when the handle goes, may still report something.
        PQsetNoticeReceiver(pointer, { _, _ in }, nil)
        notices.deinitialize(count: 1)
        notices.deallocate()
    }

    var keepsLargeMessage: Bool {
        max(largestMessageBytes, notices.pointee.largestBytes) > Self.messageBytesKeptMax
    }

    /// -1 once libpq has closed it, which it does by itself.
    var socket: Int32 { PQsocket(pointer) }

    /// Something failed that ends it; `nextResult` says so once everything before has been delivered.
    var isSound: Bool { health == .sound }

    // MARK: Sending. A failure shows in `nextResult`, never here.

    /// - Parameter sql: without a zero byte.
    func sendPrepare(name: PreparedName, sql: UnsafeRawBufferPointer, types: [TypeOID]) {
        guard !sql.contains(0) else { return fail("a statement contains a zero byte") }
        statementText.removeAll(keepingCapacity: statementText.capacity <= 1 << 16)
        statementText.append(contentsOf: sql)
        statementText.append(0)
        let isSent = statementText.withUnsafeBytes { text in
            PQsendPrepare(
                pointer, name.text, text.bindMemory(to: CChar.self).baseAddress, Int32(clamping: types.count), types)
        }
        noteSent(isSent, .prepare)
        columnCache.forget(name)
    }

    func sendDescribe(name: PreparedName) { noteSent(PQsendDescribePrepared(pointer, name.text), .describe) }

    func sendExecute(
        name: PreparedName, parameters: borrowing ParameterList, results: ValueFormat, rows: RowDelivery
    ) {
        let isSent = name.withCString { name in
            parameters.withArrays { count, values, lengths, formats in
                PQsendQueryPrepared(pointer, name, count, values, lengths, formats, Int32(results.rawValue))
            }
        }
        noteSent(isSent, .execute(name, rows))
    }

    func sendStatement(_ sql: String) {
        noteSent(PQsendQueryParams(pointer, sql, 0, nil, nil, nil, nil, 0), .statement)
    }

    /// libpq writes what it has collected with it, as far as the socket takes it.
    func sendSync() { noteSent(PQpipelineSync(pointer), .sync) }

    private func noteSent(_ isSent: Int32, _ command: SentCommands.Command) {
        guard isSent == 1 else { return fail(errorMessage) }
        // In a batch that has failed, sending would make libpq go on and forget the end of the command that has been answered.
        assert(!isFirstComplete || health != .sound, "something is sent between an answer and its end")
        let isFirst = sent.isEmpty
        sent.append(command)
        if isFirst { beginFirst() }
    }

    /// Writes what is left.
    /// - Returns: whether the socket has to become writable for the rest. Input may have been read meanwhile: libpq does so
    ///   when it cannot write, or both sides would wait for each other.
    func flush() -> Bool {
        guard health == .sound else { return false }
        switch PQflush(pointer) {
        case 0: return false
        case 1: return true
        default:
            fail(errorMessage)
            return false
        }
    }

    /// Reads what the socket has, once.
    func consumeInput() {
        guard health == .sound else { return }
        if readsForFirst < .max { readsForFirst += 1 }
        if PQconsumeInput(pointer) == 0 { fail(errorMessage) }
    }

    // MARK: Results

    /// Delivers the next result that libpq has read, and what the server warned of before it.
    func nextResult<Events: ServerConnectionEvents>(
        _ reference: ServerConnectionReference, _ events: Events, now: UInt64
    ) -> Step {
        guard health != .unusable else { return .lost(failure ?? "") }
        // Parses. What ends a command that has been answered libpq has already, as nothing is sent in between (`noteSent`): it is
        // not asked whether it would block.
        let isBusy = !isFirstComplete && PQisBusy(pointer) != 0
        deliverNotices(reference, events, now: now)
        guard let command = sent.first else {
            // Notifications arrive even where nobody listens, if client SQL has begun to within its request.
            while let notification = PQnotifies(pointer) { PQfreemem(notification) }
            return health == .sound ? .wouldBlock : .lost(lossMessage)
        }
        if isClosed { return .wouldBlock }
        // libpq calls a lost connection not busy: what it has read is delivered. Otherwise the rest will never come.
        if isBusy {
            if readsForFirst > command.readsMax { fail("more came than was to be gathered of one result") }
            return health == .sound ? .wouldBlock : .lost(lossMessage)
        }
        guard let result = PQgetResult(pointer) else {
            guard isFirstComplete else { return lose(reference, events, now: now, "libpq has no result for a command") }
            endFirst(command)
            events.received(reference, .end, now: now)
            return .delivered
        }
        defer { PQclear(result) }
        deliverNotices(reference, events, now: now)
        if isClosed { return .wouldBlock }
        return deliver(result, of: command, reference, events, now: now)
    }

    private func deliver<Events: ServerConnectionEvents>(
        _ result: OpaquePointer, of command: SentCommands.Command, _ reference: ServerConnectionReference,
        _ events: Events, now: UInt64
    ) -> Step {
        let status = PQresultStatus(result)
        largestMessageBytes = max(largestMessageBytes, PQresultMemorySize(result))
        switch status {
        case PGRES_PIPELINE_SYNC:
            guard command == .sync else { return lose(reference, events, now: now, "the server ended a batch early") }
            isFirstComplete = false
            sent.removeFirst()
            beginFirst()
            events.received(reference, .synchronized(transactionStatus), now: now)
        case PGRES_FATAL_ERROR, PGRES_BAD_RESPONSE:
            guard let error = ServerError(result) else {
                // libpq's own words: the connection is lost, or memory is out, and it cannot go on.
                let text = PQresultErrorMessage(result).map { String(cString: $0) } ?? ""
                if PQstatus(pointer) == CONNECTION_BAD {
                    fail(text)
                    return .lost(lossMessage)
                }
                return lose(reference, events, now: now, text)
            }
            if error.severity != .error { lastWord = error.message }
            isFirstComplete = true
            events.received(reference, .failed(error), now: now)
        case _ where command == .sync:
            return lose(reference, events, now: now, "the server answered a Sync with \(statusName(status))")
        case PGRES_PIPELINE_ABORTED:
            isFirstComplete = true
            events.received(reference, .skipped, now: now)
        case PGRES_SINGLE_TUPLE, PGRES_TUPLES_OK:
            guard command.returnsRows else {
                return lose(reference, events, now: now, "the server answered with rows where none are due")
            }
            if status == PGRES_TUPLES_OK, PQntuples(result) <= 1, !command.isOneByOne {
                return deliverWhole(result, of: command, reference, events, now: now)
            }
            deliverRows(result, of: command, isLast: status == PGRES_TUPLES_OK, reference, events, now: now)
        case PGRES_COMMAND_OK where command == .describe:
            isFirstComplete = true
            events.received(
                reference,
                .described(
                    parameters: (0..<PQnparams(result)).map { PQparamtype(result, $0) },
                    columns: ColumnCache.columns(result)), now: now)
        case PGRES_COMMAND_OK, PGRES_EMPTY_QUERY:
            isFirstComplete = true
            events.received(reference, .complete(columns: nil, tag: tag(result)), now: now)
        default:
            return lose(reference, events, now: now, "the server answered with \(statusName(status))")
        }
        return .delivered
    }

    /// In single-row mode: one row, or none and the end. Otherwise all, and the end.
    private func deliverRows<Events: ServerConnectionEvents>(
        _ result: OpaquePointer, of command: SentCommands.Command, isLast: Bool,
        _ reference: ServerConnectionReference, _ events: Events, now: UInt64
    ) {
        let columns = columns ?? columnCache.columns(of: command, result)
        if !isLast { self.columns = columns }
        let isTold = withUnsafeTemporaryAllocation(of: UnsafeRawBufferPointer.self, capacity: columns.columns.count) {
            values in
            for row in 0..<PQntuples(result) {
                Self.fill(values, result, row: row)
                let row = ServerRow(columns: columns, values: UnsafeBufferPointer(values))
                events.received(reference, .row(row), now: now)
                if isClosed { return false }
            }
            return true
        }
        guard isTold else { return }
        guard isLast else { return }
        isFirstComplete = true
        events.received(reference, .complete(columns: columns, tag: tag(result)), now: now)
    }

    /// A command that has one row at most: with its end, which libpq has as soon as it has the rows.
    private func deliverWhole<Events: ServerConnectionEvents>(
        _ result: OpaquePointer, of command: SentCommands.Command, _ reference: ServerConnectionReference,
        _ events: Events, now: UInt64
    ) -> Step {
        let columns = columnCache.columns(of: command, result)
        let tag = tag(result)
        if let surplus = PQgetResult(pointer) {
            // libpq looks at what comes next as well. Where that is no message, it gives the connection up; this answer stands.
            defer { PQclear(surplus) }
            guard PQstatus(pointer) == CONNECTION_BAD else {
                return lose(reference, events, now: now, "libpq has a second result for a command")
            }
            fail(PQresultErrorMessage(surplus).map { String(cString: $0) } ?? "")
        }
        endFirst(command)
        withUnsafeTemporaryAllocation(of: UnsafeRawBufferPointer.self, capacity: columns.columns.count) { values in
            let isEmpty = PQntuples(result) == 0
            if !isEmpty { Self.fill(values, result, row: 0) }
            events.received(
                reference, .whole(values: isEmpty ? nil : UnsafeBufferPointer(values), columns: columns, tag: tag),
                now: now)
        }
        return .delivered
    }

    @inline(__always)
    private static func fill(
        _ values: UnsafeMutableBufferPointer<UnsafeRawBufferPointer>, _ result: OpaquePointer, row: Int32
    ) {
        for index in 0..<values.count {
            let column = Int32(truncatingIfNeeded: index)
            let isNull = PQgetisnull(result, row, column) != 0
            values.initializeElement(
                at: index,
                to: isNull
                    ? UnsafeRawBufferPointer(start: nil, count: 0)
                    : UnsafeRawBufferPointer(
                        start: PQgetvalue(result, row, column), count: Int(PQgetlength(result, row, column))))
        }
    }

    private func endFirst(_ command: SentCommands.Command) {
        isFirstComplete = false
        // A Sync that has failed is still to come.
        guard command != .sync else { return }
        sent.removeFirst()
        beginFirst()
    }

    /// libpq has begun on the oldest command: asks for its rows one by one. Refused in a batch that has failed, where nothing
    /// but `.skipped` comes.
    private func beginFirst() {
        if columns != nil { columns = nil }
        readsForFirst = 0
        if let command = sent.first, command.isOneByOne { _ = PQsetSingleRowMode(pointer) }
    }

    private func deliverNotices<Events: ServerConnectionEvents>(
        _ reference: ServerConnectionReference, _ events: Events, now: UInt64
    ) {
        guard notices.pointee.isNews else { return }
        notices.pointee.isNews = false
        if let word = notices.pointee.lastWord { lastWord = word }
        guard !notices.pointee.isEmpty else { return }
        for notice in notices.pointee.take() where !isClosed {
            events.noticed(reference, sqlState: notice.sqlState, sourceFunction: notice.sourceFunction, now: now)
        }
    }

    // MARK: Failing

    /// What libpq has read before is still delivered; then the connection is lost.
    func fail(_ message: String) {
        guard health == .sound else { return }
        health = .broken
        failure = message
    }

    private func lose<Events: ServerConnectionEvents>(
        _ reference: ServerConnectionReference, _ events: Events, now: UInt64, _ message: String
    ) -> Step {
        health = .unusable
        failure = message
        events.received(reference, .unusable(message), now: now)
        return .lost(message)
    }

    private var lossMessage: String { lastWord ?? failure ?? "the connection to the server was lost" }

    private var errorMessage: String {
        Self.oneLine(PQerrorMessage(pointer).map { String(cString: $0) } ?? "")
    }

    /// libpq's messages have several lines, with advice in the later ones.
    static func oneLine(_ message: String) -> String {
        message.split(whereSeparator: { $0.isNewline || $0 == "\t" }).joined(separator: " ")
    }

    private var transactionStatus: TransactionStatus {
        switch PQtransactionStatus(pointer) {
        case PQTRANS_IDLE: .idle
        case PQTRANS_INTRANS: .open
        case PQTRANS_INERROR: .failed
        default: .unknown
        }
    }

    private func tag(_ result: OpaquePointer) -> CommandTag {
        guard let text = PQcmdStatus(result), text.pointee != 0 else { return .empty }
        if lastTag < tags.count, strcmp(text, tags[lastTag].bytes) == 0 { return tags[lastTag].tag }
        for index in tags.indices where strcmp(text, tags[index].bytes) == 0 {
            lastTag = index
            return tags[index].tag
        }
        let tag = CommandTag(String(cString: text))
        let known = (tag, Array(UnsafeBufferPointer(start: text, count: strlen(text) + 1)))
        lastTag = tags.count < Self.tagsMax ? tags.count : (lastTag + 1) % Self.tagsMax
        if lastTag == tags.count { tags.append(known) } else { tags[lastTag] = known }
        return tag
    }

    private func statusName(_ status: ExecStatusType) -> String {
        PQresStatus(status).map { String(cString: $0) } ?? ""
    }
}
