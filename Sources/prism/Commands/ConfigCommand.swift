import ArgumentParser
import PrismConfiguration
import PrismTools

struct ConfigCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config", abstract: "Check and show the configuration.",
        subcommands: [ConfigCheck.self, ConfigShow.self, ConfigSchema.self])
}

struct ConfigCheck: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Say whether the configuration is sound.",
        discussion: "Exit codes: 0 it is; 2 it is not, with every error's line and remedy.")

    @Option(help: ArgumentHelp("The configuration, YAML.", valueName: "file"))
    var config: String?

    func run() throws {
        let settings = try ConfigurationLoading.load(file: config)
        let output = StandardOutput(descriptor: 1)
        for warning in settings.warnings { output.write("warning: \(warning)\n") }
        output.write("the configuration is sound\n")
        output.flush()
    }
}

struct ConfigShow: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show the settings in force and where each comes from. Secrets are hidden.")

    @Option(help: ArgumentHelp("The configuration, YAML.", valueName: "file"))
    var config: String?

    @Flag(help: "JSON.")
    var json = false

    func run() throws {
        let output = StandardOutput(descriptor: 1)
        output.write(try ConfigurationLoading.load(file: config).show(json: json))
        output.flush()
    }
}

struct ConfigSchema: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "schema", abstract: "Print a JSON Schema of the configuration, for editors.")

    func run() throws {
        let output = StandardOutput(descriptor: 1)
        output.write(Configuration.jsonSchema() + "\n")
        output.flush()
    }
}
