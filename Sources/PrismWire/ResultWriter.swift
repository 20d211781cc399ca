/// Writes one `QueryResult` (a whole one, or one part of a stream) as it goes over the wire, row by row: rows are many, and a
/// message structure of each would be built only to be copied. Its memory is used again.
///
///     beginRow, one append a column, endRow (or dropRow), …, then write
///
/// A row whose values are not as many as the columns is the caller's mistake; nothing here counts them.
public struct ResultWriter: ~Copyable {
    /// The message that the result stands in.
    public enum Place: Sendable {
        /// `Response.query`
        case response
        /// `BatchResult.results`
        case batch
    }

    /// Kept between two results, bytes.
    private static let bytesKeptMax = 64 << 10

    private var rows = ByteQueue()
    private var rowStart = 0
    /// Bytes of the length in front of a row: those of the row before, which most are as long as.
    private var lengthBytes = 1

    public init() {}

    /// Of the rows so far, on the wire.
    public var byteCount: Int { rows.count }

    /// Forgets all rows.
    public mutating func removeAll() {
        rows.removeAll(keepingUpTo: Self.bytesKeptMax)
    }

    // MARK: a row

    public mutating func beginRow() {
        rowStart = rows.count
        let lengthBytes = lengthBytes
        rows.append(upTo: 1 + FieldCursor.varintBytesMax) { target in
            target.storeBytes(of: 0x12, as: UInt8.self)  // rows = 2
            return 1 + lengthBytes
        }
    }

    public mutating func endRow() {
        let count = rows.count - rowStart - 1 - lengthBytes
        let needed = FieldCursor.varintBytes(UInt64(count))
        rows.replace(lengthBytes, at: rowStart + 1, with: needed) { target in
            var cursor = FieldCursor(target)
            cursor.put(varint: UInt64(count))
        }
        lengthBytes = needed
    }

    /// Forgets the last row, also one that was only begun.
    public mutating func dropRow() { rows.truncate(to: rowStart) }

    // MARK: its values: values = 1 of the row, and in it the field of their kind

    public mutating func appendNull() {
        rows.append(upTo: 4) { target in
            target.storeBytes(of: UInt32(0x0A02_0A00).bigEndian, as: UInt32.self)
            return 4
        }
    }

    public mutating func append(boolean: Bool) {
        rows.append(upTo: 4) { target in
            target.storeBytes(of: UInt32(boolean ? 0x0A02_1001 : 0x0A02_1000).bigEndian, as: UInt32.self)
            return 4
        }
    }

    public mutating func append(integer: Int64) {
        let zigzag = UInt64(bitPattern: integer << 1 ^ integer >> 63)
        rows.append(upTo: 3 + FieldCursor.varintBytesMax) { target in
            var cursor = FieldCursor(target)
            cursor.put(0x0A, varint: UInt64(1 + FieldCursor.varintBytes(zigzag)))
            cursor.put(0x18, varint: zigzag)
            return UnsafeMutableRawPointer(cursor.position) - target
        }
    }

    public mutating func append(double: Double) {
        rows.append(upTo: 11) { target in
            target.storeBytes(of: UInt16(0x0A09).bigEndian, as: UInt16.self)
            target.storeBytes(of: 0x21, toByteOffset: 2, as: UInt8.self)
            target.storeBytes(of: double.bitPattern.littleEndian, toByteOffset: 3, as: UInt64.self)
            return 11
        }
    }

    /// A text, or bytes where it is not UTF-8, which a string field must be: no database promises it of all that it calls text.
    public mutating func append(text: UnsafeRawBufferPointer) { append(isValidUTF8(text) ? 0x2A : 0x32, text) }

    public mutating func append(bytes: UnsafeRawBufferPointer) { append(0x32, bytes) }

    /// Bytes that are decoded on their way: `write` fills exactly `count`.
    public mutating func append(bytes count: Int, _ write: (UnsafeMutablePointer<UInt8>) -> Void) {
        append(0x32, count, write)
    }

    /// The text of a type without a kind of its own; bytes where it is not UTF-8.
    public mutating func append(typed text: UnsafeRawBufferPointer, type: UnsafeRawBufferPointer) {
        guard isValidUTF8(text) else { return append(bytes: text) }
        let typed =
            (type.isEmpty ? 0 : FieldCursor.fieldBytes(type.count))
            + (text.isEmpty ? 0 : FieldCursor.fieldBytes(text.count))
        rows.append(upTo: FieldCursor.fieldBytes(FieldCursor.fieldBytes(typed))) { target in
            var cursor = FieldCursor(target)
            cursor.put(0x0A, varint: UInt64(FieldCursor.fieldBytes(typed)))
            cursor.put(0x3A, varint: UInt64(typed))
            if !type.isEmpty { cursor.put(0x0A, bytes: type) }
            if !text.isEmpty { cursor.put(0x12, bytes: text) }
            return UnsafeMutableRawPointer(cursor.position) - target
        }
    }

