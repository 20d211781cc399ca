/// A `Query` read in place: what it points to is the frame's, or small and in the arena.
///
/// For frames that have been decoded and judged before: a second decoding in full would copy the statement and all values only
/// for somebody to read them once. Of what is not the plain case it says nothing (nil): decode that.
public struct QueryView {
    public private(set) var sql = UnsafeRawBufferPointer(start: nil, count: 0)
    public private(set) var parameters: UnsafeMutablePointer<UnsafeMutablePointer<Prism__V1__Value>?>?
    public private(set) var parameterCount = 0

    /// - Parameters:
    ///   - frame: a `Request`; must live as long as the view.
    ///   - arena: has the parameters until its next reset.
    /// - Returns: nil: no `Query` with SQL of its own, parameters with names, a field that stands twice, or no room in the arena.
    public init?(_ frame: UnsafeRawBufferPointer, in arena: Arena) {
        var request = FieldReader(frame)
        var query: UnsafeRawBufferPointer?
        while let field = request.next() {
            guard field.number >= 16 else { continue }
            guard field.number == 32, field.isDelimited, query == nil else { return nil }
            query = field.bytes
        }
        guard request.isAtEnd, let query, read(query, arena), !sql.isEmpty else { return nil }
    }

    private mutating func read(_ query: UnsafeRawBufferPointer, _ arena: Arena) -> Bool {
        var count = 0
        var fields = FieldReader(query)
        while let field = fields.next() {
            guard field.isDelimited else { return false }
            switch field.number {
            case 1:
                guard sql.isEmpty else { return false }
                sql = field.bytes
            case 2: count += 1
            default: return false
            }
        }
        guard fields.isAtEnd else { return false }
        guard count > 0 else { return true }
        guard let values = arena.allocate(Prism__V1__Value.self, count: count),
            let pointers = arena.allocate(UnsafeMutablePointer<Prism__V1__Value>?.self, count: count)
        else { return false }
        fields = FieldReader(query)
        while let field = fields.next() {
            guard field.number == 2 else { continue }
            let value = values + parameterCount
            guard Self.fill(value, field.bytes, arena) else { return false }
            pointers[parameterCount] = value
            parameterCount += 1
        }
        parameters = pointers
        return true
    }

    private static func fill(
        _ value: UnsafeMutablePointer<Prism__V1__Value>, _ bytes: UnsafeRawBufferPointer, _ arena: Arena
    ) -> Bool {
        prism__v1__value__init(value)
        var fields = FieldReader(bytes)
        guard let field = fields.next(), fields.isAtEnd else { return false }
        switch (field.number, field.kind) {
        case (1, .delimited): value.pointee.kind_case = PRISM__V1__VALUE__KIND_NULL
        case (2, .varint):
            value.pointee.kind_case = PRISM__V1__VALUE__KIND_BOOLEAN
            value.pointee.boolean = field.value != 0 ? 1 : 0
        case (3, .varint):
            value.pointee.kind_case = PRISM__V1__VALUE__KIND_INTEGER
            value.pointee.integer = Int64(bitPattern: field.value >> 1) ^ -Int64(bitPattern: field.value & 1)
        case (4, .fixed64):
            value.pointee.kind_case = PRISM__V1__VALUE__KIND_DOUBLE
            value.pointee.double_ = Double(bitPattern: field.value)
        case (5, .delimited):
            value.pointee.kind_case = PRISM__V1__VALUE__KIND_TEXT
            value.pointee.text = ProtobufCBinaryData(borrowing: field.bytes)
        case (6, .delimited):
            value.pointee.kind_case = PRISM__V1__VALUE__KIND_BYTES
            value.pointee.bytes = ProtobufCBinaryData(borrowing: field.bytes)
        case (7, .delimited):
            guard let typed = arena.allocate(Prism__V1__TypedText.self) else { return false }
            prism__v1__typed_text__init(typed)
            var parts = FieldReader(field.bytes)
            while let part = parts.next() {
                guard part.isDelimited, part.number == 1 || part.number == 2 else { return false }
                let text = ProtobufCBinaryData(borrowing: part.bytes)
                if part.number == 1 { typed.pointee.type = text } else { typed.pointee.text = text }
            }
            guard parts.isAtEnd else { return false }
            value.pointee.kind_case = PRISM__V1__VALUE__KIND_TYPED
            value.pointee.typed = typed
        default: return false
        }
        return true
    }
}

/// Reads fields of protobuf's wire format in place.
struct FieldReader {
    enum Kind: UInt8 {
        case varint = 0
        case fixed64 = 1
        case delimited = 2
        case fixed32 = 5
    }

    struct Field {
        let number: UInt64
        let kind: Kind
        /// Of a number, as it stands on the wire.
        var value: UInt64 = 0
        /// Of a delimited field.
        var bytes = UnsafeRawBufferPointer(start: nil, count: 0)

        var isDelimited: Bool { kind == .delimited }
    }

    private var position: UnsafeRawPointer
    private let end: UnsafeRawPointer
    private var isMalformed = false

    init(_ bytes: UnsafeRawBufferPointer) {
        // Without bytes, any address will do: it is not read from.
        position = bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 1).unsafelyUnwrapped
        end = position + bytes.count
    }

    /// Everything has been read, and was well formed.
    var isAtEnd: Bool { position == end && !isMalformed }

    /// Nil: there is no more, or it is malformed.
    mutating func next() -> Field? {
        guard position < end, !isMalformed else { return nil }
        guard let tag = varint(), tag >> 3 > 0, tag <= UInt64(UInt32.max),
            let kind = Kind(rawValue: UInt8(truncatingIfNeeded: tag & 7))
        else { return malformed() }
        var field = Field(number: tag >> 3, kind: kind)
        switch kind {
        case .varint:
            guard let value = varint() else { return malformed() }
            field.value = value
        case .fixed64:
            guard end - position >= 8 else { return malformed() }
            field.value = UInt64(littleEndian: position.loadUnaligned(as: UInt64.self))
            position += 8
        case .fixed32:
            guard end - position >= 4 else { return malformed() }
            field.value = UInt64(UInt32(littleEndian: position.loadUnaligned(as: UInt32.self)))
            position += 4
        case .delimited:
            guard let count = varint(), count <= UInt64(end - position) else { return malformed() }
            field.bytes = UnsafeRawBufferPointer(start: position, count: Int(count))
            position += Int(count)
        }
        return field
    }

    private mutating func malformed() -> Field? {
        isMalformed = true
        return nil
    }

    @inline(__always)
    private mutating func varint() -> UInt64? {
        guard position < end else { return nil }
        let first = position.load(as: UInt8.self)
        position += 1
        return first < 0x80 ? UInt64(first) : rest(of: first)
    }

    private mutating func rest(of first: UInt8) -> UInt64? {
        var value = UInt64(first & 0x7F)
        var shift: UInt64 = 7
        while position < end, shift < 64 {
            let byte = position.load(as: UInt8.self)
            position += 1
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
            shift += 7
        }
        return nil
    }
}

extension ProtobufCBinaryData {
    init(borrowing bytes: UnsafeRawBufferPointer) {
        self.init(
            len: bytes.count,
            data: bytes.isEmpty
                ? nil : bytes.baseAddress.map { UnsafeMutablePointer(mutating: $0.assumingMemoryBound(to: UInt8.self)) }
        )
    }
}
