/// As much of a `Response` as the load generator has to know, without decoding the rest.
struct LoadAnswer: Equatable {
    var id: UInt64 = 0
    var status: UInt8 = 0
    var hasMore = false
    /// A `GetResult` that says the key is not there.
    var isMissing = false

    private static let getResultField: UInt64 = 16

    /// Nil: not a message.
    init?(_ bytes: UnsafeRawBufferPointer) {
        var offset = 0
        while offset < bytes.count {
            guard let tag = Self.varint(bytes, &offset) else { return nil }
            switch tag & 7 {
            case 0:
                guard let value = Self.varint(bytes, &offset) else { return nil }
                switch tag >> 3 {
                case 1: id = value
                case 2: status = UInt8(truncatingIfNeeded: value)
                case 3: hasMore = value != 0
                default: break
                }
            case 1: offset += 8
            case 2:
                guard let length = Self.varint(bytes, &offset), length <= UInt64(bytes.count - offset) else {
                    return nil
                }
                // `found` is the first field and, as proto3 has it, absent when false.
                if tag >> 3 == Self.getResultField { isMissing = length == 0 || bytes[offset] != 0x08 }
                offset += Int(length)
            case 5: offset += 4
            default: return nil
            }
        }
        if offset != bytes.count { return nil }
    }

    private static func varint(_ bytes: UnsafeRawBufferPointer, _ offset: inout Int) -> UInt64? {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while offset < bytes.count, shift < 64 {
            let byte = bytes[offset]
            offset += 1
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
            shift += 7
        }
        return nil
    }
}
