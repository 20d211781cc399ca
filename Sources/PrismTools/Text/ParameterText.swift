/// How `prism sql` reads a parameter from the command line.
///
/// An integer in its usual form that fits 64 bits is sent as an integer, a decimal number as a double, everything else as
/// text. What would be written differently after reading (`007`, `+1`, an integer above 64 bits) stays text, so that
/// nothing is lost.
public enum ParameterText {
    public static func value(_ text: String) -> SQLValue {
        if let integer = Int64(text), String(integer) == text { return .integer(integer) }
        if isDecimal(text), let double = Double(text), double.isFinite { return .double(double) }
        return .text(text)
    }

    /// -?(0|[1-9][0-9]*) followed by a fraction, an exponent, or both.
    private static func isDecimal(_ text: String) -> Bool {
        var rest = Substring(text)
        if rest.first == "-" { rest.removeFirst() }
        let whole = digits(&rest)
        guard !whole.isEmpty, whole == "0" || whole.first != "0" else { return false }
        var isDecimal = false
        if rest.first == "." {
            rest.removeFirst()
            guard !digits(&rest).isEmpty else { return false }
            isDecimal = true
        }
        if rest.first == "e" || rest.first == "E" {
            rest.removeFirst()
            if rest.first == "+" || rest.first == "-" { rest.removeFirst() }
            guard !digits(&rest).isEmpty else { return false }
            isDecimal = true
        }
        return isDecimal && rest.isEmpty
    }

    private static func digits(_ rest: inout Substring) -> Substring {
        let digits = rest.prefix { $0.isASCII && $0.isNumber }
        rest = rest.dropFirst(digits.count)
        return digits
    }
}
