/// The parameters of one execution, collected in flat memory that is used again and again. Values are copied in.
public struct ParameterList: ~Copyable, Sendable {
    /// In `bytes`; -1: NULL.
    private var offsets = Cells<Int>()
    private var lengths = Cells<Int32>()
    private var formats = Cells<Int32>()
    private var bytes = Cells<UInt8>()

    public init() {}

    public var count: Int { offsets.count }
    /// Of all values together.
    public var byteCount: Int { bytes.count }

    private static let bytesKeptMax = 1 << 16

    public mutating func removeAll() {
        offsets.removeAll(keepingUpTo: Self.bytesKeptMax)
        lengths.removeAll(keepingUpTo: Self.bytesKeptMax)
        formats.removeAll(keepingUpTo: Self.bytesKeptMax)
        bytes.removeAll(keepingUpTo: Self.bytesKeptMax)
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
        return withUnsafeTemporaryAllocation(of: UnsafePointer<CChar>?.self, capacity: count) { values in
            for index in 0..<count {
                let offset = offsets[index]
                let start = offset < 0 ? nil : bytes.pointer.map { UnsafeRawPointer($0 + offset) }
                values.initializeElement(at: index, to: start?.assumingMemoryBound(to: CChar.self))
            }
            return body(Int32(clamping: count), values.baseAddress, lengths.pointer, formats.pointer)
        }
    }

    private mutating func append(_ value: UnsafeRawBufferPointer, _ format: ValueFormat) {
        let offset = bytes.count
        bytes.append(value.count + 1) { target in
            if let source = value.baseAddress {
                UnsafeMutableRawPointer(target).copyMemory(from: source, byteCount: value.count)
            }
            target[value.count] = 0
        }
        append(offset: offset, length: value.count, format)
    }

    private mutating func append(offset: Int, length: Int, _ format: ValueFormat) {
        offsets.append(offset)
        lengths.append(Int32(clamping: length))
        formats.append(Int32(format.rawValue))
    }
}
