extension Configuration {
    /// One setting in force.
    struct Entry {
        let name: String
        let value: SettingValue
        /// Stands for a value that is chosen at run time.
        let note: String
        let origin: Origin
    }

    /// All settings, in the documentation's order.
    var entries: [Entry] {
        var entries = SettingsTable.global.map { entry($0, of: self, name: $0.name) }
        for backend in backends {
            let draft = BackendDraft(backend)
            for setting in SettingsTable.settings(of: backend.kind) where setting.key != "name" {
                entries.append(entry(setting, of: draft, name: "backends.\(backend.name).\(setting.key)"))
            }
        }
        for statement in statements {
            for setting in SettingsTable.statement where setting.key != "name" {
                entries.append(entry(setting, of: statement, name: "statements.\(statement.name).\(setting.key)"))
            }
        }
        for (index, rule) in rules.enumerated() {
            let draft = RuleDraft(rule)
            for setting in SettingsTable.rule where setting.read(draft) != .none {
                entries.append(entry(setting, of: draft, name: "rules[\(index)].\(setting.key)"))
            }
        }
        return entries
    }

    /// Every setting in force, with its value and where that came from. There are no secrets to hide: passwords are
    /// refused wherever one could be written, and files that hold one are shown by path only.
    /// - Parameter json: for programs; else aligned lines `name = value  # origin`.
    public func show(json: Bool) -> String {
        json ? showJSON() : showText()
    }

    private func showText() -> String {
        let lines = entries.map { entry in
            ("\(entry.name) = \(entry.value.text.map(Printable.text) ?? "(\(entry.note))")", entry.origin.description)
        }
        let width = lines.map(\.0.count).filter { $0 <= 72 }.max() ?? 0
        return lines.map { line, origin in
            line + String(repeating: " ", count: max(0, width - line.count)) + "  # \(origin)\n"
        }.joined()
    }

    private func showJSON() -> String {
        let settings = entries.map { entry in
            JSONValue.object([
                ("name", .string(entry.name)), ("value", entry.value.json), ("layer", .string(entry.origin.layer)),
                ("source", .string(entry.origin.description)),
            ])
        }
        return JSONValue.object([
            ("settings", .array(settings)), ("warnings", .array(warnings.map(JSONValue.string))),
        ]).text() + "\n"
    }

    private func entry<Root>(_ setting: Setting<Root>, of root: Root, name: String) -> Entry {
        Entry(
            name: name, value: setting.read(root), note: setting.defaultNote ?? "none", origin: origin(of: name))
    }
}
