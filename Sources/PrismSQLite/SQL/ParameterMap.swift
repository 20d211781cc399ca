internal import CSQLite
internal import PrismWire

/// How a client's parameters fill a statement's. SQLite takes `$1` for a name, numbered by first appearance; Prism, like
/// PostgreSQL, takes it for a number.
enum ParameterMap {
    case none
    /// The client's n-th value is SQLite's n-th parameter.
    case identity(count: Int)
    /// SQLite's n-th parameter takes the client's value `sources[n - 1]`, counted from 1.
    case numbered(sources: [Int], count: Int)
    /// By name, without sigil, in SQLite's order.
    case named([String])
    /// `$1` and `?`, or names and numbers, in one statement.
    case mixed

    init(of handle: OpaquePointer) {
        let count = Int(sqlite3_bind_parameter_count(handle))
        guard count > 0 else {
            self = .none
            return
        }
        var sources: [Int] = []
        var names: [String] = []
        var questionMarks = 0
        for index in 1...count {
            // Without a name: a plain `?`, or a gap that `?NNN` left.
            guard let pointer = sqlite3_bind_parameter_name(handle, Int32(index)) else {
                questionMarks += 1
                continue
            }
            let name = String(cString: pointer)
            let rest = name.dropFirst()
            if name.utf8.first == UInt8(ascii: "?") {
                questionMarks += 1
            } else if name.utf8.first == UInt8(ascii: "$"), let number = Int(rest), number >= 1 {
                sources.append(number)
            } else {
                names.append(String(rest))
            }
        }
        if questionMarks == count {
            self = .identity(count: count)
        } else if sources.count == count {
            let largest = sources.max() ?? 0
            self = sources == Array(1...count) ? .identity(count: count) : .numbered(sources: sources, count: largest)
        } else if names.count == count {
            self = .named(names)
        } else {
            self = .mixed
        }
    }
}
