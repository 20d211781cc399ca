/// Durations as they are written: `250ms`, `1.5s`, `10m`; 0 needs no unit.
enum DurationText {
    static let units: [(suffix: String, nanoseconds: UInt64)] = [
        ("us", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000), ("m", 60_000_000_000), ("h", 3_600_000_000_000),
    ]
    static let remedy = "write a number and us, ms, s, m or h, such as 250ms, 1.5s or 10m"
    static let pattern = #"^(0|[0-9]+(\.[0-9]{1,9})?(us|ms|s|m|h))$"#

    /// Nanoseconds. At most 9 decimals, and nothing below a nanosecond, so that what is written is what is meant.
    static func parse(_ text: String) throws(ValueProblem) -> UInt64 {
        let quoted = Printable.quoted(text)
        let bytes = Array(text.utf8)
        let whole = bytes.prefix { $0.isDigit }
        guard !whole.isEmpty else { throw ValueProblem("\(quoted) is not a duration", remedy: remedy) }
        var rest = bytes[whole.endIndex...]
        var decimals: ArraySlice<UInt8> = []
        if rest.first == UInt8(ascii: ".") {
            rest = rest.dropFirst()
            decimals = rest.prefix { $0.isDigit }
            rest = rest[decimals.endIndex...]
            guard (1...9).contains(decimals.count) else {
                throw ValueProblem("\(quoted) is not a duration", remedy: remedy)
            }
        }
        if rest.isEmpty {
            if whole.allSatisfy({ $0 == UInt8(ascii: "0") }), decimals.isEmpty { return 0 }
            throw ValueProblem("\(quoted) has no unit", remedy: remedy)
        }
        let suffix = String(decoding: rest, as: UTF8.self)
        guard let unit = units.first(where: { $0.suffix == suffix })?.nanoseconds else {
            throw ValueProblem("\(quoted) is not a duration", remedy: remedy)
        }
        guard let count = UInt64(String(decoding: whole, as: UTF8.self)) else {
            throw ValueProblem("\(quoted) is too long", remedy: "use at most 24h")
        }
        var fraction: UInt64 = 0
        var scale: UInt64 = 1
        for digit in decimals {
            fraction = fraction * 10 + UInt64(digit - UInt8(ascii: "0"))
            scale *= 10
        }
        // fraction < 10^9 and unit < 2^42: wider than 64 bits, so in two words.
        let product = fraction.multipliedFullWidth(by: unit)
        let (quotient, remainder) = scale.dividingFullWidth(product)
        guard remainder == 0 else {
            throw ValueProblem("\(quoted) is not a whole number of nanoseconds", remedy: "use fewer decimals")
        }
        let (base, overflow) = count.multipliedReportingOverflow(by: unit)
        let (total, overflowed) = base.addingReportingOverflow(quotient)
        if overflow || overflowed { throw ValueProblem("\(quoted) is too long", remedy: "use at most 24h") }
        return total
    }

    /// The shortest usual form: `1h`, `90s`, `1.5s`, `250ms`, `0`.
    static func render(_ nanoseconds: UInt64) -> String {
        if nanoseconds == 0 { return "0" }
        for unit in units.reversed() where nanoseconds.isMultiple(of: unit.nanoseconds) {
            let count = nanoseconds / unit.nanoseconds
            if unit.suffix == "ms", count > 1_000 { break }
            return "\(count)\(unit.suffix)"
        }
        // Thousandths of the largest unit that holds them: 1.5s.
        for unit in units.reversed().dropFirst(2) where nanoseconds >= unit.nanoseconds {
            let thousandth = unit.nanoseconds / 1_000
            guard nanoseconds.isMultiple(of: thousandth) else { continue }
            return decimal(nanoseconds / unit.nanoseconds, nanoseconds % unit.nanoseconds / thousandth, digits: 3)
                + unit.suffix
        }
        return decimal(nanoseconds / 1_000, nanoseconds % 1_000, digits: 3) + "us"
    }

    private static func decimal(_ whole: UInt64, _ fraction: UInt64, digits: Int) -> String {
        var text = String(fraction)
        text = String(repeating: "0", count: max(0, digits - text.utf8.count)) + text
        while text.hasSuffix("0") { text.removeLast() }
        return text.isEmpty ? String(whole) : "\(whole).\(text)"
    }
}

extension UInt8 {
    var isDigit: Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(self) }
}
