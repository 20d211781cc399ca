/// The parameters of one execution, collected in flat memory that is used again and again. Values are copied in.
public struct ParameterList: Sendable {
    private struct Entry: Sendable {
        /// -1: NULL.
        var offset: Int
        var count: Int
        var format: ValueFormat
    }

    private var entries: [Entry] = []
    private var bytes: [UInt8] = []

    public init() {}

    public var count: Int { entries.count }
    /// Of all values together.
    public var byteCount: Int { bytes.count }

    public mutating func removeAll() {
        entries.removeAll(keepingCapacity: true)
        bytes.removeAll(keepingCapacity: bytes.capacity <= 1 << 16)
    }

    public mutating func appendNull() { entries.append(Entry(offset: -1, count: 0, format: .text)) }

    /// As the type's input function reads it. Must not contain a zero byte.
    public mutating func append(text: String) {
        begin(.text)
        bytes.append(contentsOf: text.utf8)
        end()
    }

    /// As the type's input function reads it. Must not contain a zero byte.
    public mutating func append(text: UnsafeRawBufferPointer) {
        begin(.text)
        bytes.append(contentsOf: text)
        end()
    }

    /// As the type's receive function reads it.
    public mutating func append(binary: UnsafeRawBufferPointer) {
        begin(.binary)
        bytes.append(contentsOf: binary)
        end()
    }

    public mutating func append(_ integer: Int64) {
        begin(.binary)
        withUnsafeBytes(of: integer.bigEndian) { bytes.append(contentsOf: $0) }
        end()
    }

    /// Every value with its format; nil: NULL. A text value is followed by a zero byte that its count leaves out. Borrowed.
    public func forEach(_ body: (UnsafeRawBufferPointer?, ValueFormat) -> Void) {
        bytes.withUnsafeBytes { all in
            for entry in entries {
                guard entry.offset >= 0 else {
                    body(nil, .text)
                    continue
                }
                body(UnsafeRawBufferPointer(rebasing: all[entry.offset..<entry.offset + entry.count]), entry.format)
            }
        }
    }

    private mutating func begin(_ format: ValueFormat) {
        entries.append(Entry(offset: bytes.count, count: 0, format: format))
    }

    private mutating func end() {
        let last = entries.count - 1
        entries[last].count = bytes.count - entries[last].offset
        bytes.append(0)
    }
}
