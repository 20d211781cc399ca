/// Numbers as exact decimal text, without floating point.
enum DecimalText {
    /// Nanoseconds as seconds: `10_000` is `0.00001`, `100_000_000_000` is `100`.
    static func seconds(nanoseconds: UInt64) -> String {
        let (whole, rest) = nanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
        guard rest > 0 else { return String(whole) }
        let digits = String(rest)
        var fraction = String(repeating: "0", count: 9 - digits.count) + digits
        while fraction.hasSuffix("0") { fraction.removeLast() }
        return "\(whole).\(fraction)"
    }

    /// A histogram's bound for people: `20 µs`, `5 ms`, `100 s`.
    static func bound(nanoseconds: UInt64) -> String {
        if nanoseconds == .max { return "more than 100 s" }
        if nanoseconds < 1_000_000 { return "\(nanoseconds / 1_000) µs" }
        if nanoseconds < 1_000_000_000 { return "\(nanoseconds / 1_000_000) ms" }
        return "\(nanoseconds / 1_000_000_000) s"
    }

    /// `1_234_567_890_123` nanoseconds of uptime: `20m 34s`.
    static func uptime(nanoseconds: UInt64) -> String {
        let seconds = nanoseconds / 1_000_000_000
        let parts = [
            (seconds / 86_400, "d"), (seconds / 3_600 % 24, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s"),
        ]
        let shown = parts.drop { $0.0 == 0 }.prefix(2)
        return shown.isEmpty ? "0s" : shown.map { "\($0.0)\($0.1)" }.joined(separator: " ")
    }
}
