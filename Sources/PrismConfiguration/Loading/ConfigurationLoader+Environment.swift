// The environment's layer.
extension ConfigurationLoader {
    /// An empty variable counts as not set: manifests cannot easily leave one out.
    mutating func applyEnvironment(_ environment: [String: String]) {
        var known: [String: Setting<Configuration>] = [:]
        for setting in SettingsTable.global { known[setting.environmentName] = setting }
        for (variable, name) in SettingsTable.environmentAliases { known[variable] = SettingsTable.byName[name] }
        // In a fixed order, so that messages are.
        for (variable, value) in environment.sorted(by: { $0.key < $1.key }) {
            guard variable.hasPrefix("PRISM_"), !value.isEmpty else { continue }
            if let setting = known[variable] {
                if case .environment(let other)? = configuration.origins[setting.name],
                    environment[other] != value
                {
                    report(.environment(variable), nil, "\(other) says otherwise", remedy: "set one of the two")
                }
                set(setting, to: value, from: .environment(variable))
            } else {
                applyUnknown(variable, value: value, known: Array(known.keys))
            }
        }
    }

    /// A Kubernetes Service named prism puts PRISM_SERVICE_HOST, PRISM_PORT and their like into every pod, and other
    /// programs may use the prefix: only what was clearly meant as a setting is an error.
    private mutating func applyUnknown(_ variable: String, value: String, known: [String]) {
        if Self.isServiceLink(variable, value: value) { return }
        let origin = Configuration.Origin.environment(variable)
        let list = SettingsTable.lists.first { variable.hasPrefix("PRISM_\($0.uppercased())") }
        if let list {
            return report(
                origin, nil, "\(list) cannot be set by a variable",
                remedy: list == "backends" ? "use the file, --sqlite or --postgres" : "use the file")
        }
        let nearest = NearestName.find(variable, among: known.sorted(), distanceMax: 3)
        if let nearest {
            report(origin, nil, "unknown setting", remedy: "did you mean \(nearest)?")
        } else if let section = SettingsTable.sections.first(where: { variable.hasPrefix("PRISM_\($0.uppercased())_") })
        {
            let names = SettingsTable.global.filter { $0.section == section }.map(\.environmentName)
            report(origin, nil, "unknown setting", remedy: "\(section) has \(names.joined(separator: ", "))")
        } else {
            configuration.warnings.append("\(variable) is set in the environment, but is no setting")
        }
    }

    private static func isServiceLink(_ variable: String, value: String) -> Bool {
        let isLinkValue = ["tcp://", "udp://", "sctp://"].contains { value.hasPrefix($0) }
        return variable.hasSuffix("_SERVICE_HOST") || variable.contains("_SERVICE_PORT")
            || (variable.hasSuffix("_PORT") && isLinkValue)
            || ["_TCP", "_UDP", "_SCTP"].contains { variable.contains($0) && variable.contains("_PORT_") }
    }
}
