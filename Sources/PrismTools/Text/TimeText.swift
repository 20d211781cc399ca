internal import Glibc

/// Moments as people read them.
public enum TimeText {
    /// UTC as RFC 3339 writes it; `-` for 0, which stands for never.
    public static func utc(milliseconds: UInt64) -> String {
        guard milliseconds > 0 else { return "-" }
        var seconds = time_t(clamping: milliseconds / 1_000)
        var parts = tm()
        guard gmtime_r(&seconds, &parts) != nil else { return "-" }
        func two(_ value: Int32) -> String { value < 10 ? "0\(value)" : "\(value)" }
        return "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))"
            + "T\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec))Z"
    }
}
