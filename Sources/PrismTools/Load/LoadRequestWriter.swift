internal import Glibc
internal import PrismWire

/// Writes the frames of a workload's requests straight into a buffer: protobuf-c would cost the generator more than the
/// requests cost the sidecar. A test holds it against the decoder.
struct LoadRequestWriter {
    static func sql(_ plan: LoadPlan) -> String {
        plan.statement ?? "select value from \(plan.table) where id = $1"
    }
    /// Whether the statement takes the row's number.
    static func hasParameter(_ plan: LoadPlan) -> Bool { sql(plan).contains("$1") }
    /// `k` and twelve digits.
    static let keyBytes = 13
    /// Header fields, and an operation without its value.
    private static let overheadBytesMax = 512

    private let workload: LoadPlan.Workload
    private let namespace: [UInt8]
    private let sql: [UInt8]
    private let hasParameter: Bool
    private let keys: UInt64
    private let valueBytes: Int
    /// Timeout and backend, and read_only where it holds for every request.
    private let headerFields: [UInt8]
    /// Values are cut out of this at a random place.
    private let noise: [UInt8]
    private var random: LoadRandom
    private var valuesWritten: UInt64 = 0

    init(plan: LoadPlan, seed: UInt64) {
        workload = plan.workload
        namespace = Array(plan.namespace.utf8)
        sql = Array(Self.sql(plan).utf8)
        hasParameter = Self.hasParameter(plan)
        keys = UInt64(max(plan.keys, 1))
        valueBytes = plan.valueBytes
        var random = LoadRandom(seed: seed)
        let letters = Array("abcdefghijklmnopqrstuvwxyz0123456789".utf8)
        noise = (0..<(plan.valueBytes + 4096)).map { _ in letters[Int(random.next(below: UInt64(letters.count)))] }
        self.random = random
        var fields: [UInt8] = [0x10] + Self.varint(plan.timeoutMicroseconds)
        if !plan.backend.isEmpty { fields += [0x22, UInt8(clamping: plan.backend.utf8.count)] + plan.backend.utf8 }
        if plan.workload == .sql || plan.workload == .keyValueGet { fields += [0x30, 0x01] }
        headerFields = fields
    }

    /// Appends the next request of the workload.
    mutating func append(id: UInt64, to output: inout ByteQueue) {
        let index = random.next(below: keys)
        switch workload {
        case .keyValueGet: appendGet(id: id, index, to: &output)
        case .keyValuePut: appendPut(id: id, index, to: &output)
        case .keyValueMixed:
            if random.next(below: 100) < LoadPlan.mixedPutPercent {
                appendPut(id: id, index, to: &output)
            } else {
                appendGet(id: id, index, to: &output)
            }
        case .sql: appendQuery(id: id, index, to: &output)
        }
    }

    /// The value of the next put: its first bytes are a number that no other value of this run has.
    mutating func nextValue() -> [UInt8] {
        var value = [UInt8](repeating: 0, count: valueBytes)
        let stamp = nextStamp()
        value.withUnsafeMutableBytes { fillValue($0, stamp) }
        return value
    }

