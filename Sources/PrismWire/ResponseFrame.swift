/// What a request cost; microseconds, on the final answer.
public struct Cost: Sendable, Equatable {
    public var queueMicroseconds: UInt64
    public var backendMicroseconds: UInt64
    public var totalMicroseconds: UInt64

    public init(queueMicroseconds: UInt64 = 0, backendMicroseconds: UInt64 = 0, totalMicroseconds: UInt64 = 0) {
        self.queueMicroseconds = queueMicroseconds
        self.backendMicroseconds = backendMicroseconds
        self.totalMicroseconds = totalMicroseconds
    }
}

extension Failure {
    /// - Parameter limit: what a frame has room for.
    public static func answerTooLarge(bytes: Int, above limit: Int) -> Failure {
        Failure(
            .resourceExhausted, at: .execute,
            "the answer has \(bytes) bytes, above the \(limit) that limits.frame_bytes has room for; ask for less at a time"
        )
    }
}

/// Framing of answers: header, id, the body as it came, then `more` or the cost.
public enum ResponseFrame {
    /// Most bytes that framing adds to a body: header, id, and a cost of three 10-byte varints.
    public static let overheadBytesMax = Frame.headerBytes + 11 + 2 + 33

    /// The final answer.
    public static func appendFinal(
        id: UInt64, body: UnsafeRawBufferPointer, cost: Cost, to output: inout ByteQueue
    ) {
        append(id: id, body: body, to: &output) { target in
            var fields = FieldCursor(target + 2)
            if cost.queueMicroseconds > 0 { fields.put(0x08, varint: cost.queueMicroseconds) }
            if cost.backendMicroseconds > 0 { fields.put(0x10, varint: cost.backendMicroseconds) }
            if cost.totalMicroseconds > 0 { fields.put(0x18, varint: cost.totalMicroseconds) }
            target[0] = 0x22  // cost = 4, length-delimited
            target[1] = UInt8(fields.position - target - 2)
            return fields.position
        }
    }

    /// A part of a stream; more follow.
    public static func appendPart(id: UInt64, body: UnsafeRawBufferPointer, to output: inout ByteQueue) {
        append(id: id, body: body, to: &output) { target in
            target[0] = 0x18  // more = 3, varint
            target[1] = 1
            return target + 2
        }
    }

    private static func append(
        id: UInt64, body: UnsafeRawBufferPointer, to output: inout ByteQueue,
        _ trailer: (UnsafeMutablePointer<UInt8>) -> UnsafeMutablePointer<UInt8>
    ) {
        output.append(upTo: body.count + overheadBytesMax) { raw in
            let start = raw.assumingMemoryBound(to: UInt8.self)
            var cursor = FieldCursor(start + Frame.headerBytes)
            if id != 0 { cursor.put(0x08, varint: id) }
            cursor.put(bytes: body)
            let total = trailer(cursor.position) - start
            raw.storeBytes(of: UInt32(total - Frame.headerBytes).bigEndian, as: UInt32.self)
            return total
        }
    }
}
