/// Decodes the most frequent requests in place: `Query` and `Get` as encoders write them, every field at most once.
///
/// The whole decoder goes through a table of descriptors and copies the statement and all values, for somebody to read them once.
/// What this one accepts is what that one makes of the same bytes; of all else it says nothing (nil), and that one is asked.
/// Structures come from the arena; what they point to stays in the frame.
enum PlainRequest {
    /// - Parameter operation: gets where the operation stands in the frame.
    static func decode(
        _ frame: UnsafeRawBufferPointer, in arena: borrowing Arena, operation: inout UnsafeRawBufferPointer
    ) -> UnsafePointer<Prism__V1__Request>? {
        guard let message = arena.allocate(Prism__V1__Request.self) else { return nil }
        prism__v1__request__init(message)
        var fields = FieldReader(frame)
        var seen: UInt32 = 0
        while fields.next() {
            // Each has a bit of its own: a Query, 32, that of 0, which no field has.
            let bit = UInt32(1) << (fields.tag >> 3 & 31)
            guard seen & bit == 0 else { return nil }
            seen |= bit
            switch fields.tag {
            case 1 << 3: message.pointee.id = fields.value
            case 2 << 3: message.pointee.timeout_microseconds = fields.value
            case 3 << 3: message.pointee.deadline_nanoseconds = fields.value
            case 4 << 3 | 2: message.pointee.backend = ProtobufCBinaryData(borrowing: fields.bytes)
            case 5 << 3: message.pointee.transaction = fields.value
            case 6 << 3: message.pointee.read_only = fields.value == 0 ? 0 : 1
            case 7 << 3 | 2: message.pointee.idempotency_key = ProtobufCBinaryData(borrowing: fields.bytes)
            case 8 << 3 | 2: message.pointee.traceparent = ProtobufCBinaryData(borrowing: fields.bytes)
            case 16 << 3 | 2, 32 << 3 | 2:
                guard message.pointee.operation_case == PRISM__V1__REQUEST__OPERATION__NOT_SET else { return nil }
                message.pointee.operation_case = Prism__V1__Request__OperationCase(fields.tag >> 3)
                operation = fields.bytes
            default: return nil
            }
        }
        return fields.isAtEnd && fill(message, operation, arena) ? UnsafePointer(message) : nil
    }

    /// Nothing but the operation, of a request that was found plain before.
    static func decode(
        operation: UnsafeRawBufferPointer, kind: OperationKind, in arena: borrowing Arena
    ) -> UnsafePointer<Prism__V1__Request>? {
        guard let message = arena.allocate(Prism__V1__Request.self) else { return nil }
        prism__v1__request__init(message)
        message.pointee.operation_case = Prism__V1__Request__OperationCase(UInt32(kind.rawValue))
        return fill(message, operation, arena) ? UnsafePointer(message) : nil
    }

    private static func fill(
        _ message: UnsafeMutablePointer<Prism__V1__Request>, _ operation: UnsafeRawBufferPointer,
        _ arena: borrowing Arena
    ) -> Bool {
        switch message.pointee.operation_case {
        case PRISM__V1__REQUEST__OPERATION_QUERY:
            guard let query = query(operation, arena) else { return false }
            message.pointee.query = query
        case PRISM__V1__REQUEST__OPERATION_GET:
            guard let get = get(operation, arena) else { return false }
            message.pointee.get = get
        default: return false
        }
        return true
    }

    /// What protobuf-c needs beside, at the most: copies of everything, and a list of a message's fields, which it doubles as it grows.
    static func moreBytesToCopy(_ request: UnsafePointer<Prism__V1__Request>, of frame: UnsafeRawBufferPointer) -> Int {
        let isQuery = request.pointee.operation_case == PRISM__V1__REQUEST__OPERATION_QUERY
        let parameters = isQuery ? request.pointee.query?.pointee.n_parameters ?? 0 : 0
        return frame.count + (parameters + 2) * 2 * scannedFieldBytes
    }

    /// protobuf-c's ScannedMember.
    private static let scannedFieldBytes = 32

    private static func get(_ bytes: UnsafeRawBufferPointer, _ arena: borrowing Arena) -> UnsafeMutablePointer<
        Prism__V1__Get
    >? {
        guard let message = arena.allocate(Prism__V1__Get.self), let fields = pair(bytes) else { return nil }
        prism__v1__get__init(message)
        message.pointee.namespace_ = fields.first
        message.pointee.key = fields.second
        return message
    }

