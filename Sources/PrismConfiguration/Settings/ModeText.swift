/// Permission bits, always octal: `0660`, `"0660"`, `660`, `0o660`.
enum ModeText {
    static let remedy = "write three or four octal digits, such as 0660"
    static let pattern = "^0?o?[0-7]{3}$"

    static func parse(_ text: String) throws(ValueProblem) -> UInt32 {
        var digits = Substring(text)
        if digits.hasPrefix("0o") {
            digits = digits.dropFirst(2)
        } else if digits.utf8.count == 4, digits.hasPrefix("0") {
            digits = digits.dropFirst()
        }
        guard digits.utf8.count == 3, digits.utf8.allSatisfy({ (0x30...0x37).contains($0) }),
            let bits = UInt32(digits, radix: 8)
        else { throw ValueProblem("\(Printable.quoted(text)) is not a file mode", remedy: remedy) }
        return bits
    }

    static func render(_ bits: UInt32) -> String {
        let digits = String(bits, radix: 8)
        return "0" + String(repeating: "0", count: max(0, 3 - digits.utf8.count)) + digits
    }
}
