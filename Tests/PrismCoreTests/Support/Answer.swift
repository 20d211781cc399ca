import PrismWire

/// One frame that a client has read.
struct Answer: Equatable, CustomStringConvertible {
    var id: UInt64
    var code: StatusCode
    var isPart: Bool
    var stage: Stage
    var outcome: Outcome
    /// The payload's field number; 0: none.
    var payload: UInt32
    var message: String
    var item: UInt32
    var isRetryable: Bool
    /// BeginResult.transaction; 0 with other payloads.
    var transaction: UInt64

    /// `7 OK`, `7 part`, or `7 ABORTED queue NOT_EXECUTED`.
    var description: String {
        if isPart { return "\(id) part" }
        return code == .ok ? "\(id) OK" : "\(id) \(code.name) \(stage.name) \(outcome.name)"
    }

    /// Nil: not a Response.
    init?(_ body: UnsafeRawBufferPointer) {
        let arena = Arena(limitBytes: 16 << 20)
        guard
            let response = prism__v1__response__unpack(
                arena.allocator, body.count, body.baseAddress?.assumingMemoryBound(to: UInt8.self))?.pointee,
            let code = StatusCode(rawValue: UInt8(response.status.rawValue))
        else { return nil }
        let failure = response.failure?.pointee
        id = response.id
        self.code = code
        isPart = response.more != 0
        stage = Stage(rawValue: UInt8(failure?.stage.rawValue ?? 0)) ?? .unspecified
        outcome = Outcome(rawValue: UInt8(failure?.outcome.rawValue ?? 0)) ?? .unspecified
        payload = response.payload_case.rawValue
        message = failure?.message.string ?? ""
        item = failure?.item ?? 0
        isRetryable = failure?.retryable == 1
        transaction =
            response.payload_case == PRISM__V1__RESPONSE__PAYLOAD_BEGIN ? response.begin.pointee.transaction : 0
    }

    /// Every complete frame of `bytes`; half a frame at the end is a failure of its own.
    static func all(_ bytes: UnsafeRawBufferPointer) -> [Answer]? {
        var answers: [Answer] = []
        var rest = bytes
        while !rest.isEmpty {
            guard case .frame(let length) = Frame.scan(rest, bytesMax: 64 << 20),
                let answer = Answer(UnsafeRawBufferPointer(rebasing: rest[4..<4 + length]))
            else { return nil }
            answers.append(answer)
            rest = UnsafeRawBufferPointer(rebasing: rest[(4 + length)...])
        }
        return answers
    }
}
