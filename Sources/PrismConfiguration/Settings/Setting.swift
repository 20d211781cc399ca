/// One setting: everything that parsing, environment names, `config show`, the schema and the documentation know of it.
struct Setting<Root: Sendable>: Sendable {
    /// `section.key`, or the key alone inside a backend or rule.
    let name: String
    let type: SettingType
    /// `.none`: chosen at run time, or absent.
    let defaultValue: SettingValue
    /// One line.
    let documentation: String
    /// What stands in place of a default that is `.none`.
    var defaultNote: String?
    /// What happens when it is reached; `nil` if it is no limit.
    var atLimit: String?
    /// Why the range ends where it does, where that is not plain.
    var rangeNote: String?
    var isRequired = false
    let write: @Sendable (inout Root, SettingValue) -> Void
    let read: @Sendable (Root) -> SettingValue

    /// The key inside its section.
    var key: String {
        name.lastIndex(of: ".").map { String(name[name.index(after: $0)...]) } ?? name
    }

    var section: String {
        name.lastIndex(of: ".").map { String(name[..<$0]) } ?? ""
    }

    /// `PRISM_SECTION_KEY`.
    var environmentName: String {
        "PRISM_" + String(name.uppercased().map { $0 == "." ? "_" : $0 })
    }

    /// The default as the documentation shows it.
    var defaultText: String {
        defaultValue.text ?? defaultNote ?? (isRequired ? "required" : "none")
    }

    func limit(_ atLimit: String) -> Self {
        var copy = self
        copy.atLimit = atLimit
        return copy
    }

    func because(_ rangeNote: String) -> Self {
        var copy = self
        copy.rangeNote = rangeNote
        return copy
    }

    func automatic(_ note: String) -> Self {
        var copy = self
        copy.defaultNote = note
        return copy
    }

    func required() -> Self {
        var copy = self
        copy.isRequired = true
        return copy
    }
}
