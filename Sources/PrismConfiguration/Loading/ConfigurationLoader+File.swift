// The file's layer.
extension ConfigurationLoader {
    mutating func applyFile(_ bytes: [UInt8], name: String) {
        let outcome = YAMLReader.read(bytes)
        isReadable = isReadable && outcome.isComplete
        for problem in outcome.problems {
            report(.file(name, line: problem.line), problem.key, problem.message, remedy: problem.remedy)
        }
        guard let root = outcome.root else { return }
        switch root.content {
        case .null, .refused: return
        case .mapping(let entries): applyTopLevel(entries, file: name)
        case .scalar, .sequence:
            report(
                .file(name, line: root.line), nil, "the file holds \(root.kind)",
                remedy: "write sections, such as socket: with path: below it")
        }
    }

    private mutating func applyTopLevel(_ entries: [YAMLNode.Entry], file: String) {
        let names = SettingsTable.sections + SettingsTable.lists
        for entry in entries {
            if entry.key == "backends" {
                applyBackends(entry, file: file)
            } else if entry.key == "statements" {
                applyStatements(entry, file: file)
            } else if entry.key == "rules" {
                applyRules(entry, file: file)
            } else if SettingsTable.sections.contains(entry.key) {
                applySection(entry, file: file)
            } else {
                let whole = SettingsTable.byName[entry.key]
                let suggestion: String
                if let whole {
                    suggestion = "write \(whole.section): and \(whole.key): below it"
                } else if let nearest = NearestName.find(entry.key, among: names) {
                    suggestion = "did you mean \(nearest)?"
                } else if let elsewhere = SettingsTable.global.first(where: { $0.key == entry.key }) {
                    suggestion = "did you mean \(elsewhere.name)?"
                } else {
                    suggestion = "sections are \(names.joined(separator: ", "))"
                }
                report(.file(file, line: entry.line), entry.key, "unknown section", remedy: suggestion)
            }
        }
    }

    private mutating func applySection(_ section: YAMLNode.Entry, file: String) {
        let entries: [YAMLNode.Entry]
        switch section.value.content {
        case .mapping(let found): entries = found
        case .null, .refused: return
        case .scalar, .sequence:
            return report(
                .file(file, line: section.line), section.key,
                "\(section.value.kind) stands where a mapping is expected", remedy: "write its keys below it, indented")
        }
        let settings = SettingsTable.global.filter { $0.section == section.key }
        for entry in entries {
            let name = "\(section.key).\(entry.key)"
            let origin = Configuration.Origin.file(file, line: entry.line)
            guard let setting = settings.first(where: { $0.key == entry.key }) else {
                let elsewhere = SettingsTable.global.first { $0.key == entry.key }?.name
                let nearest = elsewhere ?? NearestName.find(entry.key, among: settings.map(\.key))
                report(
                    origin, name, "unknown setting",
                    remedy: nearest.map { "did you mean \($0)?" }
                        ?? "\(section.key) has \(settings.map(\.key).joined(separator: ", "))")
                continue
            }
            if let value = parse(entry, setting, name: name, file: file) { setting.write(&configuration, value) }
        }
    }

    /// The value of one key of a section, backend or rule, its origin recorded; `nil`: wrong, and reported.
    mutating func parse<Root>(
        _ entry: YAMLNode.Entry, _ setting: Setting<Root>, name: String, file: String
    ) -> SettingValue? {
        let origin = Configuration.Origin.file(file, line: entry.line)
        do throws(ValueProblem) {
            guard let value = try value(of: entry.value, setting.type) else { return nil }
            configuration.origins[name] = origin
            return value
        } catch {
            refused.insert(name)
            report(error, origin, name, note: setting.rangeNote)
            return nil
        }
    }

    /// `nil`: refused, and reported, before.
    private func value(of node: YAMLNode, _ type: SettingType) throws(ValueProblem) -> SettingValue? {
        switch (node.content, type) {
        case (.refused, _): return nil
        case (.null, _):
            throw ValueProblem("it has no value", remedy: "give one, or remove the key to keep the default")
        case (.scalar, .list), (.mapping, .list):
            throw ValueProblem("\(node.kind) stands where a list is expected", remedy: "write it as [a, b]")
        case (.scalar(let text), _): return try type.parse(text)
        case (.sequence(let nodes), .list):
            var items: [String] = []
            for node in nodes {
                guard case .scalar(let text) = node.content else {
                    if node.content == .refused { return nil }
                    throw ValueProblem("\(node.kind) stands in the list", remedy: "write names only")
                }
                items.append(text)
            }
            return try type.parse(list: items)
        case (.sequence, _), (.mapping, _):
            throw ValueProblem("\(node.kind) stands where a single value is expected", remedy: "use \(type.summary)")
        }
    }
}
