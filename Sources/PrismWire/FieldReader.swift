/// Reads fields of protobuf's wire format in place, as encoders write them: of what is malformed or unusual it says only that it
/// is not plain.
struct FieldReader {
    /// Field number and wire type, as they stand on the wire: `number << 3 | type`. Types: 0 varint, 1 eight bytes, 2 delimited.
    private(set) var tag: UInt32 = 0
    /// Of a number, as it stands on the wire.
    private(set) var value: UInt64 = 0
    /// Of a delimited field.
    private(set) var bytes = UnsafeRawBufferPointer(start: nil, count: 0)

    /// Longer ones are malformed, whatever they say.
    private static let lengthBytesMax = 5

    private var position: UnsafeRawPointer
    private let end: UnsafeRawPointer
    private var isPlain = true

    @inline(__always)
    init(_ bytes: UnsafeRawBufferPointer) {
        // Without bytes, any address will do: it is not read from.
        position = bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 1).unsafelyUnwrapped
        end = position + bytes.count
    }

    /// Everything has been read, and was plain.
    var isAtEnd: Bool { position == end && isPlain }

    /// False: there is no more, or it is not plain.
    @inline(__always)
    mutating func next() -> Bool {
        guard position < end else { return false }
        let first = position.load(as: UInt8.self)
        position += 1
        tag = UInt32(first)
        if first >= 0x80 {
            // Numbers from 16 to 2047.
            guard position < end else { return notPlain() }
            let second = position.load(as: UInt8.self)
            position += 1
            guard second > 0, second < 0x80 else { return notPlain() }
            tag = UInt32(first & 0x7F) | UInt32(second) << 7
        }
        switch tag & 7 {
        case 0: return readValue()
        case 1:
            guard end - position >= 8 else { return notPlain() }
            value = UInt64(littleEndian: position.loadUnaligned(as: UInt64.self))
            position += 8
            return true
        case 2:
            let start = position
            guard readValue(), position - start <= Self.lengthBytesMax, value <= UInt64(end - position) else {
                return notPlain()
            }
            bytes = UnsafeRawBufferPointer(start: position, count: Int(value))
            position += Int(value)
            return true
        default: return notPlain()
        }
    }

    @inline(__always)
    private mutating func readValue() -> Bool {
        guard position < end else { return notPlain() }
        let first = position.load(as: UInt8.self)
        position += 1
        value = UInt64(first)
        return first < 0x80 || readRest()
    }

    /// Of a number of two bytes and more.
    private mutating func readRest() -> Bool {
        value &= 0x7F
        var shift: UInt64 = 7
        // With a tenth byte come bits that 64 do not hold, and negative numbers of types that Prism does not use.
        while position < end, shift < 63 {
            let byte = position.load(as: UInt8.self)
            position += 1
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return true }
            shift += 7
        }
        return notPlain()
    }

    private mutating func notPlain() -> Bool {
        isPlain = false
        return false
    }
}
