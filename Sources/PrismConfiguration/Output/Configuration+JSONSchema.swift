extension Configuration {
    /// JSON Schema (2020-12) of the file, for editors. It cannot say the rules between settings, nor the ranges of
    /// durations and of sizes with a unit; `prism config check` does.
    public static func jsonSchema() -> String {
        var properties: [(String, JSONValue)] = SettingsTable.sections.map { section in
            (section, object(SettingsTable.global.filter { $0.section == section }, isNullable: true))
        }
        let kinds = Backend.Kind.allCases.map { kind in
            object(SettingsTable.settings(of: kind), constants: ["kind": kind.rawValue])
        }
        properties.append(
            ("backends", list(of: .object([("oneOf", .array(kinds))]), maximum: SettingsTable.backendsMax)))
        properties.append(
            ("statements", list(of: object(SettingsTable.statement), maximum: SettingsTable.statementsMax)))
        properties.append(("rules", list(of: object(SettingsTable.rule), maximum: SettingsTable.rulesMax)))
        return JSONValue.object([
            ("$schema", .string("https://json-schema.org/draft/2020-12/schema")),
            ("title", .string("Prism's configuration")),
            ("type", .array([.string("object"), .string("null")])),
            ("properties", .object(properties)),
            ("additionalProperties", .boolean(false)),
        ]).text() + "\n"
    }

    private static func object<Root>(
        _ settings: [Setting<Root>], constants: [String: String] = [:], isNullable: Bool = false
    ) -> JSONValue {
        let required = settings.filter(\.isRequired).map { JSONValue.string($0.key) }
        var members: [(String, JSONValue)] = [
            ("type", isNullable ? .array([.string("object"), .string("null")]) : .string("object"))
        ]
        members.append(
            (
                "properties",
                .object(
                    settings.map { setting in
                        (
                            setting.key,
                            constants[setting.key].map { .object([("const", .string($0))]) } ?? schema(setting)
                        )
                    })
            ))
        if !required.isEmpty { members.append(("required", .array(required))) }
        members.append(("additionalProperties", .boolean(false)))
        return .object(members)
    }

    private static func list(of items: JSONValue, maximum: Int) -> JSONValue {
        .object([
            ("type", .array([.string("array"), .string("null")])), ("items", items), ("maxItems", .integer(maximum)),
        ])
    }

    private static func schema<Root>(_ setting: Setting<Root>) -> JSONValue {
        var members: [(String, JSONValue)] = [("description", .string(setting.documentation))]
        if setting.defaultValue != .none, !setting.isRequired { members.append(("default", setting.defaultValue.json)) }
        return .object(members + schema(setting.type))
    }

    private static func schema(_ type: SettingType) -> [(String, JSONValue)] {
        switch type {
        case .boolean: [("type", .string("boolean"))]
        case .integer(let range):
            [
                ("type", .string("integer")), ("minimum", .integer(range.lowerBound)),
                ("maximum", .integer(range.upperBound)),
            ]
        case .size(let range):
            [
                ("type", .array([.string("integer"), .string("string")])), ("minimum", .integer(range.lowerBound)),
                ("maximum", .integer(range.upperBound)), ("pattern", .string(SizeText.pattern)),
            ]
        case .duration:
            [
                ("type", .array([.string("integer"), .string("string")])), ("maximum", .integer(0)),
                ("pattern", .string(DurationText.pattern)),
            ]
        case .mode:
            // A plain 0660 is a number to YAML 1.1 and to 1.2, each another one; its digits are what counts here.
            [("type", .array([.string("integer"), .string("string")])), ("pattern", .string(ModeText.pattern))]
        case .choice(let names): [("enum", .array(names.map(JSONValue.string)))]
        case .text(let rule):
            // A group may be a number.
            rule == .group
                ? [("type", .array([.string("integer"), .string("string")]))]
                : [("type", .string("string"))] + pattern(rule)
        case .list(let rule):
            [
                ("type", .string("array")), ("uniqueItems", .boolean(true)),
                ("maxItems", .integer(SettingType.listItemsMax)),
                ("items", .object([("type", .string("string"))] + pattern(rule))),
            ]
        }
    }

    private static func pattern(_ rule: TextRule) -> [(String, JSONValue)] {
        rule.pattern.map { [("pattern", .string($0))] } ?? []
    }
}
