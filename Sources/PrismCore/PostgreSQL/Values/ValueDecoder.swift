public import PrismWire

/// Values of results as PostgreSQL writes them, to values of the wire.
///
/// | type | kind |
/// |---|---|
/// | bool | boolean |
/// | int2, int4, int8, oid | integer |
/// | float4 (widened, exactly), float8 | double |
/// | text, varchar, bpchar, name, "char", unknown | text |
/// | bytea | bytes |
/// | void | null: there is nothing in it |
/// | every other | typed: the type's name, and the text as the server writes it |
public enum ValueDecoder {
    /// Whether results of these columns can be asked for in binary; otherwise in text. A result has one format.
    public static func supportsBinary(_ columns: [ServerColumn]) -> Bool {
        columns.allSatisfy { isBinarySupported($0.type) }
    }

    /// Whether rows of these columns can be decoded: in text always.
    static func isReadable(_ columns: ServerColumns) -> Bool {
        columns.format == .text || supportsBinary(columns.columns)
    }

    static func isBinarySupported(_ type: TypeOID) -> Bool {
        switch type {
        case BuiltInType.bool, BuiltInType.int2, BuiltInType.int4, BuiltInType.int8, BuiltInType.oid,
            BuiltInType.float4, BuiltInType.float8, BuiltInType.text, BuiltInType.varchar, BuiltInType.bpchar,
            BuiltInType.name, BuiltInType.bytea:
            true
        default: false
        }
    }

    /// Appends one value to the row that is being written.
    ///
    /// - Parameters:
    ///   - bytes: without a base address: NULL.
    ///   - typeName: of the type, used for values without a kind of their own.
    /// - Returns: false: the bytes are not what the type looks like (`isWellFormed`).
    public static func append(
        _ bytes: UnsafeRawBufferPointer, type: TypeOID, format: ValueFormat, typeName: String,
        to writer: inout ResultWriter
    ) -> Bool {
        guard bytes.baseAddress != nil, type != BuiltInType.void else {
            writer.appendNull()
            return true
        }
        switch format {
        case .binary: return appendBinary(bytes, type, to: &writer)
        case .text: return appendText(bytes, type, typeName, to: &writer)
        }
    }

    /// Whether the decoder can read these bytes.
    public static func isWellFormed(_ bytes: UnsafeRawBufferPointer, type: TypeOID, format: ValueFormat) -> Bool {
        guard bytes.baseAddress != nil, type != BuiltInType.void else { return true }
        switch (format, type) {
        case (.binary, _): return isBinarySupported(type) && binaryWidth(type).map { $0 == bytes.count } ?? true
        case (.text, BuiltInType.bool): return bytes.count == 1 && (bytes[0] == letterT || bytes[0] == letterF)
        case (.text, BuiltInType.int2), (.text, BuiltInType.int4), (.text, BuiltInType.int8), (.text, BuiltInType.oid):
            return integer(bytes) != nil
        case (.text, BuiltInType.float4), (.text, BuiltInType.float8): return double(bytes, type) != nil
        case (.text, BuiltInType.bytea): return ByteaText.decodedCount(bytes) != nil
        default: return true
        }
    }

    private static let letterT = UInt8(ascii: "t")
    private static let letterF = UInt8(ascii: "f")

    // MARK: binary, as the types' send functions write it

    private static func binaryWidth(_ type: TypeOID) -> Int? {
        switch type {
        case BuiltInType.bool: 1
        case BuiltInType.int2: 2
        case BuiltInType.int4, BuiltInType.oid, BuiltInType.float4: 4
        case BuiltInType.int8, BuiltInType.float8: 8
        default: nil
        }
    }

    private static func appendBinary(
        _ bytes: UnsafeRawBufferPointer, _ type: TypeOID, to writer: inout ResultWriter
    ) -> Bool {
        if let width = binaryWidth(type), width != bytes.count { return false }
        switch type {
        case BuiltInType.bool: writer.append(boolean: bytes[0] != 0)
        case BuiltInType.int2: writer.append(integer: Int64(load(bytes, Int16.self)))
        case BuiltInType.int4: writer.append(integer: Int64(load(bytes, Int32.self)))
        case BuiltInType.int8: writer.append(integer: load(bytes, Int64.self))
        case BuiltInType.oid: writer.append(integer: Int64(load(bytes, UInt32.self)))
        case BuiltInType.float4: writer.append(double: Double(Float(bitPattern: load(bytes, UInt32.self))))
        case BuiltInType.float8: writer.append(double: Double(bitPattern: load(bytes, UInt64.self)))
        case BuiltInType.text, BuiltInType.varchar, BuiltInType.bpchar, BuiltInType.name: writer.append(text: bytes)
        case BuiltInType.bytea: writer.append(bytes: bytes)
        default: return false
        }
        return true
    }

    private static func load<T: FixedWidthInteger>(_ bytes: UnsafeRawBufferPointer, _ type: T.Type) -> T {
        T(bigEndian: bytes.loadUnaligned(as: T.self))
    }

    // MARK: text, as the types' output functions write it

    private static func appendText(
        _ bytes: UnsafeRawBufferPointer, _ type: TypeOID, _ typeName: String, to writer: inout ResultWriter
    ) -> Bool {
        switch type {
        case BuiltInType.bool:
            guard isWellFormed(bytes, type: type, format: .text) else { return false }
            writer.append(boolean: bytes[0] == letterT)
        case BuiltInType.int2, BuiltInType.int4, BuiltInType.int8, BuiltInType.oid:
            guard let integer = integer(bytes) else { return false }
            writer.append(integer: integer)
        case BuiltInType.float4, BuiltInType.float8:
            guard let double = double(bytes, type) else { return false }
            writer.append(double: double)
        case BuiltInType.bytea:
            guard let count = ByteaText.decodedCount(bytes) else { return false }
            writer.append(bytes: count) { ByteaText.decode(bytes, into: $0) }
        case BuiltInType.text, BuiltInType.varchar, BuiltInType.bpchar, BuiltInType.name, BuiltInType.char,
            BuiltInType.unknown:
            writer.append(text: bytes)
        default:
            var typeName = typeName
            typeName.withUTF8 { writer.append(typed: bytes, type: UnsafeRawBufferPointer($0)) }
        }
        return true
    }

    /// Decimal, with a sign before it at most.
    private static func integer(_ bytes: UnsafeRawBufferPointer) -> Int64? {
        let isNegative = bytes.first == UInt8(ascii: "-")
        let digits = bytes.dropFirst(isNegative ? 1 : 0)
        guard !digits.isEmpty else { return nil }
        // Built up below zero, where there is room for one more.
        var result: Int64 = 0
        for byte in digits {
            guard (0x30...0x39).contains(byte) else { return nil }
            let (tens, tooLarge) = result.multipliedReportingOverflow(by: 10)
            let (sum, overflow) = tens.subtractingReportingOverflow(Int64(byte - 0x30))
            guard !tooLarge, !overflow else { return nil }
            result = sum
        }
        guard !isNegative else { return result }
        return result == .min ? nil : -result
    }

    private static func double(_ bytes: UnsafeRawBufferPointer, _ type: TypeOID) -> Double? {
        let text = String(decoding: bytes, as: UTF8.self)
        switch text {
        case "NaN": return .nan
        case "Infinity": return .infinity
        case "-Infinity": return -.infinity
        default:
            // The shortest text of a float4 is the text of that float4, not of the double that it is widened to.
            return type == BuiltInType.float4 ? Float(text).map(Double.init) : Double(text)
        }
    }
}
