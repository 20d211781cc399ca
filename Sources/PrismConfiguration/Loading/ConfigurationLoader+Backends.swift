// The file's lists of mappings.
extension ConfigurationLoader {
    mutating func applyBackends(_ list: YAMLNode.Entry, file: String) {
        for (index, item) in items(of: list, maximum: SettingsTable.backendsMax, file: file).enumerated() {
            guard let entries = entries(of: item, name: "backends[\(index)]", file: file) else { continue }
            applyBackend(entries, index: index, line: item.line, file: file)
        }
    }

    private mutating func applyBackend(_ entries: [YAMLNode.Entry], index: Int, line: Int, file: String) {
        let origin = Configuration.Origin.file(file, line: line)
        let before = errors.count
        var draft = BackendDraft()
        // Name and kind first: the names of all other settings hang on them.
        var label = "backends[\(index)]"
        for setting in SettingsTable.backend where setting.isRequired {
            guard let entry = entries.first(where: { $0.key == setting.key }) else {
                report(
                    origin, label, "\(setting.key) is missing", remedy: "add \(setting.key): (\(setting.type.summary))")
                continue
            }
            guard let value = parse(entry, setting, name: "\(label).\(setting.key)", file: file) else { continue }
            setting.write(&draft, value)
            if setting.key == "name" { label = named(draft.name, was: label, line: entry.line, file: file) }
        }
        // A kind that is missing or wrong is one error, not one for each key.
        let isKindKnown = configuration.origins["\(label).kind"] != nil
        let known =
            isKindKnown
            ? SettingsTable.settings(of: draft.kind)
            : SettingsTable.backend + SettingsTable.sqlite + SettingsTable.postgresql
        for entry in entries where !SettingsTable.backend.contains(where: { $0.isRequired && $0.key == entry.key }) {
            guard let setting = known.first(where: { $0.key == entry.key }) else {
                reportUnknownBackendKey(entry, of: draft.kind, name: label, known: known.map(\.key), file: file)
                continue
            }
            if let value = parse(entry, setting, name: "\(label).\(entry.key)", file: file) {
                setting.write(&draft, value)
            }
        }
        if errors.count == before { configuration.backends.append(draft.backend) } else { areListsComplete = false }
    }

    /// From here on the backend goes by its name.
    private mutating func named(_ name: String, was label: String, line: Int, file: String) -> String {
        let origin = Configuration.Origin.file(file, line: line)
        configuration.origins["\(label).name"] = nil
        if configuration.backends.contains(where: { $0.name == name }) {
            report(origin, label, "the name \(Printable.quoted(name)) is used twice", remedy: "rename one of the two")
            return label
        }
        configuration.origins["backends.\(name).name"] = origin
        return "backends.\(name)"
    }

    private mutating func reportUnknownBackendKey(
        _ entry: YAMLNode.Entry, of kind: Configuration.Backend.Kind, name: String, known: [String], file: String
    ) {
        let other: Configuration.Backend.Kind = kind == .sqlite ? .postgresql : .sqlite
        let origin = Configuration.Origin.file(file, line: entry.line)
        let key = "\(name).\(entry.key)"
        if SettingsTable.settings(of: other).contains(where: { $0.key == entry.key }) {
            report(
                origin, key, "only a backend of kind \(other.rawValue) has this setting",
                remedy: "remove it, or change the kind (here \(kind.rawValue))")
        } else if entry.key == "password" {
            report(origin, key, "passwords do not belong into this file", remedy: "use password_file or PGPASSWORD")
        } else {
            reportUnknown(entry, name: key, known: known, file: file)
        }
    }

    mutating func applyRules(_ list: YAMLNode.Entry, file: String) {
        for (index, item) in items(of: list, maximum: SettingsTable.rulesMax, file: file).enumerated() {
            let name = "rules[\(index)]"
            guard let entries = entries(of: item, name: name, file: file) else { continue }
            let before = errors.count
            var draft = RuleDraft()
            for entry in entries {
                guard let setting = SettingsTable.rule.first(where: { $0.key == entry.key }) else {
                    reportUnknown(entry, name: "\(name).\(entry.key)", known: SettingsTable.rule.map(\.key), file: file)
                    continue
                }
                if let value = parse(entry, setting, name: "\(name).\(entry.key)", file: file) {
                    setting.write(&draft, value)
                }
            }
            guard errors.count == before else {
                areListsComplete = false
                continue
            }
            guard let rule = draft.rule else {
                report(
                    .file(file, line: item.line), name,
                    draft.uid == nil ? "uid or gid is missing" : "both uid and gid are given",
                    remedy: "give one of the two; for both, write two rules")
                continue
            }
            if configuration.rules.contains(where: { $0.subject == rule.subject }) {
                report(
                    .file(file, line: item.line), name, "there is a rule for \(rule.subject) already",
                    remedy: "keep one of the two")
            }
            // Appended even so: the index of a rule is its place in the file.
            configuration.rules.append(rule)
        }
    }

    mutating func reportUnknown(_ entry: YAMLNode.Entry, name: String, known: [String], file: String) {
        report(
            .file(file, line: entry.line), name, "unknown setting",
            remedy: NearestName.find(entry.key, among: known).map { "did you mean \($0)?" }
                ?? "known are \(known.joined(separator: ", "))")
    }

    mutating func items(of list: YAMLNode.Entry, maximum: Int, file: String) -> [YAMLNode] {
        let origin = Configuration.Origin.file(file, line: list.line)
        switch list.value.content {
        case .null, .refused: return []
        case .sequence(let items):
            if items.count > maximum {
                report(origin, list.key, "the list has \(items.count) entries", remedy: "use at most \(maximum)")
            }
            return Array(items.prefix(maximum))
        case .scalar, .mapping:
            areListsComplete = false
            report(
                origin, list.key, "\(list.value.kind) stands where a list is expected",
                remedy: "begin each entry with a dash")
            return []
        }
    }

    mutating func entries(of item: YAMLNode, name: String, file: String) -> [YAMLNode.Entry]? {
        if case .mapping(let entries) = item.content { return entries }
        areListsComplete = false
        if item.content != .refused {
            report(
                .file(file, line: item.line), name, "\(item.kind) stands where a mapping is expected",
                remedy: "write key: value behind the dash")
        }
        return nil
    }
}
