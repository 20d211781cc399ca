internal import PrismWire

/// Bytes as people may see them. What comes from a database must not steer the terminal or break lines apart.
public enum Printable {
    /// For a terminal: control characters and ill-formed UTF-8 as `\xNN`.
    public static func terminal(_ bytes: UnsafeRawBufferPointer) -> String {
        guard isValidUTF8(bytes) else { return "\\x" + hexadecimal(bytes) }
        return terminal(String(decoding: bytes, as: UTF8.self))
    }

    public static func terminal(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: isControl) else { return text }
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\n": result += "\\n"
            case "\t": result += "\\t"
            case "\r": result += "\\r"
            case let scalar where isControl(scalar): result += "\\u{\(String(scalar.value, radix: 16))}"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    /// The same, but lines stay lines: for a value that fills the screen by itself.
    public static func terminalLines(_ bytes: UnsafeRawBufferPointer) -> String {
        guard isValidUTF8(bytes) else { return "\\x" + hexadecimal(bytes) }
        return terminalLines(String(decoding: bytes, as: UTF8.self))
    }

    public static func terminalLines(_ text: String) -> String {
        text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            line.split(separator: "\t", omittingEmptySubsequences: false).map { terminal(String($0)) }
                .joined(separator: "\t")
        }.joined(separator: "\n")
    }

    /// For lines of tab-separated fields, as PostgreSQL's COPY writes text.
    public static func tabSeparated(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count)
        for byte in bytes {
            switch byte {
            case UInt8(ascii: "\\"): result.append(contentsOf: #"\\"#.utf8)
            case UInt8(ascii: "\t"): result.append(contentsOf: #"\t"#.utf8)
            case UInt8(ascii: "\n"): result.append(contentsOf: #"\n"#.utf8)
            case UInt8(ascii: "\r"): result.append(contentsOf: #"\r"#.utf8)
            default: result.append(byte)
            }
        }
        return result
    }

    /// Two lower-case digits a byte.
    public static func hexadecimal(_ bytes: UnsafeRawBufferPointer) -> String {
        var text = ""
        for byte in bytes { text += (byte < 16 ? "0" : "") + String(byte, radix: 16) }
        return text
    }

    private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        // C0, DEL, C1, and the marks that reorder text.
        scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value) || (0x202A...0x202E).contains(scalar.value)
            || (0x2066...0x2069).contains(scalar.value)
    }
}
