// The file's list of named statements.
extension ConfigurationLoader {
    mutating func applyStatements(_ list: YAMLNode.Entry, file: String) {
        for (index, item) in items(of: list, maximum: SettingsTable.statementsMax, file: file).enumerated() {
            guard let entries = entries(of: item, name: "statements[\(index)]", file: file) else { continue }
            applyStatement(entries, index: index, line: item.line, file: file)
        }
    }

    private mutating func applyStatement(_ entries: [YAMLNode.Entry], index: Int, line: Int, file: String) {
        let before = errors.count
        var statement = Configuration.Statement()
        var label = "statements[\(index)]"
        // The name first: from here on it goes by that.
        let known = SettingsTable.statement
        let inOrder = entries.filter { $0.key == "name" } + entries.filter { $0.key != "name" }
        for entry in inOrder {
            guard let setting = known.first(where: { $0.key == entry.key }) else {
                reportUnknown(entry, name: "\(label).\(entry.key)", known: known.map(\.key), file: file)
                continue
            }
            guard let value = parse(entry, setting, name: "\(label).\(entry.key)", file: file) else { continue }
            setting.write(&statement, value)
            guard entry.key == "name" else { continue }
            configuration.origins["\(label).name"] = nil
            if configuration.statements.contains(where: { $0.name == statement.name }) {
                report(
                    .file(file, line: entry.line), label,
                    "the name \(Printable.quoted(statement.name)) is used twice", remedy: "rename one of the two")
            } else {
                label = "statements.\(statement.name)"
                configuration.origins["\(label).name"] = .file(file, line: entry.line)
            }
        }
        for setting in known where setting.isRequired && !entries.contains(where: { $0.key == setting.key }) {
            report(
                .file(file, line: line), label, "\(setting.key) is missing",
                remedy: "add \(setting.key): (\(setting.type.summary))")
        }
        if errors.count == before { configuration.statements.append(statement) } else { areListsComplete = false }
    }
}
