internal import PrismWire

/// The text forms of bytea: `\x` and hexadecimal digits, or the older escapes (`bytea_output`).
enum ByteaText {
    private static let backslash = UInt8(ascii: "\\")
    private static let hexDigits = Array("0123456789abcdef".utf8)

    /// nil: not a form of bytea.
    static func decodedCount(_ text: UnsafeRawBufferPointer) -> Int? {
        var count = 0
        return forEachByte(of: text) { _ in count += 1 } ? count : nil
    }

    /// - Parameter target: has room for `decodedCount` bytes, which is not nil.
    static func decode(_ text: UnsafeRawBufferPointer, into target: UnsafeMutablePointer<UInt8>) {
        var index = 0
        _ = forEachByte(of: text) { byte in
            target[index] = byte
            index += 1
        }
    }

    /// Appends the hexadecimal form.
    static func appendHexadecimal(_ bytes: UnsafeRawBufferPointer, to text: inout [UInt8]) {
        text.reserveCapacity(text.count + 2 + bytes.count * 2)
        text.append(backslash)
        text.append(UInt8(ascii: "x"))
        for byte in bytes {
            text.append(hexDigits[Int(byte >> 4)])
            text.append(hexDigits[Int(byte & 15)])
        }
    }

    /// - Returns: false: not a form of bytea.
    private static func forEachByte(of text: UnsafeRawBufferPointer, _ body: (UInt8) -> Void) -> Bool {
        if text.count >= 2, text[0] == backslash, text[1] == UInt8(ascii: "x") {
            return forEachHexadecimalByte(of: text, body)
        }
        var index = 0
        while index < text.count {
            guard text[index] == backslash else {
                body(text[index])
                index += 1
                continue
            }
            if index + 1 < text.count, text[index + 1] == backslash {
                body(backslash)
                index += 2
                continue
            }
            guard index + 3 < text.count, (0x30...0x33).contains(text[index + 1]),
                (0x30...0x37).contains(text[index + 2]), (0x30...0x37).contains(text[index + 3])
            else { return false }
            body((text[index + 1] & 3) << 6 | (text[index + 2] & 7) << 3 | (text[index + 3] & 7))
            index += 4
        }
        return true
    }

    private static func forEachHexadecimalByte(of text: UnsafeRawBufferPointer, _ body: (UInt8) -> Void) -> Bool {
        guard text.count % 2 == 0 else { return false }
        var index = 2
        while index < text.count {
            guard let high = hexValue(text[index]), let low = hexValue(text[index + 1]) else { return false }
            body(high << 4 | low)
            index += 2
        }
        return true
    }

    private static func hexValue(_ digit: UInt8) -> UInt8? {
        switch digit {
        case 0x30...0x39: digit - 0x30
        case 0x61...0x66: digit - 0x61 + 10
        case 0x41...0x46: digit - 0x41 + 10
        default: nil
        }
    }
}
