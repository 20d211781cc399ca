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

    /// Fills `value`, copying into the arena what needs room.
    ///
    /// - Parameters:
    ///   - bytes: without a base address: NULL.
    ///   - typeName: of the type, used for values without a kind of their own; lives as long as the arena's contents.
    ///   - value: memory for one; need not be initialised.
    /// - Returns: false: the arena is full, or the bytes are not what the type looks like (`isWellFormed`).
    public static func decode(
        _ bytes: UnsafeRawBufferPointer, type: TypeOID, format: ValueFormat, typeName: ProtobufCBinaryData,
        into value: UnsafeMutablePointer<Prism__V1__Value>, in arena: Arena
    ) -> Bool {
        prism__v1__value__init(value)
        guard bytes.baseAddress != nil, type != BuiltInType.void else { return setNull(value, in: arena) }
        switch format {
        case .binary: return decodeBinary(bytes, type, into: value, in: arena)
        case .text: return decodeText(bytes, type, typeName, into: value, in: arena)
        }
    }

    /// Whether the decoder can read these bytes, given enough memory.
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

    private static func decodeBinary(
        _ bytes: UnsafeRawBufferPointer, _ type: TypeOID, into value: UnsafeMutablePointer<Prism__V1__Value>,
        in arena: Arena
    ) -> Bool {
        if let width = binaryWidth(type), width != bytes.count { return false }
        switch type {
        case BuiltInType.bool: set(value, boolean: bytes[0] != 0)
        case BuiltInType.int2: set(value, integer: Int64(load(bytes, Int16.self)))
        case BuiltInType.int4: set(value, integer: Int64(load(bytes, Int32.self)))
        case BuiltInType.int8: set(value, integer: load(bytes, Int64.self))
        case BuiltInType.oid: set(value, integer: Int64(load(bytes, UInt32.self)))
        case BuiltInType.float4: set(value, double: Double(Float(bitPattern: load(bytes, UInt32.self))))
        case BuiltInType.float8: set(value, double: Double(bitPattern: load(bytes, UInt64.self)))
        case BuiltInType.text, BuiltInType.varchar, BuiltInType.bpchar, BuiltInType.name:
            return set(value, text: bytes, in: arena)
        case BuiltInType.bytea:
            guard let copied = arena.copy(bytes) else { return false }
            set(value, bytes: copied)
        default: return false
        }
        return true
    }

    private static func load<T: FixedWidthInteger>(_ bytes: UnsafeRawBufferPointer, _ type: T.Type) -> T {
        T(bigEndian: bytes.loadUnaligned(as: T.self))
    }

    // MARK: text, as the types' output functions write it

    private static func decodeText(
        _ bytes: UnsafeRawBufferPointer, _ type: TypeOID, _ typeName: ProtobufCBinaryData,
        into value: UnsafeMutablePointer<Prism__V1__Value>, in arena: Arena
    ) -> Bool {
        switch type {
        case BuiltInType.bool:
            guard isWellFormed(bytes, type: type, format: .text) else { return false }
            set(value, boolean: bytes[0] == letterT)
        case BuiltInType.int2, BuiltInType.int4, BuiltInType.int8, BuiltInType.oid:
            guard let integer = integer(bytes) else { return false }
            set(value, integer: integer)
        case BuiltInType.float4, BuiltInType.float8:
            guard let double = double(bytes, type) else { return false }
            set(value, double: double)
        case BuiltInType.bytea:
            guard let copied = ByteaText.decode(bytes, in: arena) else { return false }
            set(value, bytes: copied)
        case BuiltInType.text, BuiltInType.varchar, BuiltInType.bpchar, BuiltInType.name, BuiltInType.char,
            BuiltInType.unknown:
            return set(value, text: bytes, in: arena)
        default: return set(value, typed: bytes, typeName, in: arena)
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

    // MARK: kinds

    private static func setNull(_ value: UnsafeMutablePointer<Prism__V1__Value>, in arena: Arena) -> Bool {
        guard let null = arena.allocate(Prism__V1__Null.self) else { return false }
        prism__v1__null__init(null)
        value.pointee.kind_case = PRISM__V1__VALUE__KIND_NULL
        value.pointee.null = null
        return true
    }

    private static func set(_ value: UnsafeMutablePointer<Prism__V1__Value>, boolean: Bool) {
        value.pointee.kind_case = PRISM__V1__VALUE__KIND_BOOLEAN
        value.pointee.boolean = boolean ? 1 : 0
    }

    private static func set(_ value: UnsafeMutablePointer<Prism__V1__Value>, integer: Int64) {
        value.pointee.kind_case = PRISM__V1__VALUE__KIND_INTEGER
        value.pointee.integer = integer
    }

    private static func set(_ value: UnsafeMutablePointer<Prism__V1__Value>, double: Double) {
        value.pointee.kind_case = PRISM__V1__VALUE__KIND_DOUBLE
        value.pointee.double_ = double
    }

    private static func set(_ value: UnsafeMutablePointer<Prism__V1__Value>, bytes: ProtobufCBinaryData) {
        value.pointee.kind_case = PRISM__V1__VALUE__KIND_BYTES
        value.pointee.bytes = bytes
    }

    /// A string field must be UTF-8. The server sees to that for all types but "char", whose one byte may be any.
    private static func set(
        _ value: UnsafeMutablePointer<Prism__V1__Value>, text: UnsafeRawBufferPointer, in arena: Arena
    ) -> Bool {
        guard let copied = arena.copy(text) else { return false }
        guard isValidUTF8(text) else {
            set(value, bytes: copied)
            return true
        }
        value.pointee.kind_case = PRISM__V1__VALUE__KIND_TEXT
        value.pointee.text = copied
        return true
    }

    private static func set(
        _ value: UnsafeMutablePointer<Prism__V1__Value>, typed text: UnsafeRawBufferPointer,
        _ typeName: ProtobufCBinaryData, in arena: Arena
    ) -> Bool {
        guard let copied = arena.copy(text) else { return false }
        // An array of "char" or a composite with one can hold any byte.
        guard isValidUTF8(text) else {
            set(value, bytes: copied)
            return true
        }
        guard let typed = arena.allocate(Prism__V1__TypedText.self) else { return false }
        prism__v1__typed_text__init(typed)
        typed.pointee.type = typeName
        typed.pointee.text = copied
        value.pointee.kind_case = PRISM__V1__VALUE__KIND_TYPED
        value.pointee.typed = typed
        return true
    }
}
