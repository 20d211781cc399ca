internal import Glibc
internal import Synchronization

/// One line an event to standard error, as text or JSON. Never parameter values, never secrets.
///
/// A line is one `write` of at most `lineBytesMax`; when nobody reads standard error, lines are dropped and counted instead of
/// holding a reactor up.
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

    public static let lineBytesMax = 4_096
    private let format: Format
    private let level: Level
    private let dropped = Atomic<Int>(0)

    public init(format: Format, level: Level) {
        self.format = format
        self.level = level
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
        var line = Self.line(format, level, event, fields, time: Self.timestamp())
        // A pipe that nobody reads would block the reactor that logs.
        var target = pollfd(fd: 2, events: Int16(POLLOUT), revents: 0)
        guard poll(&target, 1, 0) == 1 else {
            dropped.add(lost + 1, ordering: .relaxed)
            return
        }
        line.withUTF8 { _ = Glibc.write(2, $0.baseAddress, min($0.count, Self.lineBytesMax)) }
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
