/// JSON for people: `name: value` lines, indented; a list of like objects becomes a table.
public enum JSONOutline {
    public static func text(_ value: JSONValue) -> String {
        lines(value, indentation: 0)
    }

    private static func lines(_ value: JSONValue, indentation: Int) -> String {
        let margin = String(repeating: "  ", count: indentation)
        guard case .object(let members) = value else { return "\(margin)\(value.scalarText ?? "")\n" }
        let width = members.filter { $0.value.scalarText != nil }.map(\.key.count).max() ?? 0
        var text = ""
        for (key, value) in members {
            let name = label(key)
            if let scalar = value.scalarText {
                let padding = String(repeating: " ", count: max(0, width - name.count))
                text += "\(margin)\(name):\(padding) \(Printable.terminal(scalar))\n"
            } else if case .array(let elements) = value {
                text += list(name, elements, indentation: indentation)
            } else if case .object(let members) = value, !members.isEmpty {
                text += "\(margin)\(name):\n" + lines(value, indentation: indentation + 1)
            }
        }
        return text
    }

    private static func list(_ name: String, _ elements: [JSONValue], indentation: Int) -> String {
        let margin = String(repeating: "  ", count: indentation)
        if elements.isEmpty { return "\(margin)\(name): none\n" }
        if elements.allSatisfy({ $0.scalarText != nil }) {
            return
                "\(margin)\(name): \(elements.compactMap(\.scalarText).map { Printable.terminal($0) }.joined(separator: ", "))\n"
        }
        guard case .object(let first)? = elements.first else { return "\(margin)\(name): \(elements.count)\n" }
        let keys = first.map(\.key)
        var table = TextTable(headings: keys.map(label))
        var text = "\(margin)\(name):\n"
        for element in elements { text += table.append(keys.map { cell(element[$0]) }) }
        text += table.finish()
        return text
    }

    private static func cell(_ value: JSONValue?) -> TextTable.Cell {
        guard let value else { return TextTable.Cell("-") }
        if case .number(let number) = value { return TextTable.Cell(number, isRightAligned: true) }
        if let scalar = value.scalarText { return TextTable.Cell(Printable.terminal(scalar)) }
        if case .object(let members) = value {
            let parts = members.compactMap { member in member.value.scalarText.map { "\(label(member.key)) \($0)" } }
            return TextTable.Cell(Printable.terminal(parts.joined(separator: ", ")))
        }
        return TextTable.Cell("\(value.elements.count)")
    }

    private static func label(_ key: String) -> String {
        String(Printable.terminal(key).map { $0 == "_" ? " " : $0 })
    }
}
