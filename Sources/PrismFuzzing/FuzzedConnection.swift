import PrismCore
import PrismWire

/// What one client of a run has sent and read.
struct FuzzedConnection {
    let reference: ConnectionReference
    /// Tells connections apart in `/status`.
    let pid: Int32
    /// Answers read, final ones only, by id.
    var finals: [UInt64: Int] = [:]
    var finalsTotal: UInt64 = 0
    /// The last frame has been read: id 0 with a status.
    var hasLastFrame = false
    /// Half a frame that has been read so far.
    var unread: [UInt8] = []
    var isClosed = false

    /// Takes bytes that came from the server. Returns what was wrong with them; nil: nothing.
    mutating func read(_ bytes: UnsafeRawBufferPointer, frameBytesMax: Int) -> String? {
        unread += bytes
        var consumed = 0
        let problem = unread.withUnsafeBytes { all -> String? in
            while true {
                let rest = UnsafeRawBufferPointer(rebasing: all[consumed...])
                switch Frame.scan(rest, bytesMax: frameBytesMax) {
                case .incomplete: return nil
                case .invalid(let length): return "a frame of \(length) bytes was sent"
                case .frame(let length):
                    let body = UnsafeRawBufferPointer(rebasing: rest[4..<4 + length])
                    if let problem = take(body) { return problem }
                    consumed += 4 + length
                }
            }
        }
        unread.removeFirst(consumed)
        return problem
    }

    private mutating func take(_ body: UnsafeRawBufferPointer) -> String? {
        if hasLastFrame { return "a frame came behind the last one" }
        let arena = Arena(limitBytes: 16 << 20)
        guard
            let response = prism__v1__response__unpack(
                arena.allocator, body.count, body.bindMemory(to: UInt8.self).baseAddress)?.pointee
        else { return "an answer cannot be decoded" }
        let isOK = response.status == PRISM__V1__CODE__OK
        if !isOK {
            guard let failure = response.failure?.pointee, !failure.message.isEmpty,
                failure.outcome != PRISM__V1__OUTCOME__OUTCOME_UNSPECIFIED,
                failure.stage != PRISM__V1__STAGE__STAGE_UNSPECIFIED
            else { return "status \(response.status.rawValue) without stage, outcome and message" }
        }
        if response.id == 0 {
            if isOK, response.payload_case != PRISM__V1__RESPONSE__PAYLOAD_NOTICE { return "id 0, OK, and no Notice" }
            hasLastFrame = !isOK
        } else if response.more == 0 {
            finals[response.id, default: 0] += 1
            finalsTotal += 1
        }
        return nil
    }
}
