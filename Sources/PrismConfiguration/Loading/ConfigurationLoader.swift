/// Puts the layers on top of each other, collecting every error on the way.
struct ConfigurationLoader {
    var configuration = Configuration()
    var errors: [ConfigurationError] = []
    /// False once the file could not be read to its end: rules between settings would then accuse the wrong ones.
    var isReadable = true
    /// False once a backend or rule was left out because of an error in it.
    var areListsComplete = true
    /// Settings whose value was refused; rules between settings leave them alone.
    var refused: Set<String> = []

    /// Checks the rules between settings and hands the value over.
    consuming func finish() throws(ConfigurationErrors) -> Configuration {
        completeBackends()
        if isReadable { checkRelations() }
        guard errors.isEmpty else { throw ConfigurationErrors(inReadingOrder(errors)) }
        addWarnings()
        return configuration
    }

    mutating func report(
        _ origin: Configuration.Origin, _ key: String?, _ message: String, remedy: String
    ) {
        errors.append(ConfigurationError(origin: origin, key: key, message: message, remedy: remedy))
    }

    mutating func report(_ problem: ValueProblem, _ origin: Configuration.Origin, _ key: String, note: String? = nil) {
        let message = note.map { "\(problem.message) (\($0))" } ?? problem.message
        report(origin, key, message, remedy: problem.remedy)
    }

    /// Parses one word and writes it.
    mutating func set(_ setting: Setting<Configuration>, to text: String, from origin: Configuration.Origin) {
        do throws(ValueProblem) {
            setting.write(&configuration, try setting.type.parse(text))
            configuration.origins[setting.name] = origin
        } catch {
            refused.insert(setting.name)
            report(error, origin, setting.name, note: setting.rangeNote)
        }
    }

    /// A lone backend is the default by itself; without any there is `main`.
    private mutating func completeBackends() {
        if configuration.backends.isEmpty { configuration.backends = [Configuration.Backend.defaultSQLite] }
        if configuration.backends.count == 1,
            configuration.origins["backends.\(configuration.backends[0].name).default"] == nil
        {
            configuration.backends[0].isDefault = true
        }
    }

    /// The file from top to bottom, then variables, then flags.
    private func inReadingOrder(_ errors: [ConfigurationError]) -> [ConfigurationError] {
        func place(_ origin: Configuration.Origin) -> (Int, Int) {
            switch origin {
            case .default: (0, 0)
            case .file(_, let line): (1, line ?? 0)
            case .environment: (2, 0)
            case .flag: (3, 0)
            }
        }
        return errors.enumerated().sorted { first, second in
            let (a, b) = (place(first.element.origin), place(second.element.origin))
            return a == b ? first.offset < second.offset : a < b
        }.map(\.element)
    }
}
