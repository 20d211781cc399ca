/// Durations as people write them: a number and `us`, `ms`, `s`, `m`, `h` or `d`, such as `250ms` or `1.5s`.
public enum DurationText {
    private static let unitsNanoseconds: [(suffix: String, nanoseconds: UInt64)] = [
        ("us", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000), ("m", 60_000_000_000), ("h", 3_600_000_000_000),
        ("d", 86_400_000_000_000),
    ]

    /// Nanoseconds; nil: not a duration, or too long to count. A number without a unit is none.
    public static func nanoseconds(_ text: String) -> UInt64? {
        let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        let suffix = text.dropFirst(digits.count)
        guard let unit = unitsNanoseconds.first(where: { $0.suffix == suffix }) else { return nil }
        let parts = digits.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count <= 2, let whole = UInt64(parts[0]) else { return nil }
        let (product, overflow) = whole.multipliedReportingOverflow(by: unit.nanoseconds)
        guard !overflow else { return nil }
        guard parts.count == 2 else { return product }
        guard let fraction = fraction(parts[1], of: unit.nanoseconds) else { return nil }
        let (sum, late) = product.addingReportingOverflow(fraction)
        return late ? nil : sum
    }

    /// Short, for people: two or three significant digits.
    public static func text(nanoseconds: UInt64) -> String {
        switch nanoseconds {
        case ..<1_000: "\(nanoseconds) ns"
        case ..<1_000_000: scaled(nanoseconds, 1_000, "µs")
        case ..<1_000_000_000: scaled(nanoseconds, 1_000_000, "ms")
        case ..<120_000_000_000: scaled(nanoseconds, 1_000_000_000, "s")
        case ..<7_200_000_000_000: "\(nanoseconds / 60_000_000_000) min"
        case ..<172_800_000_000_000: "\(nanoseconds / 3_600_000_000_000) h"
        default: "\(nanoseconds / 86_400_000_000_000) days"
        }
    }

    private static func scaled(_ nanoseconds: UInt64, _ unit: UInt64, _ name: String) -> String {
        let hundredths = nanoseconds / (unit / 100)
        if hundredths >= 10_000 { return "\(hundredths / 100) \(name)" }
        let rest = hundredths % 100
        return "\(hundredths / 100).\(rest < 10 ? "0" : "")\(rest) \(name)"
    }

    private static func fraction(_ digits: Substring, of unit: UInt64) -> UInt64? {
        guard !digits.isEmpty, digits.count <= 9, var value = UInt64(digits) else { return nil }
        for _ in digits.count..<9 { value *= 10 }
        return (value * (unit / 1_000)) / 1_000_000
    }
}
