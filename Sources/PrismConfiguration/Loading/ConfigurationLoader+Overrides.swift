// The flags' layer.
extension ConfigurationLoader {
    mutating func applyOverrides(_ overrides: Overrides) {
        if let path = overrides.socket { setGlobal("socket.path", to: path, flag: "--socket") }
        if let path = overrides.adminSocket { setGlobal("admin.socket", to: path, flag: "--admin-socket") }
        if let format = overrides.logFormat { setGlobal("log.format", to: format, flag: "--json") }
        if overrides.sqlite != nil, overrides.postgres != nil {
            report(
                .flag("--postgres"), nil, "--sqlite is given too", remedy: "give one of them, or use a file for both")
        }
        if let path = overrides.sqlite {
            replaceBackends(kind: .sqlite, key: "path", value: path, flag: "--sqlite")
        } else if let conninfo = overrides.postgres {
            replaceBackends(kind: .postgresql, key: "conninfo", value: conninfo, flag: "--postgres")
        }
    }

    private mutating func setGlobal(_ name: String, to value: String, flag: String) {
        if let setting = SettingsTable.byName[name] { set(setting, to: value, from: .flag(flag)) }
    }

    private mutating func replaceBackends(
        kind: Configuration.Backend.Kind, key: String, value: String, flag: String
    ) {
        guard let setting = SettingsTable.settings(of: kind).first(where: { $0.key == key }) else { return }
        let origin = Configuration.Origin.flag(flag)
        var draft = BackendDraft()
        draft.name = "main"
        draft.kind = kind
        draft.isDefault = true
        configuration.origins = configuration.origins.filter { !$0.key.hasPrefix("backends.") }
        do throws(ValueProblem) {
            setting.write(&draft, try setting.type.parse(value))
            for changed in ["name", "kind", key] { configuration.origins["backends.main.\(changed)"] = origin }
            configuration.backends = [draft.backend]
            areListsComplete = true
        } catch {
            areListsComplete = false
            report(error, origin, nil)
        }
    }

    private mutating func report(_ problem: ValueProblem, _ origin: Configuration.Origin, _ key: String?) {
        report(origin, key, problem.message, remedy: problem.remedy)
    }
}
