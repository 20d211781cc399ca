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

/// Framing of answers: header, id, the body as it came, then `more` or the cost.
public enum ResponseFrame {
    /// Most bytes that framing adds to a body: header, id, and a cost of three 10-byte varints.
    public static let overheadBytesMax = Frame.headerBytes + 11 + 2 + 33

    /// The final answer.
    public static func appendFinal(
        id: UInt64, body: UnsafeRawBufferPointer, cost: Cost, to output: inout ByteQueue
    ) {
        append(id: id, body: body, to: &output) { target in
            var costBytes = target + 2
            if cost.queueMicroseconds > 0 { costBytes = putField(0x08, cost.queueMicroseconds, costBytes) }
            if cost.backendMicroseconds > 0 { costBytes = putField(0x10, cost.backendMicroseconds, costBytes) }
            if cost.totalMicroseconds > 0 { costBytes = putField(0x18, cost.totalMicroseconds, costBytes) }
            target[0] = 0x22  // cost = 4, length-delimited
            target[1] = UInt8(costBytes - target - 2)
            return costBytes
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
            var cursor = start + Frame.headerBytes
            if id != 0 { cursor = putField(0x08, id, cursor) }
            if let source = body.baseAddress {
                UnsafeMutableRawPointer(cursor).copyMemory(from: source, byteCount: body.count)
                cursor += body.count
            }
            cursor = trailer(cursor)
            let total = cursor - start
            raw.storeBytes(of: UInt32(total - Frame.headerBytes).bigEndian, as: UInt32.self)
            return total
        }
    }

    private static func putField(
        _ tag: UInt8, _ value: UInt64, _ target: UnsafeMutablePointer<UInt8>
    ) -> UnsafeMutablePointer<UInt8> {
        target[0] = tag
        var cursor = target + 1
        var rest = value
        while rest >= 0x80 {
            cursor[0] = UInt8(truncatingIfNeeded: rest) | 0x80
            cursor += 1
            rest >>= 7
        }
        cursor[0] = UInt8(truncatingIfNeeded: rest)
        return cursor + 1
    }
}
