/// The parameters of one execution, collected in flat memory that is used again and again. Values are copied in.
public struct ParameterList: ~Copyable, Sendable {
    /// In `bytes`; -1: NULL.
    private var offsets: [Int] = []
    private var lengths: [Int32] = []
    private var formats: [Int32] = []
    private var bytes: [UInt8] = []
    /// Of the arrays' beginnings, what is taken: emptying them costs more than writing over what is there.
    public private(set) var count = 0
    private var bytesTaken = 0

    public init() {}

    /// Of all values together.
    public var byteCount: Int { bytesTaken }

    private static let bytesKeptMax = 1 << 16

    public mutating func removeAll() {
        count = 0
        bytesTaken = 0
        if bytes.count > Self.bytesKeptMax { bytes = [] }
    }

    public mutating func appendNull() { append(offset: -1, length: 0, .text) }

    /// As the type's input function reads it. Must not contain a zero byte.
    public mutating func append(text: String) {
        var text = text
        text.withUTF8 { append(UnsafeRawBufferPointer($0), .text) }
    }

    /// As the type's input function reads it. Must not contain a zero byte.
    public mutating func append(text: UnsafeRawBufferPointer) { append(text, .text) }

    /// As the type's receive function reads it.
    public mutating func append(binary: UnsafeRawBufferPointer) { append(binary, .binary) }

    public mutating func append(_ integer: Int64) {
        withUnsafeBytes(of: integer.bigEndian) { append($0, .binary) }
    }

    /// Every value with its format; nil: NULL. A text value is followed by a zero byte that its count leaves out. Borrowed.
    public func forEach(_ body: (UnsafeRawBufferPointer?, ValueFormat) -> Void) {
        withArrays { count, values, lengths, formats in
            for index in 0..<Int(count) {
                let value = values?[index].map { UnsafeRawBufferPointer(start: $0, count: Int(lengths?[index] ?? 0)) }
                body(value, formats?[index] == 1 ? .binary : .text)
            }
        }
    }

    /// How many there are, and their values, lengths and formats as libpq wants them: a value without an address is NULL, a text
    /// is followed by a zero byte. Borrowed; nil where there are none.
    public func withArrays<Result>(
        _ body: (
            Int32, UnsafePointer<UnsafePointer<CChar>?>?, UnsafePointer<Int32>?, UnsafePointer<Int32>?
        ) -> Result
    ) -> Result {
        guard count > 0 else { return body(0, nil, nil, nil) }
        return bytes.withUnsafeBufferPointer { bytes in
            withUnsafeTemporaryAllocation(of: UnsafePointer<CChar>?.self, capacity: count) { values in
                for index in 0..<count {
                    let offset = offsets[index]
                    let start = offset < 0 ? nil : bytes.baseAddress.map { UnsafeRawPointer($0 + offset) }
                    values.initializeElement(at: index, to: start?.assumingMemoryBound(to: CChar.self))
                }
                return body(Int32(clamping: count), values.baseAddress, lengths, formats)
            }
        }
    }

    private mutating func append(_ value: UnsafeRawBufferPointer, _ format: ValueFormat) {
        let offset = bytesTaken
        let end = offset + value.count + 1
        if bytes.count < end { grow(to: end) }
        bytes.withUnsafeMutableBytes { bytes in
            bytes.baseAddress.map { target in
                if let source = value.baseAddress { (target + offset).copyMemory(from: source, byteCount: value.count) }
                (target + end - 1).storeBytes(of: 0, as: UInt8.self)
            }
        }
        bytesTaken = end
        append(offset: offset, length: value.count, format)
    }

    private mutating func append(offset: Int, length: Int, _ format: ValueFormat) {
        if count < offsets.count {
            offsets[count] = offset
            lengths[count] = Int32(clamping: length)
            formats[count] = Int32(format.rawValue)
        } else {
            offsets.append(offset)
            lengths.append(Int32(clamping: length))
            formats.append(Int32(format.rawValue))
        }
        count += 1
    }

    private mutating func grow(to end: Int) {
        bytes.append(contentsOf: repeatElement(0, count: max(end - bytes.count, bytes.count, 64)))
    }
}
