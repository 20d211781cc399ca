import ArgumentParser
import PrismConfiguration
import PrismTools

struct ConfigCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config", abstract: "Check and show the configuration.",
        subcommands: [ConfigCheck.self, ConfigShow.self, ConfigSchema.self])
}

/// The file to look at. The environment counts as it does for `prism serve`.
struct ConfigFileOption: ParsableArguments {
    @Option(help: ArgumentHelp("The configuration, YAML. Default: none.", valueName: "file"))
    var config: String?
}

struct ConfigCheck: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Say whether the configuration is sound.",
        discussion: """
            Every error comes with its line and what to do; warnings are for what is allowed and probably not meant. With \
            --json: {"sound", "warnings", "errors"}, each error with "place", "key", "message" and "remedy".

            Examples:
              prism config check --config prism.yaml

            Exit codes: 0 it is sound; 1 the output could not be written; 2 it is not sound, or usage.
            """)

    @OptionGroup var file: ConfigFileOption
    @OptionGroup var output: OutputOptions

    func run() throws {
        let settings: Configuration
        do throws(ConfigurationErrors) {
            settings = try ConfigurationLoading.configuration(file: file.config)
        } catch {
            guard output.json else { throw ToolError.usage("\(error)") }
            try output.print("") { write(to: &$0, warnings: [], error) }
            throw ExitCode(2)
        }
        let text = settings.warnings.map { "warning: \($0)\n" }.joined() + "the configuration is sound"
        try output.print(text) { write(to: &$0, warnings: settings.warnings, nil) }
    }

    private func write(to json: inout JSONWriter, warnings: [String], _ problems: ConfigurationErrors?) {
        json.field("sound", problems == nil)
        json.key("warnings")
        json.beginArray()
        for warning in warnings { json.string(warning) }
        json.endArray()
        json.key("errors")
        json.beginArray()
        for error in problems?.errors ?? [] {
            json.beginObject()
            json.field("place", "\(error.origin)")
            json.field("key", error.key ?? "")
            json.field("message", error.message)
            json.field("remedy", error.remedy)
            json.endObject()
        }
        json.endArray()
        json.field("errors_omitted", problems?.omitted ?? 0)
    }
}

struct ConfigShow: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show the settings in force and where each comes from. Secrets are hidden.",
        discussion: """
            Examples:
              prism config show --config prism.yaml
              prism config show --json

            Exit codes: 0 shown; 1 the output could not be written; 2 the configuration is not sound, or usage.
            """)

    @OptionGroup var file: ConfigFileOption
    @OptionGroup var output: OutputOptions

    func run() throws {
        let text = try ConfigurationLoading.load(file: file.config).show(json: output.json)
        let standardOutput = StandardOutput()
        standardOutput.write(text)
        try standardOutput.finish()
    }
}

struct ConfigSchema: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "schema", abstract: "Print a JSON Schema of the configuration, for editors.",
        discussion: """
            Examples:
              prism config schema > prism.schema.json

            Exit codes: 0 printed; 1 the output could not be written; 2 usage.
            """)

    @Flag(name: .long, help: "Changes nothing: it is JSON anyway.")
    var json = false

    func run() throws {
        let standardOutput = StandardOutput()
        standardOutput.write(Configuration.jsonSchema() + "\n")
        try standardOutput.finish()
    }
}
