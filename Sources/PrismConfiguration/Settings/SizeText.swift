/// Sizes as they are written: plain bytes, or `64KiB`, `4MiB`, `1GiB`.
enum SizeText {
    static let units: [(suffix: String, shift: Int)] = [("KiB", 10), ("MiB", 20), ("GiB", 30)]
    static let remedy = "write bytes as a plain number, or use KiB, MiB or GiB, such as 4MiB"
    static let pattern = "^[0-9]+(KiB|MiB|GiB)?$"

    static func parse(_ text: String) throws(ValueProblem) -> Int {
        let quoted = Printable.quoted(text)
        let bytes = Array(text.utf8)
        let whole = bytes.prefix { $0.isDigit }
        guard !whole.isEmpty else { throw ValueProblem("\(quoted) is not a size", remedy: remedy) }
        let suffix = String(decoding: bytes[whole.endIndex...], as: UTF8.self)
        var shift = 0
        if !suffix.isEmpty {
            guard let unit = units.first(where: { $0.suffix == suffix }) else {
                throw ValueProblem("\(quoted) is not a size", remedy: remedy)
            }
            shift = unit.shift
        }
        guard let count = Int(String(decoding: whole, as: UTF8.self)) else {
            throw ValueProblem("\(quoted) is too large", remedy: remedy)
        }
        let (total, overflow) = count.multipliedReportingOverflow(by: 1 << shift)
        if overflow { throw ValueProblem("\(quoted) is too large", remedy: remedy) }
        return total
    }

    /// In the largest unit that divides it.
    static func render(_ bytes: Int) -> String {
        for unit in units.reversed() where bytes > 0 && bytes.isMultiple(of: 1 << unit.shift) {
            return "\(bytes >> unit.shift)\(unit.suffix)"
        }
        return String(bytes)
    }
}