    private static func query(_ bytes: UnsafeRawBufferPointer, _ arena: borrowing Arena) -> UnsafeMutablePointer<
        Prism__V1__Query
    >? {
        guard let message = arena.allocate(Prism__V1__Query.self) else { return nil }
        prism__v1__query__init(message)
        var fields = FieldReader(bytes)
        var first = fields
        var (hasSQL, hasStatement, count) = (false, false, 0)
        while fields.next() {
            switch fields.tag {
            case 1 << 3 | 2:
                guard !hasSQL else { return nil }
                hasSQL = true
                message.pointee.sql = ProtobufCBinaryData(borrowing: fields.bytes)
            case 2 << 3 | 2:
                if count == 0 { first = fields }
                count += 1
            case 4 << 3 | 2:
                guard !hasStatement else { return nil }
                hasStatement = true
                message.pointee.statement = ProtobufCBinaryData(borrowing: fields.bytes)
            default: return nil
            }
        }
        guard fields.isAtEnd else { return nil }
        guard count > 0 else { return message }
        guard let values = arena.allocate(Prism__V1__Value.self, count: count),
            let pointers = arena.allocate(UnsafeMutablePointer<Prism__V1__Value>?.self, count: count)
        else { return nil }
        repeat {
            guard first.tag == 2 << 3 | 2 else { continue }
            let value = values + message.pointee.n_parameters
            guard fill(value, first.bytes, arena) else { return nil }
            pointers[message.pointee.n_parameters] = value
            message.pointee.n_parameters += 1
        } while first.next()
        message.pointee.parameters = pointers
        return message
    }

    private static func fill(
        _ value: UnsafeMutablePointer<Prism__V1__Value>, _ bytes: UnsafeRawBufferPointer, _ arena: borrowing Arena
    ) -> Bool {
        prism__v1__value__init(value)
        var fields = FieldReader(bytes)
        guard fields.next(), fields.isAtEnd else { return false }
        value.pointee.kind_case = Prism__V1__Value__KindCase(fields.tag >> 3)
        switch fields.tag {
        case 1 << 3 | 2:
            guard fields.bytes.isEmpty, let null = arena.allocate(Prism__V1__Null.self) else { return false }
            prism__v1__null__init(null)
            value.pointee.null = null
        case 2 << 3: value.pointee.boolean = fields.value == 0 ? 0 : 1
        case 3 << 3: value.pointee.integer = Int64(bitPattern: fields.value >> 1) ^ -Int64(bitPattern: fields.value & 1)
        case 4 << 3 | 1: value.pointee.double_ = Double(bitPattern: fields.value)
        case 5 << 3 | 2: value.pointee.text = ProtobufCBinaryData(borrowing: fields.bytes)
        case 6 << 3 | 2: value.pointee.bytes = ProtobufCBinaryData(borrowing: fields.bytes)
        case 7 << 3 | 2:
            guard let typed = typed(fields.bytes, arena) else { return false }
            value.pointee.typed = typed
        default: return false
        }
        return true
    }

    private static func typed(
        _ bytes: UnsafeRawBufferPointer, _ arena: borrowing Arena
    ) -> UnsafeMutablePointer<Prism__V1__TypedText>? {
        guard let message = arena.allocate(Prism__V1__TypedText.self), let fields = pair(bytes) else { return nil }
        prism__v1__typed_text__init(message)
        message.pointee.type = fields.first
        message.pointee.text = fields.second
        return message
    }

    /// The fields of a message that has two delimited ones, 1 and 2.
    private static func pair(
        _ bytes: UnsafeRawBufferPointer
    ) -> (first: ProtobufCBinaryData, second: ProtobufCBinaryData)? {
        let empty = UnsafeRawBufferPointer(start: nil, count: 0)
        var (first, second) = (empty, empty)
        var (hasFirst, hasSecond) = (false, false)
        var fields = FieldReader(bytes)
        while fields.next() {
            switch fields.tag {
            case 1 << 3 | 2:
                guard !hasFirst else { return nil }
                (hasFirst, first) = (true, fields.bytes)
            case 2 << 3 | 2:
                guard !hasSecond else { return nil }
                (hasSecond, second) = (true, fields.bytes)
            default: return nil
            }
        }
        guard fields.isAtEnd else { return nil }
        return (ProtobufCBinaryData(borrowing: first), ProtobufCBinaryData(borrowing: second))
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
