/// The kind of a setting and the values it may take: parsing, documentation and schema come from here.
enum SettingType: Sendable, Equatable {
    case boolean
    case integer(ClosedRange<Int>)
    case size(ClosedRange<Int>)
    /// Nanoseconds.
    case duration(ClosedRange<UInt64>)
    case mode
    case choice([String])
    case text(TextRule)
    case list(TextRule)

    /// Of one list.
    static let listItemsMax = 256

    /// A value written as one word. Lists come as `parse(list:)`.
    func parse(_ text: String) throws(ValueProblem) -> SettingValue {
        switch self {
        case .boolean: return .boolean(try Self.boolean(text))
        case .integer(let range): return .integer(try Self.integer(text, in: range))
        case .size(let range):
            let bytes = try SizeText.parse(text)
            try check(range.contains(bytes), text)
            return .size(bytes)
        case .duration(let range):
            let nanoseconds = try DurationText.parse(text)
            try check(range.contains(nanoseconds), text)
            return .duration(nanoseconds)
        case .mode: return .mode(try ModeText.parse(text))
        case .choice(let names):
            guard names.contains(text) else {
                let nearest = NearestName.find(text, among: names).map { "did you mean \($0)? " } ?? ""
                throw ValueProblem(
                    "\(Printable.quoted(text)) is not one of its values", remedy: "\(nearest)use \(Self.or(names))")
            }
            return .text(text)
        case .text(let rule):
            try rule.check(text)
            return .text(text)
        case .list: return try parse(list: text.isEmpty ? [] : Self.split(text))
        }
    }

    /// The items of a list, each checked.
    func parse(list items: [String]) throws(ValueProblem) -> SettingValue {
        guard case .list(let rule) = self else {
            throw ValueProblem("a list stands where one value is expected", remedy: "write one value")
        }
        if items.count > Self.listItemsMax {
            throw ValueProblem(
                "the list has \(items.count) entries", remedy: "use at most \(Self.listItemsMax)")
        }
        var seen: Set<String> = []
        for item in items {
            try rule.check(item)
            if !seen.insert(item).inserted {
                throw ValueProblem("\(Printable.quoted(item)) is listed twice", remedy: "remove one of them")
            }
        }
        return .list(items)
    }

    /// What may be written, for messages and the documentation.
    var summary: String {
        switch self {
        case .boolean: "true, false"
        case .integer(let range): "\(range.lowerBound)–\(range.upperBound)"
        case .size(let range): "\(SizeText.render(range.lowerBound))–\(SizeText.render(range.upperBound))"
        case .duration(let range):
            "\(DurationText.render(range.lowerBound))–\(DurationText.render(range.upperBound))"
        case .mode: "0000–0777, octal"
        case .choice(let names): names.joined(separator: ", ")
        case .text(let rule): rule.summary
        case .list(let rule): "list of: \(rule.summary)"
        }
    }

    private func check(_ isInRange: Bool, _ text: String) throws(ValueProblem) {
        if !isInRange { throw Self.outOfRange(text, summary) }
    }

    private static func outOfRange(_ text: String, _ range: String) -> ValueProblem {
        ValueProblem("\(Printable.quoted(text)) is out of range", remedy: "use \(range)")
    }

    private static func boolean(_ text: String) throws(ValueProblem) -> Bool {
        switch text {
        case "true": return true
        case "false": return false
        default: throw ValueProblem("\(Printable.quoted(text)) is not a boolean", remedy: "use true or false")
        }
    }

    /// No leading zero (octal in YAML 1.1, decimal in 1.2), no underscores, no exponent.
    private static func integer(_ text: String, in range: ClosedRange<Int>) throws(ValueProblem) -> Int {
        let digits = text.hasPrefix("-") ? text.dropFirst() : Substring(text)
        guard !digits.isEmpty, digits.utf8.allSatisfy(\.isDigit), digits == "0" || !digits.hasPrefix("0") else {
            throw ValueProblem(
                "\(Printable.quoted(text)) is not a whole number",
                remedy: "use \(range.lowerBound)–\(range.upperBound), digits only")
        }
        guard let value = Int(text), range.contains(value) else {
            throw outOfRange(text, "\(range.lowerBound)–\(range.upperBound)")
        }
        return value
    }

    private static func split(_ text: String) -> [String] {
        text.split(separator: ",", omittingEmptySubsequences: false).map { item in
            String(item.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
        }
    }

    private static func or(_ names: [String]) -> String {
        guard let last = names.last, names.count > 1 else { return names.first ?? "" }
        return names.dropLast().joined(separator: ", ") + " or " + last
    }
}
