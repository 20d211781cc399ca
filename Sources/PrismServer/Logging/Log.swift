internal import Glibc
internal import PrismReactor
internal import Synchronization

/// One line an event to standard error, as text or JSON. Never parameter values, never secrets.
///
/// A line is one `write` of at most `lineBytesMax`, on the writer's thread. When nobody reads standard error, lines are dropped and
/// counted; nobody who logs is held up.
public final class Log: Sendable {
    public enum Format: Sendable { case text, json }
    public enum Level: Int, Sendable, Comparable {
        case debug, info, warning, error
        public static func < (left: Level, right: Level) -> Bool { left.rawValue < right.rawValue }
        var name: String {
            switch self {
            case .debug: "debug"
            case .info: "info"
            case .warning: "warning"
            case .error: "error"
            }
        }
    }
    public enum Value: Sendable {
        case string(String)
        case integer(Int)
    }

    /// What a pipe takes at once or not at all.
    public static let lineBytesMax = 4_096
    /// How long the end waits for the last lines to be written.
    static let flushNanosecondsMax: UInt64 = 50_000_000
    /// Likewise where the process has no time left.
    static let lastFlushNanosecondsMax: UInt64 = 10_000_000
    private let format: Format
    private let level: Level
    private let dropped = Atomic<Int>(0)
    private let writer: LogWriter

    /// - Parameter descriptor: where to; standard error by default.
    public init(format: Format, level: Level, descriptor: CInt = 2) {
        self.format = format
        self.level = level
        writer = LogWriter(descriptor: descriptor)
    }

    /// Waits for what was logged before to be written, at the longest so many nanoseconds. Before the process ends: it takes the
    /// lines that wait with it.
    public func flush(nanosecondsMax: UInt64) {
        writer.flush(untilNanoseconds: MonotonicClock.now() + nanosecondsMax)
    }

    public func debug(_ event: String, _ fields: [(String, Value)] = []) { write(.debug, event, fields) }
    public func info(_ event: String, _ fields: [(String, Value)] = []) { write(.info, event, fields) }
    public func warning(_ event: String, _ fields: [(String, Value)] = []) { write(.warning, event, fields) }
    public func error(_ event: String, _ fields: [(String, Value)] = []) { write(.error, event, fields) }

    private func write(_ level: Level, _ event: String, _ fields: [(String, Value)]) {
        guard level >= self.level else { return }
        var fields = fields
        let lost = dropped.exchange(0, ordering: .relaxed)
        if lost > 0 { fields.append(("dropped_lines", .integer(lost))) }
        let line = Self.line(format, level, event, fields, time: Self.timestamp())
        if !writer.append(Self.cut(line)) { dropped.add(lost + 1, ordering: .relaxed) }
    }

    private static func cut(_ line: String) -> String {
        // Room for a character that is cut, and the end of the line.
        line.utf8.count <= lineBytesMax
            ? line : String(decoding: line.utf8.prefix(lineBytesMax - 4), as: UTF8.self) + "\n"
    }

    static func line(
        _ format: Format, _ level: Level, _ event: String, _ fields: [(String, Value)], time: String
    ) -> String {
        switch format {
        case .text:
            var line = "\(time) \(level.name) \(event)"
            for (key, value) in fields {
                switch value {
                case .integer(let number): line += " \(key)=\(number)"
                case .string(let text):
                    let quoted = text.contains { $0 == " " || $0 == "\"" || $0 == "=" || $0.isNewline }
                    line += quoted ? " \(key)=\(json(text))" : " \(key)=\(text)"
                }
            }
            return line + "\n"
        case .json:
            var line = "{\"time\":\"\(time)\",\"level\":\"\(level.name)\",\"event\":\(json(event))"
            for (key, value) in fields {
                switch value {
                case .integer(let number): line += ",\(json(key)):\(number)"
                case .string(let text): line += ",\(json(key)):\(json(text))"
                }
            }
            return line + "}\n"
        }
    }

    private static func json(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars.prefix(2_048) {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case "\n": quoted += "\\n"
            case "\r": quoted += "\\r"
            case "\t": quoted += "\\t"
            case _ where scalar.value < 0x20 || scalar.value == 0x7F:
                let digits = String(scalar.value, radix: 16)
                quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }

    private static func timestamp() -> String {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        var parts = tm()
        gmtime_r(&now.tv_sec, &parts)
        func padded(_ number: Int, _ width: Int) -> String {
            let text = String(number)
            return String(repeating: "0", count: max(0, width - text.count)) + text
        }
        return
            "\(padded(Int(parts.tm_year) + 1900, 4))-\(padded(Int(parts.tm_mon) + 1, 2))-\(padded(Int(parts.tm_mday), 2))"
            + "T\(padded(Int(parts.tm_hour), 2)):\(padded(Int(parts.tm_min), 2)):\(padded(Int(parts.tm_sec), 2))"
            + ".\(padded(now.tv_nsec / 1_000_000, 3))Z"
    }
}
