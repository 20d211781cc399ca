/// The tables of `docs/configuration.md` and `docs/limits.md`; a test holds the pages against them.
enum DocumentationTables {
    static var settings: String {
        SettingsTable.sections.map { section in
            "### `\(section)`\n\n"
                + table(SettingsTable.global.filter { $0.section == section }, hasVariable: true)
        }.joined(separator: "\n")
    }

    static var backends: String {
        "### Every backend\n\n" + table(SettingsTable.backend) + "\n### `kind: sqlite`\n\n"
            + table(SettingsTable.sqlite)
            + "\n### `kind: postgresql`\n\n" + table(SettingsTable.postgresql)
    }

    static var statements: String { table(SettingsTable.statement) }

    static var rules: String { table(SettingsTable.rule) }

    static var limits: String {
        limitRows(SettingsTable.global, "") + limitRows(SettingsTable.rule, " (of a rule)", hasHead: false)
    }

    static var backendLimits: String {
        limitRows(SettingsTable.backend, "") + limitRows(SettingsTable.sqlite, " (SQLite)", hasHead: false)
            + limitRows(SettingsTable.postgresql, " (PostgreSQL)", hasHead: false)
    }

    private static func table<Root>(_ settings: [Setting<Root>], hasVariable: Bool = false) -> String {
        var lines = [
            "| Setting | Default | Values | |" + (hasVariable ? " Variable |" : ""),
            "|---|---|---|---|" + (hasVariable ? "---|" : ""),
        ]
        for setting in settings {
            let values = setting.type.summary + (setting.rangeNote.map { " (\($0))" } ?? "")
            lines.append(
                "| `\(setting.name)` | \(defaultCell(setting)) | \(values) | \(setting.documentation) |"
                    + (hasVariable ? " `\(setting.environmentName)` |" : ""))
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func limitRows<Root>(_ settings: [Setting<Root>], _ suffix: String, hasHead: Bool = true) -> String {
        var lines = hasHead ? ["| Limit | Default | Unit | | At the limit |", "|---|---|---|---|---|"] : []
        for setting in settings {
            guard let atLimit = setting.atLimit else { continue }
            lines.append(
                "| `\(setting.name)`\(suffix) | \(defaultCell(setting)) | \(unit(setting.type)) | "
                    + "\(setting.documentation) | \(atLimit) |")
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func defaultCell<Root>(_ setting: Setting<Root>) -> String {
        guard let text = setting.defaultValue.text, !setting.isRequired else { return setting.defaultText }
        return text.isEmpty ? "empty" : "`\(text)`"
    }

    private static func unit(_ type: SettingType) -> String {
        switch type {
        case .size: "bytes"
        case .duration: "time"
        default: "count"
        }
    }
}
