import PrismWire

/// One `Response`, decoded: what the oracle and the clients look at.
struct Answer {
    var id: UInt64 = 0
    var code = StatusCode.ok
    var isPart = false
    var stage = Stage.unspecified
    var outcome = Outcome.unspecified
    var isRetryable = false
    var retryAfterMicroseconds: UInt64 = 0
    var message = ""
    var sqlState = ""
    /// The handle of a `Begin` that worked.
    var transaction: UInt64 = 0
    /// The serial that a model backend has put into its answer; 0: none.
    var serial = 0
    /// Of a stream: the number of this part, and on the final answer how many there were.
    var partNumber = 0
    /// Rows of an answer of PostgreSQL: whose they say they are, and which of its rows.
    var rows: [(serial: Int, number: Int)] = []
    var isNotice = false
    /// Of `Hello`, `Ping` or `Cancel`.
    var isControl = false
    var cancelFound = false

    /// Nil: not decodable.
    init?(_ message: UnsafeRawBufferPointer, in arena: Arena) {
        arena.reset()
        guard
            let pointer = prism__v1__response__unpack(
                arena.allocator, message.count, message.bindMemory(to: UInt8.self).baseAddress),
            let code = StatusCode(rawValue: UInt8(truncatingIfNeeded: pointer.pointee.status.rawValue))
        else { return nil }
        let response = pointer.pointee
        id = response.id
        self.code = code
        isPart = response.more != 0
        if let failure = response.failure?.pointee {
            stage = Stage(rawValue: UInt8(truncatingIfNeeded: failure.stage.rawValue)) ?? .unspecified
            outcome = Outcome(rawValue: UInt8(truncatingIfNeeded: failure.outcome.rawValue)) ?? .unspecified
            isRetryable = failure.retryable != 0
            retryAfterMicroseconds = failure.retry_after_microseconds
            self.message = failure.message.string
            sqlState = failure.sqlstate.string
        }
        isControl = [
            PRISM__V1__RESPONSE__PAYLOAD_HELLO, PRISM__V1__RESPONSE__PAYLOAD_PING, PRISM__V1__RESPONSE__PAYLOAD_CANCEL,
        ].contains(response.payload_case)
        switch response.payload_case {
        case PRISM__V1__RESPONSE__PAYLOAD_BEGIN: transaction = response.begin?.pointee.transaction ?? 0
        case PRISM__V1__RESPONSE__PAYLOAD_GET: serial = Int(response.get?.pointee.version ?? 0)
        case PRISM__V1__RESPONSE__PAYLOAD_PUT: serial = Int(response.put?.pointee.version ?? 0)
        case PRISM__V1__RESPONSE__PAYLOAD_INCREMENT: serial = Int(response.increment?.pointee.version ?? 0)
        case PRISM__V1__RESPONSE__PAYLOAD_QUERY:
            let parts = (response.query?.pointee.tag.string ?? "").split(separator: " ").compactMap { Int($0) }
            if parts.count == 2 { (serial, partNumber) = (parts[0], parts[1]) }
            if let query = response.query?.pointee { rows = Self.rows(of: query) }
        case PRISM__V1__RESPONSE__PAYLOAD_PING:
            serial = Int(response.ping?.pointee.payload.string ?? "") ?? 0
        case PRISM__V1__RESPONSE__PAYLOAD_CANCEL: cancelFound = response.cancel?.pointee.found != 0
        case PRISM__V1__RESPONSE__PAYLOAD_NOTICE: isNotice = true
        default: break
        }
    }

    private static func rows(of query: Prism__V1__QueryResult) -> [(serial: Int, number: Int)] {
        (0..<query.n_rows).compactMap { index in
            guard let row = query.rows?[index]?.pointee, row.n_values == 3,
                let mark = row.values?[0]?.pointee, let number = row.values?[1]?.pointee
            else { return nil }
            return (SerialMark(number: mark.integer).serial, Int(number.integer))
        }
    }
}
