import ArgumentParser
import PrismTools

struct ConfigCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config", abstract: "Check and show the configuration.")

    func run() throws {
        throw ToolError.usage("`prism config` is not in this version")
    }
}
