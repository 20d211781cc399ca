/// JSON read back, for the few answers of the admin socket that commands show to people. Objects keep their order.
public enum JSONValue: Equatable, Sendable {
    case null
    case bool(Bool)
    /// As written, so that 64-bit integers survive.
    case number(String)
    case string(String)
    case array([JSONValue])
    case object([(key: String, value: JSONValue)])

    /// Deeper nesting is refused.
    public static let depthMax = 64

    /// Nil: not JSON.
    public init?(parsing text: String) {
        var parser = JSONParser(text)
        guard let value = parser.document() else { return nil }
        self = value
    }

    public subscript(key: String) -> JSONValue? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.key == key }?.value
    }

    public var string: String? { if case .string(let text) = self { text } else { nil } }
    public var elements: [JSONValue] { if case .array(let elements) = self { elements } else { [] } }

    /// A scalar as people read it; nil for arrays and objects.
    public var scalarText: String? {
        switch self {
        case .null: "-"
        case .bool(let value): value ? "yes" : "no"
        case .number(let text), .string(let text): text
        case .array, .object: nil
        }
    }

    public static func == (left: JSONValue, right: JSONValue) -> Bool {
        switch (left, right) {
        case (.null, .null): true
        case (.bool(let left), .bool(let right)): left == right
        case (.number(let left), .number(let right)): left == right
        case (.string(let left), .string(let right)): left == right
        case (.array(let left), .array(let right)): left == right
        case (.object(let left), .object(let right)):
            left.elementsEqual(right) { $0.key == $1.key && $0.value == $1.value }
        default: false
        }
    }
}
