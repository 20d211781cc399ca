/// The value of one setting, whatever its kind.
enum SettingValue: Sendable, Equatable {
    /// Chosen at run time, or absent.
    case none
    case boolean(Bool)
    case integer(Int)
    case size(Int)
    case duration(UInt64)
    case mode(UInt32)
    case text(String)
    case list([String])

    /// As it would be written in the file.
    var text: String? {
        switch self {
        case .none: nil
        case .boolean(let value): value ? "true" : "false"
        case .integer(let value): String(value)
        case .size(let bytes): SizeText.render(bytes)
        case .duration(let nanoseconds): DurationText.render(nanoseconds)
        case .mode(let bits): ModeText.render(bits)
        case .text(let value): value
        case .list(let values): "[\(values.joined(separator: ", "))]"
        }
    }

    var json: JSONValue {
        switch self {
        case .none: .null
        case .boolean(let value): .boolean(value)
        case .integer(let value): .integer(value)
        case .list(let values): .array(values.map(JSONValue.string))
        case .size, .duration, .mode, .text: .string(text ?? "")
        }
    }
}
