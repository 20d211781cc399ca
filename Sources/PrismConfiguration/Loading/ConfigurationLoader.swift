/// Puts the layers on top of each other, collecting every error on the way.
struct ConfigurationLoader {
    var configuration = Configuration()
    var errors: [ConfigurationError] = []
    /// False once a layer could not be read as a whole: rules between settings would then accuse the wrong ones.
    var isComplete = true

    /// Checks the rules between settings and hands the value over.
    consuming func finish() throws(ConfigurationErrors) -> Configuration {
        completeBackends()
        if isComplete, errors.isEmpty { checkRelations() }
        guard errors.isEmpty else { throw ConfigurationErrors(errors) }
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
}
