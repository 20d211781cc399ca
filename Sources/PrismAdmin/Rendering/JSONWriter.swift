/// Writes JSON in the order in which it is told. Commas and escapes are its business, structure the caller's closures.
struct JSONWriter {
    private(set) var text = ""
    private var needsComma = false

    mutating func object(_ key: String? = nil, _ members: (inout JSONWriter) -> Void) {
        nested(key, "{", "}", members)
    }

    mutating func array(_ key: String? = nil, _ elements: (inout JSONWriter) -> Void) {
        nested(key, "[", "]", elements)
    }

    mutating func string(_ key: String? = nil, _ value: String) {
        begin(key)
        text += Self.quoted(value)
    }

    mutating func number(_ key: String? = nil, _ value: some BinaryInteger) {
        begin(key)
        text += String(value)
    }

    mutating func bool(_ key: String? = nil, _ value: Bool) {
        begin(key)
        text += value ? "true" : "false"
    }

    mutating func null(_ key: String? = nil) {
        begin(key)
        text += "null"
    }

    /// A number that is text already, such as an exact decimal.
    mutating func literal(_ key: String? = nil, _ value: String) {
        begin(key)
        text += value
    }

    private mutating func begin(_ key: String?) {
        if needsComma { text += "," }
        needsComma = true
        if let key { text += Self.quoted(key) + ":" }
    }

    private mutating func nested(
        _ key: String?, _ open: String, _ close: String, _ body: (inout JSONWriter) -> Void
    ) {
        begin(key)
        text += open
        needsComma = false
        body(&self)
        text += close
        needsComma = true
    }

    private static func quoted(_ value: String) -> String {
        var result = "\""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case _ where scalar.value < 0x20:
                let hexadecimal = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - hexadecimal.count) + hexadecimal
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