    static func key(_ index: UInt64) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: keyBytes)
        bytes.withUnsafeMutableBytes { writeKey(index, $0.baseAddress) }
        return bytes
    }

    private func appendGet(id: UInt64, _ index: UInt64, to output: inout ByteQueue) {
        let bodyBytes = 2 + namespace.count + 2 + Self.keyBytes
        appendFrame(id: id, operationTag: (0x82, 0x01), bodyBytes: bodyBytes, to: &output) { cursor in
            putNamespaceAndKey(index, &cursor)
        }
    }

    private mutating func appendPut(id: UInt64, _ index: UInt64, to output: inout ByteQueue) {
        let stamp = nextStamp()
        let valueLength = Self.varint(UInt64(valueBytes))
        let bodyBytes =
            2 + namespace.count + 2 + Self.keyBytes + 1 + valueLength.count + valueBytes
        appendFrame(id: id, operationTag: (0x92, 0x01), bodyBytes: bodyBytes, to: &output) { cursor in
            putNamespaceAndKey(index, &cursor)
            Self.put(0x1A, &cursor)
            for byte in valueLength { Self.put(byte, &cursor) }
            fillValue(UnsafeMutableRawBufferPointer(start: cursor, count: valueBytes), stamp)
            cursor += valueBytes
        }
    }

    private func appendQuery(id: UInt64, _ index: UInt64, to output: inout ByteQueue) {
        let parameter = Self.varint(index << 1)  // sint64 travels zigzag.
        let sqlLength = Self.varint(UInt64(sql.count))
        let bodyBytes = 1 + sqlLength.count + sql.count + (hasParameter ? 2 + 1 + parameter.count : 0)
        appendFrame(id: id, operationTag: (0x82, 0x02), bodyBytes: bodyBytes, to: &output) { cursor in
            Self.put(0x0A, &cursor)
            for byte in sqlLength { Self.put(byte, &cursor) }
            Self.put(sql, &cursor)
            guard hasParameter else { return }
            Self.put(0x12, &cursor)
            Self.put(UInt8(1 + parameter.count), &cursor)
            Self.put(0x18, &cursor)
            for byte in parameter { Self.put(byte, &cursor) }
        }
    }

    private func appendFrame(
        id: UInt64, operationTag: (UInt8, UInt8), bodyBytes: Int, to output: inout ByteQueue,
        _ body: (inout UnsafeMutablePointer<UInt8>) -> Void
    ) {
        output.append(upTo: Self.overheadBytesMax + bodyBytes) { raw in
            let start = raw.assumingMemoryBound(to: UInt8.self)
            var cursor = start + Frame.headerBytes
            Self.put(0x08, &cursor)
            Self.putVarint(id, &cursor)
            for byte in headerFields { Self.put(byte, &cursor) }
            Self.put(operationTag.0, &cursor)
            Self.put(operationTag.1, &cursor)
            Self.putVarint(UInt64(bodyBytes), &cursor)
            let bodyStart = cursor
            body(&cursor)
            precondition(cursor - bodyStart == bodyBytes, "a request body of another length than announced")
            let frameBytes = cursor - start
            raw.storeBytes(of: UInt32(frameBytes - Frame.headerBytes).bigEndian, as: UInt32.self)
            return frameBytes
        }
    }

    /// What makes a value differ from all others of this run.
    private struct Stamp {
        var offset: Int
        var number: UInt64
    }

    private mutating func nextStamp() -> Stamp {
        valuesWritten += 1
        return Stamp(offset: Int(random.next(below: 4096)), number: valuesWritten)
    }

    private func fillValue(_ target: UnsafeMutableRawBufferPointer, _ stamp: Stamp) {
        guard let base = target.baseAddress, target.count > 0 else { return }
        noise.withUnsafeBytes { noise in
            if let source = noise.baseAddress { memcpy(base, source + stamp.offset, target.count) }
        }
        var number = stamp.number
        var position = 0
        repeat {
            target[position] = UInt8(ascii: "0") + UInt8(number % 10)
            number /= 10
            position += 1
        } while number > 0 && position < target.count
    }

    private func putNamespaceAndKey(_ index: UInt64, _ cursor: inout UnsafeMutablePointer<UInt8>) {
        Self.put(0x0A, &cursor)
        Self.put(UInt8(namespace.count), &cursor)
        Self.put(namespace, &cursor)
        Self.put(0x12, &cursor)
        Self.put(UInt8(Self.keyBytes), &cursor)
        Self.writeKey(index, UnsafeMutableRawPointer(cursor))
        cursor += Self.keyBytes
    }

    private static func writeKey(_ index: UInt64, _ target: UnsafeMutableRawPointer?) {
        guard let bytes = target?.assumingMemoryBound(to: UInt8.self) else { return }
        bytes[0] = UInt8(ascii: "k")
        var rest = index
        for position in stride(from: keyBytes - 1, to: 0, by: -1) {
            bytes[position] = UInt8(ascii: "0") + UInt8(rest % 10)
            rest /= 10
        }
    }

    private static func put(_ byte: UInt8, _ cursor: inout UnsafeMutablePointer<UInt8>) {
        cursor[0] = byte
        cursor += 1
    }

    private static func put(_ bytes: [UInt8], _ cursor: inout UnsafeMutablePointer<UInt8>) {
        for byte in bytes { put(byte, &cursor) }
    }

    private static func putVarint(_ value: UInt64, _ cursor: inout UnsafeMutablePointer<UInt8>) {
        var rest = value
        while rest >= 0x80 {
            put(UInt8(truncatingIfNeeded: rest) | 0x80, &cursor)
            rest >>= 7
        }
        put(UInt8(truncatingIfNeeded: rest), &cursor)
    }

    private static func varint(_ value: UInt64) -> [UInt8] {
        var bytes: [UInt8] = []
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        return bytes + [UInt8(truncatingIfNeeded: rest)]
    }
}
