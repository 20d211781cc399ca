import PrismCore
import PrismWire

/// A value of the wire that a test can compare and write down.
enum PlainValue: Equatable {
    case null
    case boolean(Bool)
    case integer(Int64)
    /// By bits: NaN equals itself, 0 is not -0.
    case double(UInt64)
    case text(String)
    case bytes([UInt8])
    case typed(String, String)

    static func number(_ value: Double) -> PlainValue { .double(value.bitPattern) }

    init?(_ value: Prism__V1__Value) {
        switch value.kind_case {
        case PRISM__V1__VALUE__KIND_NULL: self = .null
        case PRISM__V1__VALUE__KIND_BOOLEAN: self = .boolean(value.boolean != 0)
        case PRISM__V1__VALUE__KIND_INTEGER: self = .integer(value.integer)
        case PRISM__V1__VALUE__KIND_DOUBLE: self = .double(value.double_.bitPattern)
        case PRISM__V1__VALUE__KIND_TEXT: self = .text(value.text.string)
        case PRISM__V1__VALUE__KIND_BYTES: self = .bytes(Array(value.bytes.bytes))
        case PRISM__V1__VALUE__KIND_TYPED:
            self = .typed(value.typed.pointee.type.string, value.typed.pointee.text.string)
        default: return nil
        }
    }

    /// As a client would send it; lives in the arena.
    func wire(in arena: Arena) -> UnsafeMutablePointer<Prism__V1__Value>? {
        guard let value = arena.allocate(Prism__V1__Value.self) else { return nil }
        prism__v1__value__init(value)
        switch self {
        case .null:
            value.pointee.kind_case = PRISM__V1__VALUE__KIND_NULL
            value.pointee.null = arena.allocate(Prism__V1__Null.self)
            prism__v1__null__init(value.pointee.null)
        case .boolean(let boolean):
            value.pointee.kind_case = PRISM__V1__VALUE__KIND_BOOLEAN
            value.pointee.boolean = boolean ? 1 : 0
        case .integer(let integer):
            value.pointee.kind_case = PRISM__V1__VALUE__KIND_INTEGER
            value.pointee.integer = integer
        case .double(let bits):
            value.pointee.kind_case = PRISM__V1__VALUE__KIND_DOUBLE
            value.pointee.double_ = Double(bitPattern: bits)
        case .text(let text):
            value.pointee.kind_case = PRISM__V1__VALUE__KIND_TEXT
            value.pointee.text = arena.copy(text) ?? ProtobufCBinaryData()
        case .bytes(let bytes):
            value.pointee.kind_case = PRISM__V1__VALUE__KIND_BYTES
            value.pointee.bytes = bytes.withUnsafeBytes { arena.copy($0) } ?? ProtobufCBinaryData()
        case .typed(let type, let text):
            value.pointee.kind_case = PRISM__V1__VALUE__KIND_TYPED
            value.pointee.typed = arena.allocate(Prism__V1__TypedText.self)
            prism__v1__typed_text__init(value.pointee.typed)
            value.pointee.typed.pointee.type = arena.copy(type) ?? ProtobufCBinaryData()
            value.pointee.typed.pointee.text = arena.copy(text) ?? ProtobufCBinaryData()
        }
        return value
    }
}

/// One parameter as it goes to the server.
struct PlainParameter: Equatable {
    var bytes: [UInt8]?
    var format: ValueFormat

    static func text(_ text: String) -> PlainParameter { PlainParameter(bytes: Array(text.utf8), format: .text) }
    static func binary(_ bytes: [UInt8]) -> PlainParameter { PlainParameter(bytes: bytes, format: .binary) }
    static let null = PlainParameter(bytes: nil, format: .text)
}

extension ParameterList {
    var plain: [PlainParameter] {
        var plain: [PlainParameter] = []
        forEach { bytes, format in plain.append(PlainParameter(bytes: bytes.map(Array.init), format: format)) }
        return plain
    }
}

func bigEndian<T: FixedWidthInteger>(_ value: T) -> [UInt8] { withUnsafeBytes(of: value.bigEndian, Array.init) }