    private mutating func append(_ tag: UInt8, _ bytes: UnsafeRawBufferPointer) {
        append(tag, bytes.count) { target in
            guard let source = bytes.baseAddress else { return }
            UnsafeMutableRawPointer(target).copyMemory(from: source, byteCount: bytes.count)
        }
    }

    private mutating func append(_ tag: UInt8, _ count: Int, _ write: (UnsafeMutablePointer<UInt8>) -> Void) {
        let field = FieldCursor.fieldBytes(count)
        let size = FieldCursor.fieldBytes(field)
        rows.append(upTo: size) { target in
            var cursor = FieldCursor(target)
            cursor.put(0x0A, varint: UInt64(field))
            cursor.put(tag, varint: UInt64(count))
            write(cursor.position)
            return size
        }
    }

    // MARK: the result

    /// Appends one `QueryResult.columns`. What is not UTF-8, as a file of another program may have it, is repaired: no client could
    /// read the answer.
    public static func appendColumn(
        name: UnsafeRawBufferPointer, type: UnsafeRawBufferPointer, to columns: inout ByteQueue
    ) {
        guard isValidUTF8(name), isValidUTF8(type) else {
            var (name, type) = (String(decoding: name, as: UTF8.self), String(decoding: type, as: UTF8.self))
            return name.withUTF8 { name in
                type.withUTF8 { type in
                    appendColumn(name: UnsafeRawBufferPointer(name), type: UnsafeRawBufferPointer(type), to: &columns)
                }
            }
        }
        let count =
            (name.isEmpty ? 0 : FieldCursor.fieldBytes(name.count))
            + (type.isEmpty ? 0 : FieldCursor.fieldBytes(type.count))
        columns.append(upTo: FieldCursor.fieldBytes(count)) { target in
            var cursor = FieldCursor(target)
            cursor.put(0x0A, varint: UInt64(count))
            if !name.isEmpty { cursor.put(0x0A, bytes: name) }
            if !type.isEmpty { cursor.put(0x12, bytes: type) }
            return UnsafeMutableRawPointer(cursor.position) - target
        }
    }

    /// Appends the result with all rows so far.
    ///
    /// - Parameters:
    ///   - columns: of `appendColumn`; none on a result's later parts.
    ///   - tag: the command's first word, on its last part only; empty: another part follows.
    public borrowing func write(
        in place: Place, columns: UnsafeRawBufferPointer, tag: UnsafeRawBufferPointer, rowsAffected: UInt64,
        to output: inout ByteQueue
    ) {
        let rows = rows.bytes
        let count = contentBytes(columns.count, tag.count, rowsAffected)
        output.append(upTo: count + Self.frameBytes(place, count)) { target in
            var cursor = FieldCursor(target)
            Self.begin(place, count, &cursor)
            cursor.put(bytes: columns)
            cursor.put(bytes: rows)
            if !tag.isEmpty { cursor.put(0x1A, bytes: tag) }  // tag = 3
            if rowsAffected > 0 { cursor.put(0x20, varint: rowsAffected) }  // rows_affected = 4
            return UnsafeMutableRawPointer(cursor.position) - target
        }
    }

    /// Bytes that `write` appends.
    public borrowing func writtenBytes(in place: Place, columns: Int, tag: Int, rowsAffected: UInt64) -> Int {
        let count = contentBytes(columns, tag, rowsAffected)
        return count + Self.frameBytes(place, count)
    }

    /// Appends `Response.batch` around results that were written in place `batch`.
    public static func writeBatch(_ results: UnsafeRawBufferPointer, to output: inout ByteQueue) {
        output.append(upTo: batchBytes(results.count)) { target in
            var cursor = FieldCursor(target)
            cursor.put(varint: 33 << 3 | 2)  // batch = 33
            cursor.put(varint: UInt64(results.count))
            cursor.put(bytes: results)
            return UnsafeMutableRawPointer(cursor.position) - target
        }
    }

    /// Bytes that `writeBatch` appends.
    public static func batchBytes(_ results: Int) -> Int { 2 + FieldCursor.varintBytes(UInt64(results)) + results }

    private borrowing func contentBytes(_ columns: Int, _ tag: Int, _ rowsAffected: UInt64) -> Int {
        columns + rows.count + (tag == 0 ? 0 : FieldCursor.fieldBytes(tag))
            + (rowsAffected == 0 ? 0 : 1 + FieldCursor.varintBytes(rowsAffected))
    }

    private static func frameBytes(_ place: Place, _ count: Int) -> Int {
        (place == .response ? 2 : 1) + FieldCursor.varintBytes(UInt64(count))
    }

    private static func begin(_ place: Place, _ count: Int, _ cursor: inout FieldCursor) {
        switch place {
        case .response: cursor.put(varint: 32 << 3 | 2)  // query = 32
        case .batch: cursor.put(byte: 0x0A)  // results = 1
        }
        cursor.put(varint: UInt64(count))
    }
}
